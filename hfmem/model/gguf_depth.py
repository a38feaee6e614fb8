"""What a GGUF file or its architecture says once for each layer: heads, windows, states, shared caches."""

from __future__ import annotations

from dataclasses import dataclass

from hfmem.errors import ConfigError
from hfmem.model.gguf_fields import Fields
from hfmem.tables.gguf import DEFAULT_INTERVAL, INTERVALS, RECURRENT, RECURRENT_FIELDS, SHARED_FROM, WINDOWS, Windows

HEADS, KV_HEADS = "attention.head_count", "attention.head_count_kv"
WINDOW, PATTERN = "attention.sliding_window", "attention.sliding_window_pattern"


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """What is said once for each layer."""

    heads: tuple[int, ...]
    kv_heads: tuple[int, ...]
    windows: tuple[int | None, ...]
    recurs: tuple[bool, ...]
    attends: tuple[bool, ...]
    num_owners: int  # layers with a cache of their own

    @property
    def head(self) -> int:
        """Heads of the first layer that has any, by which widths are divided."""
        return next((count for count in self.heads if count), 0)


def read_depth(fields: Fields, count: int) -> Depth:
    heads = fields.per_layer(HEADS, count, 0 if RECURRENT.get(fields.arch) == "all" else None)
    kv_heads = fields.per_layer(KV_HEADS, count, 0) if fields.value(KV_HEADS) is not None else heads
    recurs, sharing = recurring(fields, kv_heads), fields.optional("attention.shared_kv_layers") or 0
    way = RECURRENT.get(fields.arch)
    return Depth(
        heads=heads,
        kv_heads=kv_heads,
        windows=read_windows(fields, count),
        recurs=recurs,
        attends=tuple(bool(keys) and (way == "beside" or not state) for keys, state in zip(kv_heads, recurs, strict=True)),
        num_owners=SHARED_FROM.get(fields.arch, max(0, count - sharing)),
    )


def recurring(fields: Fields, kv_heads: tuple[int, ...]) -> tuple[bool, ...]:
    """Which layers have a state of fixed size."""
    way, count = RECURRENT.get(fields.arch), len(kv_heads)
    if way == "interval":
        said = fields.flags("attention.recurrent_layers", count)
        every = fields.optional("full_attention_interval") or INTERVALS.get(fields.arch, DEFAULT_INTERVAL)
        return said or tuple(bool((index + 1) % every) for index in range(count))
    if way == "kv-heads-and-ffn":
        widths = fields.per_layer("feed_forward_length", count, 0)
        return tuple(not keys and not width for keys, width in zip(kv_heads, widths, strict=True))
    if way in ("all", "beside"):
        return (True,) * count
    has_state = way is not None or any(fields.value(name) is not None for name in RECURRENT_FIELDS)
    if has_state and way is None and all(kv_heads):
        message = f"the GGUF metadata of a {fields.arch!r} model do not say which of its layers recur"
        raise ConfigError(message, code="unknown-layer-kind", hint="the weights are still right")
    return tuple(has_state and not keys for keys in kv_heads)


def read_windows(fields: Fields, count: int) -> tuple[int | None, ...]:
    """The window of each layer, None for those that see everything."""
    row, said = WINDOWS.get(fields.arch), fields.flags(PATTERN, count)
    if row is None and said is None:
        return (None,) * count  # a window that llama.cpp has no pattern for is not used
    row = row or Windows()
    size = window_size(fields, row, count)
    if size is None:
        return (None,) * count
    return tuple(size if slides else None for slides in said or pattern(fields, row, count))


def window_size(fields: Fields, row: Windows, count: int) -> int | None:
    said = fields.optional(WINDOW)
    if said is None and row.is_required:
        raise fields.missing(WINDOW)
    found = row.default if said is None else row.fixed or said if said else None
    return found if row.only_with_layers in (None, count) else None


def pattern(fields: Fields, row: Windows, count: int) -> tuple[bool, ...]:
    """All but every n-th layer slide, by the file's own period or the architecture's."""
    own = fields.optional(PATTERN)
    period = row.period if own is None else own
    if period is None:
        raise fields.missing(PATTERN)
    full = 0 if row.full_first else period - 1
    return tuple(not period or index % period != full for index in range(count))
