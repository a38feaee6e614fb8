"""
The class a config.json names, built on the meta device: the real modules of transformers, without a byte of weights.

Only classes transformers itself carries are built; `auto_map` and the code it names are never read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hfmem.errors import CannotTell

NOT_GEOMETRY = ("quantization_config", "auto_map", "architectures", "_attn_implementation", "attn_implementation")
DEPTHS = (
    "num_hidden_layers",
    "num_layers",
    "n_layer",
    "n_layers",
    "encoder_layers",
    "decoder_layers",
    "num_decoder_layers",
    "depth",
)
MAX_LAYERS = 1000
# The auto classes a type is looked up in where `architectures` names no class of transformers, in this order.
AUTO_CLASSES = (
    "MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_SPEECH_SEQ_2_SEQ_MAPPING_NAMES",
    "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES",
    "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES",
    "MODEL_MAPPING_NAMES",
)


def parse_config(values: Mapping[str, Any]) -> Any:
    """
    The configuration object of a config.json's values. Raises what the class raises on values it refuses.

    The quantisation is left out: the class is counted as it is before its weights are packed.
    """
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    kept = {key: value for key, value in values.items() if key not in NOT_GEOMETRY}
    name = str(values.get("model_type", ""))
    if name not in CONFIG_MAPPING:
        raise CannotTell(f"transformers has no model type {name!r}, and remote code is never run", code="not-in-transformers")
    return CONFIG_MAPPING[name].from_dict(json.loads(json.dumps(kept), object_hook=read_infinity))


def read_infinity(value: dict[str, Any]) -> Any:
    """transformers writes an infinite number as an object with one key."""
    return float(value["__float__"]) if set(value) == {"__float__"} else value


def refuse_absurd(values: Mapping[str, Any]) -> None:
    """A module is made for every layer: a number of them that no model has would take hours."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            refuse_absurd(value)
        elif name in DEPTHS and isinstance(value, int) and value > MAX_LAYERS:
            raise CannotTell(f"{name} is {value:,}; a class is built with at most {MAX_LAYERS:,} layers", code="absurd-depth")


def class_of(values: Mapping[str, Any]) -> Any:
    """The model class that `architectures` names, else the one transformers has for the type."""
    import transformers
    from transformers.models.auto import modeling_auto

    model_type = str(values.get("model_type", ""))
    said = values.get("architectures")
    named = [name for name in said if isinstance(name, str)] if isinstance(said, list) else []
    tables = [getattr(modeling_auto, table) for table in AUTO_CLASSES]
    for name in (*named, *(table[model_type] for table in tables if model_type in table)):
        found = getattr(transformers, name if isinstance(name, str) else name[0], None)
        if isinstance(found, type) and issubclass(found, transformers.PreTrainedModel) and found.config_class is not None:
            return found
    raise CannotTell(f"transformers has no model class for {model_type!r}", code="not-in-transformers")


def build(values: Mapping[str, Any], dtype: str, attention: str | None = None) -> Any:
    """
    The model on the meta device: parameters and buffers with shapes and dtypes alone.

    `dtype` is a torch name such as bfloat16; `attention` None is what the class takes by itself. Source:
    accelerate.init_empty_weights, buffers included.
    """
    import torch
    from accelerate import init_empty_weights

    from hfmem.witness.gpu_path import FLASH, register_flash

    if attention == FLASH:
        register_flash()
    refuse_absurd(values)
    config, made = parse_config(values), class_of(values)
    config.architectures = [made.__name__]
    with init_empty_weights(include_buffers=True):
        return made._from_config(config, dtype=getattr(torch, dtype), attn_implementation=attention)
