"""From the lines of a list to entries: what a line says of its own workload stands before the command's options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, get_args, get_type_hints

from hfmem.batch.lists import Line
from hfmem.batch.many import Entry, Workload
from hfmem.commands.workloads import workload_of
from hfmem.errors import UsageError
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import Inference

WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
MODES = {"training": True, "train": True, "inference": False}


@dataclass(slots=True)
class Listed:
    """The entries of lines, and the columns that were of no use."""

    lines: Iterable[Line]
    options: Mapping[str, Any]
    train: bool = False
    unused: dict[str, None] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Entry]:
        for index, line in enumerate(self.lines):
            yield self.entry(line, index)

    def entry(self, line: Line, index: int) -> Entry:
        try:
            if line.fault:
                raise UsageError(line.fault, code="bad-line")
            return Entry(reference=line.reference, workload=self.workload(line), revision=revision_of(line), index=index)
        except UsageError as error:
            return Entry(reference=line.reference or line.where, index=index, error=error)

    def workload(self, line: Line) -> Workload:
        known = kinds()
        given = {name: value for name, value in line.options.items() if value not in (None, "")}
        self.unused |= dict.fromkeys(name for name in given if name not in known and name not in ("revision", "mode"))
        own = {name: converted(name, value, known[name], line.where) for name, value in given.items() if name in known}
        mode = str(given.get("mode", "")).lower()
        if mode and mode not in MODES:
            raise UsageError(f"{line.where}: mode is {mode[:60]!a}", code="bad-line", hint="inference or training")
        train = MODES.get(mode, self.train or "method" in own)
        return workload_of(train, {**self.options, **own})


def revision_of(line: Line) -> str | None:
    revision = line.options.get("revision")
    return str(revision) if revision not in (None, "") else None


@cache
def kinds() -> dict[str, tuple[type, ...]]:
    """Option → the types its values may have; a version is written as text."""
    hints = get_type_hints(Training) | get_type_hints(Inference) | {"transformers": str}
    return {name: get_args(hint) or (hint,) for name, hint in hints.items()}


def converted(name: str, value: Any, allowed: tuple[type, ...], where: str) -> Any:
    """A value as its option has it: text becomes a number or a truth where that is what the option takes."""
    for kind in allowed:
        found = as_kind(value, kind)
        if found is not None:
            return found
    wanted = " or ".join(kind.__name__ for kind in allowed if kind is not type(None))
    shown = ascii(str(value)[:60])
    raise UsageError(f"{where}: {name} is {shown}, which is no {wanted}", code="bad-line")


def as_kind(value: Any, kind: type) -> Any:
    if kind is bool:
        return value if isinstance(value, bool) else WORDS.get(str(value).strip().lower())
    if isinstance(value, bool):
        return None
    if kind is int:
        return whole(str(value).strip())
    if kind is float:
        return number(str(value).strip())
    return str(value).strip() if kind is str and isinstance(value, (str, int, float)) else None


def whole(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[0-9]{1,15}", text) else None


def number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"[0-9]{0,15}\.?[0-9]{1,15}", text) else None
