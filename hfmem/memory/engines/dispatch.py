"""The engines by name: each settles a workload, lists phases and says what a device has room for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hfmem.errors import CannotTell
from hfmem.memory.engines.lines import unknown_line, weights_line
from hfmem.memory.engines.values import Capacity, Card
from hfmem.memory.estimate import Phase
from hfmem.memory.inference import Setting
from hfmem.memory.subject import Model
from hfmem.memory.workload import Inference

# Engine → the module it lives in and the word its functions end with; a module is loaded when its engine is asked for.
MODULES = {"vllm": ("vllm", "vllm"), "sglang": ("sglang", "sglang"), "llama.cpp": ("llama_cpp", "llama_cpp")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One engine's answer for one model, workload and device."""

    setting: Setting
    phases: tuple[Phase, ...]
    options: dict[str, object]
    capacity: Capacity | None


def serve(model: Model, workload: Inference, card: Card | None) -> Served:
    """What the workload's engine would do."""
    module_name, word = MODULES[workload.engine_name]
    module: Any = import_module(f"hfmem.memory.engines.{module_name}")
    settled = function(module, f"settle_{word}")(model, workload, card)
    try:
        phases = function(module, f"{word}_phases")(model, settled)
    except CannotTell as error:
        phases = weights_alone(model, workload, settled.base, error)
    is_known = all(item.num_bytes is not None for phase in phases for item in phase.items)
    capacity = function(module, f"{word}_capacity")(model, settled) if card and is_known else None
    return Served(setting=settled.base, phases=phases, options=settled.options, capacity=capacity)


def weights_alone(model: Model, workload: Inference, base: Setting, error: CannotTell) -> tuple[Phase, ...]:
    """What is left where an engine's rules cannot be applied: the weights, evenly over the devices, and the named unknown."""
    weights = weights_line(model, None, workload.num_devices, base, "")
    return (Phase(name="serve", items=(weights, unknown_line("kv_cache", error.message))),)


def function(module: Any, name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(module, name)
    return found
