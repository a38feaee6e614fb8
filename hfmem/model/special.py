"""Mixers that one or two families have alone; what is common is in `mixers`."""

from __future__ import annotations

from dataclasses import replace

from hfmem.model.config import Config
from hfmem.model.kinds import Attention, IndexerKeys, LatentAttention, Mixer, RecurrentState
from hfmem.model.mixers import attention, head_dim, heads, indexer_modes, kv_heads, latent, plain, window_of


def swa_attention(config: Config, kind: str) -> Mixer:
    """inkling: sliding layers have heads and widths of their own (`swa_…`)."""
    return plain(config, kind, *swa_shape(config, kind))


def swa_shape(config: Config, kind: str) -> tuple[int, int]:
    if "sliding" in kind:
        return config.integer("swa_num_key_value_heads"), config.integer("swa_head_dim")
    return kv_heads(config), head_dim(config)


def inkling_convolutions(config: Config, kind: str) -> Mixer:
    """Four short convolutions in float32: over keys, values, and twice over the hidden size."""
    count, width = swa_shape(config, kind)
    channels = 2 * count * width + 2 * config.integer("hidden_size")
    return RecurrentState(float32_elements=channels * config.integer("conv_kernel_size"))


def zaya_state(config: Config, kind: str) -> Mixer:
    """zaya: the tails of two convolutions over queries and keys, and half of the delayed values."""
    width, count = head_dim(config), kv_heads(config)
    tail = config.integer("cca_time0") + config.integer("cca_time1") - 2
    return RecurrentState(model_elements=(heads(config) + count) * width * tail + count * width // 2)


def block_indexer(config: Config, kind: str) -> Mixer | None:
    """qwen4_exp: indexer keys of several heads; the first such layer also keeps three rows of positions."""
    if config.value("indexer_head_dim") is None:
        return None
    width = config.integer("indexer_kv_heads", default=1) * config.integer("indexer_head_dim")
    kinds = config.value("layer_types") or []
    is_first = config.layer is not None and kind not in kinds[: config.layer]
    return IndexerKeys(key_dim=width, position_rows=3 if is_first else 0)


def per_layer_embedding_state(config: Config, kind: str) -> Mixer | None:
    """qwen4_exp: layers in `ple_layer_ids` (1-based) keep a convolution tail and the ids of the last tokens."""
    chosen = config.items("ple_layer_ids") or []
    if config.layer is None or config.layer + 1 not in chosen:
        return None
    ngram = config.integer("ngram_size")
    width = config.integer("hc_count", default=1) * config.integer("hidden_size")
    return RecurrentState(model_elements=width * (config.integer("ple_conv_kernel_size") - 1) * ngram, int64_elements=ngram - 1)


def float32_indexer(config: Config, kind: str) -> Mixer:
    """dots3_note keeps its indexer keys in float32."""
    return IndexerKeys(key_dim=config.integer("index_head_dim"), in_float32=True)


def gated_indexer(config: Config, kind: str) -> Mixer | None:
    """glm5_next keeps a key, its gate, and a flag."""
    modes = indexer_modes(config)
    if modes and config.layer is not None and modes[config.layer] == "shared":
        return None
    return IndexerKeys(key_dim=2 * config.integer("index_head_dim") + 1)


def sliding_latent(config: Config, kind: str) -> Mixer:
    """dots3_note: sliding layers are MLA of a rank and rotary width of their own (`swa_…`)."""
    if kind != "sliding_attention" or config.raw.get("per_layer_config"):
        return latent(config, kind)
    width = config.integer("swa_head_dim", default=256)
    content = config.integer("swa_qk_nope_head_dim", default=192)
    return LatentAttention(
        num_heads=config.integer("swa_num_attention_heads", default=64),
        latent_dim=config.integer("swa_kv_lora_rank", default=1024),
        rotary_dim=config.integer("swa_qk_rope_head_dim", default=width - content, minimum=0),
        window=window_of(config, kind),
    )


def sourced_latent(config: Config, kind: str) -> Mixer:
    """mistral_large4: a layer whose source is another one reads that layer's latents and keeps none."""
    sources = config.items("kv_source_layers")
    reads_another = sources is not None and config.layer is not None and sources[config.layer] != config.layer
    own = latent(config, kind)
    return replace(own, shares_cache=True) if reads_another and isinstance(own, LatentAttention) else own


def prompted_attention(config: Config, kind: str) -> Mixer:
    """cpmant: learned prompt positions are cached before the tokens."""
    return replace(_attention(config, kind), extra_tokens=config.integer("prompt_length"))


def pinned_attention(config: Config, kind: str) -> Mixer:
    """unlimited_ocr: the whole prompt stays, generated tokens slide."""
    return replace(_attention(config, kind), pinned_prompt=True)


def half_window_attention(config: Config, kind: str) -> Mixer:
    """modernbert-decoder: `local_attention` counts both sides, so that half of it is the window."""
    found = _attention(config, kind)
    both = None if config.has("sliding_window") else config.optional("local_attention")
    return replace(found, window=both // 2) if both and kind == "sliding_attention" else found


def expert_heads_attention(config: Config, kind: str) -> Mixer:
    """jetmoe: each key-value head serves as many heads as experts are chosen."""
    count, width = config.integer("num_key_value_heads"), head_dim(config)
    heads_each = config.integer("num_experts_per_tok")
    return Attention(num_heads=count * heads_each, num_kv_heads=count, key_dim=width, value_dim=width)


def double_width_attention(config: Config, kind: str) -> Mixer:
    """zamba: attention reads the layer's input beside the embeddings, so its heads are twice as wide."""
    width = config.optional("attention_head_dim") or 2 * config.integer("hidden_size") // heads(config)
    return plain(config, kind, kv_heads(config), width)


def block_attention(config: Config, kind: str) -> Mixer | None:
    """nemotron-nas: each block says how many heads share one key-value head; removed or linear blocks keep nothing."""
    blocks = config.items("block_configs") or []
    section = blocks[config.layer or 0].get("attention", {}) if config.layer is not None else {}
    share = section.get("n_heads_in_group") or 0
    return plain(config, kind, heads(config) // share) if share else None


def filter_state(config: Config, kind: str) -> Mixer:
    """yuan: its localized filtering keeps the hidden states of the last two tokens."""
    return RecurrentState(model_elements=2 * config.integer("hidden_size"))


def hidden_memory(config: Config, kind: str) -> Mixer:
    """xlnet keeps the hidden states themselves: one vector of the hidden size a token."""
    return Attention(num_heads=1, num_kv_heads=1, key_dim=config.integer("hidden_size"), value_dim=0)


def _attention(config: Config, kind: str) -> Attention:
    found = attention(config, kind)
    assert isinstance(found, Attention)
    return found
