"""
How much GPU memory a Hugging Face model needs, from config.json and safetensors headers alone.

    >>> import hfmem
    >>> estimate = hfmem.estimate("path/or/org/name", hfmem.Inference(context=8192))
    >>> estimate.total_bytes
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hfmem._version import __version__

if TYPE_CHECKING:
    from hfmem.api import estimate, load, verify
    from hfmem.errors import HfmemError
    from hfmem.memory.estimate import Estimate, Item, Phase
    from hfmem.memory.subject import Model
    from hfmem.memory.training.workload import Training
    from hfmem.memory.workload import Inference

__all__ = [
    "Estimate",
    "HfmemError",
    "Inference",
    "Item",
    "Model",
    "Phase",
    "Training",
    "__version__",
    "estimate",
    "load",
    "verify",
]

_HOMES = {
    "estimate": "hfmem.api", "load": "hfmem.api", "verify": "hfmem.api",
    "HfmemError": "hfmem.errors", "Estimate": "hfmem.memory.estimate",
    "Item": "hfmem.memory.estimate", "Phase": "hfmem.memory.estimate", "Model": "hfmem.memory.subject",
    "Inference": "hfmem.memory.workload", "Training": "hfmem.memory.training.workload",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """Public names load their module when they are first used, so that `import hfmem` costs nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hfmem' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)
