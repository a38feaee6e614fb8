"""
Which gradients exist when: a backward pass makes them from the head down to the embeddings.

Without accumulation nothing exists before its own turn (set_to_none). A tied table gets two gradients; autograd adds them into
a third tensor, so that at the end two tables are held besides (torch/csrc/autograd/input_buffer.cpp: the first is a view).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from hfmem.memory.training.adapted import reads_norm
from hfmem.memory.training.dynamic import Dynamic
from hfmem.memory.training.matrices import Tensors, elements
from hfmem.memory.training.static import Static
from hfmem.memory.training.workload import Training
from hfmem.tables.packing import MATRIX_ROLES


class Arriving(NamedTuple):
    """Bytes of gradients on one device, by moment of the backward pass."""

    head: int  # when the last layer's turn comes
    at_block: int  # while the first layer's block is at work
    at_mixer: int  # while its mixer is
    tied: int = 0  # beside all of them, when the embeddings are done


def arriving(static: Static, dynamic: Dynamic, workload: Training) -> Arriving:
    everything = static.gradients
    if workload.grad_accum > 1:
        return Arriving(everything, everything, everything, 3 * tied_table(static, dynamic))
    if workload.frees_gradients:
        return Arriving(everything, everything, everything)
    tensors = [tensor for group in static.trained for tensor in group.tensors]
    table = tied_table(static, dynamic)
    late = [t for t in tensors if t.role == "embeddings"]
    inner = [t for t in tensors if t.role in MATRIX_ROLES and reads_norm(t)]
    mixer = [t for t in tensors if t.role in ("attention", "recurrent")]
    missing_at_mixer = part(static, late) + part(static, [t for t in mixer if t in inner]) // dynamic.num_layers
    missing_at_block = part(static, late) + part(static, [*mixer, *(t for t in inner if t not in mixer)]) // dynamic.num_layers
    return Arriving(
        head=table or part(static, [t for t in tensors if t.role == "head"]),
        at_block=everything - missing_at_block + table,
        at_mixer=everything - missing_at_mixer + table,
        tied=2 * table,
    )


def part(static: Static, tensors: Iterable[Tensors]) -> int:
    """Their share of the gradients of one device."""
    total = static.trained_elements
    return static.gradients * elements(list(tensors)) // total if total else 0


def tied_table(static: Static, dynamic: Dynamic) -> int:
    """The gradient of a table that also scores; 0 where the head is its own or nothing is scored."""
    tensors = [tensor for group in static.trained for tensor in group.tensors]
    tables = [tensor for tensor in tensors if tensor.role == "embeddings" and tensor.cols > 1]
    if not (tables and dynamic.logits):
        return 0
    table = max(tables, key=lambda tensor: tensor.elements)
    has_head = any(
        tensor.role == "head" and (tensor.elements >= table.elements or tensor.module == "score") for tensor in tensors
    )
    return 0 if has_head else part(static, [replace(table, count=1)])
