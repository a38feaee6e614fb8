"""How gradients pass a stack: through trained weights, through frozen ones on their way back, or not at all."""

from __future__ import annotations

from collections.abc import Sequence

from hfmem.memory.training.adapters import words
from hfmem.memory.training.matrices import TOWERS, Tensors
from hfmem.memory.training.workload import Training
from hfmem.model.spec import Stack
from hfmem.tables.packing import MATRIX_ROLES

TRAINED, FROZEN, NONE = "trained", "frozen", "none"


def passing(stack: Stack, tensors: Sequence[Tensors], workload: Training) -> str:
    """
    Adapters sit in the text stacks, so that towers below them see no gradient.

    Parts frozen by `--freeze`: a tower by its role; the layers by freezing every role of theirs, below which embeddings
    that are frozen too end the pass. A part frozen by single modules counts as trained.
    """
    frozen = words(workload.freeze)
    if stack.role in TOWERS:
        return NONE if workload.trains_adapters or stack.role in frozen else TRAINED
    if workload.trains_adapters:
        return FROZEN
    roles = {tensor.role for tensor in tensors if tensor.role in MATRIX_ROLES}
    if not roles or not roles <= frozen:
        return TRAINED
    return NONE if "embeddings" in frozen and "norms" in frozen else FROZEN
