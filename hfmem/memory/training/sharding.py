"""
What data parallelism keeps on each of N devices.

    ddp            everything, and a bucket copy of the gradients
    zero1          optimizer states / N
    zero2          optimizer states and gradients / N, and the reduce bucket of 5·10⁸ elements
    zero3, fsdp    weights, states and gradients / N, and unsharded: two blocks of weights in 16 bits, and one block's gradients

One device keeps everything, whatever the stage is called. Left out: NCCL's own buffers (in `runtime`) and the root group,
which is gathered while nothing else is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hfmem.memory.training.matrices import Tensors, elements
from hfmem.memory.training.static import Static
from hfmem.memory.training.workload import Training

BUCKET_ELEMENTS = 500_000_000  # DeepSpeed's reduce_bucket_size
GATHERED_BLOCKS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharded:
    """One device's share, and what it holds unsharded for a while."""

    static: Static
    gathered: int = 0


def shard(static: Static, tensors: Sequence[Tensors], workload: Training, num_layers: int) -> Sharded:
    """One device's share of the static state."""
    count, stage = workload.gpus, workload.shard
    if count == 1 or stage == "none":
        return Sharded(static=static)
    if stage == "ddp":
        return Sharded(static=static, gathered=static.gradients)
    optimizer = share(static.optimizer, count)
    temporary = share(static.step_temporary, count)
    if stage == "zero1":
        return Sharded(static=replace(static, optimizer=optimizer, step_temporary=temporary))
    gradients = share(static.gradients, count)
    if stage == "zero2":
        bucket = min(BUCKET_ELEMENTS, static.trained_elements) * 2
        return Sharded(
            static=replace(static, optimizer=optimizer, gradients=gradients, step_temporary=temporary), gathered=bucket
        )
    whole = replace(
        static,
        weights=share(static.weights, count),
        adapters=share(static.adapters, count),
        optimizer=optimizer,
        gradients=gradients,
        step_temporary=temporary,
    )
    return Sharded(static=whole, gathered=gathered_bytes(static, tensors, workload, num_layers))


def gathered_bytes(static: Static, tensors: Sequence[Tensors], workload: Training, num_layers: int) -> int:
    """Two blocks as they are computed with, and the gradients of one."""
    inner = [tensor for tensor in tensors if tensor.role not in ("embeddings", "head")]
    total = max(1, elements(tensors))
    packed = workload.method == "qlora"
    each = static.weights / total if packed else 4 if workload.precision == "fp32" else 2
    block = elements(inner) // max(1, num_layers)
    gradient = block * 2 if workload.method == "full" else 0
    return round(GATHERED_BLOCKS * block * each) + gradient


def share(num_bytes: int, count: int) -> int:
    """One device's part, rounded up."""
    return -(-num_bytes // count)
