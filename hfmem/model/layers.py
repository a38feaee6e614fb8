"""
Which kind each layer is: readers tried in order, the first that answers wins.

A reader looks for one way of saying it (a list, a pattern string, a period and an offset, index lists …) and returns
one kind a layer, or None where the configuration does not speak that way. A family may bring a reader of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hfmem.errors import ConfigError
from hfmem.model.config import Config, shown
from hfmem.tables.aliases import LAYER_TYPES, PATTERN_LETTERS

Reader = Callable[[Config], "list[str] | None"]
MAX_LAYERS = 10_000

FULL, SLIDING, LINEAR, CONV = "full_attention", "sliding_attention", "linear_attention", "conv"


def read_layer_kinds(config: Config, first: Sequence[Reader] = ()) -> list[str]:
    """One kind a layer, at most `MAX_LAYERS`; `first` are the family's own readers."""
    count = config.integer("num_hidden_layers", default=0, minimum=0)
    if count > MAX_LAYERS:
        raise ConfigError(f"config.json: num_hidden_layers is {count}; {MAX_LAYERS} is the most", code="bad-field")
    for reader in (*first, *READERS):
        kinds = reader(config)
        if kinds is not None:
            return shared(config, kinds)
    raise config.missing("num_hidden_layers")


def shared(config: Config, kinds: list[str]) -> list[str]:
    """The last `num_kv_shared_layers` layers read the caches of earlier ones and keep none."""
    sharing = min(config.optional("num_kv_shared_layers") or 0, len(kinds))
    return kinds[: len(kinds) - sharing] + ["shared"] * sharing


def window(config: Config) -> int | None:
    """The sliding window in tokens; None where it is null, absent or switched off by `use_sliding_window`."""
    if config.value("use_sliding_window") is False:
        return None
    return config.optional("sliding_window") or None


def listed(config: Config) -> list[str] | None:
    """`layer_types` and its other names, cut to the number of layers (draft layers may follow)."""
    kinds = config.said("layer_types")
    if not isinstance(kinds, (list, tuple)) or not kinds or not all(isinstance(kind, str) for kind in kinds):
        return None
    count = config.integer("num_hidden_layers", default=len(kinds))
    if len(kinds) < count:
        found = f"layer_types has {len(kinds)} entries for {count} layers"
        raise ConfigError(f"config.json: {found}", code="bad-field")
    return [LAYER_TYPES.get(str(kind), str(kind)) for kind in kinds[:count]]


def lettered(config: Config) -> list[str] | None:
    """`hybrid_override_pattern`: one letter a layer, and their number is the number of layers."""
    return spelled(config.value("hybrid_override_pattern"))


def repeated(config: Config) -> list[str] | None:
    """`sliding_window_pattern`: "LLLG" repeated, or every n-th layer full."""
    pattern = config.value("sliding_window_pattern")
    if pattern is None or window(config) is None:
        return None
    if isinstance(pattern, str):
        letters = spelled(pattern) or []
        return [letters[i % len(letters)] for i in layers(config)]
    return every(config, config.integer("sliding_window_pattern"), SLIDING)


def spelled(pattern: object) -> list[str] | None:
    if not isinstance(pattern, str) or not pattern:
        return None
    unknown = sorted(set(pattern) - set(PATTERN_LETTERS))
    if unknown:
        raise ConfigError(f"config.json: unknown layer letter {unknown[0]!r} in {shown(pattern)}", code="unknown-layer-kind")
    return [PATTERN_LETTERS[letter] for letter in pattern]


def interval(config: Config) -> list[str] | None:
    """`full_attention_interval`, `layer_group_size`: every n-th layer attends, the others recur."""
    for name in ("full_attention_interval", "layer_group_size"):
        if config.value(name) is not None:
            return every(config, config.integer(name), LINEAR)
    return None


def global_every(config: Config) -> list[str] | None:
    """`global_attn_every_n_layers`: every n-th layer sees everything, counted from the end of each group."""
    if config.value("global_attn_every_n_layers") is None:
        return None
    return every(config, config.integer("global_attn_every_n_layers"), SLIDING)


def every(config: Config, period: int, others: str) -> list[str]:
    return [others if (i + 1) % period else FULL for i in layers(config)]


def period_offset(config: Config) -> list[str] | None:
    """`attn_layer_period` and `attn_layer_offset` (jamba)."""
    if config.value("attn_layer_period") is None:
        return None
    period, offset = config.integer("attn_layer_period"), config.integer("attn_layer_offset", minimum=0)
    return [FULL if i % period == offset else LINEAR for i in layers(config)]


def indexed(config: Config) -> list[str] | None:
    """Lists of the layers that differ: `full_attn_idxs` among convolutions, `attn_layer_indices` among mixers."""
    for name, others in (("full_attn_idxs", CONV), ("attn_layer_indices", LINEAR)):
        if config.has(name):
            chosen = set(config.items(name) or ())
            return [FULL if i in chosen else others for i in layers(config)]
    return None


def linear_lists(config: Config) -> list[str] | None:
    """`linear_attn_config`: 1-based lists of attending and recurring layers (kimi_linear)."""
    section = config.section("linear_attn_config")
    if "full_attn_layers" not in section:
        return None
    chosen = set(section["full_attn_layers"])
    return [FULL if i + 1 in chosen else LINEAR for i in layers(config)]


def late_windows(config: Config) -> list[str] | None:
    """`max_window_layers`: the layers from there on slide (qwen2), in classes that have the field."""
    has_field = not config.is_known or "max_window_layers" in config.entry.get("fields", {})
    if not has_field or config.value("max_window_layers") is None:
        return None
    slides = window(config) is not None
    start = config.integer("max_window_layers", minimum=0)
    return [SLIDING if slides and i >= start else FULL for i in layers(config)]


def cycled(config: Config) -> list[str] | None:
    """The class's own repeating pattern, from the defaults table."""
    cycles = config.entry.get("cycles", {})
    row = cycles.get("layer_types") or cycles.get("layers_block_type")
    if row is None:
        return None
    kinds = [row["pattern"][i % len(row["pattern"])] for i in layers(config)]
    return [*kinds[:-1], row["last"]] if kinds and "last" in row else kinds


def written_out(config: Config) -> list[str] | None:
    """The list of its class, or of the class around it, where the depth is the default."""
    kinds = config.value("layer_types") or config.derived("layer_types")
    if not isinstance(kinds, list) or len(kinds) != config.integer("num_hidden_layers", default=len(kinds)):
        return None
    return [LAYER_TYPES.get(str(kind), str(kind)) for kind in kinds]


def uniform(config: Config) -> list[str] | None:
    """No list at all: every layer slides, is chunked, or sees everything, by the fields that are set."""
    count = config.integer("num_hidden_layers")
    return [own_kind(config.at(i)) for i in range(count)] if config.raw.get("per_layer_config") else [own_kind(config)] * count


def own_kind(config: Config) -> str:
    if window(config) is not None:
        return SLIDING
    return "chunked_attention" if config.optional("attention_chunk_size") else FULL


def layers(config: Config) -> range:
    return range(config.integer("num_hidden_layers"))


READERS: tuple[Reader, ...] = (
    listed,
    lettered,
    linear_lists,
    indexed,
    period_offset,
    interval,
    late_windows,
    repeated,
    global_every,
    cycled,
    written_out,
    uniform,
)
