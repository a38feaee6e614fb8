"""The models and file types behind llama.cpp's logged start-ups, by the measurements' ids: published facts of each model."""

from typing import Any

from serving_models import llama, qwen2

GEMMA_2B = {
    "model_type": "gemma", "architectures": ["GemmaForCausalLM"], "torch_dtype": "bfloat16", "hidden_size": 2048,
    "num_hidden_layers": 18, "num_attention_heads": 8, "num_key_value_heads": 1, "head_dim": 256, "intermediate_size": 16384,
    "vocab_size": 256000,
}  # fmt: skip
GEMMA3_27B = {
    "model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "torch_dtype": "bfloat16", "hidden_size": 5376,
    "num_hidden_layers": 62, "num_attention_heads": 32, "num_key_value_heads": 16, "head_dim": 128, "intermediate_size": 21504,
    "vocab_size": 262208, "sliding_window": 1024, "sliding_window_pattern": 6, "max_position_embeddings": 131072,
}  # fmt: skip
PHI35 = {
    "model_type": "phi3", "architectures": ["Phi3ForCausalLM"], "torch_dtype": "bfloat16", "hidden_size": 3072,
    "intermediate_size": 8192, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32064,
    "max_position_embeddings": 131072, "original_max_position_embeddings": 4096, "sliding_window": 262144,
    "tie_word_embeddings": False, "pad_token_id": 32000,
}  # fmt: skip
PHI4_MINI = PHI35 | {
    "num_attention_heads": 24, "num_key_value_heads": 8, "vocab_size": 200064, "tie_word_embeddings": True,
    "partial_rotary_factor": 0.75, "pad_token_id": 199999,
}  # fmt: skip
LLAMA2 = llama(
    hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=32,
    vocab_size=32000,
)  # fmt: skip
LLAMA3 = LLAMA2 | {"intermediate_size": 14336, "num_key_value_heads": 8, "vocab_size": 128256}
TIED = {"head_dim": 128, "tie_word_embeddings": True}
MODELS: dict[str, str | dict[str, Any]] = {
    "Llama 2 7B": LLAMA2,
    "Llama 2 13B": LLAMA2 | {"hidden_size": 5120, "intermediate_size": 13824, "num_hidden_layers": 40,
                             "num_attention_heads": 40, "num_key_value_heads": 40},
    "Llama 3 8B": LLAMA3,
    "Llama 3 70B": LLAMA3 | {"hidden_size": 8192, "intermediate_size": 28672, "num_hidden_layers": 80, "num_attention_heads": 64},
    "Llama 3.2 1B": LLAMA3 | TIED | {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "head_dim": 64},
    "Llama 3.2 3B": LLAMA3 | TIED | {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 28,
                                     "num_attention_heads": 24},
    "Mistral Large": llama(model_type="mistral", architectures=["MistralForCausalLM"], hidden_size=12288, intermediate_size=28672,
                           num_hidden_layers=88, num_attention_heads=96, num_key_value_heads=8, head_dim=128, vocab_size=32768,
                           sliding_window=None),
    "Granite 3B code": LLAMA2 | {"hidden_size": 2560, "intermediate_size": 10240, "vocab_size": 49152, "attention_bias": True,
                                 "mlp_bias": True, "tie_word_embeddings": True},
    "SmolLM 135M": LLAMA3 | {"hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
                             "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True},
    "Qwen 2.5 1.5B": qwen2(1536, 8960, 28, 12, 2, 151936, tie_word_embeddings=True),
    "Qwen 2 7B": qwen2(3584, 18944, 28, 28, 4),
    "Qwen 2.5 32B": qwen2(5120, 27648, 64, 40, 8),
    "Gemma 2B": GEMMA_2B,
    "Gemma 3 4B": "fixtures/google--gemma-3-4b-it",
    "Gemma 3 27B": GEMMA3_27B,
    "DeepSeek V2 Lite": "fixtures/deepseek-ai--DeepSeek-V2-Lite",
    "LFM2 1.2B": "fixtures/LiquidAI--LFM2-1.2B",
    "Phi 3.5 mini": PHI35,
    "Phi 4 mini": PHI4_MINI,
}  # fmt: skip
# A start-up → its model and file type. Left out: what a log of another build cannot be compared with (files of custom types).
LOGS: dict[str, tuple[str, str]] = {
    "P0307": ("Qwen 2.5 32B", "Q4_K_M"), "P0309": ("Llama 3.2 1B", "Q8_0"), "P0310": ("Qwen 2 7B", "F16"),
    "P0312": ("Llama 3 8B", "Q4_K_M"), "P0313": ("Qwen 2.5 32B", "Q4_0"), "P0314": ("Llama 2 7B", "Q4_0"),
    "P0315": ("Llama 3.2 3B", "Q4_0"), "P0320": ("Qwen 2.5 1.5B", "Q8_0"), "P0322": ("Llama 3.2 1B", "Q4_K_M"),
    "P0323": ("Granite 3B code", "Q4_0"), "P0326": ("SmolLM 135M", "Q8_0"), "P0329": ("Llama 3 8B", "Q4_K_M"),
    "P0330": ("Gemma 2B", "F32"), "P0331": ("Gemma 3 4B", "F16"), "P0332": ("DeepSeek V2 Lite", "Q4_K_M"),
    "P0335": ("Llama 3 70B", "Q8_0"), "P0344": ("Gemma 3 27B", "IQ3_M"), "P0348": ("Qwen 2.5 1.5B", "F16"),
    "P0350": ("Gemma 3 4B", "Q4_K_M"), "P0352": ("Qwen 2.5 32B", "BF16"), "P0353": ("LFM2 1.2B", "Q6_K"),
    "P0355": ("Phi 4 mini", "BF16"), "P0358": ("Llama 2 13B", "F16"), "P0365": ("Llama 2 7B", "Q8_0"),
    "P0370": ("Llama 2 7B", "Q4_K_M"), "P0374": ("Llama 3 8B", "Q4_0"), "P0375": ("DeepSeek V2 Lite", "Q5_K_M"),
    "P0376": ("Llama 2 7B", "Q5_K_M"), "P0377": ("Llama 3 70B", "Q4_K_M"), "P0379": ("DeepSeek V2 Lite", "Q6_K"),
    "P0388": ("Qwen 2 7B", "Q8_0"), "P0389": ("Qwen 2 7B", "Q8_0"), "P0390": ("Llama 2 7B", "Q4_0"),
    "P0392": ("Mistral Large", "IQ3_XS"), "P0394": ("DeepSeek V2 Lite", "Q8_0"), "P0398": ("Llama 2 7B", "Q4_0"),
    "P0399": ("Phi 3.5 mini", "Q8_0"), "P0401": ("Llama 2 7B", "Q4_K_M"), "P0403": ("Llama 2 7B", "Q4_K_M"),
    "P0406": ("Phi 3.5 mini", "Q4_K_M"),
}  # fmt: skip
