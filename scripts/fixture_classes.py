"""What a transformers class holds and what it would store: built on the meta device, so no weight is ever allocated."""

from __future__ import annotations

import json
import logging
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hfmem.witness.build import read_infinity

os.environ["HF_HUB_OFFLINE"] = "1"
logging.disable(logging.WARNING)

BITS = {
    "F64": 64, "I64": 64, "F32": 32, "I32": 32, "U32": 32, "BF16": 16, "F16": 16,
    "I8": 8, "U8": 8, "F8_E4M3": 8, "BOOL": 8,
}  # fmt: skip
DTYPES = {
    "float64": "F64", "float32": "F32", "float16": "F16", "bfloat16": "BF16",
    "int64": "I64", "int32": "I32", "int8": "I8", "uint8": "U8", "bool": "BOOL",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Tensor:
    """One entry of a safetensors header; `packs` is how many values each element holds."""

    dtype: str
    shape: tuple[int, ...]
    packs: int = 1

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        return self.elements * BITS[self.dtype] // 8


Tensors = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Change:
    """One named difference between the parameters of a class and the tensors of a file."""

    reason: str
    removed: Tensors = field(default_factory=dict)
    added: Tensors = field(default_factory=dict)

    @property
    def elements(self) -> int:
        return count(self.added.values()) - count(self.removed.values())

    @property
    def num_bytes(self) -> int:
        return weigh(self.added.values()) - weigh(self.removed.values())


def count(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.elements for tensor in tensors)


def weigh(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.num_bytes for tensor in tensors)


@dataclass(frozen=True, slots=True)
class Built:
    """A class on the meta device: its unique parameters, its persistent buffers, its ties and what it stores."""

    architecture: str
    unique_parameters: int
    parameter_bytes: int
    buffers: Tensors
    tied: list[list[str]]
    stored: Tensors


def read_config(model_type: str, values: dict[str, Any]) -> Any:
    """The configuration object of a model type, from the values a config.json holds."""
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return CONFIG_MAPPING[model_type](**json.loads(json.dumps(values), object_hook=read_infinity))


def build(config: Any, *, architecture: str, dtype: str) -> Built:
    """The class named `architectures`, built from a configuration object."""
    import torch
    import transformers
    from transformers.modeling_utils import remove_tied_weights_from_state_dict

    config.architectures = [architecture]
    with torch.device("meta"):
        model = getattr(transformers, architecture)._from_config(config, dtype=getattr(torch, dtype))
    state = {name: value for name, value in model.state_dict().items() if name not in (model._keys_to_ignore_on_save or ())}
    parameters = dict(model.named_parameters(remove_duplicate=False))
    buffers = {name: describe(value) for name, value in state.items() if name not in parameters}
    kept = remove_tied_weights_from_state_dict(dict(state), model)
    unique = {id(value): describe(value) for value in model.parameters()}
    return Built(
        architecture,
        count(unique.values()),
        weigh(unique.values()),
        buffers,
        ties(parameters, kept),
        {name: describe(value) for name, value in hub_names(model, kept).items()},
    )


def describe(tensor: Any) -> Tensor:
    return Tensor(DTYPES[str(tensor.dtype).removeprefix("torch.")], tuple(tensor.shape))


def ties(parameters: dict[str, Any], kept: dict[str, Any]) -> list[list[str]]:
    """Pairs of the name that is not stored and the name that is."""
    names = {id(parameters[name]): name for name in kept if name in parameters}
    return sorted([name, names[id(value)]] for name, value in parameters.items() if name not in kept and id(value) in names)


def hub_names(model: Any, state: dict[str, Any]) -> dict[str, Any]:
    """
    The names and shapes `save_pretrained` writes: fused experts apart, today's prefixes turned back.

    Of the prefixes that loading accepts with and without, only `vision_model` is put back: Hub files of a model with a
    CLIP or SigLIP tower have it, once.
    """
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import PrefixChange, revert_weight_conversion

    conversions = get_model_conversion_mapping(model, add_legacy=False)
    model._weight_conversions = [
        conversion
        for conversion in conversions
        if not isinstance(conversion, PrefixChange) or conversion.prefix_to_remove == "vision_model"
    ] or None
    stored = revert_weight_conversion(model, state)
    return {name.replace("vision_model.vision_model.", "vision_model."): value for name, value in stored.items()}
