"""Rows of the fixture table: experts, recurrent layers and hybrids of them."""

from __future__ import annotations

from typing import Any

from fixture_packing import BLOCK_FP8, Packing, fp8_blocks
from fixture_rows import Published, Row, hub_total

QWEN3_NEXT: dict[str, Any] = {
    "hidden_size": 2048, "intermediate_size": 5120, "moe_intermediate_size": 512,
    "shared_expert_intermediate_size": 512,
    "num_hidden_layers": 48, "num_attention_heads": 16, "num_key_value_heads": 2, "head_dim": 256, "vocab_size": 151936,
    "num_experts": 512, "num_experts_per_tok": 10, "linear_num_value_heads": 32, "linear_num_key_heads": 16,
    "linear_key_head_dim": 128, "linear_value_head_dim": 128, "linear_conv_kernel_dim": 4,
    "max_position_embeddings": 262144,
}  # fmt: skip
MTP_PARTS = {
    "mtp.fc.weight": ("BF16", (2048, 4096)),
    "mtp.norm.weight": ("BF16", (2048,)),
    "mtp.pre_fc_norm_embedding.weight": ("BF16", (2048,)),
    "mtp.pre_fc_norm_hidden.weight": ("BF16", (2048,)),
}
LFM2: dict[str, Any] = {
    "num_hidden_layers": 16, "num_key_value_heads": 8, "vocab_size": 65536, "max_position_embeddings": 128000,
    "layer_types": ["full_attention" if layer in (2, 5, 8, 10, 12, 14) else "conv" for layer in range(16)],
}  # fmt: skip

EXPERTS: dict[str, Row] = {
    "Qwen/Qwen3-30B-A3B": Row(
        model_type="qwen3_moe",
        architecture="Qwen3MoeForCausalLM",
        config={
            "hidden_size": 2048, "intermediate_size": 6144, "moe_intermediate_size": 768, "num_hidden_layers": 48,
            "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
            "num_experts_per_tok": 8, "vocab_size": 151936, "max_position_embeddings": 40960,
        },
        published=hub_total(30532122624, of="Qwen/Qwen3-30B-A3B-Thinking-2507"),
    ),
    "mistralai/Mixtral-8x7B-v0.1": Row(
        model_type="mixtral",
        architecture="MixtralForCausalLM",
        config={
            "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000,
            "max_position_embeddings": 32768, "sliding_window": None,
        },
        published=Published(
            params_total=46702792704,
            source="huggingface/peft@5d602fdbff04 examples/KappaTune/README.md:97",
            grade="derived: published all params - trainable",
        ),
    ),
    "deepseek-ai/DeepSeek-V2-Lite": Row(
        model_type="deepseek_v2",
        architecture="DeepseekV2ForCausalLM",
        config={
            "hidden_size": 2048, "intermediate_size": 10944, "moe_intermediate_size": 1408, "num_hidden_layers": 27,
            "num_attention_heads": 16, "num_key_value_heads": 16, "n_shared_experts": 2, "n_routed_experts": 64,
            "num_experts_per_tok": 6, "first_k_dense_replace": 1, "kv_lora_rank": 512, "q_lora_rank": None,
            "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "topk_method": "greedy", "n_group": 1,
            "topk_group": 1, "vocab_size": 102400, "max_position_embeddings": 163840,
        },
        published=hub_total(15706484224),
    ),
    "allenai/OLMoE-1B-7B-0924-Instruct": Row(
        model_type="olmoe",
        architecture="OlmoeForCausalLM",
        config={
            "hidden_size": 2048, "intermediate_size": 1024, "num_hidden_layers": 16, "num_attention_heads": 16,
            "num_key_value_heads": 16, "num_experts": 64, "num_experts_per_tok": 8, "vocab_size": 50304,
        },
        published=hub_total(6919161856),
    ),
    "ibm-granite/granite-3.0-1b-a400m-base": Row(
        model_type="granitemoe",
        architecture="GraniteMoeForCausalLM",
        config={
            "hidden_size": 1024, "intermediate_size": 512, "num_hidden_layers": 24, "num_attention_heads": 16,
            "num_key_value_heads": 8, "num_local_experts": 32, "num_experts_per_tok": 8, "vocab_size": 49152,
            "max_position_embeddings": 4096, "tie_word_embeddings": True,
        },
        stores_tied_head=True,
        published=hub_total(1384956928),
    ),
    "zai-org/GLM-4.5": Row(
        model_type="glm4_moe",
        architecture="Glm4MoeForCausalLM",
        config={
            "hidden_size": 5120, "intermediate_size": 12288, "moe_intermediate_size": 1536, "num_hidden_layers": 92,
            "num_attention_heads": 96, "num_key_value_heads": 8, "head_dim": 128, "n_routed_experts": 160,
            "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 3, "use_qk_norm": True,
            "attention_bias": True, "vocab_size": 151552, "max_position_embeddings": 131072,
        },
        casts={r"e_score_correction_bias$": "F32"},
        copies={"draft layer 92: a layer like the last": ("model.layers.91.", "model.layers.92.")},
        extras={
            "draft layer 92: joining parts": {
                "model.layers.92.eh_proj.weight": ("BF16", (5120, 10240)),
                "model.layers.92.enorm.weight": ("BF16", (5120,)),
                "model.layers.92.hnorm.weight": ("BF16", (5120,)),
                "model.layers.92.shared_head.norm.weight": ("BF16", (5120,)),
            },
            "draft layer 92: copies of the embedding and the head": {
                "model.layers.92.embed_tokens.weight": ("BF16", (151552, 5120)),
                "model.layers.92.shared_head.head.weight": ("BF16", (151552, 5120)),
            },
        },
        published=hub_total(358337791296),
    ),
    "MiniMaxAI/MiniMax-M2.1": Row(
        model_type="minimax_m2",
        architecture="MiniMaxM2ForCausalLM",
        config={
            "hidden_size": 3072, "intermediate_size": 1536, "num_hidden_layers": 62, "num_attention_heads": 48,
            "num_key_value_heads": 8, "head_dim": 128, "num_local_experts": 256, "num_experts_per_tok": 8,
            "vocab_size": 200064, "max_position_embeddings": 196608,
        },
        casts={r"e_score_correction_bias$": "F32", r"\.gate\.weight$": "F32"},
        packing=Packing(fp8_blocks("F32"), BLOCK_FP8, r"(proj|\.experts\.\d+\.w[123])\.weight$"),
        published=hub_total(228703644928),
    ),
    "LiquidAI/LFM2-8B-A1B": Row(
        model_type="lfm2_moe",
        architecture="Lfm2MoeForCausalLM",
        config={
            "hidden_size": 2048, "intermediate_size": 7168, "moe_intermediate_size": 1792, "num_hidden_layers": 24,
            "num_attention_heads": 32, "num_key_value_heads": 8, "num_dense_layers": 2, "num_experts": 32,
            "num_experts_per_tok": 4, "use_expert_bias": True, "vocab_size": 65536, "max_position_embeddings": 128000,
            "layer_types": ["full_attention" if layer in (2, 6, 10, 14, 18, 21) else "conv" for layer in range(24)],
        },
        casts={r"expert_bias$": "F32"},
        published=hub_total(8339929856),
    ),
}  # fmt: skip

HYBRIDS: dict[str, Row] = {
    "state-spaces/mamba-130m-hf": Row(
        model_type="mamba",
        architecture="MambaForCausalLM",
        dtype="float32",
        config={
            "hidden_size": 768, "num_hidden_layers": 24, "vocab_size": 50280, "state_size": 16, "expand": 2,
            "conv_kernel": 4, "time_step_rank": 48, "tie_word_embeddings": True,
        },
        published=hub_total(129135360),
    ),
    "AntonV/mamba2-130m-hf": Row(
        model_type="mamba2",
        architecture="Mamba2ForCausalLM",
        dtype="float32",
        config={
            "hidden_size": 768, "num_hidden_layers": 24, "vocab_size": 50288, "state_size": 128, "expand": 2,
            "head_dim": 64,
            "num_heads": 24, "n_groups": 1, "conv_kernel": 4, "tie_word_embeddings": True,
        },
    ),
    "tiiuae/falcon-mamba-7b": Row(
        model_type="falcon_mamba",
        architecture="FalconMambaForCausalLM",
        config={
            "hidden_size": 4096, "intermediate_size": 8192, "num_hidden_layers": 64, "vocab_size": 65024,
            "state_size": 16,
            "conv_kernel": 4, "time_step_rank": 256, "tie_word_embeddings": False,
        },
    ),
    "ai21labs/Jamba-v0.1": Row(
        model_type="jamba",
        architecture="JambaForCausalLM",
        config={
            "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
            "num_key_value_heads": 8, "num_experts": 16, "num_experts_per_tok": 2, "expert_layer_period": 2,
            "expert_layer_offset": 1, "attn_layer_period": 8, "attn_layer_offset": 4, "mamba_d_state": 16,
            "mamba_d_conv": 4, "mamba_expand": 2, "mamba_dt_rank": 256, "vocab_size": 65536,
        },
    ),
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": Row(
        model_type="nemotron_h",
        architecture="NemotronHForCausalLM",
        config={
            "hidden_size": 2688, "num_hidden_layers": 52, "vocab_size": 131072, "num_attention_heads": 32,
            "num_key_value_heads": 2, "head_dim": 128, "intermediate_size": 1856, "moe_intermediate_size": 1856,
            "moe_shared_expert_intermediate_size": 3712, "n_routed_experts": 128, "n_shared_experts": 1,
            "num_experts_per_tok": 6, "n_group": 1, "topk_group": 1, "mamba_num_heads": 64, "mamba_head_dim": 64,
            "n_groups": 8, "ssm_state_size": 128, "conv_kernel": 4, "expand": 2, "max_position_embeddings": 262144,
            "hybrid_override_pattern": "MEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEM*EMEMEMEM*EMEMEMEME",
        },
        casts={r"e_score_correction_bias$": "F32"},
        published=hub_total(31577937344, of="nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-Base-BF16"),
    ),
    "ibm-granite/granite-4.0-h-tiny": Row(
        model_type="granitemoehybrid",
        architecture="GraniteMoeHybridForCausalLM",
        config={
            "hidden_size": 1536, "intermediate_size": 512, "shared_intermediate_size": 1024, "num_hidden_layers": 40,
            "num_attention_heads": 12, "num_key_value_heads": 4, "num_local_experts": 64, "num_experts_per_tok": 6,
            "mamba_n_heads": 48, "mamba_d_head": 64, "mamba_d_state": 128, "mamba_d_conv": 4, "mamba_expand": 2,
            "mamba_n_groups": 1, "vocab_size": 100352, "max_position_embeddings": 131072, "tie_word_embeddings": True,
            "position_embedding_type": "nope",
            "layer_types": ["attention" if layer % 10 == 5 else "mamba" for layer in range(40)],
        },
        published=hub_total(6939037248),
    ),
    "Qwen/Qwen3-Coder-Next": Row(
        model_type="qwen3_next",
        architecture="Qwen3NextForCausalLM",
        config=QWEN3_NEXT,
        published=hub_total(79674391296),
    ),
    "Qwen/Qwen3-Next-80B-A3B-Instruct-FP8": Row(
        model_type="qwen3_next",
        architecture="Qwen3NextForCausalLM",
        config=QWEN3_NEXT,
        copies={"draft layer: a full-attention layer like the last": ("model.layers.47.", "mtp.layers.0.")},
        extras={"draft layer: joining parts": MTP_PARTS},
        packing=Packing(
            fp8_blocks("BF16"), BLOCK_FP8, r"layers\.\d+\..*(proj|in_proj_qkvz)\.weight$"
        ),
        published=hub_total(81329784384),
    ),
    "LiquidAI/LFM2-1.2B": Row(
        model_type="lfm2",
        architecture="Lfm2ForCausalLM",
        config=LFM2 | {"hidden_size": 2048, "intermediate_size": 12288, "num_attention_heads": 32},
        published=hub_total(1170340608, of="lmstudio-community/LFM2-1.2B-MLX-bf16"),
    ),
    "LiquidAI/LFM2.5-350M": Row(
        model_type="lfm2",
        architecture="Lfm2ForCausalLM",
        config=LFM2 | {"hidden_size": 1024, "intermediate_size": 6656, "num_attention_heads": 16},
        published=hub_total(354483968),
    ),
}  # fmt: skip
