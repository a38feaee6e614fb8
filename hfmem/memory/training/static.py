"""What is alive at every moment of training: weights, adapters, optimizer states; and gradients while they exist."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hfmem.errors import UsageError
from hfmem.memory.training.matrices import Tensors, elements
from hfmem.memory.training.workload import Training
from hfmem.tables.optimizers import OPTIMIZERS, Optimizer

WEIGHT_BYTES = {"bf16": 2, "fp16": 2, "fp32": 4, "mixed": 4}
ADAPTER_BYTES = 4  # PEFT keeps adapters in float32 (autocast_adapter_dtype)
SMALL_TENSOR = 4096  # elements; bitsandbytes leaves smaller ones in float32
# Bits of a packed weight: 4 and its absmax, float32 a block of 64, or 8-bit with float32 a block of 256 of those; int8 a row.
NF4_BITS, NF4_DOUBLE_BITS, INT8_BITS = 4 + 32 / 64, 4 + 8 / 64 + 32 / (64 * 256), 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Static:
    """Bytes before sharding. `trained` are the tensors that have gradients."""

    weights: int
    adapters: int
    optimizer: int
    gradients: int
    step_temporary: int
    trained: tuple[Tensors, ...]

    @property
    def trained_elements(self) -> int:
        return elements(self.trained)


def static_state(tensors: Sequence[Tensors], workload: Training) -> Static:
    """Every byte that does not depend on the tokens. Raises `UsageError` where no module is a LoRA target."""
    adapters = adapter_tensors(tensors, workload) if workload.method != "full" else ()
    trained = tuple(tensors) if workload.method == "full" else adapters
    each = WEIGHT_BYTES[workload.precision] if workload.method == "full" else ADAPTER_BYTES
    row = OPTIMIZERS[workload.optimizer]
    return Static(
        weights=weight_bytes(tensors, workload),
        adapters=elements(adapters) * ADAPTER_BYTES,
        optimizer=state_bytes(row, trained, each) if row.on_device else 0,
        gradients=largest(trained) * each if row.frees_gradients else elements(trained) * each,
        step_temporary=temporary_bytes(row, trained, each),
        trained=trained,
    )


def weight_bytes(tensors: Sequence[Tensors], workload: Training) -> int:
    """The base model's weights: as trained, or packed but for embeddings, head and norms."""
    if workload.method == "full":
        return elements(tensors) * WEIGHT_BYTES[workload.precision]
    each = 4 if workload.precision == "fp32" else 2
    if workload.method == "lora":
        return elements(tensors) * each
    packed = elements([tensor for tensor in tensors if tensor.is_linear])
    norms = elements([tensor for tensor in tensors if tensor.role == "norms"]) if workload.float32_residual else 0
    return round(packed * packed_bits(workload) / 8) + (elements(tensors) - packed - norms) * each + norms * 4


def packed_bits(workload: Training) -> float:
    if workload.quantization == "int8":
        return INT8_BITS
    return NF4_DOUBLE_BITS if workload.double_quantization else NF4_BITS


def adapter_tensors(tensors: Sequence[Tensors], workload: Training) -> tuple[Tensors, ...]:
    """
    Two matrices of the rank for each targeted linear module: rank · (rows + columns) elements.

    `all-linear` takes every linear module but the head, as PEFT does; experts that a class fuses into one tensor are no
    linear modules, so that only files that store them one by one count them.
    """
    wanted = {name.strip() for name in workload.lora_targets.split(",")}
    chosen = [t for t in tensors if t.is_linear and ("all-linear" in wanted or t.module in wanted)]
    if not chosen:
        names = sorted({tensor.module for tensor in tensors if tensor.is_linear})
        raise UsageError(
            f"no module of this model is a LoRA target: {workload.lora_targets}",
            code="bad-workload",
            hint=f"its linear modules: {', '.join(names)}",
        )
    rank = workload.lora_rank
    return tuple(adapter for t in chosen for adapter in (pair(t, rank, t.cols, "lora_A"), pair(t, t.rows, rank, "lora_B")))


def pair(tensor: Tensors, rows: int, cols: int, module: str) -> Tensors:
    return Tensors(module=f"{tensor.module}.{module}", rows=rows, cols=cols, count=tensor.count, role=tensor.role)


def state_bytes(row: Optimizer, trained: Sequence[Tensors], each: int) -> int:
    """Optimizer states of all trained tensors; `each` is the bytes of a parameter, which its states share."""
    return sum(tensor.count * tensor_state(row, tensor, each) for tensor in trained)


def tensor_state(row: Optimizer, tensor: Tensors, each: int) -> int:
    """States of one tensor."""
    is_matrix = tensor.cols > 1
    if row.state_bits is not None:
        stays = row.keeps_small_in_float32 and (tensor.elements < SMALL_TENSOR or tensor.role == "embeddings")
        copies = 1 if row.state_bits < 16 and row.keeps_small_in_float32 else 2
        return tensor.elements * 4 * copies if stays else round(tensor.elements * row.state_bits / 8)
    if row.orthogonal:
        return tensor.elements * each * (1 if tensor.is_linear else 2)
    if row.factored:
        return (tensor.rows + tensor.cols) * 4 if is_matrix else tensor.elements * 4
    if row.rank is not None and tensor.is_linear:
        small, large = sorted((tensor.rows, tensor.cols))
        rank = min(row.rank, small)
        return (small * rank + row.copies * large * rank) * each
    return tensor.elements * each * row.copies


def temporary_bytes(row: Optimizer, trained: Sequence[Tensors], each: int) -> int:
    """What the step makes besides: a copy of every state (foreach), or working copies of the largest tensor."""
    if row.temporary == "all":
        return elements(trained) * each
    if row.temporary == "none":
        return 0
    return largest(trained) * (3 * 2 if row.orthogonal else 2 * 4 if row.factored else each)


def largest(trained: Sequence[Tensors]) -> int:
    return max((tensor.elements for tensor in trained), default=0)
