"""What a dry run hands back: peaks by phase and category, and the bytes alive after every module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hfmem.witness.liveness import Liveness


def report(live: Liveness, timeline: bool) -> dict[str, Any]:
    phases = {
        name: {"total_bytes": peak.total_bytes, "at": peak.at, "by_category": peak.by_category}
        for name, peak in live.peaks().items()
        if name != "before"
    }
    return {"phases": phases, "timeline": live.timeline() if timeline else []}


@contextmanager
def watch_modules(model: Any, live: Liveness, timeline: bool) -> Iterator[None]:
    """Say where the run is: the innermost module, or of the layers alone where nobody plots."""
    hooks = []
    for name, module in model.named_modules():
        if name and (timeline or name.rpartition(".")[2].isdigit() or name.endswith("head")):
            hooks.append(module.register_forward_pre_hook(lambda *_, name=name: setattr(live, "module", name)))
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
