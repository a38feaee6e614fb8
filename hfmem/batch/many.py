"""Many references, one `Outcome` each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from hfmem import api
from hfmem.batch.running import DEFAULT_WORKERS, run
from hfmem.errors import HfmemError, NetworkError, UsageError
from hfmem.hardware.values import Target
from hfmem.memory.estimate import Estimate
from hfmem.memory.outcome import Outcome
from hfmem.memory.subject import Model
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import Inference
from hfmem.sources import Access, Source, open_source
from hfmem.sources.patience import Patience

Workload = Inference | Training
Result = TypeVar("Result")
LONGEST_CURVE = 131_072
# A window of the Hub's rate limit is five minutes, and an unattended run had rather wait than lose a row.
UNATTENDED = Access(patience=Patience(tries=5, longest_wait_seconds=310))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One model of a list. What is wrong with its line of the list is its `error`."""

    reference: str
    workload: Workload | None = None
    revision: str | None = None
    index: int = 0
    error: HfmemError | None = None
    key: str = ""  # what knows it again in a journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of every model of a list."""

    workload: Workload | None = None  # of entries without one of their own
    on: tuple[str | Target, ...] = ()
    access: Access = UNATTENDED
    curve: bool = False  # the peak at other contexts too


def estimate_many(
    references: Iterable[str | Path | Entry],
    workload: Workload | None = None,
    *,
    on: Sequence[str | Target] = (),
    executor: Executor | None = None,
    max_workers: int = DEFAULT_WORKERS,
    ordered: bool = True,
    token: str | None = None,
    cache_dir: str | None = None,
) -> Iterator[Outcome]:
    """
    An `Outcome` for each reference, in their order or as they complete; one that fails is an outcome too.

    `references` may be endless, and an `Entry` brings a workload of its own. `executor` is any `concurrent.futures.Executor`
    (processes, dask's `client.get_executor()`, mpi4py's); without one, `max_workers` threads share the Hub's rate limits.
    Raises `UsageError` at once for what could never work, and what `references` raises once the outcomes before it are given.
    """
    check_call(references, workload, on, max_workers)
    access = replace(UNATTENDED, token=token, cache_dir=cache_dir)
    question = Question(workload=workload, on=tuple(on), access=access)
    entries = (entry_of(reference, index) for index, reference in enumerate(references))
    call = partial(outcome_of, question)
    return run(call, entries, lost, executor=executor, max_workers=max_workers, ordered=ordered)


def check_call(references: object, workload: object, on: object, max_workers: int) -> None:
    """Mistakes that would otherwise be one odd outcome after another."""
    if isinstance(references, (str, Path, Entry)):
        raise UsageError("references is one reference, not a list of them", code="bad-list", hint=f"[{references!r}]")
    api.check_devices(on)
    if workload is not None:
        api.check_workload(workload)
    if max_workers < 1:
        raise UsageError(f"max_workers is {max_workers}; it should be at least 1", code="bad-workload")


def entry_of(reference: str | Path | Entry, index: int) -> Entry:
    if isinstance(reference, Entry):
        return replace(reference, index=index)
    return Entry(reference=str(reference), index=index)


def outcome_of(question: Question, entry: Entry) -> Outcome:
    """The outcome of one entry; it never raises, for it is called where nobody could catch."""
    return attempt(entry, lambda: estimated(question, entry, opened(question, entry)))


def attempt(entry: Entry, call: Callable[[], Result]) -> Result | Outcome:
    """What the call gives, or the outcome that says why it gives nothing."""
    try:
        return call()
    except HfmemError as error:
        return failed(entry, error)
    except Exception as error:  # noqa: BLE001  a defect here must not cost the other rows; the row says what it was
        return failed(entry, HfmemError(f"unexpected {type(error).__name__}: {error}", code="unexpected"))


def opened(question: Question, entry: Entry) -> Source:
    if entry.error:
        raise entry.error
    return open_source(entry.reference, revision=entry.revision, access=question.access)


def estimated(question: Question, entry: Entry, source: Source) -> Outcome:
    model = api.load_opened(source, question.access)
    workload = entry.workload or question.workload
    found = api.estimate(model, workload, on=question.on)
    curve = tuple(points(model, found)) if question.curve else ()
    return Outcome(index=entry.index, reference=entry.reference, estimate=found, curve=curve)


def failed(entry: Entry, error: HfmemError) -> Outcome:
    return Outcome(index=entry.index, reference=entry.reference, error=error)


def lost(entry: Entry, cause: BaseException) -> Outcome:
    """The outcome of an entry whose worker did not come back."""
    message = f"the worker that had it did not come back: {type(cause).__name__}"
    return failed(entry, NetworkError(message, code="worker-lost", hint="it may have run out of memory; try it alone"))


def points(model: Model, found: Estimate) -> Iterator[tuple[int, int]]:
    """The peak at every power of two up to the model's maximum, where all of it is known."""
    asked = found.workload
    longest = min(found.model.max_position_embeddings or LONGEST_CURVE, LONGEST_CURVE)
    if not found.complete or not found.model.writes_tokens:
        return
    answer = api.estimator_of(model)
    for exponent in range(10, 18):
        if 2**exponent <= longest:
            at = answer(api.asked_of(model, replace(asked, context=2**exponent)), None)
            yield 2**exponent, at.total_bytes
