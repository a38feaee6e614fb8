"""
The weights one rank of SGLang holds, as its log says: free memory before loading less free memory after.

That counts whole segments of torch's allocator (`allocator.py`), with what is not used of them.
"""

from __future__ import annotations

from collections.abc import Iterable

from hfmem.memory.engines.allocator import ROUNDING, SEGMENT, SMALL, placed
from hfmem.memory.engines.extras import latent_copies, padded_experts
from hfmem.memory.engines.rotary import rotary_bytes
from hfmem.memory.engines.shards import Split, Stage, rank_tensors, share
from hfmem.memory.engines.values import cdiv
from hfmem.memory.subject import Model
from hfmem.memory.weights import Portion
from hfmem.model.kinds import FLOAT32_BYTES
from hfmem.model.spec import Dense, ModelSpec
from hfmem.tables.engines import NEWEST


def loaded_bytes(
    model: Model, split: Split, stage: Stage, capability: str | None, dtype: str | None, model_dtype: str
) -> int | None:
    """What loading takes from one rank's free memory; None where no header was read."""
    if model.weights is None:
        return None
    spec = model.spec
    sizes = rank_tensors(model.weights, stage, spec, dtype, model_dtype, lambda one: rank_share(one, spec, split))
    latent = latent_copies(spec, split, stage, 2, NEWEST)
    grown = padded_experts(spec, split, stage, capability, NEWEST)
    return segments([rotary_bytes(spec, FLOAT32_BYTES), *sizes]) + latent + grown


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
