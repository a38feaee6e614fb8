"""
What data parallelism keeps on each of N devices, and what is whole there for a while.

    ddp            everything, and buckets that hold the gradients again, from the first backward pass on
    zero1          optimizer states / N
    zero2, shard-grad-op    optimizer states and gradients / N; ZeRO-2 has reduce buckets of 5·10⁸ elements
    zero3, fsdp, fsdp1      weights, states and gradients / N; whole: the root group (embeddings, head) and blocks in 16 bits;
                   ZeRO-3 has a reduce bucket too
    no-reshard     as fsdp, but the weights stay whole in 16 bits from the forward pass on

FSDP1 gathers one block at a time in the backward pass, the others the next one too. Scales of packed weights are not
parameters and stay whole. Tensor parallelism divides every matrix before that. Left out: NCCL's own buffers (`runtime`).
Sources: torch/distributed/fsdp, deepspeed/runtime/zero; the blocks and the root group are those of measured intercepts
(docs/method.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from hfmem.memory.training.adapters import base_bytes, linear_modules
from hfmem.memory.training.matrices import Tensors, elements
from hfmem.memory.training.static import Static, largest
from hfmem.memory.training.workload import Training

BUCKET_ELEMENTS = 500_000_000  # DeepSpeed's reduce_bucket_size
BYTE_FIELDS = ("weights", "scales", "adapters", "master_weights", "optimizer", "gradients", "step_temporary", "autocast_copies")
SHARDED = {
    "none": (),
    "ddp": (),
    "zero1": ("master_weights", "optimizer", "step_temporary"),
    "zero2": ("master_weights", "optimizer", "step_temporary", "gradients"),
    "shard-grad-op": BYTE_FIELDS,
    "zero3": BYTE_FIELDS,
    "fsdp": BYTE_FIELDS,
    "fsdp1": BYTE_FIELDS,
    "no-reshard": BYTE_FIELDS,
}
KEEPS_GATHERED = ("shard-grad-op", "no-reshard")
BLOCKS = {"fsdp1": 1}


class Gathered(NamedTuple):
    """What a device holds beyond its share, by moment."""

    loss: int = 0
    last: int = 0
    first: int = 0
    step: int = 0


class Sharded(NamedTuple):
    """One device's share, and what it holds unsharded for a while."""

    static: Static
    gathered: Gathered = Gathered()


def shard(static: Static, tensors: Sequence[Tensors], workload: Training, num_layers: int, packed: bool = False) -> Sharded:
    """One device's share of the static state."""
    split = offloaded(divided(static, workload.tensor_parallel, BYTE_FIELDS), workload)
    count = workload.replicas
    if count == 1 and workload.offload != "parameters":
        return Sharded(static=split)
    whole = divided(split, count, SHARDED[workload.shard])
    if "weights" in SHARDED[workload.shard] and workload.offload != "parameters":
        whole = whole._replace(weights=whole.weights + split.scales - share(split.scales, count))
    return Sharded(static=whole, gathered=gathered(split, tensors, workload, num_layers, packed))


def divided(static: Static, count: int, names: Sequence[str]) -> Static:
    changed: dict[str, Any] = {name: share(getattr(static, name), count) for name in names}
    return static._replace(**changed)


def offloaded(static: Static, workload: Training) -> Static:
    """States on the CPU, and with `parameters` everything else that is not computed with at the moment."""
    if workload.offload == "none":
        return static
    left = static._replace(optimizer=0, master_weights=0, step_temporary=0)
    return left if workload.offload == "optimizer" else left._replace(weights=0, adapters=0, gradients=0)


def gathered(static: Static, tensors: Sequence[Tensors], workload: Training, num_layers: int, packed: bool) -> Gathered:
    """What is whole on one device beside its share."""
    if workload.shard == "ddp":
        return Gathered(loss=static.gradients, last=static.gradients, first=static.gradients, step=static.gradients)
    if "weights" not in SHARDED[workload.shard]:
        bucket = bucket_bytes(static, workload) if workload.shard == "zero2" else 0
        return Gathered(last=bucket, first=bucket)
    root, block = group_bytes(tensors, workload, num_layers, packed)
    if workload.shard in KEEPS_GATHERED:
        root, block = root + block * num_layers, 0
    if workload.shard == "zero3":
        root += bucket_bytes(static, workload)
    blocks, trains = block * BLOCKS.get(workload.shard, 2), not workload.trains_adapters
    last = first_gradients(tensors, workload) if trains else 0
    return Gathered(loss=root, last=root + blocks + last, first=root + blocks + (block if trains else 0))


def group_bytes(tensors: Sequence[Tensors], workload: Training, num_layers: int, packed: bool) -> tuple[int, int]:
    """Bytes of the root group and of one block as they are computed with."""
    each = base_bytes(workload)
    inner = [tensor for tensor in tensors if tensor.role not in ("embeddings", "head")]
    small = elements(linear_modules(inner, workload)) if packed or workload.method == "qlora" else 0
    block = (elements(inner) - small) * each + small // (1 if workload.quantization == "int8" and not packed else 2)
    root = (elements(tensors) - elements(inner)) * each
    return share(root, workload.tensor_parallel), share(block, max(1, num_layers) * workload.tensor_parallel)


def first_gradients(tensors: Sequence[Tensors], workload: Training) -> int:
    """The head's gradient and that of one matrix, as they are computed, before they are shared out."""
    head = sum(tensor.total for tensor in tensors if tensor.role == "head")
    matrix = largest([tensor for tensor in tensors if tensor.is_linear])
    return share(base_bytes(workload) * (head + matrix), workload.tensor_parallel)


def bucket_bytes(static: Static, workload: Training) -> int:
    """DeepSpeed's reduce bucket, in 16 bits."""
    return 2 * min(BUCKET_ELEMENTS, share(static.trained_elements, workload.tensor_parallel))


def share(num_bytes: int, count: int) -> int:
    """One device's part, rounded up."""
    return -(-num_bytes // count)
