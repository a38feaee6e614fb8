"""A row for each entry of a list, remembered for the commit it was worked out from."""

from __future__ import annotations

import hashlib
import json
from functools import cache
from pathlib import Path

import hfmem
from hfmem.batch.many import Entry, Question, Workload, attempt, estimated, opened
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
    return {"key": entry_key(question, entry), **found(question, entry, f"row:{asked}")}


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


def entry_key(question: Question, entry: Entry) -> str:
    """What knows an entry again in a journal: the model and all that is asked of it."""
    asked = fingerprint(entry.workload or question.workload, question.on, question.curve)
    text = "\n".join((entry.reference, entry.revision or "", asked, repr(entry.error)))
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:32]


@cache
def fingerprint(workload: Workload | None, on: tuple[str | Target, ...], curve: bool) -> str:
    """What is asked, and of which code, as one short word."""
    return hashlib.sha256(repr((code(), workload, on, curve)).encode()).hexdigest()[:32]


@cache
def code() -> str:
    """The code at hand: its version, and when its files were last written, for those who work on it."""
    places = sorted(Path(hfmem.__file__).parent.rglob("*.py"))
    written = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in places]
    return f"{hfmem.__version__} {hash_of(written)}"


def hash_of(value: object) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()
