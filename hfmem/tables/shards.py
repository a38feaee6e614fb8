"""
How serving engines split a tensor over tensor-parallel ranks, by the words in its name: rows tried in order.

Source: the parallel layers of vLLM 0.33 (`QKVParallelLinear`, `MergedColumnParallelLinear`, `RowParallelLinear`,
`VocabParallelEmbedding`, `FusedMoE`) and SGLang 0.5, which took them over.
"""

from __future__ import annotations

import re

# Whole on every rank: norms, the router, the latent's down-projections, the indexer, position tables.
WHOLE, KEY_VALUE, FUSED_QKV, VOCABULARY, SPLIT, ROW = "whole", "key-value", "fused qkv", "vocabulary", "split", "row"
RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (rule, re.compile(pattern))
    for rule, pattern in (
        (
            WHOLE,
            r"norm|(^|\.)ln_|layernorm|q_a_proj|kv_a_proj|indexer|(^|\.)gate\.|router|shared_expert_gate|position|wpe|"
            r"rotary|sinks$|e_score|expert_bias|token_type|patch_embed|class_embed|logit_scale",
        ),
        (
            VOCABULARY,
            r"embed_tokens|lm_head|wte|word_embeddings|embed_in|embed_out|tok_embeddings|(^|\.)shared\.weight|token_embd",
        ),
        (FUSED_QKV, r"qkv_proj|query_key_value|Wqkv|c_attn|W_pack|(^|\.)qkv\.|wqkv"),
        (KEY_VALUE, r"(^|\.)(k_proj|v_proj|key|value|wk|wv|k|v)\."),
        (ROW, r"(o_proj|out_proj|down_proj|c_proj|fc2|fc_out|w2|wo|dense_4h_to_h|attention\.dense|self_attention\.dense)\.bias$"),
    )
)
# Modules whose tensors are one tensor in the engine: words in a name → the fused module's.
FUSED: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"(?<=\.)(q_proj|k_proj|v_proj)(?=\.)", "qkv_proj"),
        (r"(?<=\.)(gate_proj|up_proj)(?=\.)", "gate_up_proj"),
        (r"(?<=\.)(w1|w3)(?=\.)", "w13"),
        (r"(?<=\.)(q_a_proj|kv_a_proj_with_mqa)(?=\.)", "fused_qkv_a_proj"),
        (r"(?<=\.)(in_proj_qkv|in_proj_z)(?=\.)", "in_proj_qkvz"),
        (r"(?<=\.)(in_proj_a|in_proj_b)(?=\.)", "in_proj_ba"),
        (r"(?<=\.)experts\.\*\.", "experts."),
    )
)
VOCABULARY_MULTIPLE = 64
# Families whose words for towers are split as the decoder is; everything else of a tower is whole.
TOWER_SPLIT = re.compile(r"(q_proj|k_proj|v_proj|qkv|out_proj|o_proj|fc1|fc2|gate_proj|up_proj|down_proj|proj)\.weight")


def rule_of(pattern: str) -> str:
    """How a tensor is split; what no row names is split evenly."""
    return next((rule for rule, words in RULES if words.search(pattern)), SPLIT)


def fused_name(pattern: str) -> str:
    """The engine's name of the tensor a stored one becomes a part of."""
    for words, name in FUSED:
        pattern = words.sub(name, pattern)
    return pattern
