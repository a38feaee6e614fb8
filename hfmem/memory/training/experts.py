"""
LoRA on experts that a class fuses into one parameter: PEFT computes with weights that its adapters are merged into.

    parameters   r for each matrix of each expert; 2r where gate and up are one: r·(2·h + 4·I) and r·(h + I) an expert, E experts
    kept         in 16 bits: a merged copy of every adapted parameter, and of the adapters; until the layer's backward pass
    temporary    the gradient of the merged down projections

Targets of that name that are modules, such as a dense layer's up_proj, get no adapter then: PEFT takes the name for the experts'.
Source: peft/tuners/lora/layer.py `ParamWrapper`, peft/utils/transformers_weight_conversion.py (0.21).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from hfmem.memory.training.matrices import Tensors, elements
from hfmem.memory.training.workload import Training
from hfmem.model.spec import Experts, Stack
from hfmem.tables.experts import FUSED_INTO

UNFUSED = ("gate_proj", "up_proj", "w1", "w3")


class Merged(NamedTuple):
    """Bytes of one layer: what is kept until its backward pass, and what that makes; and how many layers have experts."""

    kept: int = 0
    temporary: int = 0
    layers: int = 0


def wrapped_targets(tensors: Sequence[Tensors], workload: Training) -> list[Tensors]:
    """The experts' parameters and routers that the targets name."""
    if not workload.fuses_experts:
        return []
    wanted = fused_names(workload)
    return [t for t in tensors if t.is_wrapped and FUSED_INTO.get(t.module, t.module) in wanted]


def fused_names(workload: Training) -> set[str]:
    names = {name.strip() for name in workload.lora_targets.split(",")}
    return set(FUSED_INTO.values()) if "all-linear" in names else {FUSED_INTO[name] for name in names & set(FUSED_INTO)}


def is_taken(tensor: Tensors, tensors: Sequence[Tensors]) -> bool:
    """Whether a module's name is taken for the experts' parameter."""
    return tensor.module in FUSED_INTO and any(other.is_wrapped for other in tensors)


def wrapped_adapters(tensors: Sequence[Tensors], workload: Training) -> Iterator[Tensors]:
    """Two matrices an expert for each adapted parameter."""
    for tensor in wrapped_targets(tensors, workload):
        outer = workload.lora_rank * (2 if FUSED_INTO.get(tensor.module, tensor.module) == "gate_up_proj" else 1)
        inner = workload.lora_rank if tensor.module in UNFUSED else outer
        yield replace(tensor, module=f"{tensor.module}.lora_A", rows=inner * tensor.parts, is_wrapped=False)
        yield replace(tensor, module=f"{tensor.module}.lora_B", cols=outer, is_wrapped=False)


def merged(tensors: Sequence[Tensors], stack: Stack, workload: Training, element_bytes: int) -> Merged:
    """What one layer's merged experts take, the mean over the layers that have experts."""
    chosen = wrapped_targets(tensors, workload)
    layers = sum(isinstance(layer.ffn, Experts) for layer in stack.layers)
    if not chosen or not layers:
        return Merged()
    kept = elements(chosen) + elements(list(wrapped_adapters(tensors, workload)))
    down = elements([t for t in chosen if FUSED_INTO.get(t.module) == "down_proj"])
    return Merged(kept=element_bytes * kept // layers, temporary=element_bytes * down // layers, layers=layers)
