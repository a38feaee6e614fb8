"""Count what a class holds, from the class itself: parameters, ties, buffers, and accelerate's largest layer."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from hfmem.witness.build import build

# torch's dtypes in safetensors' words
DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16", "float8_e4m3fn": "F8_E4M3",
    "int64": "I64", "int32": "I32", "int16": "I16", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip


def count(request: Mapping[str, Any]) -> dict[str, Any]:
    """
    The answer to {"config", "dtype"}: what the class holds, as `Counted` takes it.

    `tensors` have the class's own names, `stored` those of checkpoints.
    """
    model = build(request["config"], request["dtype"])
    named = dict(model.named_parameters())  # a tied tensor once
    parameters = sum(tensor.numel() for tensor in named.values())
    found = {
        "architecture": type(model).__name__,
        "parameters": parameters,
        "parameter_bytes": sum(map(num_bytes, named.values())),
        "by_dtype": by_dtype(named.values()),
        "buffer_bytes": sum(num_bytes(buffer) for buffer in model.buffers()),
        "tied": ties(model),
        "tensors": tensors(named),
        "stored": tensors(stored_names(model, named)),
    }
    model.float()
    return {**found, "whole": sizes(model), "without_head": sizes(model.base_model)}


def num_bytes(tensor: Any) -> int:
    found: int = tensor.numel() * tensor.element_size()
    return found


def word(tensor: Any) -> str:
    name = str(tensor.dtype).removeprefix("torch.")
    return DTYPES.get(name, name)


def by_dtype(found: Iterable[Any]) -> dict[str, int]:
    total: dict[str, int] = defaultdict(int)
    for tensor in found:
        total[word(tensor)] += num_bytes(tensor)
    return dict(total)


def ties(model: Any) -> list[list[str]]:
    """Groups of names that are one tensor, in the order the class has them."""
    groups: dict[int, list[str]] = defaultdict(list)
    for name, tensor in model.named_parameters(remove_duplicate=False):
        groups[id(tensor)].append(name)
    return [names for names in groups.values() if len(names) > 1]


def sizes(model: Any) -> dict[str, Any]:
    """accelerate's own sizing: all of the model, and its largest module that is not split over devices."""
    from accelerate.utils import calculate_maximum_sizes

    whole, (largest, names) = calculate_maximum_sizes(model)
    return {"total_bytes": whole, "largest_bytes": largest, "largest": names[0] if names else ""}


def stored_names(model: Any, named: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters as `save_pretrained` names and shapes them: fused experts apart, today's prefixes turned back."""
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import PrefixChange, revert_weight_conversion

    conversions = get_model_conversion_mapping(model, add_legacy=False)
    model._weight_conversions = [rule for rule in conversions if not isinstance(rule, PrefixChange)] or None
    found: dict[str, Any] = revert_weight_conversion(model, dict(named))
    return found


def tensors(named: Mapping[str, Any]) -> list[list[Any]]:
    """[name, dtype, shape] of each."""
    return [[name, word(tensor), list(tensor.shape)] for name, tensor in named.items()]
