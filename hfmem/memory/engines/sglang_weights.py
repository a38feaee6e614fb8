"""
The weights one rank of SGLang holds, as its log says: free memory before loading less free memory after.

That counts whole segments of torch's allocator (`allocator.py`), with what is not used of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from hfmem.memory.engines.allocator import ROUNDING, SEGMENT, SMALL, placed
from hfmem.memory.engines.extras import latent_copies, padded_experts
from hfmem.memory.engines.rotary import rotary_bytes
from hfmem.memory.engines.shards import ORDER, Split, Stage, layer_counts, place, share, tensor_bytes
from hfmem.memory.engines.values import Card, cdiv
from hfmem.memory.subject import Model
from hfmem.memory.weights import Portion, Weights
from hfmem.model.kinds import FLOAT32_BYTES
from hfmem.model.spec import Dense, ModelSpec
from hfmem.tables.engines import NEWEST
from hfmem.tables.shards import fused_name


def loaded_bytes(model: Model, split: Split, stage: Stage, card: Card, dtype: str | None, model_dtype: str) -> int | None:
    """What loading takes from one rank's free memory; None where no header was read."""
    if model.weights is None:
        return None
    sizes = rank_tensors(model.weights, model.spec, split, stage, dtype, model_dtype)
    latent = latent_copies(model.spec, split, stage, 2)
    grown = padded_experts(model.spec, split, stage, card.compute_capability, NEWEST)
    return segments([rotary_bytes(model.spec, FLOAT32_BYTES), *sizes]) + latent + grown


def rank_tensors(
    weights: Weights, model: ModelSpec, split: Split, stage: Stage, dtype: str | None, model_dtype: str
) -> list[int]:
    """Bytes of the fused tensors of one rank, in the order their modules are made."""
    fused: dict[tuple[int, int, str], float] = defaultdict(float)
    for portion in weights.portions:
        if portion.is_loaded:
            size = tensor_bytes(portion, dtype, model_dtype) * rank_share(portion, model, split)
            order, name = ORDER.get(portion.role, 0), fused_name(portion.group.pattern)
            for layer, count in layer_counts(portion, model, stage).items():
                fused[place(portion.role, layer), order, name] += size * count
    return [round(fused[key]) for key in sorted(fused)]


def rank_share(portion: Portion, model: ModelSpec, split: Split) -> float:
    """
    The part of a tensor one rank holds. With data-parallel attention only attention is split over fewer ranks.

    Source: `get_embedding_tp_kwargs` (embeddings follow attention), `LogitsProcessor` and the MLPs, which use every rank.
    """
    attends = portion.role not in ("mlp", "head") or split.dp == 1 or is_dense(model)
    whole = Split(tp=split.tp * split.dp, pp=split.pp, expert=split.expert)
    return share(portion, model, split if attends else whole)


def is_dense(model: ModelSpec) -> bool:
    """A model without experts runs whole replicas under data-parallel attention."""
    return model.decoder is None or all(isinstance(layer.ffn, Dense) for layer in model.decoder.layers)


def segments(sizes: Iterable[int]) -> int:
    """Memory torch's allocator takes for tensors made one after another: those, the ends of their segments, small ones' too."""
    free: list[int] = []
    counted = {True: 0, False: 0}
    for size in sizes:
        counted[size <= SMALL] += placed(cdiv(size, ROUNDING) * ROUNDING, free)
    return counted[False] + sum(free) + cdiv(counted[True], SEGMENT) * SEGMENT
