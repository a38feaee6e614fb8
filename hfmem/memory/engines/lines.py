"""Lines of a report and defaults that serving engines share."""

from __future__ import annotations

from dataclasses import replace

from hfmem.memory.engines.values import Card
from hfmem.memory.estimate import Item
from hfmem.memory.inference import Setting
from hfmem.memory.subject import Model
from hfmem.units import GIB

MODEL_REASON = "the model's dtype"
ASSUMED_CARD = Card(name="80 GB class", total_bytes=int(79.19 * GIB))


def in_16_bits(base: Setting) -> Setting:
    """Engines load float32 checkpoints in 16 bits, and their cache with them (vLLM's `_resolve_auto_dtype`)."""
    if base.model_dtype not in ("F32", "F64"):
        return base
    return replace(base, model_dtype="BF16", kv_bits=16 if base.kv_reason == MODEL_REASON else base.kv_bits)


def fixed(name: str, size: int, note: str) -> Item:
    """A constant with a source, known to a factor of two."""
    low, high, formula = size // 2, 2 * size, f"{size:,} B"
    return Item(name=name, num_bytes=size, low_bytes=low, high_bytes=high, basis="assumed", formula=formula, note=note)


def weights_line(model: Model, size: int | None, devices: int, base: Setting, note: str) -> Item:
    """The weights of one rank; from the files' sizes alone they are divided evenly."""
    if size is None:
        stored = model.checkpoint.stored_bytes
        share = None if stored is None else stored // devices
        basis, words = ("modelled", "the files' sizes over the ranks") if share else ("measured", "unknown: there are no weights")
        return Item(name="weights", num_bytes=share, basis=basis, note=words)
    basis = "derived" if model.checkpoint.format == "class" or base.weights_dtype else "measured"
    return Item(name="weights", num_bytes=size, basis=basis, formula=f"{size:,} B", note=note)


def unknown_line(name: str, reason: str) -> Item:
    return Item(name=name, num_bytes=None, basis="derived", note=f"unknown: {reason}")
