"""What became of one model of a list: its estimate, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass

from hfmem.errors import AccessDenied, BrokenCheckpoint, CannotTell, HfmemError, NetworkError, NotFound, UsageError
from hfmem.memory.estimate import Estimate

_OF_ERRORS: tuple[tuple[type[HfmemError], str], ...] = (
    (AccessDenied, "gated"),
    (NotFound, "not-found"),
    (CannotTell, "unsupported"),
    (NetworkError, "network"),
    (BrokenCheckpoint, "broken"),
    (UsageError, "invalid"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """
    One of an estimate and an error. `index` is the place in the list, from 0.

    `curve` has the peak's bytes at other contexts, as (tokens, bytes), where that was asked for.
    """

    index: int
    reference: str
    estimate: Estimate | None = None
    error: HfmemError | None = None
    curve: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if (self.estimate is None) == (self.error is None):
            raise ValueError(f"{self.reference}: an outcome has an estimate or an error, and not both")

    @property
    def status(self) -> str:
        """`ok`, `partial` where a part is unknown, what kind of error it is, or `error` for a defect of ours."""
        if self.estimate is not None:
            return "ok" if self.estimate.complete else "partial"
        return next((status for kind, status in _OF_ERRORS if isinstance(self.error, kind)), "error")
