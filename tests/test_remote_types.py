"""Model types whose code lives in their repositories: the geometry is read from the fields, the code is never run."""

from typing import Any

import pytest

from hfmem.model.kinds import CacheDtypes, Usage
from hfmem.model.read import read_model
from hfmem.model.spec import ModelSpec

BF16 = CacheDtypes(kv_bits=16, model_bytes=2)
TOKENS = 1000


def cached(spec: ModelSpec) -> int:
    usage = Usage(batch=1, tokens=TOKENS, prompt_tokens=TOKENS - 1)
    assert spec.decoder is not None, spec.unknowns
    return sum(spec.decoder.cache_bytes(item, usage, BF16) for item in ("kv_cache", "recurrent_state"))


def plain(model_type: str, layers: int, hidden: int, heads: int, **more: Any) -> dict[str, Any]:
    return {
        "model_type": model_type, "num_hidden_layers": layers, "hidden_size": hidden, "num_attention_heads": heads,
        "auto_map": {"AutoModelForCausalLM": "modeling.Model"}, **more,
    }  # fmt: skip


DECI_BLOCKS = [
    {"attention": {"n_heads_in_group": 8, "no_op": False, "replace_with_linear": False}, "ffn": {"ffn_mult": 5.25}},
    {"attention": {"n_heads_in_group": None, "no_op": True, "replace_with_linear": False}, "ffn": {"ffn_mult": 1.0}},
    {"attention": {"n_heads_in_group": 16, "no_op": False, "replace_with_linear": False}, "ffn": {"ffn_mult": 5.25}},
    {"attention": {"n_heads_in_group": None, "no_op": False, "replace_with_linear": True}, "ffn": {"no_op": True}},
]
INTERNLM2 = {"num_key_value_heads": 8}
# name, configuration, bytes for one sequence of TOKENS in bfloat16
CASES: list[tuple[str, dict[str, Any], int]] = [
    ("Qwen 7B, first generation", plain("qwen", 32, 4096, 32, kv_channels=128), 32 * 32 * (128 + 128) * TOKENS * 2),
    ("ChatGLM2 6B", {"model_type": "chatglm", "num_layers": 28, "hidden_size": 4096, "num_attention_heads": 32,
                     "kv_channels": 128, "multi_query_attention": True, "multi_query_group_num": 2},
     28 * 2 * (128 + 128) * TOKENS * 2),
    ("ChatGLM 6B", {"model_type": "chatglm", "num_layers": 28, "hidden_size": 4096, "num_attention_heads": 32},
     28 * 32 * (128 + 128) * TOKENS * 2),
    ("Baichuan2 13B", plain("baichuan", 40, 5120, 40), 40 * 40 * (128 + 128) * TOKENS * 2),
    ("InternLM 7B", plain("internlm", 32, 4096, 32), 32 * 32 * (128 + 128) * TOKENS * 2),
    ("InternLM2 7B", plain("internlm2", 32, 4096, 32, **INTERNLM2), 32 * 8 * (128 + 128) * TOKENS * 2),
    ("Kimi K2", plain("kimi_k2", 61, 7168, 64, kv_lora_rank=512, qk_rope_head_dim=64), 61 * (512 + 64) * TOKENS * 2),
    ("MiniCPM 2B", plain("minicpm", 40, 2304, 36, num_key_value_heads=36), 40 * 36 * (64 + 64) * TOKENS * 2),
    ("MiniMax M1: one layer in eight attends", plain("minimax_m1", 16, 6144, 64, num_key_value_heads=8, head_dim=128,
                                                    attn_type_list=[0, 0, 0, 0, 0, 0, 0, 1] * 2),
     2 * 8 * (128 + 128) * TOKENS * 2 + 14 * 64 * 128 * 128 * 4),
    ("Phi-3 small", plain("phi3small", 32, 4096, 32, num_key_value_heads=8), 32 * 8 * (128 + 128) * TOKENS * 2),
    ("EXAONE 3", {"model_type": "exaone", "num_layers": 32, "hidden_size": 4096, "num_attention_heads": 32,
                  "num_key_value_heads": 8}, 32 * 8 * (128 + 128) * TOKENS * 2),
    ("Hunyuan Large: every second layer shares", plain("hunyuan", 64, 6400, 80, num_key_value_heads=8, use_cla=True,
                                                      cla_share_factor=2, attention_head_dim=128),
     32 * 8 * (128 + 128) * TOKENS * 2),
    ("Nemotron-NAS", plain("nemotron-nas", 4, 8192, 64, num_key_value_heads=None, block_configs=DECI_BLOCKS),
     (64 // 8 + 64 // 16) * (128 + 128) * TOKENS * 2),
    ("XVERSE 7B", plain("xverse", 32, 4096, 32), 32 * 32 * (128 + 128) * TOKENS * 2),
    ("Orion 14B", plain("orion", 40, 5120, 40, num_key_value_heads=40), 40 * 40 * (128 + 128) * TOKENS * 2),
    ("Aquila2 70B", plain("aquila", 80, 8192, 64, num_key_value_heads=8), 80 * 8 * (128 + 128) * TOKENS * 2),
    ("Yuan2 2B: and the last two hidden states", plain("yuan", 24, 2048, 32), 24 * (32 * (64 + 64) * TOKENS + 2 * 2048) * 2),
    ("MOSS 16B", {"model_type": "moss", "n_layer": 34, "n_embd": 6144, "n_head": 24}, 34 * 24 * (256 + 256) * TOKENS * 2),
    ("DeepSeek MoE 16B, first generation", plain("deepseek", 28, 2048, 16, num_key_value_heads=16),
     28 * 16 * (128 + 128) * TOKENS * 2),
    ("MiMo 7B", plain("mimo", 36, 4096, 32, num_key_value_heads=8, head_dim=128, num_nextn_predict_layers=1),
     36 * 8 * (128 + 128) * TOKENS * 2),
    ("InternVL2 2B", {"model_type": "internvl_chat", "llm_config": {"model_type": "internlm2", "num_hidden_layers": 24,
                      "hidden_size": 2048, "num_attention_heads": 16, "num_key_value_heads": 8},
                      "vision_config": {"num_hidden_layers": 24, "hidden_size": 1024}}, 24 * 8 * (128 + 128) * TOKENS * 2),
    ("MiniCPM-V 2.6, flat", plain("minicpmv", 28, 3584, 28, num_key_value_heads=4, use_sliding_window=False,
                                  sliding_window=131072, max_window_layers=28), 28 * 4 * (128 + 128) * TOKENS * 2),
    ("Molmo 7B", plain("molmo", 28, 3584, 28, num_key_value_heads=4), 28 * 4 * (128 + 128) * TOKENS * 2),
    ("DeepSeek-VL2: no latent attention", {"model_type": "deepseek_vl_v2", "language_config": {"model_type": "deepseek_v2",
     "use_mla": False, "num_hidden_layers": 12, "hidden_size": 1280, "num_attention_heads": 10, "num_key_value_heads": 10,
     "kv_lora_rank": None, "v_head_dim": 128, "head_dim": 128}}, 12 * 10 * (128 + 128) * TOKENS * 2),
    ("RefinedWeb Falcon 7B", {"model_type": "RefinedWebModel", "n_layer": 32, "hidden_size": 4544, "n_head": 71,
                              "multi_query": True}, 32 * 1 * (64 + 64) * TOKENS * 2),
]  # fmt: skip


@pytest.mark.parametrize(("config", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_the_geometry_is_read(config: dict[str, Any], expected: int) -> None:
    spec = read_model(config)
    assert cached(spec) == expected
    assert not spec.is_native
    assert spec.runs_remote_code == ("auto_map" in config)


def test_a_type_nobody_knows_with_recurrent_fields_is_a_named_unknown() -> None:
    spec = read_model(plain("brand_new", 24, 2048, 16, mamba_d_state=16))
    assert spec.decoder is None
    assert "recurrent layers this version cannot read" in spec.unknowns[0].message


def test_a_type_nobody_knows_without_heads_names_what_was_looked_for() -> None:
    spec = read_model({"model_type": "brand_new", "num_hidden_layers": 4, "hidden_size": 64})
    assert spec.decoder is None
    assert "has none of: num_attention_heads, n_head, num_heads" in spec.unknowns[0].message


def test_an_unknown_type_of_a_known_class_is_read_as_that_class() -> None:
    config = plain("my_fine_tune", 26, 2304, 8, num_key_value_heads=4, architectures=["Gemma2ForCausalLM"])
    spec = read_model(config)
    assert spec.read_as == "gemma2"
    assert spec.head_dim == 256  # the class's own, not 2304 // 8
