"""Layer lists that one family's class writes out by a rule of its own; the common readers are in `layers`."""

from __future__ import annotations

from hfmem.model.config import Config
from hfmem.model.layers import CONV, FULL, LINEAR, SLIDING, layers, listed, window

INDEXED = "indexed_attention"


def no_rope_chunks(config: Config) -> list[str] | None:
    """llama4: layers with rotary positions are chunked, those without see everything."""
    flags = config.items("no_rope_layers")
    if config.has("layer_types"):
        return None
    if not flags or not config.has("no_rope_layers"):
        step = config.integer("no_rope_layer_interval", default=4)
        flags = [int((i + 1) % step != 0) for i in layers(config)]
    return ["chunked_attention" if flag else FULL for flag in flags]


def six_first(config: Config) -> list[str] | None:
    """mimo_v2_flash: the first layer and every sixth see everything."""
    return listed(config) or [FULL if i == 0 or not (i + 1) % 6 else SLIDING for i in layers(config)]


def global_first(config: Config) -> list[str] | None:
    """modernbert: each group begins with the layer that sees everything."""
    step = config.integer("global_attn_every_n_layers", default=3)
    return listed(config) or [SLIDING if i % step else FULL for i in layers(config)]


def first_and_quarter(config: Config) -> list[str] | None:
    """flint: the first two layers, every fourth from the second, and the last see everything."""
    last = len(layers(config)) - 1
    return listed(config) or [FULL if i < 2 or i % 4 == 1 or i == last else SLIDING for i in layers(config)]


def indexed_quarter(config: Config) -> list[str] | None:
    """dots3_note: the first two layers and every fourth from the second run an indexer, unless `use_dsa` is false."""
    full = FULL if config.value("use_dsa") is False else INDEXED
    slides = config.value("use_sliding_window") is not False
    kinds = listed(config) or [SLIDING if slides and i >= 2 and i % 4 != 1 else full for i in layers(config)]
    return [full if kind == FULL else kind for kind in kinds]


def interleaved_convs(config: Config) -> list[str] | None:
    """lfm3: convolutions, with a full layer at 2 of each four and a sliding one at 0 from the second group."""
    return listed(config) or [FULL if i % 4 == 2 else SLIDING if i % 4 == 0 and i > 0 else CONV for i in layers(config)]


def last_backwards(config: Config) -> list[str] | None:
    """muse: every fourth layer, counted back from the last, sees everything."""
    last = len(layers(config)) - 1
    return listed(config) or [SLIDING if (last - i) % 4 else FULL for i in layers(config)]


def quarter_or_last(config: Config) -> list[str] | None:
    """olmo_hybrid: every fourth layer attends, and the last one if none would."""
    kinds = listed(config) or [LINEAR if (i + 1) % 4 else FULL for i in layers(config)]
    return kinds if FULL in kinds or config.has("layer_types") else [*kinds[:-1], FULL]


def kda_every_fourth(config: Config) -> list[str] | None:
    """kimi_linear without its 1-based lists: layers 4, 8, … attend."""
    if "full_attn_layers" in config.section("linear_attn_config") or config.has("layer_types"):
        return None
    return [FULL if i and i % 4 == 0 else LINEAR for i in layers(config)]


def block_types(config: Config) -> list[str] | None:
    """recurrent_gemma: the pattern repeated; its attention always slides."""
    pattern = config.items("block_types") or []
    return [LINEAR if pattern[i % len(pattern)] == "recurrent" else SLIDING for i in layers(config)]


def compress_ratios(config: Config) -> list[str] | None:
    """deepseek_v4: the older per-layer ratios 0, 4 and 128; by default two heavy layers, then sparse and heavy in turn."""
    names = {0: SLIDING, 4: "compressed_sparse_attention", 128: "heavily_compressed_attention"}
    ratios = config.items("compress_ratios")
    if config.has("layer_types"):
        return None
    if ratios:
        return [names.get(ratio, f"compress_ratio {ratio}") for ratio in ratios[: len(layers(config))]]
    return [names[4] if i >= 2 and i % 2 else names[128] for i in layers(config)]


def sparse_frequency(config: Config) -> list[str] | None:
    """minimax_m3: one flag a layer says whether it is sparse."""
    flags = config.section("sparse_attention_config").get("sparse_attention_freq")
    if config.has("layer_types") or not isinstance(flags, list):
        return None
    return ["minimax_m3_sparse" if flag else FULL for flag in flags]


def renamed_full(config: Config) -> list[str] | None:
    """Checkpoints say full_attention for layers that run an indexer."""
    kinds = listed(config)
    return kinds and [INDEXED if kind == FULL else kind for kind in kinds]


def zamba_hybrids(config: Config) -> list[str] | None:
    """zamba: two state layers, a hybrid, then a hybrid wherever the period's offset falls."""
    period, offset = config.integer("attn_layer_period"), config.integer("attn_layer_offset", minimum=0)
    rest = ["hybrid" if i % period == offset else LINEAR for i in range(len(layers(config)) - 3)]
    return listed(config) or [LINEAR, LINEAR, "hybrid", *rest]


def early_alternate(config: Config) -> list[str] | None:
    """qwen2_moe: every second layer from the first slides, up to `max_window_layers`, if `use_sliding_window`."""
    slides, end = config.flag("use_sliding_window"), config.integer("max_window_layers", minimum=0)
    return listed(config) or [SLIDING if slides and i % 2 == 0 and i < end else FULL for i in layers(config)]


def sliding_without_rope(config: Config) -> list[str] | None:
    """smollm3: layers without rotary positions slide, if `use_sliding_window`."""
    step = config.integer("no_rope_layer_interval", default=4)
    flags = config.items("no_rope_layers") if config.has("no_rope_layers") else None
    rope = flags or [(i + 1) % step != 0 for i in layers(config)]
    slides = window(config) is not None
    return listed(config) or [SLIDING if slides and not rope[i] else FULL for i in layers(config)]


def indexed_or_linear(config: Config) -> list[str] | None:
    """bamba: the listed layers attend, and none without a list."""
    chosen = set(config.items("attn_layer_indices") or ())
    return listed(config) or [FULL if i in chosen else LINEAR for i in layers(config)]


def full_at_last(config: Config) -> list[str] | None:
    """gemma4: the last layer sees everything, whatever the list says."""
    kinds = listed(config)
    return kinds and [*kinds[:-1], FULL]


def image_layers(config: Config) -> list[str] | None:
    """mllama: the listed layers attend to image tiles instead of text."""
    chosen = set(config.items("cross_attention_layers") or ())
    return ["cross_attention" if i in chosen else FULL for i in layers(config)]


def block_list(config: Config) -> list[str] | None:
    """nemotron-nas: one configuration a block; blocks without attention of their own hold nothing."""
    blocks = config.items("block_configs")
    return None if blocks is None else [FULL if attends(block) else "no_attention" for block in blocks]


def attends(block: object) -> bool:
    section = block.get("attention") if isinstance(block, dict) else None
    return isinstance(section, dict) and not section.get("no_op") and not section.get("replace_with_linear")


def cross_layer_sharing(config: Config) -> list[str] | None:
    """hunyuan: with `use_cla`, each group of layers shares the cache of its first."""
    if not config.flag("use_cla"):
        return None
    share = config.integer("cla_share_factor", default=2)
    return ["shared" if i % share else FULL for i in layers(config)]


def attention_flags(config: Config) -> list[str] | None:
    """minimax_m1: `attn_type_list`, 1 where the layer is softmax attention."""
    flags = config.items("attn_type_list")
    return None if flags is None else [FULL if flag else LINEAR for flag in flags]
