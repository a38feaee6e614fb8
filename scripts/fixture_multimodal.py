"""Rows of the fixture table: models that see or hear."""

from __future__ import annotations

from typing import Any

from fixture_rows import Row, hub_total

QWEN3_5_0_8B: dict[str, Any] = {
    "tie_word_embeddings": True,
    "text_config": {
        "model_type": "qwen3_5_text", "hidden_size": 1024, "intermediate_size": 3584, "num_hidden_layers": 24,
        "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 256, "vocab_size": 248320,
        "linear_num_key_heads": 16, "linear_num_value_heads": 16, "linear_key_head_dim": 128,
        "linear_value_head_dim": 128,
        "linear_conv_kernel_dim": 4, "full_attention_interval": 4, "max_position_embeddings": 262144,
        "tie_word_embeddings": True,
    },
    "vision_config": {
        "model_type": "qwen3_5_vision", "depth": 12, "hidden_size": 768, "intermediate_size": 3072, "num_heads": 12,
        "out_hidden_size": 1024, "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2,
        "num_position_embeddings": 2304, "deepstack_visual_indexes": [],
    },
}  # fmt: skip
QWEN3_5_MTP = {
    "mtp.fc.weight": ("BF16", (1024, 2048)),
    "mtp.norm.weight": ("BF16", (1024,)),
    "mtp.pre_fc_norm_embedding.weight": ("BF16", (1024,)),
    "mtp.pre_fc_norm_hidden.weight": ("BF16", (1024,)),
}
GEMMA4_26B: dict[str, Any] = {
    "audio_config": None,
    "text_config": {
        "model_type": "gemma4_text", "hidden_size": 2816, "intermediate_size": 2112, "moe_intermediate_size": 704,
        "num_hidden_layers": 30, "num_attention_heads": 16, "num_key_value_heads": 8, "num_global_key_value_heads": 2,
        "head_dim": 256, "global_head_dim": 512, "attention_k_eq_v": True, "enable_moe_block": True, "num_experts": 128,
        "top_k_experts": 8, "hidden_size_per_layer_input": 0, "num_kv_shared_layers": 0, "use_double_wide_mlp": False,
        "sliding_window": 1024, "vocab_size": 262144, "max_position_embeddings": 262144,
        "layer_types": (["sliding_attention"] * 5 + ["full_attention"]) * 5,
    },
    "vision_config": {
        "model_type": "gemma4_vision", "hidden_size": 1152, "intermediate_size": 4304, "num_hidden_layers": 27,
        "num_attention_heads": 16, "num_key_value_heads": 16, "head_dim": 72, "global_head_dim": 72, "patch_size": 16,
        "pooling_kernel_size": 3, "position_embedding_size": 10240, "standardize": True, "use_clipped_linears": False,
    },
}  # fmt: skip

MULTIMODAL: dict[str, Row] = {
    "google/gemma-3-4b-it": Row(
        model_type="gemma3",
        architecture="Gemma3ForConditionalGeneration",
        plain_config=True,
        config={
            "mm_tokens_per_image": 256,
            "text_config": {
                "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
                "sliding_window": 1024,
            },
            "vision_config": {
                "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304, "image_size": 896,
                "num_attention_heads": 16, "num_hidden_layers": 27, "patch_size": 14, "vision_use_head": False,
            },
        },
        published=hub_total(4300079472),
    ),
    "google/gemma-4-26B-A4B": Row(
        model_type="gemma4",
        architecture="Gemma4ForConditionalGeneration",
        config=GEMMA4_26B,
        published=hub_total(26544131376, ignores=r"layer_scalar$|\.std_(bias|scale)$", counts_ties=True),
    ),
    "llava-hf/llava-1.5-7b-hf": Row(
        model_type="llava",
        architecture="LlavaForConditionalGeneration",
        dtype="float16",
        plain_config=True,
        config={
            "text_config": {
                "model_type": "llama", "vocab_size": 32064, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
            },
            "vision_config": {
                "model_type": "clip_vision_model", "hidden_size": 1024, "intermediate_size": 4096, "image_size": 336,
                "num_attention_heads": 16, "num_hidden_layers": 24, "patch_size": 14, "projection_dim": 768,
            },
            "vision_feature_layer": -2, "vision_feature_select_strategy": "default", "tie_word_embeddings": False,
        },
        published=hub_total(7063427072),
    ),
    "Qwen/Qwen2-VL-2B-Instruct": Row(
        model_type="qwen2_vl",
        architecture="Qwen2VLForConditionalGeneration",
        plain_config=True,
        config={
            "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28, "num_attention_heads": 12,
            "num_key_value_heads": 2, "vocab_size": 151936, "max_position_embeddings": 32768,
            "tie_word_embeddings": True,
            "vision_config": {"depth": 32, "embed_dim": 1280, "mlp_ratio": 4, "num_heads": 16, "hidden_size": 1536},
        },
        published=hub_total(2208985600, of="NAMAA-Space/Qari-OCR-v0.3-VL-2B-Instruct"),
    ),
    "meta-llama/Llama-3.2-11B-Vision-Instruct": Row(
        model_type="mllama",
        architecture="MllamaForConditionalGeneration",
        config={
            "text_config": {
                "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 40, "num_attention_heads": 32,
                "num_key_value_heads": 8, "vocab_size": 128256,
                "cross_attention_layers": [3, 8, 13, 18, 23, 28, 33, 38],
                "max_position_embeddings": 131072,
            },
            "vision_config": {
                "hidden_size": 1280, "attention_heads": 16, "num_hidden_layers": 32, "num_global_layers": 8,
                "image_size": 560,
                "intermediate_layers_indices": [3, 7, 15, 23, 30], "intermediate_size": 5120, "max_num_tiles": 4,
            },
        },
        published=hub_total(10670220835),
    ),
    "Qwen/Qwen3.5-0.8B": Row(
        model_type="qwen3_5",
        architecture="Qwen3_5ForConditionalGeneration",
        config=QWEN3_5_0_8B,
        copies={
            "draft layer: a full-attention layer like the last": ("model.language_model.layers.23.", "mtp.layers.0.")
        },
        extras={"draft layer: joining parts": QWEN3_5_MTP},
        published=hub_total(873438784),
    ),
    "HuggingFaceTB/SmolVLM-256M-Instruct": Row(
        model_type="idefics3",
        architecture="Idefics3ForConditionalGeneration",
        config={
            "scale_factor": 4,
            "text_config": {
                "model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
                "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49280,
                "max_position_embeddings": 8192,
            },
            "vision_config": {
                "hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
                "image_size": 512, "patch_size": 16,
            },
        },
        published=hub_total(256484928),
    ),
    "google/paligemma-3b-mix-224": Row(
        model_type="paligemma",
        architecture="PaliGemmaForConditionalGeneration",
        dtype="float32",
        config={
            "projection_dim": 2048,
            "text_config": {
                "model_type": "gemma", "hidden_size": 2048, "intermediate_size": 16384, "num_hidden_layers": 18,
                "num_attention_heads": 8, "num_key_value_heads": 1, "vocab_size": 257216,
            },
            "vision_config": {
                "model_type": "siglip_vision_model", "hidden_size": 1152, "intermediate_size": 4304,
                "num_attention_heads": 16,
                "num_hidden_layers": 27, "patch_size": 14, "image_size": 224, "vision_use_head": False,
            },
        },
        published=hub_total(2923466480),
    ),
    "openai/whisper-tiny": Row(
        model_type="whisper",
        architecture="WhisperForConditionalGeneration",
        dtype="float32",
        config={
            "d_model": 384, "encoder_layers": 4, "decoder_layers": 4, "encoder_attention_heads": 6,
            "decoder_attention_heads": 6,
            "encoder_ffn_dim": 1536, "decoder_ffn_dim": 1536, "vocab_size": 51865, "num_mel_bins": 80,
        },
    ),
    "openai/whisper-large-v3": Row(
        model_type="whisper",
        architecture="WhisperForConditionalGeneration",
        dtype="float16",
        config={
            "d_model": 1280, "encoder_layers": 32, "decoder_layers": 32, "encoder_attention_heads": 20,
            "decoder_attention_heads": 20, "encoder_ffn_dim": 5120, "decoder_ffn_dim": 5120, "vocab_size": 51866,
            "num_mel_bins": 128,
        },
    ),
    "google/vit-base-patch16-224-in21k": Row(
        model_type="vit",
        architecture="ViTModel",
        dtype="float32",
        plain_config=True,
        config={"image_size": 224, "patch_size": 16},
    ),
    "openai/clip-vit-base-patch32": Row(
        model_type="clip",
        architecture="CLIPModel",
        dtype="float32",
        config={"projection_dim": 512},
        extras={
            "position ids": {
                "text_model.embeddings.position_ids": ("I64", (1, 77)),
                "vision_model.embeddings.position_ids": ("I64", (1, 50)),
            }
        },
    ),
    "google/siglip-base-patch16-512": Row(
        model_type="siglip",
        architecture="SiglipModel",
        dtype="float32",
        config={"vision_config": {"image_size": 512, "patch_size": 16}},
    ),
}  # fmt: skip
