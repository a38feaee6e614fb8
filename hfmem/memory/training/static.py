"""What is alive at every moment of training: weights, adapters, optimizer states; and gradients while they exist."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from hfmem.memory.training.adapters import BYTES, Trained, base_bytes, linear_modules, trained_groups
from hfmem.memory.training.matrices import Tensors, elements
from hfmem.memory.training.numerics import autocasts_weights
from hfmem.memory.training.workload import Training
from hfmem.tables.optimizers import OPTIMIZERS, Optimizer

SMALL_TENSOR = 4096  # elements; bitsandbytes leaves smaller ones in float32
# Bits beside a packed weight: absmax in float32 a block of 64, or in 8 bits with float32 a block of 256 of those.
PACKED_BITS = {"nf4": 4, "fp4": 4, "int8": 8}
SCALE_BITS, DOUBLE_SCALE_BITS = 32 / 64, 8 / 64 + 32 / (64 * 256)


class Static(NamedTuple):
    """Bytes of one copy of the model before it is shared out."""

    weights: int
    scales: int = 0  # of packed weights, in `weights` too: quantisation states are no parameters and are not sharded
    adapters: int = 0  # parameters trained beside the weights
    master_weights: int = 0
    optimizer: int = 0
    gradients: int = 0
    step_temporary: int = 0
    autocast_copies: int = 0  # 16-bit copies autocast makes of float32 matrices, kept until their backward pass
    trained: tuple[Trained, ...] = ()

    @property
    def trained_elements(self) -> int:
        return sum(group.elements for group in self.trained)


def static_state(tensors: Sequence[Tensors], workload: Training, packed_bytes: int | None = None) -> Static:
    """
    Every byte that does not depend on the tokens; `packed_bytes` are those of a checkpoint that is quantised itself.

    Raises `UsageError` where no module is a LoRA target.
    """
    trained, row = trained_groups(tensors, workload), OPTIMIZERS[workload.optimizer]
    gradients = sum(gradient_bytes(group, workload) for group in trained)
    return Static(
        weights=packed_bytes or weight_bytes(tensors, workload),
        scales=0 if packed_bytes else round(packed_elements(tensors, workload) * scale_bits(workload) / 8),
        adapters=sum(group.elements * group.num_bytes for group in trained) if workload.trains_adapters else 0,
        master_weights=sum(group.elements * 4 for group in trained) if workload.keeps_master else 0,
        optimizer=sum(state_bytes(row, group.tensors, state_width(group, workload)) for group in trained) * row.on_device,
        gradients=gradients,
        step_temporary=sum(step_bytes(row, group, workload) for group in trained),
        autocast_copies=2 * sum(elements(applied(group.tensors)) for group in trained) if autocasts_weights(workload) else 0,
        trained=trained,
    )


def applied(tensors: Sequence[Tensors]) -> list[Tensors]:
    """Matrices that linear modules multiply with, the head among them."""
    return [tensor for tensor in tensors if tensor.is_linear or tensor.role == "head"]


def state_width(group: Trained, workload: Training) -> int:
    """States have the dtype of what the optimizer updates."""
    return 4 if workload.keeps_master else group.num_bytes


def gradient_bytes(group: Trained, workload: Training) -> int:
    each = BYTES[workload.gradient_dtype] if workload.gradient_dtype else group.num_bytes
    return each * (largest(group.tensors) if workload.frees_gradients else group.elements)


def weight_bytes(tensors: Sequence[Tensors], workload: Training) -> int:
    """The base model's weights: as trained, or packed but for embeddings, head and norms."""
    if not workload.trains_adapters:
        return elements(tensors) * BYTES[workload.precision]
    packed, each = packed_elements(tensors, workload), base_bytes(workload)
    norms = elements([tensor for tensor in tensors if tensor.role == "norms"]) if workload.float32_residual else 0
    bits = PACKED_BITS[workload.quantization] + scale_bits(workload)
    return round(packed * bits / 8) + (elements(tensors) - packed - norms) * each + norms * 4


def packed_elements(tensors: Sequence[Tensors], workload: Training) -> int:
    return elements(linear_modules(tensors, workload)) if workload.method == "qlora" else 0


def scale_bits(workload: Training) -> float:
    """Bits of scales an element: none counted for int8, which has one a row."""
    if workload.quantization == "int8":
        return 0
    return DOUBLE_SCALE_BITS if workload.double_quantization else SCALE_BITS


def state_bytes(row: Optimizer, trained: Sequence[Tensors], each: int) -> int:
    """Optimizer states of all trained tensors; `each` is the bytes of a parameter, which its states share."""
    return sum(tensor.count * tensor_state(row, tensor, each) for tensor in trained)


def tensor_state(row: Optimizer, tensor: Tensors, each: int) -> int:
    """States of one tensor."""
    is_matrix = tensor.cols > 1
    if row.state_bits is not None:
        stays = row.keeps_small_in_float32 and (tensor.elements < SMALL_TENSOR or tensor.role == "embeddings")
        return tensor.elements * 4 * row.copies if stays else round(tensor.elements * row.state_bits / 8)
    if row.orthogonal:
        return tensor.elements * each * (1 if tensor.is_linear else 2)
    if row.factored:
        return (tensor.rows + tensor.cols) * 4 if is_matrix else tensor.elements * 4
    if row.rank is not None and tensor.is_linear:
        small, large = sorted((tensor.rows, tensor.cols))
        rank = min(row.rank, small)
        return (small * rank + row.copies * large * rank) * each
    return tensor.elements * each * row.copies


def step_bytes(row: Optimizer, group: Trained, workload: Training) -> int:
    """What the step makes besides; with master weights the gradients are made float32 first."""
    width = state_width(group, workload)
    if workload.frees_gradients:
        return temporary_bytes(row, group.tensors, width) if row.temporary == "tensor" else 0
    gradients = group.elements * 4 if workload.keeps_master else 0
    return temporary_bytes(row, group.tensors, width) + gradients


def temporary_bytes(row: Optimizer, trained: Sequence[Tensors], each: int) -> int:
    """What the step makes besides: a copy of every state (foreach), or working copies of the largest tensor."""
    if row.temporary == "all":
        return elements(trained) * each
    if row.temporary == "none":
        return 0
    return largest(trained) * (3 * 2 if row.orthogonal else 2 * 4 if row.factored else each)


def largest(trained: Sequence[Tensors]) -> int:
    return max((tensor.elements for tensor in trained), default=0)
