"""A row for each entry of a list, remembered for the commit it was worked out from."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from functools import cache
from pathlib import Path

import hfmem
from hfmem.batch.many import Entry, Question, Workload, attempt, estimated, lost, opened
from hfmem.hardware.values import Target
from hfmem.memory.outcome import Outcome
from hfmem.report.batch_rows import Row, row_of
from hfmem.sources import Source
from hfmem.sources.base import Remembering

# What stands beside a checkpoint's files decides these too: an adapter's base, and the library that builds a bare model.
NOT_OF_THE_COMMIT_ALONE = ("adapter", "config-only")


def row_for(question: Question, entry: Entry) -> Row:
    """The row of one entry, with the key that knows it again; it never raises."""
    asked = fingerprint(entry.workload or question.workload, question.on, question.curve)
    return {"key": entry.key, **found(question, entry, f"row:{code()}:{asked}")}


def lost_row(entry: Entry, cause: BaseException) -> Row:
    """The row of an entry whose worker did not come back."""
    return {"key": entry.key, **row_of(lost(entry, cause))}


def found(question: Question, entry: Entry, key: str) -> Row:
    source = attempt(entry, lambda: opened(question, entry))
    if isinstance(source, Outcome):
        return row_of(source)
    row = recalled(source, key)
    return {**row, **place_of(entry, source)} if row else worked_out(question, entry, source, key)


def worked_out(question: Question, entry: Entry, source: Source, key: str) -> Row:
    outcome = attempt(entry, lambda: estimated(question, entry, source))
    row = row_of(outcome)
    if isinstance(source, Remembering) and is_of_the_commit(outcome):
        source.remember(key, json.dumps(row).encode())
    return row


def recalled(source: Source, key: str) -> Row | None:
    text = source.recall(key) if isinstance(source, Remembering) else None
    return json.loads(text) if text else None  # the cache has checked that these are the bytes it was given


def place_of(entry: Entry, source: Source) -> Row:
    """What of a row is not the commit's but this list's."""
    origin = source.origin
    return {"index": entry.index, "reference": entry.reference, "source": origin.source, "revision": origin.revision}


def is_of_the_commit(outcome: Outcome) -> bool:
    """Whether the commit alone decides the row, so that it is the same every time."""
    found = outcome.estimate
    return found is not None and found.format not in NOT_OF_THE_COMMIT_ALONE


def keyed(question: Question, entry: Entry) -> Entry:
    """The entry with what knows it again in a journal: the model, all that is asked of it, and this version of hfmem."""
    asked = fingerprint(entry.workload or question.workload, question.on, question.curve)
    text = "\n".join((hfmem.__version__, entry.reference, entry.revision or "", asked, repr(entry.error)))
    return replace(entry, key=digest(text)[:32])


@cache
def fingerprint(workload: Workload | None, on: tuple[str | Target, ...], curve: bool) -> str:
    """What is asked, as one short word that is the same in every process."""
    return digest(repr((workload, tuple(map(target_fields, on)), curve)))[:32]


def target_fields(target: str | Target) -> object:
    """What of a device decides a verdict."""
    if isinstance(target, str):
        return target
    device = target.device
    memory = (device.memory_bytes, device.usable_bytes, device.free_bytes, device.unified)
    return device.name, target.count, memory, device.vendor, device.family, device.compute_capability


@cache
def code() -> str:
    """The code and the tables at hand: their version, and when their files were last written, for those who work on them."""
    root = Path(hfmem.__file__).parent
    places = sorted(path for path in root.rglob("*") if path.suffix in (".py", ".json"))
    written = [(str(path.relative_to(root)), path.stat().st_size, path.stat().st_mtime_ns) for path in places]
    return digest(f"{hfmem.__version__} {written!r}")[:32]


def digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
