"""What a tensor is for, by the words in its name: rows tried in order, the first that matches wins."""

from __future__ import annotations

import re
from functools import lru_cache

ROLES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (role, re.compile(pattern))
    for role, pattern in (
        ("draft", r"(^|\.)(mtp|nextn|eagle|medusa)|mtp_|eh_proj|(^|\.)enorm\.|(^|\.)hnorm\.|shared_head"),
        (
            "vision",
            r"vision_tower|vision_model|vision_encoder|vision_embed|(^|\.)visual\.|(^|\.)vit\.|image_encoder|img_|patch_embed|"
            r"multi_modal_projector|mm_projector|multimodal_projector|vision_proj|image_newline|vpm\.|resampler|vision_backbone|"
            r"(^|\.)mlp1\.|perceiver|qformer|image_tokenizer|(^|\.)aligner\.|vqmodel|vision_head|^v\.(?!weight|bias)|^mm\.(?!a\.)",
        ),
        (
            "audio",
            r"audio_tower|audio_model|audio_encoder|speech_|embed_audio|audio_proj|(^|\.)apm\.|audio_|whisper_|^a\.(blk|conv)|^mm\.a\.",
        ),
        ("norms", r"norm\d*(\.|$)|_norm_(\d|exps)|(^|\.)ln\w*\.|layernorm|layer_norm|(^|\.)ln$|LayerNorm|_norm(\.|$)"),
        (
            "experts",
            r"(^|\.)experts?(\.|$)|experts_|block_sparse_moe|switch_mlp|moe_experts|expert_|_(ch)?exps\.|"
            r"ffn_(gate|up|down)\.[*\d]",
        ),
        (
            "head",
            r"(^|\.)lm_head|embed_out|(^|\.)output\.weight$|(^|\.)score\.|classifier|(^|\.)cls\.|qa_outputs|(^|\.)proj_out\.|"
            r"output_layer|(^|\.)v_head|(^|\.)head\.|final_logits_bias|^output\.bias$|unembed|(^|\.)generator\.",
        ),
        (
            "embeddings",
            r"embed_tokens|(^|\.)wte|(^|\.)wpe|word_embeddings|tok_embeddings|embeddings?\.|(^|\.)shared\.weight|embed_in|"
            r"embed_positions|position_embedding|position_embd|token_embd|embedding|relative_attention_bias|(^|\.)emb\.|token_type",
        ),
        (
            "recurrent",
            r"mamba|linear_attn|(^|\.)mixer\.|(^|\.)ssm|temporal_block|short_?conv|(^|\.)conv\.|A_log|rglru|time_mix|mlstm",
        ),
        (
            "attention",
            r"attn|attention|(^|\.)[qkv]_proj|SelfAttention|EncDec|q_a_|kv_a_|kv_b_|q_b_|wqkv|(^|\.)w[qkvo]\.|sinks|indexer",
        ),
        (
            "mlp",
            r"mlp|feed_forward|ffn|(^|\.)fc\d|(^|\.)dense|DenseRelu|intermediate|(^|\.)w[123]\.|up_proj|down_proj|gate|"
            r"(^|\.)output\.dense|channel_mix|(^|\.)wi|(^|\.)wo",
        ),
    )
)
# Names by which a module says that everything in it belongs to the text decoder.
OTHER = "other"

EMBEDDING = re.compile(
    r"(^|\.)(embed_tokens|wte|word_embeddings|tok_embeddings|embed_in|token_embedding|embeddings\.word_embeddings|shared|"
    r"embedding\.word_embeddings|emb|embeddings|token_embd)\.weight$"
)
HEAD = re.compile(r"(^|\.)(lm_head|embed_out|output|output_layer|proj_out)\.weight$")

# Buffers by their name, for files older than the class or of another package; what the class registers comes first.
BUFFERS = re.compile(
    r"(^|\.)(position_ids|inv_freq|original_inv_freq|inv_timescales|masked_bias|token_type_ids|e_score_correction_bias|"
    r"expert_bias|balancing_biases|layer_scalar|std_bias|std_scale|final_logits_bias|running_mean|running_var|"
    r"num_batches_tracked|relative_position_index|cos_cached|sin_cached|causal_mask|rotary_emb\.\w+|embed_positions\.weights|"
    r"tid2eid|act_fn\.(beta|eps)|slope_rate|(query|key|diagonal)_decay|layer_multipliers|ngram_heads_\w+|(in|out)put_(min|max)|"
    r"cluster_size|cluster_usage|embed_avg|inited|initialized|latent_(mean|std|stats_num_updates)|empty_weight|dft_mat_\w+|"
    r"positional_embedding_gaussian_matrix|pos_idx_to_embed|token_ordering|global_mean|global_invstd|summary_idxs|"
    r"rope_(freqs|factors_\w+)\.weight|exp_probs_b(_vl)?(\.bias)?)$"
)


@lru_cache(maxsize=8192)  # models of one kind have the same names
def role_of(pattern: str) -> str:
    """The role of a tensor by its name, "other" where no word is known."""
    return next((role for role, words in ROLES if words.search(pattern)), OTHER)
