"""The layers of a GGUF model: their kinds, what each keeps, and the block behind it."""

from __future__ import annotations

from hfmem.errors import ConfigError
from hfmem.model.gguf_depth import Depth, read_depth
from hfmem.model.gguf_fields import Fields, Shapes
from hfmem.model.gguf_mixers import mixers
from hfmem.model.layers import MAX_LAYERS
from hfmem.model.spec import Dense, Experts, Layer
from hfmem.tables.gguf import CACHELESS, UNREAD, WINDOWS


def num_layers(fields: Fields) -> int:
    """The decoder's layers: those of the file without the draft's, which come last."""
    count = fields.integer("block_count")
    if count > MAX_LAYERS:
        raise ConfigError(f"GGUF metadata: {fields.key('block_count')} is {count}; {MAX_LAYERS} is the most", code="bad-field")
    return max(0, count - (fields.optional("nextn_predict_layers") or 0)) or count


def read_layers(fields: Fields, shapes: Shapes) -> tuple[Layer, ...]:
    """The layers with what they keep and the blocks behind them. Raises `ConfigError`."""
    if fields.arch in UNREAD:
        reason = f"a {fields.arch!r} model {UNREAD[fields.arch]}, which this version cannot size"
        raise ConfigError(reason, code="unknown-layer-kind", hint="the weights are still right")
    count = num_layers(fields)
    if fields.arch in CACHELESS:
        return tuple(Layer(kind="full_attention", ffn=block(fields, shapes, index)) for index in range(count))
    depth = read_depth(fields, count)
    return tuple(
        Layer(kind=kind(fields, depth, index), mixers=tuple(mixers(fields, depth, index)), ffn=block(fields, shapes, index))
        for index in range(count)
    )


def kind(fields: Fields, depth: Depth, index: int) -> str:
    """The layer's kind, in transformers' words."""
    if depth.recurs[index]:
        own = "conv" if fields.value("shortconv.l_cache") is not None else "linear_attention"
        return "hybrid" if depth.attends[index] else own
    if not depth.attends[index]:
        return "mlp"
    if index >= depth.num_owners:
        return "shared"
    row = WINDOWS.get(fields.arch)
    slides = "chunked_attention" if row and row.is_chunked else "sliding_attention"
    return slides if depth.windows[index] else "full_attention"


def block(fields: Fields, shapes: Shapes, index: int) -> Dense | Experts | None:
    """The feed-forward block behind a layer's mixers, by its tensors where they are known, else by the fields."""
    merged, single = (shapes.last(index, f"ffn_down{end}.weight") for end in ("_exps", ".*"))
    if merged or single:
        return experts(fields, merged or single, shapes.last(index, "ffn_down_shexp.weight"), index)
    inner = shapes.last(index, "ffn_down.weight")
    if inner:
        is_fused = shapes.first(index, "ffn_up.weight") == 2 * inner
        return Dense(intermediate_size=inner, gated=is_fused or bool(shapes.last(index, "ffn_gate.weight")))
    return None if index in shapes.by_layer else block_of_fields(fields, index)


def block_of_fields(fields: Fields, index: int) -> Dense | Experts | None:
    inner = fields.at_layer("feed_forward_length", index, 0)
    routed = fields.at_layer("expert_feed_forward_length", index, inner)
    if fields.optional("expert_count") and index >= (fields.optional("leading_dense_block_count") or 0):
        return experts(fields, routed, fields.optional("expert_shared_feed_forward_length") or 0, index)
    return Dense(intermediate_size=inner) if inner else None


def experts(fields: Fields, inner: int, shared: int, index: int) -> Experts:
    return Experts(
        num_experts=fields.integer("expert_count"),
        experts_per_token=fields.at_layer("expert_used_count", index),
        intermediate_size=inner,
        shared_intermediate_size=shared,
    )
