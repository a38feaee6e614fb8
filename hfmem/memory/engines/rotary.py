"""
The tables of rotary embeddings that engines keep beside the weights: positions × rotary width, once for every kind.

Source: `get_rope` of vLLM 0.33 and the classes it picks: linear scaling makes the table factor times as long, YaRN and
DeepSeek's make it factor times the original length, long-rope keeps a short and a long one, multimodal ones four times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hfmem.model.kinds import Attention, LatentAttention
from hfmem.model.spec import ModelSpec

MROPE_FACTOR = 4
LEARNED = frozenset(
    (
        "opt gpt2 gpt_bigcode bloom mpt gpt_neo bert roberta whisper bart mamba mamba2 falcon_mamba t5 xlm-roberta rwkv jamba "
        "nemotron_h"
    ).split()
)


def rotary_bytes(model: ModelSpec, element: int) -> int:
    """Bytes of every table of a model's decoder; `element` is the model dtype's bytes."""
    section = text_section(model)
    limit = model.max_position_embeddings or 0
    if not limit or not uses_rotary(section):
        return 0
    widths = {(width, windowed) for width, windowed in rotary_kinds(model)}
    has_local = isinstance(section.get("rope_local_base_freq"), (int, float)) or is_by_kind(section)
    kinds = widths if has_local else {(width, False) for width, _ in widths}
    return sum(positions(section, limit, windowed) * rotated(section, width) * element for width, windowed in kinds)


def text_section(model: ModelSpec) -> Mapping[str, Any]:
    text = model.raw.get("text_config") or model.raw.get("llm_config")
    return text if isinstance(text, Mapping) else model.raw


def uses_rotary(section: Mapping[str, Any]) -> bool:
    """Whether positions are rotated at all: learned and ALiBi models say nothing of a base."""
    named = any(key in section for key in ("rope_theta", "rope_parameters", "rope_scaling", "rotary_pct", "rotary_dim"))
    return named or bool(section.get("model_type") not in LEARNED)


def is_by_kind(section: Mapping[str, Any]) -> bool:
    """Whether rope_parameters are given for each kind of layer."""
    parameters = section.get("rope_parameters")
    return isinstance(parameters, Mapping) and any(isinstance(value, Mapping) for value in parameters.values())


def rotary_kinds(model: ModelSpec) -> set[tuple[int, bool]]:
    """Width of a rotated head and whether the layer has a window, for every kind there is."""
    found: set[tuple[int, bool]] = set()
    for layer in model.decoder.layers if model.decoder else ():
        for mixer in layer.mixers:
            if isinstance(mixer, Attention):
                found.add((mixer.key_dim, mixer.window is not None))
            elif isinstance(mixer, LatentAttention):
                found.add((mixer.rotary_dim, False))
    return found


def scaling(section: Mapping[str, Any], windowed: bool) -> Mapping[str, Any]:
    """The rope parameters of a kind of layer."""
    parameters = section.get("rope_parameters") or section.get("rope_scaling") or {}
    if isinstance(parameters, Mapping) and is_by_kind(section):
        parameters = parameters.get("sliding_attention" if windowed else "full_attention") or {}
    elif windowed and section.get("rope_local_base_freq"):
        parameters = {}
    return parameters if isinstance(parameters, Mapping) else {}


def positions(section: Mapping[str, Any], limit: int, windowed: bool) -> int:
    """Rows of the table."""
    found = scaling(section, windowed)
    kind = found.get("rope_type") or found.get("type") or "default"
    factor = number(found.get("factor"), 1)
    original = int(number(found.get("original_max_position_embeddings"), section.get("original_max_position_embeddings") or 0))
    if kind in ("linear", "dynamic"):
        return int(limit * factor)
    if kind in ("yarn", "deepseek_yarn") and original:
        return int(original * factor)
    if kind in ("longrope", "su") and original:
        return limit + original
    return limit * (MROPE_FACTOR if "mrope_section" in found else 1)


def number(value: Any, default: float) -> float:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else float(default)


def rotated(section: Mapping[str, Any], width: int) -> int:
    """Columns of the table: the part of a head that is rotated."""
    parameters = section.get("rope_parameters")
    within = parameters.get("partial_rotary_factor") if isinstance(parameters, Mapping) else None
    part = section.get("partial_rotary_factor") or section.get("rotary_pct") or within
    return int(width * number(part, 1))
