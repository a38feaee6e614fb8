"""
Serving with llama.cpp: every layer on the devices, the input embedding in host memory, one cache for the whole context.

    device = tensors of its layers + cache of its layers + compute buffer + CUDA context

There is no pool to be shared out: a context that does not fit is an error at the start. Checked against start-up logs
(docs/method.md) and against the code of llama-cpp-python 0.3.36, run without weights.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from hfmem.errors import CannotTell
from hfmem.memory.engines.llama_cpp_projector import Projector, projector_of
from hfmem.memory.engines.llama_cpp_quantise import quantised_bytes
from hfmem.memory.engines.llama_cpp_setting import LlamaSetting, Share, placed, settle_llama_cpp, shares
from hfmem.memory.engines.values import Capacity
from hfmem.memory.estimate import Item, Phase
from hfmem.memory.subject import Model
from hfmem.tables.llama_cpp import CELL_MULTIPLE, NO_ARCHITECTURE, RUNTIME_HIGH_MIB, RUNTIME_LOW_MIB, RUNTIME_MIB
from hfmem.units import MIB, memory

__all__ = ["LlamaSetting", "llama_cpp_capacity", "llama_cpp_phases", "quantised_bytes", "settle_llama_cpp"]

MOST_CELLS = 2**26
LOW_PERCENT, HIGH_PERCENT = 95, 115


def llama_cpp_phases(model: Model, setting: LlamaSetting) -> tuple[Phase, ...]:
    """load and serve, as the device that holds most has them. Raises `CannotTell` for models llama.cpp cannot load."""
    if model.spec.model_type in NO_ARCHITECTURE:
        message = f"llama.cpp has no architecture for {model.spec.model_type} models"
        raise CannotTell(message, code="no-architecture", hint="--engine transformers")
    one = worst(shares(model, setting))
    weights = weights_item(model, setting, one)
    found = projector_of(model, flash_attention=setting.cells.flash_attention)
    beside = (projector_item(found),) if found and one.index == 0 else ()
    states = (state_item(one, setting),) if one.state else ()
    caches = (kv_item(one, setting), *states)
    return (
        Phase(name="load", items=(weights, *beside, runtime_item())),
        Phase(name="serve", items=(weights, *caches, buffer_item(one, setting), *beside, runtime_item())),
    )


def worst(found: tuple[Share, ...]) -> Share:
    return max(found, key=lambda one: one.total)


def weights_item(model: Model, setting: LlamaSetting, one: Share) -> Item:
    where = placed(model, setting.file_type)
    if where is None:
        size = model.checkpoint.stored_bytes
        return Item(
            name="weights",
            num_bytes=None if size is None else size // setting.devices,
            basis="measured",
            note="files over the devices; no header was read" if size else "unknown: there are no weight files",
        )
    kept = f"{memory(where.host_bytes)} of input embeddings stay in host memory"
    file = f"as {setting.file_type}, {memory(where.total_bytes)} in all; " if setting.file_type else ""
    device = f"device {one.index + 1} of {setting.devices}; " if setting.devices > 1 else ""
    formula = f"{where.total_bytes:,} B − {where.total_bytes - where.device_bytes:,} B in host memory alone"
    basis = "derived" if setting.file_type else "measured"
    return Item(name="weights", num_bytes=one.weights, basis=basis, formula=formula, note=f"{device}{file}{kept}")


def kv_item(one: Share, setting: LlamaSetting) -> Item:
    cells, base = setting.cells, setting.base
    return Item(
        name="kv_cache",
        num_bytes=one.kv,
        basis="derived",
        formula=f"{cells.sequences} × {cells.full:,} cells, windowed layers their window + {cells.ubatch:,} at most",
        note=f"allocated at the start; {cells.kv_type}, {base.kv_bits:g} bits ({base.kv_reason})",
    )


def state_item(one: Share, setting: LlamaSetting) -> Item:
    formula = f"{one.state // setting.cells.sequences:,} B × {setting.cells.sequences} sequences"
    return Item(
        name="recurrent_state", num_bytes=one.state, basis="derived", formula=formula, note="float32, whatever the length"
    )


def buffer_item(one: Share, setting: LlamaSetting) -> Item:
    """The range goes from a server that scores one token a sequence to older masks and, on several devices, copied inputs."""
    cells, tokens = setting.cells, min(setting.cells.ubatch, setting.cells.full)
    way = "flash attention" if cells.flash_attention else "no flash attention"
    return Item(
        name="activations",
        num_bytes=one.buffer,
        low_bytes=one.buffer_low * LOW_PERCENT // 100,
        high_bytes=max(one.buffer * HIGH_PERCENT // 100, one.buffer_high),
        basis="modelled",
        formula=f"largest moment of a graph of {tokens:,} tokens",
        note=f"compute buffer, {way}; {memory(one.buffer_low)} where a server scores one token a sequence",
    )


def projector_item(found: Projector) -> Item:
    return Item(
        name="projector",
        num_bytes=found.weights + found.buffer,
        low_bytes=found.weights,
        high_bytes=found.weights + 2 * found.buffer,
        basis="modelled",
        formula=f"{found.weights:,} B of tensors + {found.buffer:,} B for one image",
        note="mmproj: a model and a compute buffer of its own",
    )


def runtime_item() -> Item:
    return Item(
        name="runtime",
        num_bytes=RUNTIME_MIB * MIB,
        low_bytes=RUNTIME_LOW_MIB * MIB,
        high_bytes=RUNTIME_HIGH_MIB * MIB,
        basis="assumed",
        formula=f"{RUNTIME_MIB} MiB",
        note="CUDA context, cuBLAS and the device's pools",
    )


def llama_cpp_capacity(model: Model, setting: LlamaSetting) -> Capacity:
    """What is left of the fullest device for caches; the whole card is the budget."""
    budget = setting.card.total_bytes - RUNTIME_MIB * MIB - beside_bytes(model, setting)
    one = worst(shares(model, setting))
    if one.weights is None:
        raise CannotTell("no header was read, so nothing says what is left for a cache", code="no-weights")
    free = budget - one.weights - one.buffer
    each = (one.kv + one.state) / setting.cells.sequences
    starts, concurrency = one.total <= budget, max(0, free) / each if each else 0.0
    whatever = replace(setting, base=replace(setting.base, context=1), cells=replace(setting.cells, context=CELL_MULTIPLE))
    longest = most_cells(model, whatever, budget) * setting.cells.sequences if free > 0 else 0
    return Capacity(
        kv_cache_bytes=max(0, free - one.state),
        kv_cache_tokens=longest if one.kv else int(concurrency * setting.base.context),
        max_concurrency=concurrency,
        budget_bytes=budget,
        bytes_per_token=one.kv / (setting.cells.full * setting.cells.sequences),
        starts=starts,
        shortage=""
        if starts
        else f"{one.total - budget:,} bytes are missing for {setting.cells.sequences} × {setting.base.context:,}",
    )


def beside_bytes(model: Model, setting: LlamaSetting) -> int:
    found = projector_of(model, flash_attention=setting.cells.flash_attention)
    return found.weights + found.buffer if found else 0


@lru_cache(maxsize=1024)  # a search for the longest context asks again and again
def most_cells(model: Model, setting: LlamaSetting, budget: int) -> int:
    """The longest context, in cells a sequence, that fits a budget; mask and scores grow with it, so it is searched for."""
    low, high = 0, MOST_CELLS // CELL_MULTIPLE
    while low < high:
        middle = (low + high + 1) // 2
        longer = replace(setting, cells=replace(setting.cells, context=middle * CELL_MULTIPLE))
        fits = worst(shares(model, longer)).total <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    return low * CELL_MULTIPLE
