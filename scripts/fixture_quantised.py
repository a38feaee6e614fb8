"""Rows of the fixture table: quantised checkpoints, at least one of each format."""

from __future__ import annotations

from typing import Any

import fixture_packing as packing
from fixture_packing import Packing
from fixture_rows import Published, Row, hub_total
from fixture_text import LLAMA_8B, QWEN3_0_6B, QWEN3_4B, QWEN3_8B

LLAMA_70B = LLAMA_8B | {
    "hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64,
}  # fmt: skip
DEEPSEEK_V3: dict[str, Any] = {
    "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048, "num_hidden_layers": 61,
    "num_attention_heads": 128, "num_key_value_heads": 128, "n_shared_experts": 1, "n_routed_experts": 256,
    "num_experts_per_tok": 8, "first_k_dense_replace": 3, "kv_lora_rank": 512, "q_lora_rank": 1536,
    "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "n_group": 8, "topk_group": 4,
    "vocab_size": 129280, "max_position_embeddings": 163840,
}  # fmt: skip
GPT_OSS_20B: dict[str, Any] = {
    "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 24, "num_attention_heads": 64,
    "num_key_value_heads": 8, "head_dim": 64, "num_local_experts": 32, "num_experts_per_tok": 4, "vocab_size": 201088,
    "sliding_window": 128, "max_position_embeddings": 131072,
    "rope_parameters": {
        "rope_type": "yarn", "rope_theta": 150000.0, "factor": 32.0, "beta_fast": 32.0, "beta_slow": 1.0,
        "original_max_position_embeddings": 4096, "truncate": False,
    },
}  # fmt: skip
DRAFT_61: dict[str, dict[str, tuple[str, tuple[int, ...]]]] = {
    "draft layer 61: joining parts": {
        "model.layers.61.eh_proj.weight": ("BF16", (7168, 14336)),
        "model.layers.61.enorm.weight": ("BF16", (7168,)),
        "model.layers.61.hnorm.weight": ("BF16", (7168,)),
        "model.layers.61.shared_head.norm.weight": ("BF16", (7168,)),
    },
    "draft layer 61: copies of the embedding and the head": {
        "model.layers.61.embed_tokens.weight": ("BF16", (129280, 7168)),
        "model.layers.61.shared_head.head.weight": ("BF16", (129280, 7168)),
    },
}


def llama(packed: Packing, *, dtype: str = "bfloat16", published: Published | None = None) -> Row:
    """Llama 3.1 8B in one of the formats."""
    return Row(
        model_type="llama",
        architecture="LlamaForCausalLM",
        config=LLAMA_8B,
        dtype=dtype,
        packing=packed,
        published=published,
    )


def qwen3(config: dict[str, Any], packed: Packing, published: Published | None, *, stores_tied_head: bool = False) -> Row:
    """A dense Qwen3 in one of the formats."""
    return Row(
        model_type="qwen3",
        architecture="Qwen3ForCausalLM",
        config=config,
        packing=packed,
        published=published,
        stores_tied_head=stores_tied_head,
    )


QWEN_FP8 = Packing(packing.fp8_blocks("BF16"), packing.BLOCK_FP8)
DEEPSEEK_FP8 = Packing(packing.fp8_blocks("F32"), packing.BLOCK_FP8)

QUANTISED: dict[str, Row] = {
    "deepseek-ai/DeepSeek-V3": Row(
        model_type="deepseek_v3",
        architecture="DeepseekV3ForCausalLM",
        config=DEEPSEEK_V3,
        casts={r"e_score_correction_bias$": "F32"},
        copies={"draft layer 61: a layer like the last": ("model.layers.60.", "model.layers.61.")},
        extras=DRAFT_61,
        packing=DEEPSEEK_FP8,
    ),
    "Rakuten/RakutenAI-3.0": Row(
        model_type="deepseek_v3",
        architecture="DeepseekV3ForCausalLM",
        config=DEEPSEEK_V3,
        casts={r"e_score_correction_bias$": "F32"},
        packing=DEEPSEEK_FP8,
        published=hub_total(671067257432),
    ),
    "Qwen/Qwen3-0.6B-FP8": qwen3(QWEN3_0_6B, QWEN_FP8, hub_total(751659264), stores_tied_head=True),
    "Qwen/Qwen3-4B-FP8": qwen3(QWEN3_4B, QWEN_FP8, hub_total(4411646016), stores_tied_head=True),
    "Qwen/Qwen3-8B-FP8": qwen3(QWEN3_8B, QWEN_FP8, None),
    "openai/gpt-oss-20b": Row(
        model_type="gpt_oss",
        architecture="GptOssForCausalLM",
        config=GPT_OSS_20B,
        packing=Packing(packing.mxfp4, packing.MXFP4_CONFIG, packing.EXPERTS),
        published=Published(
            params_total=20914757184,
            source="huggingface/huggingface.js@fe42e68017ff parse-safetensors-metadata.spec.ts",
            grade="hub_header_test",
            ignores=r"_scales$",
            unpacks=True,
        ),
    ),
    "hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4": llama(
        Packing(packing.awq, packing.AWQ_CONFIG), dtype="float16"
    ),
    "Qwen/Qwen2.5-Coder-7B-Instruct-AWQ": Row(
        model_type="qwen2",
        architecture="Qwen2ForCausalLM",
        dtype="float16",
        config={
            "hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
            "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 32768,
        },
        packing=Packing(packing.awq, packing.AWQ_CONFIG),
        published=hub_total(7615616512, ignores=r"\.(scales|qzeros)$", unpacks=True),
    ),
    "hugging-quants/Meta-Llama-3.1-8B-Instruct-GPTQ-INT4": llama(
        Packing(packing.gptq(bias=True), packing.GPTQ_CONFIG),
        dtype="float16",
        published=hub_total(8031637504, ignores=r"\.(scales|qzeros|g_idx)$", unpacks=True),
    ),
    "unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit": llama(
        Packing(packing.nf4, packing.NF4_CONFIG),
        published=Published(
            params_total=4540600320,
            source="huggingface/peft@5d602fdbff04 QDoRA_finetuning.ipynb:572, what torch counts",
            grade="derived: published all params - trainable",
            ignores=r"\.weight\.",
        ),
    ),
    "jeevanchaps/Meta-Llama-3.1-8B-Instruct-bnb-8bit": llama(
        Packing(packing.int8, packing.INT8_CONFIG),
        dtype="float16",
        published=Published(
            bytes_total=9086705888,
            source="index of the GitHub copy jeevanchaps/Meta-Llama-3.1-8B-Instruct, 739 tensors",
            grade="index_metadata",
        ),
    ),
    "RedHatAI/Llama-3.3-70B-Instruct-FP8-dynamic": Row(
        model_type="llama",
        architecture="LlamaForCausalLM",
        config=LLAMA_70B,
        packing=Packing(packing.fp8_channels, packing.CHANNEL_FP8),
        published=hub_total(70560423936),
    ),
    "nvidia/Qwen3-8B-NVFP4": qwen3(
        QWEN3_8B, Packing(packing.nvfp4, packing.NVFP4_CONFIG), hub_total(4717851648, ignores=r"_scale(_2)?$")
    ),
    "lmstudio-community/Qwen3-4B-Instruct-2507-MLX-4bit": qwen3(
        QWEN3_4B | {"max_position_embeddings": 262144},
        Packing(
            packing.mlx(4), {"group_size": 64, "bits": 4}, packing.EVERY_MATRIX, ("quantization", "quantization_config")
        ),
        hub_total(628676096),
    ),
}  # fmt: skip
