"""
Whether a workload fits devices, and how far it could grow: the estimator itself is asked, never a formula turned round.

A plain total must stay under what the device leaves a process; an engine with a pool must also start and hold the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hfmem.errors import HfmemError, UsageError
from hfmem.hardware.judging import Workload, judge, usable
from hfmem.hardware.values import Device, Target
from hfmem.memory.engines.values import Card
from hfmem.memory.estimate import DeviceFit, Estimate
from hfmem.memory.training.workload import Training

Estimator = Callable[[Workload, Card | None], Estimate]
LARGEST_CONTEXT, LARGEST_BATCH = 2**22, 2**16


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitting:
    """A model on one target. `estimator` is asked again and again, so it should remember what it has read."""

    estimator: Estimator
    workload: Workload
    target: Target

    @property
    def card(self) -> Card:
        return card_of(self.target.device)

    def answer(self, **changes: Any) -> tuple[Estimate, DeviceFit]:
        """The estimate on this target under a changed workload, and how it fits."""
        workload, target = spread(replace(self.workload, **changes), self.target)
        estimate = self.estimator(workload, self.card)
        return estimate, judge(estimate, workload, target)

    def margin(self, **changes: Any) -> int:
        """Bytes to spare, negative where the changed workload does not fit or is refused."""
        try:
            found = self.answer(**changes)[1]
        except HfmemError:
            return -1
        spare = found.spare_bytes or 0
        return max(0, spare) if found.verdict in ("fits", "tight") else min(-1, spare)


def card_of(device: Device) -> Card:
    """The device as an engine sees it."""
    return Card(name=device.name, total_bytes=usable(device), compute_capability=device.compute_capability)


def spread(workload: Workload, target: Target) -> tuple[Workload, Target]:
    """
    Several devices share the layers unless the workload says how; one device that is named stands for as many as there are ranks.

    Raises `UsageError` where the counts contradict each other.
    """
    if isinstance(workload, Training):
        return spread_training(workload, target)
    given = workload.num_devices
    if given > 1 and target.count == 1:
        return workload, target.times(given)
    if target.count == 1 or workload.engine_name == "transformers":
        return workload, target
    if given not in (1, target.count):
        message = f"{target.text} is {target.count} devices, the ranks asked for are {given}"
        raise UsageError(message, code="bad-workload", hint=f"leave them out for --tp {target.count}")
    return (replace(workload, tp=target.count) if given == 1 else workload), target


def spread_training(workload: Training, target: Target) -> tuple[Training, Target]:
    """Every device has a copy of everything unless states are sharded."""
    group = workload.tensor_parallel * workload.context_parallel
    if target.count == 1:
        return workload, target.times(workload.gpus)
    if workload.gpus not in (1, group, target.count):
        message = f"{target.text} is {target.count} devices, --gpus is {workload.gpus}"
        raise UsageError(message, code="bad-workload", hint="leave --gpus out")
    shard = "ddp" if workload.shard == "none" and target.count > group else workload.shard
    return replace(workload, gpus=target.count, shard=shard), target


def fit_target(fitting: Fitting, limit: int | None) -> DeviceFit:
    """The verdict with the longest context at the batch and the largest batch at the context; `limit` is the model's own."""
    estimate, found = fitting.answer()
    if found.verdict == "unknown":
        return found
    ceiling = max(limit or LARGEST_CONTEXT, int(str(estimate.resolved["context"])))
    return replace(
        found,
        max_context=largest(lambda value: fitting.margin(context=value), ceiling),
        max_batch=largest(lambda value: fitting.margin(batch=value), LARGEST_BATCH),
    )


def largest(margin: Callable[[int], int], ceiling: int) -> int:
    """
    The largest number from 1 to the ceiling whose margin is not negative; 0 where none is.

    Margins fall as the number grows. They are asked for, never assumed to be a line: a line through the ends of the bracket
    is only where the next one is asked, and every third question halves the bracket.
    """
    low, high = 0, ceiling + 1
    ends: dict[int, int] = {}
    for turn in range(200):
        if high - low <= 1:
            break
        middle = guess(low, high, ends, turn)
        ends[middle] = margin(middle)
        low, high = (middle, high) if ends[middle] >= 0 else (low, middle)
    return low


def guess(low: int, high: int, ends: dict[int, int], turn: int) -> int:
    """The next number to ask about, within the bracket: the ends first, then where a line would cross, then the middle."""
    if low not in ends:
        return low + 1
    if high not in ends:
        return min(high - 1, max(low + 1, 4 * low)) if turn < 2 or high - 1 > 4 * low else high - 1
    if turn % 3 == 2:
        return (low + high) // 2
    crossing = low + (high - low) * ends[low] // max(1, ends[low] - ends[high])
    return min(high - 1, max(low + 1, crossing))
