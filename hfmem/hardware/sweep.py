"""
What a device needs as one number of the workload grows, and where that is more than it has.

Every point is an estimate, and the last number that fits is asked for as `fit` asks, never read off a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hfmem.errors import HfmemError, UsageError
from hfmem.hardware.axis import Axis, at, axis_of, ceiling, finer, marks_of, refuse_without_tokens
from hfmem.hardware.fit import Estimator, Fitting, largest, spread
from hfmem.hardware.judging import Workload, needed
from hfmem.hardware.values import Target
from hfmem.memory.estimate import DeviceFit, Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """What one device needs at one number, and the range of that."""

    x: int
    num_bytes: int
    low_bytes: int
    high_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """How far one target goes. Numbers are of what the axis counts."""

    name: str
    num_devices: int
    limit_bytes: int  # what may be filled of one device
    filled_by: str  # the engine that keeps to that much; empty where the device alone is the limit
    points: tuple[Point, ...]
    known: bool  # False where a part of the estimate is unknown, so that there is no verdict
    last: int  # the last that fits, of ranks the first; 0 is none
    sure: int  # the last that fits with the top of the range too
    end: int  # the last that was asked for
    reason: str = ""  # why one more does not fit, where the total alone does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """An axis, the numbers that are marked on it, and what was found: a line a target, or `points` where none was named."""

    x: Axis
    marks: tuple[int, ...]
    estimate: Estimate  # at the first mark: it names model and workload
    points: tuple[Point, ...]
    reaches: tuple[Reach, ...]

    @property
    def complete(self) -> bool:
        return self.estimate.complete


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One target, asked at any number of the axis."""

    fitting: Fitting
    axis: Axis

    def answer(self, number: int) -> tuple[Estimate, DeviceFit]:
        return self.fitting.answer(**{self.axis: number})

    def margin(self, number: int) -> int:
        return self.fitting.margin(**{self.axis: number})

    def sure_margin(self, number: int) -> int:
        """Not negative where it fits with the top of the range too."""
        try:
            return 0 if self.answer(number)[1].verdict == "fits" else -1
        except HfmemError:
            return -1

    def reason(self, number: int) -> str:
        """Why this number does not fit, in the words of the verdict."""
        try:
            return self.answer(number)[1].reason
        except HfmemError as error:
            return error.message

    def reason_beyond(self, last: int) -> str:
        """Why one more does not fit, where that is not what is said of the last that does."""
        reason = self.reason(last + 1)
        return "" if last and reason == self.reason(last) else reason

    def point(self, number: int) -> Point:
        """The estimate at one number, as the bytes of one device."""
        workload, target = spread(at(self.fitting.workload, self.axis, number), self.fitting.target)
        estimate = self.fitting.estimator(workload, self.fitting.card)
        required, high = needed(estimate, workload, target)
        low = max(0, required - (estimate.total_bytes - estimate.peak.low_bytes))
        return Point(x=number, num_bytes=required, low_bytes=low, high_bytes=max(high, required))


def sweep(
    estimator: Estimator, workload: Workload, targets: Sequence[Target], *, x: str, points: Sequence[int] | None = None
) -> Sweep:
    """
    The workload at every number of the axis, on every target. `points` are the numbers; without them, powers of two.

    What the workload says of the axis itself is where the axis ends. Raises `UsageError` for an axis the workload has not.
    """
    axis = axis_of(workload, targets, x)
    start = at(workload, axis, None)
    first = estimator(start, None)
    if axis == "context":
        refuse_without_tokens(first)
    limit = first.model.max_position_embeddings
    marks = tuple(sorted(set(points), key=str)) if points is not None else marks_of(estimator, workload, axis, limit)
    if not marks or any(type(mark) is not int or mark < 1 for mark in marks):
        raise UsageError(f"{list(marks)} are no numbers of {axis}", code="bad-axis", hint="whole numbers from 1 on")
    marks = tuple(sorted(marks))
    numbers = marks if axis == "tp" else finer(marks)
    fittings = [Fitting(estimator=estimator, workload=start, target=target) for target in targets]
    return Sweep(
        x=axis,
        marks=marks,
        estimate=estimator(at(workload, axis, marks[0]), None),
        points=() if targets else tuple(plain(estimator(at(workload, axis, n), None), n) for n in numbers),
        reaches=tuple(reach(Question(fitting=fitting, axis=axis), numbers, limit) for fitting in fittings),
    )


def plain(estimate: Estimate, number: int) -> Point:
    """What is needed whatever the device."""
    peak = estimate.peak
    return Point(x=number, num_bytes=peak.total_bytes, low_bytes=peak.low_bytes, high_bytes=peak.high_bytes)


def reach(asked: Question, numbers: Sequence[int], limit: int | None) -> Reach:
    """One target: the last number that fits, and the line to the end of the axis, through that number."""
    end = max(ceiling(asked.axis, limit), numbers[-1])
    known = asked.answer(numbers[0])[1].verdict != "unknown"
    last, sure = found(asked, numbers, end) if known else (0, 0)
    through = sorted({*numbers, last}) if numbers[0] <= last <= numbers[-1] else numbers
    estimate, fit = asked.answer(last if last in through else numbers[0])
    room, engine = room_of(estimate, fit)
    return Reach(
        name=fit.name,
        num_devices=fit.num_devices,
        limit_bytes=room,
        filled_by=engine,
        points=tuple(asked.point(number) for number in through),
        known=known,
        last=last,
        sure=sure,
        end=end,
        reason=asked.reason_beyond(last) if known and last < end and asked.axis != "tp" else "",
    )


def found(asked: Question, numbers: Sequence[int], end: int) -> tuple[int, int]:
    """The last number that fits, and the last that surely does; the fewest ranks, of which more need less each."""
    if asked.axis == "tp":
        first = next((number for number in numbers if asked.margin(number) >= 0), 0)
        return first, next((number for number in numbers if asked.sure_margin(number) >= 0), 0)
    last = largest(asked.margin, end)
    return last, largest(asked.sure_margin, last)


def room_of(estimate: Estimate, fit: DeviceFit) -> tuple[int, str]:
    """What may be filled: the device, or an engine's pool with all that stands beside it."""
    keys = estimate.item("kv_cache")
    if fit.capacity is None or keys is None:
        return fit.usable_bytes, ""
    filled = estimate.total_bytes - (keys.num_bytes or 0) + fit.capacity.kv_cache_bytes
    return min(filled, fit.usable_bytes), str(estimate.resolved["engine"])
