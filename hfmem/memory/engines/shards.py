"""
The weights one rank of a serving engine holds: split, copied or padded, fused, and as its allocator rounds them.

Source: vLLM 0.33's parallel layers (see `tables/shards.py`); `allocator.py` has the rounding.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from hfmem.checkpoint.tensors import DTYPE_BITS
from hfmem.memory.engines.allocator import allocated_bytes
from hfmem.memory.engines.values import cdiv
from hfmem.memory.weights import FLOATS, Portion, Weights
from hfmem.model.spec import ModelSpec
from hfmem.tables.packing import MATRIX_ROLES, WHAT_IF
from hfmem.tables.shards import (
    FUSED_QKV,
    KEY_VALUE,
    ROW,
    TOWER_SPLIT,
    VOCABULARY,
    VOCABULARY_MULTIPLE,
    WHOLE,
    fused_name,
    rule_of,
)

AFTER = 10**9
ORDER = {"attention": 1, "recurrent": 1, "mlp": 2, "experts": 3}  # in which a layer makes its modules
TOWERS = ("vision", "audio")


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """How many ranks share a model: `expert` is whether experts are handed out whole instead of being cut."""

    tp: int = 1
    pp: int = 1
    dp: int = 1
    expert: bool = False

    @property
    def num_devices(self) -> int:
        return self.tp * self.pp * self.dp


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """The layers of one pipeline stage."""

    start: int
    end: int
    is_first: bool = True
    is_last: bool = True

    def holds(self, layer: int) -> bool:
        """The last stage has what lies beyond the decoder too: an encoder may be deeper."""
        return self.start <= layer and (layer < self.end or self.is_last)


def stages(num_layers: int, pp: int) -> tuple[Stage, ...]:
    """Equal runs of layers; what is left over goes to the last stages but one (vLLM's `get_pp_indices`)."""
    counts = [num_layers // pp] * pp
    for index in range(num_layers % pp):
        counts[-(index + 2) % pp] += 1
    starts = [sum(counts[:index]) for index in range(pp)]
    return tuple(
        Stage(start=start, end=start + count, is_first=index == 0, is_last=index == pp - 1)
        for index, (start, count) in enumerate(zip(starts, counts, strict=True))
    )


def rank_bytes(weights: Weights, model: ModelSpec, split: Split, stage: Stage, dtype: str | None, model_dtype: str) -> int:
    """Bytes the allocator counts for the weights of one rank; `dtype` is a what-if for the matrices."""
    return allocated_bytes(rank_tensors(weights, stage, model, dtype, model_dtype, lambda one: share(one, model, split)))


def rank_tensors(
    weights: Weights,
    stage: Stage,
    model: ModelSpec,
    dtype: str | None,
    model_dtype: str,
    share_of: Callable[[Portion], float],
) -> list[int]:
    """Bytes of the fused tensors of one rank, in the order their modules are made."""
    fused: dict[tuple[int, int, str], float] = defaultdict(float)
    for portion in weights.portions:
        if portion.is_loaded:
            size = tensor_bytes(portion, dtype, model_dtype) * share_of(portion)
            order, name = ORDER.get(portion.role, 0), fused_name(portion.group.pattern)
            for layer, count in layer_counts(portion, model, stage).items():
                fused[place(portion.role, layer), order, name] += size * count
    return [round(fused[key]) for key in sorted(fused)]


def place(role: str, layer: int) -> int:
    """Where a module is made: embeddings before the layers, the head and the last norm after them."""
    return layer if layer >= 0 else AFTER if role in ("head", "norms") else layer


def layer_counts(portion: Portion, model: ModelSpec, stage: Stage) -> Mapping[int, int]:
    """Tensors of the portion by layer, those of one stage; embeddings are the first stage's, the head the last's."""
    if portion.role in TOWERS:
        return portion.group.layers if stage.is_first else {}
    drafts_from = model.num_layers if portion.count < portion.group.count else None  # the group's drafts are another portion
    found = {
        layer: count
        for layer, count in portion.group.layers.items()
        if layer >= 0 and stage.holds(layer) and (drafts_from is None or layer < drafts_from)
    }
    outside = portion.group.layers.get(-1, 0)
    if outside and portion.role == "embeddings":
        has = stage.is_first or (stage.is_last and model.tied_embeddings)
    else:
        has = stage.is_last if portion.role in ("head", "norms") else stage.is_first
    return found | ({-1: outside} if outside and has else {})


def tensor_bytes(portion: Portion, dtype: str | None, model_dtype: str) -> float:
    """Bytes of one tensor as loaded: floats in the model's dtype, packed ones as stored, matrices as the what-if says."""
    group = portion.group
    if dtype:
        is_matrix = portion.role in MATRIX_ROLES and len(group.shape) >= 2
        return portion.elements / portion.count * WHAT_IF[dtype][0 if is_matrix else 1] / 8
    if group.dtype in FLOATS and portion.reason is None:
        return group.tensor_elements * DTYPE_BITS[model_dtype] / 8
    return group.tensor_bytes


def share(portion: Portion, model: ModelSpec, split: Split) -> float:
    """The part of a tensor one rank holds; more than 1 where it is padded."""
    pattern, rule = portion.group.pattern, rule_of(portion.group.pattern)
    if portion.role == "experts" and rule != WHOLE:
        return experts_share(model, split)
    if portion.role in TOWERS:
        return 1 / split.tp if TOWER_SPLIT.search(pattern) else 1.0
    if rule == VOCABULARY and len(portion.group.shape) == 2:
        rows = portion.group.shape[0]
        return cdiv(rows, VOCABULARY_MULTIPLE) * VOCABULARY_MULTIPLE / rows / split.tp
    if split.tp == 1 or rule in (WHOLE, ROW):
        return 1.0
    return heads_share(model, split.tp, rule)


def heads_share(model: ModelSpec, tp: int, rule: str) -> float:
    """Keys and values are copied where there are more ranks than key-value heads."""
    heads, kv_heads = model.num_attention_heads, model.num_key_value_heads
    if not heads or not kv_heads or rule not in (KEY_VALUE, FUSED_QKV) or kv_heads >= tp:
        return 1 / tp
    if rule == KEY_VALUE:
        return 1 / kv_heads
    return (heads / tp + 2) / (heads + 2 * kv_heads)


def experts_share(model: ModelSpec, split: Split) -> float:
    """Whole experts a rank, the first ranks one more; or a slice of every expert over all ranks and replicas."""
    ranks = split.tp * split.dp
    count = next(num_experts(model), 0)
    return cdiv(count, ranks) / count if split.expert and count else 1 / ranks


def num_experts(model: ModelSpec) -> Iterator[int]:
    from hfmem.model.spec import Experts

    for layer in model.decoder.layers if model.decoder else ():
        if isinstance(layer.ffn, Experts):
            yield layer.ffn.num_experts
