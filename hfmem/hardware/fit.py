"""
Whether a workload fits devices, and how far it could grow: the estimator itself is asked, never a formula turned round.

A plain total must stay under what the device leaves a process; an engine with a pool must also start and hold the batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from hfmem.errors import HfmemError, UsageError
from hfmem.hardware.values import Device, Target
from hfmem.memory.engines.values import Card
from hfmem.memory.estimate import DeviceFit, Estimate
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import Inference

Workload = Inference | Training
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
        workload = spread(replace(self.workload, **changes), self.target)
        estimate = self.estimator(workload, self.card)
        return estimate, judge(estimate, workload, self.target)

    def margin(self, **changes: Any) -> int:
        """Bytes to spare, negative where the changed workload does not fit or is refused."""
        try:
            found = self.answer(**changes)[1]
        except HfmemError:
            return -1
        spare = found.spare_bytes or 0
        return max(0, spare) if found.verdict in ("fits", "tight") else min(-1, spare)


def card_of(device: Device) -> Card:
    """The device as an engine sees it: what is free now where that is known."""
    return Card(name=device.name, total_bytes=usable(device), compute_capability=device.compute_capability)


def usable(device: Device) -> int:
    return device.usable_bytes if device.free_bytes is None else min(device.usable_bytes, device.free_bytes)


def spread(workload: Workload, target: Target) -> Workload:
    """Several devices share the layers unless the workload says how. Raises `UsageError` where the counts contradict."""
    if target.count == 1:
        return workload
    if isinstance(workload, Training):
        return spread_training(workload, target)
    if workload.engine_name == "transformers":
        return workload
    given = workload.num_devices
    if given == 1:
        return replace(workload, tp=target.count)
    if given != target.count:
        message = f"{target.text} is {target.count} devices, the ranks asked for are {given}"
        raise UsageError(message, code="bad-workload", hint=f"leave them out for --tp {target.count}")
    return workload


def spread_training(workload: Training, target: Target) -> Training:
    """Every device has a copy of everything unless states are sharded."""
    if workload.gpus not in (1, target.count):
        message = f"{target.text} is {target.count} devices, --gpus is {workload.gpus}"
        raise UsageError(message, code="bad-workload", hint="leave --gpus out")
    return replace(workload, gpus=target.count, shard="ddp" if workload.shard == "none" else workload.shard)


def judge(estimate: Estimate, workload: Workload, target: Target) -> DeviceFit:
    """The verdict: "tight" where the estimate fits and the top of its range does not."""
    device, capacity = target.device, estimate.capacity
    required, high = needed(estimate, workload, target)
    room = usable(device)
    verdict, reason = "fits", ""
    if not estimate.complete:
        verdict, reason = "unknown", "a part of the estimate is unknown"
    elif required > room or (capacity and not capacity.starts):
        verdict, reason = "no", capacity.shortage if capacity else ""
    elif capacity and capacity.max_concurrency < workload.batch:
        verdict, reason = "no", f"room for {capacity.max_concurrency:,.2f} such requests at a time"
    elif high > room:
        verdict = "tight"
    reason = reason or missing_dtype(estimate, device)
    return DeviceFit(
        name=device.name,
        num_devices=target.count,
        memory_bytes=device.memory_bytes,
        memory_source=device.memory_source,
        usable_bytes=room,
        required_bytes=required if estimate.complete else None,
        verdict=verdict,
        capacity=capacity,
        reason=reason,
    )


def missing_dtype(estimate: Estimate, device: Device) -> str:
    """What the device does not compute in; engines then take float16, or refuse."""
    packed = estimate.model.quantization.method if estimate.model.quantization else ""
    if "fp8" in packed and not device.runs_weight_only("fp8"):
        return f"{device.name} runs no fp8 weights"
    if estimate.resolved.get("model_dtype") == "BF16" and not device.runs("bfloat16"):
        return f"{device.name} computes no bfloat16: load in float16"
    return ""


def needed(estimate: Estimate, workload: Workload, target: Target) -> tuple[int, int]:
    """Bytes of one device, and the top of their range; transformers spreads layers evenly over several."""
    total, high = estimate.total_bytes, estimate.peak.high_bytes
    if isinstance(workload, Training):
        return estimate.totals.get("device_bytes", total), max(high, estimate.totals.get("device_bytes", total))
    if workload.engine_name != "transformers" or target.count == 1:
        return total, high
    runtime = estimate.item("runtime")
    fixed = (runtime.num_bytes or 0) if runtime else 0
    each = fixed + -(-(total - fixed) // target.count)
    return each, each + (high - total)


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
