"""
How much GPU memory a Hugging Face model needs, from config.json and safetensors headers alone.

    >>> import hfmem
    >>> estimate = hfmem.estimate("path/or/org/name", hfmem.Inference(context=8192))
    >>> estimate.total_bytes

docs/python.md shows all of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hfmem._version import __version__

if TYPE_CHECKING:
    from hfmem.api import curve, estimate, fit, load, verify
    from hfmem.batch.many import Entry, estimate_many
    from hfmem.checking import check
    from hfmem.doctor.values import Checkup, Finding
    from hfmem.errors import (
        AccessDenied,
        BrokenCheckpoint,
        CannotTell,
        HfmemError,
        NetworkError,
        NotFound,
        UsageError,
    )
    from hfmem.hardware import devices
    from hfmem.memory.estimate import DeviceFit, Estimate, Item, Note, Phase
    from hfmem.memory.outcome import Outcome
    from hfmem.memory.subject import Model
    from hfmem.memory.training.workload import Training
    from hfmem.memory.workload import Inference

__all__ = [
    "AccessDenied",
    "BrokenCheckpoint",
    "CannotTell",
    "Checkup",
    "DeviceFit",
    "Entry",
    "Estimate",
    "Finding",
    "HfmemError",
    "Inference",
    "Item",
    "Model",
    "NetworkError",
    "NotFound",
    "Note",
    "Outcome",
    "Phase",
    "Training",
    "UsageError",
    "__version__",
    "check",
    "curve",
    "devices",
    "estimate",
    "estimate_many",
    "fit",
    "load",
    "verify",
]

_HOMES = {
    "hfmem.api": ("curve", "estimate", "fit", "load", "verify"),
    "hfmem.batch.many": ("Entry", "estimate_many"),
    "hfmem.doctor.values": ("Checkup", "Finding"),
    "hfmem.checking": ("check",),
    "hfmem.errors": (
        "AccessDenied", "BrokenCheckpoint", "CannotTell", "HfmemError", "NetworkError", "NotFound", "UsageError",
    ),
    "hfmem.hardware": ("devices",),
    "hfmem.memory.estimate": ("DeviceFit", "Estimate", "Item", "Note", "Phase"),
    "hfmem.memory.outcome": ("Outcome",),
    "hfmem.memory.subject": ("Model",),
    "hfmem.memory.training.workload": ("Training",),
    "hfmem.memory.workload": ("Inference",),
}  # fmt: skip


def __dir__() -> list[str]:
    return __all__


def __getattr__(name: str) -> Any:
    """Public names load their module when they are first used, so that `import hfmem` costs nothing."""
    home = next((home for home, names in _HOMES.items() if name in names), None)
    if home is None:
        raise AttributeError(f"module 'hfmem' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(home), name)
