"""
Kind of layer → what it keeps: one small function a mechanism, asked with the configuration as that layer sees it.

The widths are those the classes of transformers 5.23 give their caches, compared tensor by tensor.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hfmem.errors import ConfigError
from hfmem.model.config import Config, shown
from hfmem.model.kinds import (
    Attention,
    CompressedAttention,
    CompressedStream,
    CrossAttention,
    IndexerKeys,
    LatentAttention,
    Mixer,
    RecurrentState,
)
from hfmem.model.layers import window

MixerReader = Callable[[Config, str], "Mixer | None"]


def heads(config: Config) -> int:
    return config.integer("num_attention_heads")


def kv_heads(config: Config) -> int:
    return config.optional("num_key_value_heads", minimum=1) or heads(config)


def head_dim(config: Config) -> int:
    return config.optional("head_dim", minimum=1) or config.integer("hidden_size") // heads(config)


def window_of(config: Config, kind: str) -> int | None:
    if kind == "chunked_attention":
        return config.integer("attention_chunk_size")
    return window(config) if "sliding" in kind else None


def attention(config: Config, kind: str) -> Mixer:
    """MHA, GQA or MQA by the usual fields."""
    return plain(config, kind, kv_heads(config))


def plain(config: Config, kind: str, num_kv_heads: int, width: int | None = None) -> Attention:
    width = width or head_dim(config)
    count = max(heads(config), num_kv_heads)
    return Attention(
        num_heads=count,
        num_kv_heads=num_kv_heads,
        key_dim=width,
        value_dim=config.optional("v_head_dim", minimum=1) or width,
        window=window_of(config, kind),
        shares_cache=kind == "shared",
    )


def whole_attention(config: Config, kind: str) -> Mixer:
    """Attention whose cache keeps everything although the scores look at a window (gpt_neo's local layers)."""
    return plain(config, "full_attention", kv_heads(config))


def one_head(config: Config, kind: str) -> Mixer:
    """`multi_query`: one key-value head, else one for each head (gpt_bigcode)."""
    return plain(config, kind, 1 if config.flag("multi_query") else heads(config))


def grouped_attention(config: Config, kind: str) -> Mixer:
    """chatglm: groups count only where `multi_query_attention` is set; the first generation has a head each."""
    return plain(config, kind, kv_heads(config) if config.flag("multi_query_attention") else heads(config))


def full_heads(config: Config, kind: str) -> Mixer:
    """qwen (the first): a key-value head for every head."""
    return plain(config, kind, heads(config))


def falcon_attention(config: Config, kind: str) -> Mixer:
    """The new decoder broadcasts its groups to all heads before they are cached; the old one has one head or all."""
    grouped = config.flag("new_decoder_architecture")
    found = plain(config, kind, 1 if config.flag("multi_query") and not grouped else heads(config))
    return replace(found, projected_kv_heads=config.optional("num_kv_heads", minimum=1) if grouped else None)


def wide_window_attention(config: Config, kind: str) -> Mixer:
    """mimo_v2_flash: sliding layers have twice the key-value heads."""
    return plain(config, kind, kv_heads(config) * (2 if "sliding" in kind else 1))


def global_attention(config: Config, kind: str) -> Mixer:
    """gemma4: full layers have a head width of their own, and their own key-value heads where keys are values."""
    if kind != "full_attention" or config.raw.get("per_layer_config"):
        return attention(config, kind)
    own_heads = config.optional("num_global_key_value_heads") if config.value("attention_k_eq_v") is not False else None
    width = config.integer("global_head_dim", default=512)
    return plain(config, kind, own_heads or kv_heads(config), width)


def latent(config: Config, kind: str) -> Mixer:
    """MLA; NoPE layers have no rotary key, and `use_mla: false` is ordinary attention."""
    if config.value("use_mla") is False:
        return attention(config, kind)
    rope_layers = config.value("no_rope_layers")
    no_rotary = isinstance(rope_layers, list) and config.layer is not None and not rope_layers[config.layer]
    return LatentAttention(
        num_heads=heads(config),
        latent_dim=config.integer("kv_lora_rank"),
        rotary_dim=0 if no_rotary else config.integer("qk_rope_head_dim", default=0, minimum=0),
        content_dim=config.integer("qk_nope_head_dim", default=0, minimum=0),
        value_dim=config.integer("v_head_dim", default=0, minimum=0),
        query_latent_dim=config.optional("q_lora_rank") or 0,
        window=window_of(config, kind),
        shares_cache=kind == "shared",
    )


def indexer(config: Config, kind: str) -> Mixer | None:
    """The indexer's keys, on layers that run one of their own."""
    modes = indexer_modes(config)
    if modes and config.layer is not None and modes[config.layer] == "shared":
        return None
    return IndexerKeys(key_dim=config.integer("index_head_dim"))


def indexer_modes(config: Config) -> list[str] | None:
    """`indexer_types`, or the pattern or schedule older configurations give it as; None when every layer runs one."""
    said = config.said("indexer_types")
    if isinstance(said, list):
        return said
    pattern = config.value("index_topk_pattern")
    if isinstance(pattern, (str, list)):
        return [{"F": "full", "S": "shared"}.get(mode, mode) for mode in pattern]
    if config.model_type == "hy_v4":
        return ["full" if i == 0 or (i - 1) % 4 == 0 else "shared" for i in range(config.integer("num_hidden_layers"))]
    if config.value("index_topk_freq") is not None:
        freq, offset = config.integer("index_topk_freq"), config.integer("index_skip_topk_offset", default=2, minimum=0)
        return ["full" if max(i - offset + 1, 0) % freq == 0 else "shared" for i in range(config.integer("num_hidden_layers"))]
    return None


def cross(config: Config, kind: str) -> Mixer:
    """Cross attention to the encoder, written once."""
    width = config.optional("cross_head_dim") or head_dim(config)
    count = config.optional("cross_num_key_value_heads") or kv_heads(config)
    return CrossAttention(num_heads=heads(config), num_kv_heads=count, key_dim=width, value_dim=width)


def image_cross(config: Config, kind: str) -> Mixer:
    """mllama: these layers attend to image tiles alone."""
    width = head_dim(config)
    return CrossAttention(
        num_heads=heads(config), num_kv_heads=kv_heads(config), key_dim=width, value_dim=width, reads_images=True
    )


# -- recurrent states ----------------------------------------------------------------------------------------------


def gated_delta_net(config: Config, kind: str) -> Mixer:
    """Gated DeltaNet: (2·key heads·key dim + value heads·value dim)·kernel, and value heads·key dim·value dim in float32."""
    value_heads = config.integer("linear_num_value_heads")
    key_dim, value_dim = config.integer("linear_key_head_dim"), config.integer("linear_value_head_dim")
    channels = 2 * config.integer("linear_num_key_heads") * key_dim + value_heads * value_dim
    kernel = config.integer("linear_conv_kernel_dim")
    return RecurrentState(
        model_elements=channels * kernel, float32_elements=value_heads * key_dim * value_dim, conv_kernel=kernel
    )


def kimi_delta(config: Config, kind: str) -> Mixer:
    """Kimi delta attention: three convolutions of heads·dim, and heads·dim·dim in float32."""
    section = config.section("linear_attn_config")
    count = int(section.get("num_heads") or config.optional("linear_num_heads") or heads(config))
    width = int(section.get("head_dim") or config.optional("linear_head_dim") or config.integer("head_dim"))
    kernel = int(
        section.get("short_conv_kernel_size")
        or config.optional("linear_conv_kernel_dim")
        or config.integer("short_conv_kernel_size")
    )
    return RecurrentState(model_elements=3 * count * width * kernel, float32_elements=count * width * width, conv_kernel=kernel)


def lightning(config: Config, kind: str) -> Mixer:
    """MiniMax lightning attention: heads·dim·dim in the model's dtype."""
    return RecurrentState(model_elements=heads(config) * head_dim(config) ** 2)


def lightning_in_float32(config: Config, kind: str) -> Mixer:
    """The same in float32, as MiniMax's own code keeps it."""
    return RecurrentState(float32_elements=heads(config) * head_dim(config) ** 2)


def mamba1(config: Config, kind: str) -> Mixer:
    """Mamba: inner width·kernel, and inner width·state size in float32."""
    own = config.optional("intermediate_size") if config.value("expand") is not None else None
    inner = own or expanded(config)
    kernel, state = first(config, "conv_kernel", "mamba_d_conv"), first(config, "state_size", "mamba_d_state")
    return RecurrentState(model_elements=inner * kernel, float32_elements=inner * state, conv_kernel=kernel)


def mamba2(config: Config, kind: str) -> Mixer:
    """Mamba-2: (inner + 2·groups·state)·kernel, and heads·head dim·state in float32."""
    state = first(config, "ssm_state_size", "state_size", "mamba_d_state")
    inner, groups = mamba2_inner(config), first(config, "n_groups", "mamba_n_groups", "mamba_ngroups")
    kernel = first(config, "conv_kernel", "mamba_d_conv")
    return RecurrentState(
        model_elements=(inner + 2 * groups * state) * kernel,
        float32_elements=inner * state,
        conv_kernel=kernel,
        num_groups=groups,
        group_dim=state,
    )


def mamba2_inner(config: Config) -> int:
    """heads·head dim where the class says so, else the expanded hidden size."""
    if config.value("mamba_num_heads") is not None:
        return config.integer("mamba_num_heads") * config.integer("mamba_head_dim")
    return config.optional("mamba_d_ssm") or expanded(config)


def expanded(config: Config) -> int:
    """The expanded hidden size; the factor may be a fraction."""
    factor = config.value("expand") or config.value("mamba_expand") or 2
    if isinstance(factor, bool) or not isinstance(factor, (int, float)) or not 0 < factor < 100:
        raise ConfigError(f"config.json: expand should be a factor, found {shown(factor)}", code="bad-field")
    return int(factor * config.integer("hidden_size"))


def first(config: Config, *names: str) -> int:
    """The first of several fields that has a value; the last one's absence is the error."""
    return next((config.integer(name) for name in names if config.value(name) is not None), 0) or config.integer(names[-1])


def short_conv(config: Config, kind: str) -> Mixer:
    """LFM short convolution: hidden size·kernel."""
    kernel = config.integer("conv_L_cache")
    return RecurrentState(model_elements=config.integer("hidden_size") * kernel, conv_kernel=kernel)


def real_gated(config: Config, kind: str) -> Mixer:
    """RecurrentGemma: width·(kernel − 1), and the width in float32; kept in the modules, not in the cache."""
    width = config.integer("lru_width")
    return RecurrentState(model_elements=width * (config.integer("conv1d_width") - 1), float32_elements=width)


def receptance(config: Config, kind: str) -> Mixer:
    """RWKV: two shifted inputs in the model's dtype, three accumulators in float32."""
    width = config.integer("attention_hidden_size")
    return RecurrentState(model_elements=2 * config.integer("hidden_size"), float32_elements=3 * width)


def matrix_memory(config: Config, kind: str) -> Mixer:
    """xLSTM: heads·(key·value + key + 1) in the model's dtype."""
    count, width = config.integer("num_heads"), config.integer("hidden_size")
    qk = int(width * float(config.value("qk_dim_factor"))) // count
    value = int(width * float(config.value("v_dim_factor"))) // count
    is_first = not config.layer
    return RecurrentState(model_elements=count * (qk * value + qk + 1), counters=int(is_first))


# -- DeepSeek-V4 ---------------------------------------------------------------------------------------------------


def compressed(config: Config, kind: str) -> Mixer:
    """HCA keeps one compressor, CSA a second one for its indexer, and both overlap their entries in CSA."""
    rate = compress_rate(config, kind)
    sparse = kind == "compressed_sparse_attention"
    widths = [config.integer("head_dim")] + ([config.integer("index_head_dim")] if sparse else [])
    return CompressedAttention(
        num_heads=heads(config),
        head_dim=config.integer("head_dim"),
        window=config.integer("sliding_window"),
        streams=tuple(CompressedStream(width=width, rate=rate, overlaps=sparse) for width in widths),
    )


def shared_head(config: Config, kind: str) -> Mixer:
    """deepseek_v4's plain sliding layers: one key-value head, whatever the configuration counts."""
    return plain(config, kind, 1)


def compress_rate(config: Config, kind: str) -> int:
    legacy = {"compressed_sparse_attention": "compress_rate_csa", "heavily_compressed_attention": "compress_rate_hca"}
    said = config.optional(legacy[kind]) or config.section("compress_rates").get(kind)
    return int(said) if said else {"compressed_sparse_attention": 4, "heavily_compressed_attention": 128}[kind]
