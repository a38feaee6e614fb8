"""A checkpoint that is quantised itself, and adapters beside it: its weights stay as they are stored."""

from __future__ import annotations

from hfmem.memory.subject import Model
from hfmem.memory.training.matrices import elements, tensors_of
from hfmem.memory.training.workload import Training

SCALE_AND_ZERO_BITS = 16 + 4  # of a group: a 16-bit scale and a 4-bit zero


def packed_bytes(model: Model, workload: Training) -> int | None:
    """Bytes of packed weights, from the headers or else from the quantisation's bits and groups; None where nothing is packed."""
    if not workload.trains_adapters:
        return None
    weights, quantization = model.weights, model.spec.quantization
    if weights is not None:
        is_packed = any(portion.reason == "packed weights" for portion in weights.portions)
        return weights.loaded_bytes if is_packed else None
    if quantization is None or not quantization.bits:
        return None
    tensors = tensors_of(model.spec, None)
    packed = elements([tensor for tensor in tensors if tensor.is_linear])
    bits = quantization.bits + SCALE_AND_ZERO_BITS / (quantization.group_size or 128)
    return round(packed * bits / 8) + (elements(tensors) - packed) * 2
