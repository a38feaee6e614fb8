"""What witnesses say, as values: one row a thing counted twice, with every reason why the two counts differ."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hfmem.checkpoint.tensors import TensorGroup
from hfmem.memory.estimate import Estimate, Note
from hfmem.memory.weights import Difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """accelerate's sizing in float32: the model, and its largest module that stays on one device."""

    total_bytes: int
    largest_bytes: int
    largest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a class on the meta device holds; a tied tensor counts once."""

    architecture: str
    parameters: int
    parameter_bytes: int
    by_dtype: Mapping[str, int]  # bytes
    buffer_bytes: int
    tied: tuple[tuple[str, ...], ...]  # names that are one tensor
    whole: Sizes
    without_head: Sizes  # what accelerate estimate-memory sizes
    groups: tuple[TensorGroup, ...] = ()  # the parameters under the class's own names
    stored: tuple[TensorGroup, ...] = ()  # the same as checkpoints name and shape them


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One thing counted by a witness and by the estimate. `reasons` sum to the part of the difference that is explained.

    `tolerance` is the share of the count that may stay unexplained: 0 for counts, more for peaks. An account follows from other
    rows: it shows where bytes are, and proves nothing by itself.
    """

    witness: str
    quantity: str
    counted: int
    ours: int | None
    unit: str = "bytes"  # "bytes", "parameters" or "tensors"
    is_account: bool = False
    reasons: tuple[Difference, ...] = ()
    note: str = ""
    tolerance: float = 0.0

    @property
    def difference(self) -> int | None:
        return None if self.ours is None else self.ours - self.counted

    @property
    def unexplained(self) -> int | None:
        """What is left of the difference when every reason is taken off."""
        if self.difference is None:
            return None
        return self.difference - sum(row.num_bytes if self.unit == "bytes" else row.elements for row in self.reasons)

    @property
    def agrees(self) -> bool:
        """A count that the estimate does not have contradicts nothing."""
        return self.unexplained is None or abs(self.unexplained) <= self.tolerance * self.counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule of thumb: its formula with the numbers in it, who says so, and its ratio to the estimate."""

    name: str
    formula: str
    source: str
    num_bytes: int
    ours: int
    against: str  # what of the estimate it is beside

    @property
    def ratio(self) -> float:
        return self.num_bytes / self.ours if self.ours else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """An estimate beside what its witnesses say."""

    estimate: Estimate
    rows: tuple[Row, ...] = ()
    counted: Counted | None = None
    rules: tuple[Rule, ...] = ()
    timeline: tuple[tuple[str, int], ...] = ()  # module → bytes alive after it
    notes: tuple[Note, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    @property
    def compared(self) -> tuple[Row, ...]:
        """The rows that could have disagreed."""
        return tuple(row for row in self.rows if row.ours is not None and not row.is_account)

    @property
    def agrees(self) -> bool | None:
        """None where nothing was compared."""
        return all(row.agrees for row in self.compared) if self.compared else None

    @property
    def is_settled(self) -> bool:
        """Whether every witness that was asked spoke, something was compared, and nothing is left unexplained."""
        return bool(self.agrees) and not self.notes
