"""The numbers along the axis of a chart: tokens of context, sequences at once, or ranks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, Literal, get_args

from hfmem.errors import UsageError
from hfmem.hardware.fit import LARGEST_BATCH, LARGEST_CONTEXT, Estimator
from hfmem.hardware.judging import Workload
from hfmem.hardware.values import Target
from hfmem.memory.estimate import Estimate
from hfmem.memory.training.workload import Training

Axis = Literal["context", "batch", "tp"]
AXES: tuple[Axis, ...] = get_args(Axis)
MOST_CONTEXT, USUAL_CONTEXT = 2**20, 2**17  # where an axis ends at most, and for a model that names no maximum
USUAL_BATCH, USUAL_TP = 256, 8
BETWEEN = 4  # steps from one power of two to the next, so that a line on a logarithmic axis is as round as it is


def axis_of(workload: Workload, targets: Sequence[Target], name: str) -> Axis:
    """The axis of that name. Raises `UsageError` where the workload or the devices have none."""
    axis = next((each for each in AXES if each == name), None)
    if axis is None:
        raise UsageError(f"--x {name!r} is not known", code="bad-axis", hint=f"one of: {', '.join(AXES)}")
    if axis == "tp":
        check_ranks(workload, targets)
    return axis


def check_ranks(workload: Workload, targets: Sequence[Target]) -> None:
    if isinstance(workload, Training) or workload.engine_name not in ("vllm", "sglang"):
        what = "training" if isinstance(workload, Training) else workload.engine_name
        raise UsageError(f"--x tp: {what} has no --tp", code="bad-axis", hint="--engine vllm or sglang, or --x context")
    several = next((target for target in targets if target.count > 1), None)
    if several:
        hint = f'--on "{several.device.name}"'
        raise UsageError(f"--x tp takes 1, 2, 4 … of a device, not {several.text}", code="bad-axis", hint=hint)


def refuse_without_tokens(estimate: Estimate) -> None:
    """Models of images and sounds read as many patches or frames as they are made for."""
    model = estimate.model
    if model.model_type and not model.writes_tokens and model.max_position_embeddings is None:
        message = f"a {model.model_type} model has no context that could grow"
        raise UsageError(message, code="bad-axis", hint="--x batch")


def at(workload: Workload, axis: Axis, number: int | None) -> Workload:
    """The workload with that number; None for nothing said of the axis."""
    changes: dict[str, Any] = {axis: number if number or axis == "context" else 1}
    return replace(workload, **changes)


def marks_of(estimator: Estimator, workload: Workload, axis: Axis, limit: int | None) -> tuple[int, ...]:
    """Powers of two, and the end of the axis: what the workload says, else the model's maximum or a usual number."""
    if axis == "context":
        end = workload.context or max(1, min(limit or USUAL_CONTEXT, MOST_CONTEXT))
        return powers(1024 if end >= 8192 else 2 ** max(0, end.bit_length() - 4), end)
    if axis == "batch":
        return powers(1, workload.batch if workload.batch > 1 else USUAL_BATCH)
    said = getattr(workload, "tp", 1)
    return tuple(n for n in powers(1, said if said > 1 else USUAL_TP) if n == said or takes(estimator, workload, n))


def powers(start: int, end: int) -> tuple[int, ...]:
    """Powers of two from the start, which is one, and the end."""
    return tuple(sorted({*(2**power for power in range(start.bit_length() - 1, end.bit_length())), end}))


def takes(estimator: Estimator, workload: Workload, ranks: int) -> bool:
    """Whether the model's heads divide over so many ranks."""
    try:
        estimator(at(workload, "tp", ranks), None)
    except UsageError:
        return False
    return True


def finer(marks: Sequence[int]) -> tuple[int, ...]:
    """The marks, with numbers between them."""
    steps = (round(left * (right / left) ** (step / BETWEEN)) for left, right in pairwise(marks) for step in range(BETWEEN))
    return tuple(sorted({*steps, marks[-1]}))


def ceiling(axis: Axis, limit: int | None) -> int:
    """How far it is worth asking."""
    return {"context": limit or LARGEST_CONTEXT, "batch": LARGEST_BATCH, "tp": 1}[axis]
