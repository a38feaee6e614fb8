"""What an estimate is: phases of items, each saying how it is known; the peak is the largest phase, never one long sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING

from hfmem.memory.engines.values import Capacity
from hfmem.memory.weights import Weights
from hfmem.memory.workload import Inference
from hfmem.model.spec import ModelSpec
from hfmem.sources.base import Origin

if TYPE_CHECKING:
    from hfmem.memory.training.workload import Training

BASES = ("measured", "derived", "modelled", "assumed")
VERDICTS = ("fits", "tight", "no", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """
    One line of a report. `num_bytes` None is a named unknown: `note` says what is missing.

    `basis`: measured (read from files), derived (exact formula over the configuration), modelled (approximate, carries a
    range), assumed (a constant with a source).
    """

    name: str
    num_bytes: int | None
    basis: str
    formula: str = ""
    note: str = ""
    low_bytes: int | None = None
    high_bytes: int | None = None

    def __post_init__(self) -> None:
        if self.basis not in BASES:
            raise ValueError(f"basis {self.basis!r} is none of {BASES}")
        if self.num_bytes is not None and not self.low <= self.num_bytes <= self.high:
            raise ValueError(f"{self.name}: {self.num_bytes} bytes are not between {self.low} and {self.high}")

    @property
    def low(self) -> int:
        return self.low_bytes if self.low_bytes is not None else self.num_bytes or 0

    @property
    def high(self) -> int:
        return self.high_bytes if self.high_bytes is not None else self.num_bytes or 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """What is alive together at one time."""

    name: str
    items: tuple[Item, ...]

    @property
    def total_bytes(self) -> int:
        """The sum of what is known."""
        return sum(item.num_bytes or 0 for item in self.items)

    @property
    def low_bytes(self) -> int:
        return sum(item.low for item in self.items)

    @property
    def high_bytes(self) -> int:
        return sum(item.high for item in self.items)


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """A remark as data: a code to match, a message to read, and a next step."""

    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """One change of the workload, and the bytes of the peak it would save."""

    name: str
    saves_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFit:
    """How one kind of device takes a workload. Bytes are those of one device; `verdict` is one of VERDICTS."""

    name: str
    num_devices: int
    memory_bytes: int  # what the driver reports
    usable_bytes: int  # what the workload may take of it
    required_bytes: int | None
    verdict: str
    memory_source: str = "driver"
    max_context: int | None = None  # at the workload's batch; None was not asked, 0 is none
    max_batch: int | None = None  # at the workload's context
    capacity: Capacity | None = None
    reason: str = ""

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict {self.verdict!r} is none of {VERDICTS}")

    @property
    def spare_bytes(self) -> int | None:
        """What is left of one device; negative where it does not fit."""
        return None if self.required_bytes is None else self.usable_bytes - self.required_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantTotal:
    """Another file of the same model: its size, and the total with it in place of the one that was read."""

    name: str
    num_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """The answer for one model and one workload."""

    origin: Origin
    model: ModelSpec
    weights: Weights | None
    stored_bytes: int | None
    workload: Inference | Training
    phases: tuple[Phase, ...]
    format: str = "safetensors"  # of the checkpoint
    notes: tuple[Note, ...] = ()
    resolved: Mapping[str, object] = field(default_factory=dict)  # every option with the value it was given or took
    totals: Mapping[str, int] = field(default_factory=dict)  # other ways to count the peak, such as bytes allocated
    levers: tuple[Lever, ...] = ()
    capacity: Capacity | None = None  # of an engine with a pool, on the first device asked for
    devices: tuple[DeviceFit, ...] = ()
    variants: tuple[VariantTotal, ...] = ()  # of a repository of several GGUF files, the one that was read first

    @property
    def peak(self) -> Phase:
        return max(self.phases, key=lambda phase: phase.total_bytes)

    @property
    def total_bytes(self) -> int:
        return self.peak.total_bytes

    @property
    def complete(self) -> bool:
        """Whether every item of every phase is known."""
        return all(item.num_bytes is not None for phase in self.phases for item in phase.items)

    def _repr_html_(self) -> str:
        """What a notebook shows; the report is found by its name, for nothing here knows of reports."""
        return str(import_module("hfmem.report.html_estimate").render_estimate_html(self))

    def item(self, name: str) -> Item | None:
        """An item of the peak phase by its name."""
        return next((item for item in self.peak.items if item.name == name), None)
