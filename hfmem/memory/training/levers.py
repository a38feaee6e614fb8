"""What each single change of a training run would save: every one is estimated again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from hfmem.errors import UsageError
from hfmem.memory.estimate import Estimate, Lever
from hfmem.memory.training.workload import Training

Change = dict[str, object]


def changes(workload: Training, context: int) -> Iterator[tuple[str, Change]]:
    """The command line's words for a change, and the options it changes."""
    yield "--checkpointing full", {"checkpointing": "full"}
    yield "--loss fused", {"loss": "fused"}
    yield "--optimizer adamw_8bit", {"optimizer": "adamw_8bit"}
    yield "--kernels liger", {"kernels": "liger"}
    yield "--method lora", {"method": "lora"}
    yield "--method qlora", {"method": "qlora"}
    if context > 1:
        yield f"--context {context // 2}", {"context": context // 2}
    if workload.batch > 1:
        yield f"--batch {workload.batch // 2}", {"batch": workload.batch // 2}
    if workload.replicas > 1:
        for stage in ("zero2", "zero3", "fsdp"):
            yield f"--shard {stage}", {"shard": stage}


def levers(found: Estimate, estimate: Callable[[Training], Estimate]) -> Iterator[Lever]:
    """The largest saving first; what saves nothing, and what this model cannot do, is left out."""
    workload, saved = found.workload, []
    assert isinstance(workload, Training)
    context = found.resolved["context"]
    assert isinstance(context, int)
    for name, change in changes(workload, context):
        if all(getattr(workload, key) == value for key, value in change.items()):
            continue
        try:
            other = estimate(replace(workload, **change))  # type: ignore[arg-type]
        except UsageError:  # no module of this model takes an adapter
            continue
        saved.append(Lever(name=name, saves_bytes=found.total_bytes - other.total_bytes))
    yield from sorted((lever for lever in saved if lever.saves_bytes > 0), key=lambda lever: -lever.saves_bytes)
