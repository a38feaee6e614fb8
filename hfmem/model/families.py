"""
What is special to a family, as rows: which readers its layer list needs, and which mixers its kinds have.

A model type without a row is read by `KINDS` alone. Nothing here is a number of one checkpoint.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hfmem.model import mixers as m
from hfmem.model import special as s
from hfmem.model.layers import Reader
from hfmem.model.layouts import (
    attention_flags,
    block_list,
    block_types,
    compress_ratios,
    cross_layer_sharing,
    early_alternate,
    first_and_quarter,
    full_at_last,
    global_first,
    image_layers,
    indexed_or_linear,
    indexed_quarter,
    interleaved_convs,
    kda_every_fourth,
    last_backwards,
    no_rope_chunks,
    quarter_or_last,
    renamed_full,
    six_first,
    sliding_without_rope,
    sparse_frequency,
    zamba_hybrids,
)
from hfmem.model.mixers import MixerReader

Kinds = Mapping[str, tuple[MixerReader, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """How one architecture departs from the common reading."""

    kinds: Kinds = field(default_factory=dict)
    readers: tuple[Reader, ...] = ()
    attention: MixerReader | None = None  # replaces plain attention in every kind that attends
    layers_per_block: int = 1  # attention layers in one counted layer
    counts_cycles: bool = False  # the depth is walked several times, each with a cache of its own
    crosses: bool = True  # False: an encoder-decoder whose cross attention is computed again at every step
    caches: bool = True  # False: every step computes everything again

    @property
    def is_common(self) -> bool:
        return self == COMMON


KINDS: Kinds = {
    "full_attention": (m.attention,),
    "sliding_attention": (m.attention,),
    "chunked_attention": (m.attention,),
    "shared": (m.attention,),
    "linear_attention": (),
    "conv": (m.short_conv,),
    "moe": (),
    "mlp": (),
    "no_attention": (),
    "indexed_attention": (m.latent, m.indexer),
    "hybrid": (),
    "heavily_compressed_attention": (m.compressed,),
    "compressed_sparse_attention": (m.compressed,),
    "reference_sliding_attention": (s.pinned_attention,),
    "minimax_m3_sparse": (m.attention, m.indexer),
}


def linear(*readers: MixerReader) -> Kinds:
    return {"linear_attention": readers}


GATED_DELTA = Family(kinds=linear(m.gated_delta_net))
MAMBA = Family(kinds=linear(m.mamba1))
MAMBA2 = Family(kinds=linear(m.mamba2))
LATENT = Family(attention=m.latent)
SPARSE_LATENT = Family(attention=m.latent, readers=(renamed_full,))
NO_CACHE = Family(caches=False)
GLOBAL = Family(attention=m.global_attention, readers=(full_at_last,))
INKLING = Family(
    attention=s.swa_attention,
    kinds=dict.fromkeys(("hybrid", "hybrid_sliding"), (s.swa_attention, s.inkling_convolutions)),
)
MLLAMA = Family(kinds={"cross_attention": (m.image_cross,)}, readers=(image_layers,))

FAMILIES: Mapping[str, Family] = {
    "falcon": Family(attention=m.falcon_attention),
    "RefinedWeb": Family(attention=m.falcon_attention),
    "RefinedWebModel": Family(attention=m.falcon_attention),
    "gpt_bigcode": Family(attention=m.one_head),
    "gpt_neo": Family(attention=m.whole_attention),
    "cpmant": Family(attention=s.prompted_attention),
    "openai-gpt": NO_CACHE,
    "xlm": NO_CACHE,
    "flaubert": NO_CACHE,
    **dict.fromkeys(("xlnet", "reformer"), Family(attention=s.hidden_memory)),
    "pp_formulanet_text": Family(crosses=False),
    "longcat_flash": Family(attention=m.latent, layers_per_block=2),
    "hrm_text": Family(counts_cycles=True),
    "mimo_v2_flash": Family(attention=m.wide_window_attention, readers=(six_first,)),
    "llama4_text": Family(readers=(no_rope_chunks,)),
    "modernbert-decoder": Family(attention=s.half_window_attention, readers=(global_first,)),
    "flint": Family(readers=(first_and_quarter,)),
    "lfm3": Family(readers=(interleaved_convs,)),
    "muse_glimmer_text": Family(readers=(last_backwards,)),
    "muse_spark_text": Family(readers=(last_backwards,)),
    "mllama_text_model": MLLAMA,
    "inkling_text": INKLING,
    "inkling2_text": INKLING,
    "zaya": Family(kinds=dict.fromkeys(("hybrid", "hybrid_sliding"), (m.attention, s.zaya_state))),
    "recurrent_gemma": Family(kinds=linear(m.real_gated), readers=(block_types,)),
    "rwkv": Family(attention=m.receptance),
    "xlstm": Family(attention=m.matrix_memory),
    "minimax": Family(kinds=linear(m.lightning)),
    "minimax_m3_vl_text": Family(readers=(sparse_frequency,)),
    # multi-head latent attention
    **dict.fromkeys(
        ("axk1", "deepseek_v2", "deepseek_v3", "glm4_moe_lite", "minicpm3", "mistral4", "youtu", "kimi_k2", "kimi_k25"),
        LATENT,
    ),
    **dict.fromkeys(("axk2", "deepseek_v32", "glm_moe_dsa", "hy_v4"), SPARSE_LATENT),
    "mistral_large4_text": Family(
        attention=s.sourced_latent, kinds={"indexed_attention": (s.sourced_latent, m.indexer)}, readers=(renamed_full,)
    ),
    "dots3_note_text": Family(
        attention=s.sliding_latent,
        kinds={"indexed_attention": (m.latent, s.float32_indexer)},
        readers=(indexed_quarter,),
    ),
    "glm5_next_text": Family(
        attention=m.latent,
        kinds={"indexed_attention": (m.latent, s.gated_indexer), **linear(m.kimi_delta)},
        readers=(renamed_full,),
    ),
    "kimi_linear": Family(attention=m.latent, kinds=linear(m.kimi_delta), readers=(kda_every_fourth,)),
    "bailing_hybrid": Family(attention=m.latent, kinds=linear(m.kimi_delta)),
    "deepseek_v4": Family(attention=m.shared_head, readers=(compress_ratios,)),
    # gated delta nets
    **dict.fromkeys(("qwen3_next", "qwen3_5_text", "qwen3_5_moe_text"), GATED_DELTA),
    "olmo_hybrid": Family(kinds=linear(m.gated_delta_net), readers=(quarter_or_last,)),
    "qwen4_exp_text": Family(
        kinds={
            "indexed_attention": (m.attention, s.block_indexer, s.per_layer_embedding_state),
            **linear(m.gated_delta_net, s.per_layer_embedding_state),
        },
        readers=(renamed_full,),
    ),
    # state-space models
    **dict.fromkeys(("mamba", "falcon_mamba"), Family(attention=m.mamba1, kinds=linear(m.mamba1))),
    "mamba2": Family(attention=m.mamba2, kinds=linear(m.mamba2)),
    "jamba": MAMBA,
    **dict.fromkeys(("granitemoehybrid", "nemotron_h"), MAMBA2),
    "bamba": Family(kinds=linear(m.mamba2), readers=(indexed_or_linear,)),
    "qwen2_moe": Family(readers=(early_alternate,)),
    "smollm3": Family(readers=(sliding_without_rope,)),
    "jetmoe": Family(attention=s.expert_heads_attention),
    "falcon_h1": Family(attention=m.attention, kinds=dict.fromkeys(("hybrid", "full_attention"), (m.attention, m.mamba2))),
    "zamba": Family(kinds={"hybrid": (s.double_width_attention, m.mamba1), **linear(m.mamba1)}, readers=(zamba_hybrids,)),
    "zamba2": Family(kinds={"hybrid": (s.double_width_attention, m.mamba2), **linear(m.mamba2)}),
    # code outside transformers
    "chatglm": Family(attention=m.grouped_attention),
    "nemotron-nas": Family(attention=s.block_attention, readers=(block_list,)),
    "hunyuan": Family(readers=(cross_layer_sharing,)),
    "minimax_m1": Family(kinds=linear(m.lightning_in_float32), readers=(attention_flags,)),
    "yuan": Family(attention=m.attention, kinds={"full_attention": (m.attention, s.filter_state)}),
    "phi3small": Family(attention=m.whole_attention),
    "qwen": Family(attention=m.full_heads),
    # head widths that differ between full and sliding layers
    **dict.fromkeys(("gemma4_text", "gemma4_unified_text", "diffusion_gemma_text", "embedding_gemma2_text"), GLOBAL),
}
COMMON = Family()


def family_of(model_type: str) -> Family:
    """The row of a model type, or the common one."""
    return FAMILIES.get(model_type, COMMON)
