"""The answer to "which card, how long a context": a row a device, with what would fit instead, and a grid where asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hfmem.hardware.fit import Estimator, Fitting, fit_target
from hfmem.hardware.judging import Workload
from hfmem.hardware.suggest import Suggestion, suggestions
from hfmem.hardware.values import Target
from hfmem.memory.estimate import DeviceFit, Estimate, Note

BATCHES = (1, 2, 4, 8, 16, 32, 64)
CONTEXTS = tuple(2**power for power in range(11, 23))


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One context and batch on one device."""

    context: int
    batch: int
    required_bytes: int | None
    verdict: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FitRow:
    """One target: the verdict, the estimate behind it, what would fit instead, and the grid where it was asked for."""

    fit: DeviceFit
    estimate: Estimate
    suggestions: tuple[Suggestion, ...] = ()
    grid: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FitReport:
    """All targets, in the order they were asked for."""

    rows: tuple[FitRow, ...]
    notes: tuple[Note, ...] = ()  # about siblings that could not be read

    @property
    def estimate(self) -> Estimate:
        """The first target's, which names model and workload."""
        return self.rows[0].estimate

    @property
    def fits(self) -> bool:
        """Whether every target takes the workload."""
        return all(row.fit.verdict in ("fits", "tight") for row in self.rows)


def fit_report(
    estimator: Estimator,
    workload: Workload,
    targets: Sequence[Target],
    siblings: Mapping[str, Estimator],
    *,
    grid: bool = False,
    instead: bool = True,
) -> FitReport:
    """A row a target; `instead` looks for what would fit where the workload does not."""
    fittings = (Fitting(estimator=estimator, workload=workload, target=target) for target in targets)
    return FitReport(rows=tuple(fit_row(fitting, siblings, grid, instead) for fitting in fittings))


def fit_row(fitting: Fitting, siblings: Mapping[str, Estimator], grid: bool, instead: bool) -> FitRow:
    """The verdict on one target, and what belongs to it."""
    estimate = fitting.answer()[0]
    limit = estimate.model.max_position_embeddings
    found = fit_target(fitting, limit)
    return FitRow(
        fit=found,
        estimate=estimate,
        suggestions=tuple(suggestions(fitting, siblings)) if instead and found.verdict == "no" else (),
        grid=tuple(cells(fitting, limit)) if grid else (),
    )


def cells(fitting: Fitting, limit: int | None) -> Iterator[Cell]:
    """Powers of two up to the model's limit, and the limit itself."""
    contexts = [context for context in CONTEXTS if not limit or context < limit]
    for context in [*contexts, *([limit] if limit else [])]:
        for batch in BATCHES:
            _, found = fitting.answer(context=context, batch=batch)
            yield Cell(context=context, batch=batch, required_bytes=found.required_bytes, verdict=found.verdict)
