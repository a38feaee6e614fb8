"""A checkpoint that is quantised itself, and adapters beside it: its weights stay as they are stored."""

from __future__ import annotations

from collections.abc import Sequence

from hfmem.memory.subject import Model
from hfmem.memory.training.matrices import Tensors, elements
from hfmem.memory.training.workload import Training

SCALE_AND_ZERO_BITS = 16 + 4  # of a group: a 16-bit scale and a 4-bit zero


def packed_bytes(model: Model, tensors: Sequence[Tensors], workload: Training) -> int | None:
    """Bytes of packed weights, from the headers or else from the quantisation's bits and groups; None where nothing is packed."""
    if not workload.trains_adapters:
        return None
    weights, quantization = model.weights, model.spec.quantization
    if weights is not None:
        return weights.loaded_bytes if is_packed(model) else None
    if quantization is None or not quantization.bits:
        return None
    packed = elements([tensor for tensor in tensors if tensor.is_linear])
    bits = quantization.bits + (SCALE_AND_ZERO_BITS / (quantization.group_size or 128) if quantization.bits < 8 else 0)
    return round(packed * bits / 8) + (elements(tensors) - packed) * 2


def is_packed(model: Model) -> bool:
    """Whether a checkpoint's weights are quantised, by its configuration or by how its tensors are stored."""
    return model.spec.quantization is not None or (model.weights is not None and model.weights.is_packed)
