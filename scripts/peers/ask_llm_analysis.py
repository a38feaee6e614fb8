"""
llm-analysis through `LLMAnalysis` and `train`, the functions behind its commands.

Its requirements hold transformers at 4.31, which knows few of today's types. Where that refuses a model, it gets what its
manual offers instead: a configuration of its own format, filled from the same keys that its reader asks for.
"""

from __future__ import annotations

import json
from typing import Any

from asking import Answer, Question, Refused, main
from huggingface_hub import hf_hub_download
from llm_analysis.analysis import LLMAnalysis, train
from llm_analysis.config import (
    ModelConfig,
    get_dtype_config_by_name,
    get_gpu_config_by_name,
    get_model_config_by_name,
    model_configs,
)

GPU, DTYPE = "mi250x-128gb", "w16a16e16"


def cache(question: Question) -> Answer:
    """Bytes a layer times layers: what `infer` reports, without its question whether the weights fit."""
    try:
        config, by_hand = get_model_config_by_name(question["repo"]), False
    except Exception:
        config, by_hand = written_by_hand(question["repo"]), True
    analysis = LLMAnalysis(config, get_gpu_config_by_name(GPU), get_dtype_config_by_name(DTYPE))
    size = analysis.get_memory_kv_cache_per_layer(question["batch"], question["tokens"], question["kv_bytes"])
    return {"bytes": size * config.num_layers, "by_hand": by_hand}


def written_by_hand(repo: str) -> Any:
    """A model in its own format; the text part's keys where they are nested."""
    with open(hf_hub_download(repo, "config.json"), encoding="utf-8") as file:
        raw = json.load(file)
    raw = raw if "hidden_size" in raw else raw.get("text_config", raw)
    return ModelConfig(
        name=repo,
        num_layers=raw["num_hidden_layers"],
        n_head=raw["num_attention_heads"],
        hidden_dim=raw["hidden_size"],
        vocab_size=raw.get("vocab_size", 1),
        num_key_value_heads=raw.get("num_key_value_heads"),
    )


def sized(name: str, raw: dict[str, Any], tokens: int) -> Any:
    """A model in its own format with every size; the second names are those of GPT-2 and its kin."""
    hidden = raw.get("hidden_size") or raw["n_embd"]
    width = raw.get("intermediate_size") or raw.get("n_inner") or 4 * hidden
    return ModelConfig(
        name=name,
        num_layers=raw.get("num_hidden_layers") or raw["n_layer"],
        n_head=raw.get("num_attention_heads") or raw["n_head"],
        hidden_dim=hidden,
        vocab_size=raw["vocab_size"],
        max_seq_len=tokens,
        num_key_value_heads=1 if raw.get("multi_query") else raw.get("num_key_value_heads"),
        ffn_embed_dim=width,
        expansion_ratio=width / hidden,
        moe_num_experts=raw.get("num_local_experts", 1),
        moe_top_k=raw.get("num_experts_per_tok", 1),
    )


def training(question: Question) -> Answer:
    """`train` with every size of the model and the bytes of the optimizer's states given."""
    if question["method"] != "full" or question["beyond"]:
        raise Refused(f"no option for {question['beyond'] or question['method']}")
    model_configs[question["id"]] = sized(question["id"], question["config"], question["tokens"])
    found = train(
        model_name=question["id"],
        gpu_name=GPU,
        dtype_name=DTYPE,
        log_level="ERROR",
        batch_size_per_gpu=question["batch"],
        seq_len=question["tokens"],
        activation_recomputation=2 if question["checkpointing"] else 0,
        master_weights_dtype_bytes=2,  # its gradients have this size too
        other_op_bytes=question["state_bytes"] - 2,  # it adds a master copy, which these runs do not have
        layernorm_dtype_bytes=2,
        mlp_gated_linear_units="intermediate_size" in question["config"],
    )
    return {"bytes": found["(weight+op_state+grad+act)_memory_per_gpu"]}


if __name__ == "__main__":
    main({"cache": cache, "training": training})
