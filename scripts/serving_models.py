"""
The configurations behind the logged start-ups: published facts of each model, or the name of one that has the same.

A name maps to a fixture ("fixtures/…"), a published configuration of the data ("data/…") or the fields themselves, and to what
the logged checkpoint changes (such as its packing).
"""

from typing import Any

FP8 = {"quantization_config": {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [128, 128]}}


def compressed(form: str, **weights: Any) -> dict[str, Any]:
    group = {"targets": ["Linear"], "weights": weights}
    section = {"quant_method": "compressed-tensors", "format": form, "ignore": ["lm_head"], "config_groups": {"group_0": group}}
    return {"quantization_config": section}


FP8_CHANNEL = compressed("float-quantized", num_bits=8, type="float")
INT8 = compressed("int-quantized", num_bits=8, type="int")
INT4 = compressed("pack-quantized", num_bits=4, group_size=128, type="int")
AWQ = {"quantization_config": {"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": True, "version": "gemm",
       "modules_to_not_convert": ["lm_head", "visual", "vision_tower", "multi_modal_projector"]}}  # fmt: skip
BNB4 = {"quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}}
BNB4_DOUBLE = {"quantization_config": {**BNB4["quantization_config"], "bnb_4bit_use_double_quant": True}}
# What a logged name says of its packing in brackets.
SAID = {"(bnb-4bit)": BNB4_DOUBLE, "(int4 w4a16 ct)": INT4, "(fp8": FP8_CHANNEL, "(AWQ": AWQ}


def llama(**fields: Any) -> dict[str, Any]:
    own = {"model_type": "llama", "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16", "tie_word_embeddings": False}
    return own | fields


def qwen2(hidden: int, inner: int, layers: int, heads: int, kv: int, vocab: int = 152064, **fields: Any) -> dict[str, Any]:
    own = {
        "model_type": "qwen2", "architectures": ["Qwen2ForCausalLM"], "torch_dtype": "bfloat16", "hidden_size": hidden,
        "intermediate_size": inner, "num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": kv,
        "vocab_size": vocab, "max_position_embeddings": 32768, "rope_theta": 1000000.0, "tie_word_embeddings": False,
        "use_sliding_window": False,
    }  # fmt: skip
    return own | fields


LLAMA3_8B = llama(
    hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8,
    vocab_size=128256, max_position_embeddings=8192, rope_theta=500000.0,
)  # fmt: skip
GRANITE = {
    "model_type": "granite", "architectures": ["GraniteForCausalLM"], "torch_dtype": "bfloat16", "tie_word_embeddings": True,
    "num_hidden_layers": 40, "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 49155,
    "max_position_embeddings": 131072, "rope_theta": 5000000.0, "attention_multiplier": 0.0078125, "embedding_multiplier": 12.0,
    "logits_scaling": 16.0, "residual_multiplier": 0.22,
}  # fmt: skip
LLAMA32_3B = llama(
    hidden_size=3072, intermediate_size=8192, num_hidden_layers=28, num_attention_heads=24, num_key_value_heads=8, head_dim=128,
    vocab_size=128256, max_position_embeddings=131072, rope_theta=500000.0, tie_word_embeddings=True,
)  # fmt: skip
MISTRAL31 = {
    "model_type": "mistral3", "architectures": ["Mistral3ForConditionalGeneration"], "torch_dtype": "bfloat16",
    "spatial_merge_size": 2, "tie_word_embeddings": False,
    "text_config": {
        "model_type": "mistral", "hidden_size": 5120, "intermediate_size": 32768, "num_hidden_layers": 40, "head_dim": 128,
        "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 131072, "max_position_embeddings": 131072,
        "rope_theta": 1000000000.0, "sliding_window": None, "tie_word_embeddings": False,
    },
    "vision_config": {
        "model_type": "pixtral", "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "head_dim": 64,
        "num_attention_heads": 16, "num_channels": 3, "patch_size": 14, "image_size": 1540,
    },
}  # fmt: skip
GEMMA_7B = {
    "model_type": "gemma", "architectures": ["GemmaForCausalLM"], "torch_dtype": "bfloat16", "hidden_size": 3072,
    "num_hidden_layers": 28, "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 256, "intermediate_size": 24576,
    "vocab_size": 256000, "max_position_embeddings": 8192,
}  # fmt: skip
CODELLAMA = llama(
    hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32,
    vocab_size=32016, max_position_embeddings=16384, rope_theta=1000000.0,
)  # fmt: skip
ZEPHYR = llama(
    model_type="mistral", architectures=["MistralForCausalLM"], hidden_size=4096, intermediate_size=14336, num_hidden_layers=32,
    num_attention_heads=32, num_key_value_heads=8, vocab_size=32000, max_position_embeddings=32768, sliding_window=4096,
)  # fmt: skip
PHI3_LLAMA = llama(
    hidden_size=3072, intermediate_size=8192, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32,
    vocab_size=32064, max_position_embeddings=4096,
)  # fmt: skip
QWEN7B, QWEN2_7B = qwen2(3584, 18944, 28, 28, 4), qwen2(3584, 18944, 28, 28, 4)
QWEN3_8B_R1 = {
    "model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "torch_dtype": "bfloat16", "hidden_size": 4096, "head_dim": 128,
    "intermediate_size": 12288, "num_hidden_layers": 36, "num_attention_heads": 32, "num_key_value_heads": 8,
    "vocab_size": 151936, "max_position_embeddings": 131072, "rope_theta": 1000000.0, "tie_word_embeddings": False,
    "rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
}  # fmt: skip

Known = tuple[str | dict[str, Any], dict[str, Any]]
MODELS: dict[str, Known] = {
    "codellama/CodeLlama-7b-hf": (CODELLAMA, {}),
    "deepseek-ai/DeepSeek-V2-Lite-Chat": ("fixtures/deepseek-ai--DeepSeek-V2-Lite", {}),
    "deepseek-ai/DeepSeek-Coder-V2-Lite-Instruct": ("fixtures/deepseek-ai--DeepSeek-V2-Lite", {}),
    "RedHatAI/Llama-3.3-70B-Instruct-fp8-dynamic": ("fixtures/RedHatAI--Llama-3.3-70B-Instruct-FP8-dynamic", {}),
    "google/gemma-2-9b-it": ("data/google__gemma-2-9b", {}),
    "google/gemma-3-4b-it": ("data/google__gemma-3-4b-it", {}),
    "google/gemma-3-1b-it": ("fixtures/google--gemma-3-1b-it", {}),
    "google/gemma-7b": (GEMMA_7B, {}),
    "ibm-granite/granite-3.1-2b-instruct": (GRANITE | {"hidden_size": 2048, "intermediate_size": 8192}, {}),
    "ibm-granite/granite-3.1-8b-instruct": (GRANITE | {"hidden_size": 4096, "intermediate_size": 12800}, {}),
    "microsoft/phi-4": ("data/microsoft__phi-4", {}),
    "mistralai/Mistral-Small-3.1-24B-Instruct-2503": (MISTRAL31, {}),
    "mistralai/Mistral-Small-3.2-24B-Instruct-2506": (MISTRAL31, {}),
    "Qwen/Qwen1.5-MoE-A2.7B": ("data/Qwen__Qwen1.5-MoE-A2.7B_MLC_preset", {}),
    "Qwen/Qwen2.5-7B-Instruct": (QWEN7B, {}),
    "Qwen/Qwen2-7B-Instruct": (QWEN2_7B, {}),
    "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w4a16": ("data/meta-llama__Meta-Llama-3.1-8B", INT4),
    "RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8": ("data/meta-llama__Meta-Llama-3.1-8B", INT8),
    "RedHatAI/Qwen2.5-7B-Instruct-quantized.w8a8": (QWEN7B, INT8),
    "openai/gpt-oss-120b": ("data/openai__gpt-oss-120b", {}),
    "Qwen/Qwen3-4B": ("data/Qwen__Qwen3-4B", {}),
    "Qwen/Qwen3-30B-A3B-Instruct-2507": ("data/Qwen__Qwen3-30B-A3B", {"max_position_embeddings": 262144}),
    "Qwen/Qwen2.5-3B-Instruct": ("data/Qwen__Qwen2.5-3B-Instruct", {}),
    "Qwen/Qwen2.5-3B": ("data/Qwen__Qwen2.5-3B-Instruct", {}),
    "huihui-ai/Huihui-gpt-oss-20b-mxfp4-abliterated-v2": ("fixtures/openai--gpt-oss-20b", {}),
    "Qwen/Qwen3-Embedding-8B": ("data/Qwen__Qwen3-Embedding-8B", {"architectures": ["Qwen3Model"]}),  # served without a head
    "casperhansen/deepseek-r1-distill-qwen-14b-awq": (qwen2(5120, 13824, 48, 40, 8, max_position_embeddings=131072), AWQ),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-14B": (qwen2(5120, 13824, 48, 40, 8, max_position_embeddings=131072), {}),
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B": (qwen2(5120, 27648, 64, 40, 8, max_position_embeddings=131072), FP8_CHANNEL),
    "meta-llama/Meta-Llama-3-8B-Instruct": (LLAMA3_8B, {}),
    "Qwen/Qwen2.5-Math-1.5B-Instruct": (qwen2(1536, 8960, 28, 12, 2, 151936, tie_word_embeddings=True,
                                              max_position_embeddings=4096), {}),
    "Qwen/Qwen2.5-Coder-32B-Instruct-AWQ": (qwen2(5120, 27648, 64, 40, 8), AWQ),
    "Qwen/Qwen2.5-14B-Instruct": ("data/Qwen__Qwen2.5-14B-Instruct", {}),
    "Qwen/Qwen2.5-14B-Instruct-AWQ": ("data/Qwen__Qwen2.5-14B-Instruct", AWQ),
    "Qwen/Qwen2.5-32B-Instruct": (qwen2(5120, 27648, 64, 40, 8), {}),
    "Qwen/QwQ-32B": (qwen2(5120, 27648, 64, 40, 8, max_position_embeddings=40960), {}),
    "Qwen/Qwen3.5-27B": ("data/Qwen__Qwen3.5-27B", {}),
    "Qwen/Qwen3.6-27B-FP8": ("data/Qwen__Qwen3.5-27B", FP8),
    "Qwen/Qwen3.6-35B-A3B": ("data/Qwen__Qwen3.5-35B-A3B", {}),
    "cpatonn/Qwen3-30B-A3B-Thinking-2507-AWQ-4bit": ("data/Qwen__Qwen3-30B-A3B", INT4 | {"max_position_embeddings": 262144}),
    "facebook/opt-125m": ("fixtures/facebook--opt-125m", {}),
    "MiniMaxAI/MiniMax-M2.5": ("fixtures/MiniMaxAI--MiniMax-M2.1", {}),
    "deepseek-ai/DeepSeek-R1-0528-Qwen3-8B": (QWEN3_8B_R1, {}),
    "Qwen/Qwen2.5-72B-Instruct-AWQ": (qwen2(8192, 29568, 80, 64, 8), AWQ),
    "meta-llama/Llama-3.2-3B-Instruct": (LLAMA32_3B, {}),
    "Qwen/Qwen2.5-1.5B-Instruct": ("data/Qwen__Qwen2.5-1.5B-Instruct", {}),
    "Qwen/Qwen3-32B": ("data/Qwen__Qwen3-32B", {}),
    "deepseek-ai/DeepSeek-R1": ("data/deepseek-ai__DeepSeek-R1", {}),
    "intfloat/e5-mistral-7b-instruct": ("data/intfloat__e5-mistral-7b-instruct", BNB4),
    "Qwen/Qwen3-235B-A22B-FP8": ("data/Qwen__Qwen3-235B-A22B-FP8", {}),
    "castorini/rank_zephyr_7b_v1_full": (ZEPHYR, {}),
    "vonjack/Phi-3-mini-4k-instruct-LLaMAfied": (PHI3_LLAMA, {}),
}  # fmt: skip


def known(logged: str) -> tuple[str | dict[str, Any], dict[str, Any]] | None:
    """The model a log names, with the packing it says in brackets."""
    name, _, said = logged.partition(" ")
    if name not in MODELS or "GGUF" in said:
        return None
    base, changes = MODELS[name]
    packing = next((section for words, section in SAID.items() if said.startswith(words)), {})
    return base, changes | packing
