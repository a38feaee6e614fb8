"""
Our name for a field → the names configurations of models outside transformers give it, tried in order.

Dots reach into nested objects. What a transformers class itself calls a field is in defaults.json and is tried first.
"""

ALIASES: dict[str, tuple[str, ...]] = {
    "num_hidden_layers": ("n_layer", "num_layers", "n_layers", "layers", "depth", "num_layer", "decoder_layers"),
    "hidden_size": ("d_model", "n_embd", "embed_dim", "emb_dim", "dim", "model_dim", "n_embed"),
    "num_attention_heads": ("n_head", "num_heads", "n_heads", "attention_heads", "decoder_attention_heads"),
    "num_key_value_heads": (
        "num_kv_heads",
        "n_head_kv",
        "n_kv_heads",
        "multi_query_group_num",
        "num_attention_groups",
        "attn_config.kv_n_heads",
        "num_query_groups",
    ),
    "head_dim": ("d_kv", "kv_channels", "attention_head_dim", "dim_head", "size_per_head", "attention_dim"),
    "intermediate_size": (
        "ffn_hidden_size",
        "n_inner",
        "d_ff",
        "ffn_dim",
        "decoder_ffn_dim",
        "intermediate_dim",
        "mlp_dim",
    ),
    "vocab_size": ("padded_vocab_size", "input_vocab_size", "tgt_vocab_size", "n_vocab"),
    "max_position_embeddings": (
        "n_positions",
        "max_seq_len",
        "seq_length",
        "context_length",
        "model_max_length",
        "max_sequence_length",
        "max_length",
        "n_ctx",
        "max_target_positions",
    ),
    "final_logit_softcapping": ("logits_soft_cap",),
    "sliding_window": ("sliding_window_size", "attention_window_size"),
    "num_local_experts": (
        "num_experts",
        "n_routed_experts",
        "moe_num_experts",
        "ffn_config.moe_num_experts",
        "n_experts",
    ),
    "num_experts_per_tok": (
        "num_experts_per_token",
        "moe_k",
        "moe_topk",
        "top_k",
        "top_k_experts",
        "ffn_config.moe_top_k",
        "moe_router_topk",
    ),
    "n_shared_experts": ("num_shared_experts", "num_shared_expert", "moe_num_shared_experts"),
    "moe_intermediate_size": ("expert_ffn_hidden_size", "moe_ffn_hidden_size", "expert_intermediate_size"),
    "num_mtp_layers": ("num_nextn_predict_layers", "mtp_num_hidden_layers", "mtp_num_layers"),
    "layer_types": ("layers_block_type", "block_types"),
    "dtype": ("torch_dtype",),
}

# Nested configurations that hold the decoder's text model, in the order they are looked for.
TEXT_PARTS = (
    "thinker_config",
    "text_config",
    "decoder",
    "generator",
    "decoder_config",
    "llm_config",
    "language_config",
    "llm_cfg",
    "lm_config",
    "text_model",
)

# Parts that are no decoder: their weights count, their caches do not exist.
TOWER_PARTS = {
    "vision_config": "vision",
    "vision_tower_config": "vision",
    "vit_config": "vision",
    "visual": "vision",
    "audio_config": "audio",
    "speech_config": "audio",
    "encoder_config": "encoder",
    "text_encoder": "encoder",
    "encoder": "encoder",
    "audio_encoder": "audio",
}

LAYER_TYPES: dict[str, str] = {
    "mamba": "linear_attention",
    "mamba2": "linear_attention",
    "recurrent": "linear_attention",
    "kda": "linear_attention",
    "attention": "full_attention",
    "global": "full_attention",
    "local": "sliding_attention",
    "sliding": "sliding_attention",
    "short_conv": "conv",
    "deepseek_sparse_attention": "indexed_attention",
    "qwen_sparse_attention": "indexed_attention",
}

# One letter a layer, as in `hybrid_override_pattern` (nemotron_h) and `sliding_window_pattern` (exaone4).
PATTERN_LETTERS: dict[str, str] = {
    "M": "linear_attention",
    "*": "full_attention",
    "E": "moe",
    "-": "mlp",
    "L": "sliding_attention",
    "G": "full_attention",
}

# Modules that compute what several of Llama's do: how adapters' targets are written for classes that fuse projections.
FUSED_MODULES: dict[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(("c_attn", "W_pack", "query_key_value", "qkv_proj", "Wqkv", "wqkv"), (("q_proj", "k_proj", "v_proj"),)),
    "gate_up_proj": (("gate_proj", "up_proj"),),
    "dense_h_to_4h": (("gate_proj", "up_proj"),),
    "dense_4h_to_h": (("down_proj",),),
    "c_proj": (("o_proj",), ("down_proj",)),
    "c_fc": (("up_proj",),),
    "w1": (("gate_proj",),),
    "w2": (("up_proj",),),
    "w3": (("up_proj",),),
    "dense": (("o_proj",),),
    "out_proj": (("o_proj",),),
    "wo": (("o_proj",),),
}
