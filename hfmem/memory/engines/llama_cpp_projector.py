"""
The projector (mmproj) of a model that sees or hears: a file of its own, with a compute buffer of its own.

Source: tools/mtmd/clip.cpp of llama-cpp-python 0.3.36, whose graph is reserved for the largest image, and the conversion, which
keeps matrices in float16. The buffer follows the attention and block rules of `llama_cpp_graph`; layers of the text model do not
count, and towers whose image size is not written down (Qwen-VL's) get no buffer here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hfmem.memory.engines.llama_cpp_tensors import TOWERS
from hfmem.memory.subject import Model
from hfmem.memory.weights import Portion
from hfmem.model.kinds import FLOAT32_BYTES

SIDES = {"image_size": "image_size", "patch_size": "patch_size", "hidden_size": "embedding_length",
         "intermediate_size": "feed_forward_length", "num_attention_heads": "attention.head_count"}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Projector:
    """Bytes of the tensors, and of the buffer for one image."""

    weights: int
    buffer: int


def projector_of(model: Model, *, flash_attention: bool) -> Projector | None:
    """The projector beside the text model; None where there is none."""
    if model.checkpoint.format == "gguf":
        weights = sum(part.own_bytes or 0 for part in model.checkpoint.components)
    else:
        portions = model.weights.portions if model.weights else ()
        weights = sum(float16_bytes(portion) for portion in portions if portion.is_loaded and portion.role in TOWERS)
    return Projector(weights=weights, buffer=buffer_bytes(sides(model), flash_attention)) if weights else None


def float16_bytes(portion: Portion) -> int:
    return portion.elements * (2 if len(portion.group.shape) > 1 else FLOAT32_BYTES)


def sides(model: Model) -> dict[str, int]:
    """The sizes of the vision tower by transformers' names, those that are said."""
    if model.checkpoint.format == "gguf":
        found: Mapping[str, Any] = model.checkpoint.components[0].metadata if model.checkpoint.components else {}
        named = {ours: found.get(f"clip.vision.{theirs}") for ours, theirs in SIDES.items()}
    else:
        section = model.spec.raw.get("vision_config")
        named = {ours: section.get(ours) for ours in SIDES} if isinstance(section, Mapping) else {}
    return {name: size for name, size in named.items() if type(size) is int and size > 0}


def buffer_bytes(side: Mapping[str, int], flash_attention: bool) -> int:
    """The larger of attention (6 h, and n × patches without flash attention) and the block (3 h + f), for every patch."""
    if len(side) < len(SIDES):
        return 0
    patches, hidden = (side["image_size"] // side["patch_size"]) ** 2, side["hidden_size"]
    scores = 0 if flash_attention else side["num_attention_heads"] * patches
    return FLOAT32_BYTES * patches * max(6 * hidden + scores, 3 * hidden + side["intermediate_size"])
