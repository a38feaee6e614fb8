"""Rows of the fixture table: dense decoders as they are written today."""

from __future__ import annotations

from typing import Any

from fixture_rows import Row, hub_total

LLAMA_8B: dict[str, Any] = {
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072,
    "rope_parameters": {
        "rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
        "high_freq_factor": 4.0, "original_max_position_embeddings": 8192,
    },
}  # fmt: skip
MISTRAL_7B: dict[str, Any] = {
    "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 32768, "max_position_embeddings": 32768, "sliding_window": None,
}  # fmt: skip
QWEN3_0_6B: dict[str, Any] = {
    "hidden_size": 1024, "intermediate_size": 3072, "num_hidden_layers": 28, "num_attention_heads": 16, "head_dim": 128,
    "num_key_value_heads": 8, "vocab_size": 151936, "max_position_embeddings": 40960, "tie_word_embeddings": True,
}  # fmt: skip
QWEN3_4B = QWEN3_0_6B | {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
}
QWEN3_8B = QWEN3_4B | {"hidden_size": 4096, "intermediate_size": 12288, "tie_word_embeddings": False}

DENSE: dict[str, Row] = {
    "meta-llama/Llama-3.1-8B-Instruct": Row(
        model_type="llama", architecture="LlamaForCausalLM", config=LLAMA_8B, published=hub_total(8030261248)
    ),
    "meta-llama/Llama-3.2-1B": Row(
        model_type="llama",
        architecture="LlamaForCausalLM",
        config=LLAMA_8B
        | {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "head_dim": 64}
        | {"tie_word_embeddings": True}
        | {"rope_parameters": LLAMA_8B["rope_parameters"] | {"factor": 32.0}},
        published=hub_total(1235814400),
    ),
    "HuggingFaceTB/SmolLM2-135M-Instruct": Row(
        model_type="llama",
        architecture="LlamaForCausalLM",
        config={
            "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
            "num_key_value_heads": 3, "vocab_size": 49152, "max_position_embeddings": 8192, "tie_word_embeddings": True,
        },
        published=hub_total(134515008),
    ),
    "mistralai/Mistral-7B-v0.3": Row(model_type="mistral", architecture="MistralForCausalLM", config=MISTRAL_7B),
    "Qwen/Qwen2.5-1.5B": Row(
        model_type="qwen2",
        architecture="Qwen2ForCausalLM",
        config={
            "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
            "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 131072,
            "tie_word_embeddings": True,
        },
        published=hub_total(1543714304),
    ),
    "Qwen/Qwen3-0.6B": Row(
        model_type="qwen3",
        architecture="Qwen3ForCausalLM",
        config=QWEN3_0_6B,
        stores_tied_head=True,
        published=hub_total(751632384),
    ),
    "google/gemma-2-2b-it": Row(
        model_type="gemma2",
        architecture="Gemma2ForCausalLM",
        config={
            "hidden_size": 2304, "intermediate_size": 9216, "num_hidden_layers": 26, "num_attention_heads": 8,
            "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 256000, "sliding_window": 4096,
        },
        published=hub_total(2614341888),
    ),
    "google/gemma-3-270m": Row(
        model_type="gemma3_text",
        architecture="Gemma3ForCausalLM",
        config={
            "hidden_size": 640, "intermediate_size": 2048, "num_hidden_layers": 18, "num_attention_heads": 4,
            "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 262144, "sliding_window": 512,
            "max_position_embeddings": 32768,
        },
        published=hub_total(268098176),
    ),
    "google/gemma-3-1b-it": Row(
        model_type="gemma3_text",
        architecture="Gemma3ForCausalLM",
        config={
            "hidden_size": 1152, "intermediate_size": 6912, "num_hidden_layers": 26, "num_attention_heads": 4,
            "num_key_value_heads": 1, "head_dim": 256, "vocab_size": 262144, "sliding_window": 512,
            "max_position_embeddings": 32768,
        },
    ),
    "microsoft/Phi-3-mini-4k-instruct": Row(
        model_type="phi3",
        architecture="Phi3ForCausalLM",
        config={
            "hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 32, "vocab_size": 32064, "max_position_embeddings": 4096, "sliding_window": 2047,
        },
        published=hub_total(3821079552),
    ),
    "microsoft/phi-2": Row(
        model_type="phi",
        architecture="PhiForCausalLM",
        dtype="float16",
        config={
            "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 32, "vocab_size": 51200, "max_position_embeddings": 2048,
            "partial_rotary_factor": 0.4,
        },
    ),
    "allenai/OLMo-2-1124-7B": Row(
        model_type="olmo2",
        architecture="Olmo2ForCausalLM",
        dtype="float32",
        config={
            "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 32, "vocab_size": 100352, "max_position_embeddings": 4096,
        },
    ),
    "bigcode/starcoder2-3b": Row(
        model_type="starcoder2",
        architecture="Starcoder2ForCausalLM",
        dtype="float32",
        config={
            "hidden_size": 3072, "intermediate_size": 12288, "num_hidden_layers": 30, "num_attention_heads": 24,
            "num_key_value_heads": 2, "vocab_size": 49152, "max_position_embeddings": 16384, "sliding_window": 4096,
            "use_bias": True, "tie_word_embeddings": True,
        },
    ),
    "CohereLabs/c4ai-command-r-v01": Row(
        model_type="cohere",
        architecture="CohereForCausalLM",
        dtype="float16",
        plain_config=True,
        config={
            "hidden_size": 8192, "intermediate_size": 22528, "num_hidden_layers": 40, "num_attention_heads": 64,
            "num_key_value_heads": 64, "vocab_size": 256000, "max_position_embeddings": 131072,
        },
    ),
    "swiss-ai/Apertus-8B-2509": Row(
        model_type="apertus",
        architecture="ApertusForCausalLM",
        config={
            "hidden_size": 4096, "intermediate_size": 21504, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "vocab_size": 131072, "max_position_embeddings": 65536,
        },
        published=hub_total(8053338176),
    ),
    "HuggingFaceTB/SmolLM3-3B-Base": Row(
        model_type="smollm3",
        architecture="SmolLM3ForCausalLM",
        config={
            "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16,
            "num_key_value_heads": 4, "vocab_size": 128256, "max_position_embeddings": 65536,
            "no_rope_layer_interval": 4,
            "tie_word_embeddings": True,
        },
        published=hub_total(3075098624),
    ),
    "stabilityai/stablelm-2-1_6b-chat": Row(
        model_type="stablelm",
        architecture="StableLmForCausalLM",
        config={
            "hidden_size": 2048, "intermediate_size": 5632, "num_hidden_layers": 24, "num_attention_heads": 32,
            "num_key_value_heads": 32, "vocab_size": 100352, "max_position_embeddings": 4096, "use_qkv_bias": True,
            "partial_rotary_factor": 0.25,
        },
        published=hub_total(1644515328),
    ),
}  # fmt: skip
