"""The work of `hfmem batch`: where the list comes from, who works on it, and what is kept of it on the way."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from hfmem.batch.journal import Journal
from hfmem.batch.lists import Line, read_list
from hfmem.batch.many import Entry, Question
from hfmem.batch.rows import keyed, lost_row, row_for
from hfmem.batch.running import run
from hfmem.commands.progress import Progress
from hfmem.errors import CannotTell, NetworkError, UsageError
from hfmem.sources import Access

SEARCHED = 100  # models, where no --limit is given


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which models: a list by its place, or what the Hub finds."""

    models: str | None
    column: str | None
    author: str | None
    search: str | None
    limit: int | None

    def __post_init__(self) -> None:
        searched = self.author or self.search
        if bool(self.models) == bool(searched):
            hint = "hfmem batch models.txt, hfmem batch -, or hfmem batch --author Qwen"
            raise UsageError("give a list, or --author or --search", code="no-list", hint=hint)

    @property
    def title(self) -> str:
        if self.models:
            return "standard input" if self.models == "-" else self.models
        return " ".join(filter(None, (self.author and f"author {self.author}", self.search and f"search {self.search}")))

    def lines(self, access: Access) -> Iterator[Line]:
        """The models, read as they are needed."""
        return islice(self.found(access), self.limit)

    def found(self, access: Access) -> Iterator[Line]:
        if self.column and not self.is_file:
            raise UsageError("--column is of lists in files", code="bad-list", hint="leave it out")
        if self.models is None:
            from hfmem.sources.hub_listing import list_models

            found = list_models(author=self.author, search=self.search, limit=self.limit or SEARCHED, access=access)
            return (Line(reference=repo_id) for repo_id in found)
        if not self.is_file:
            from hfmem.sources.hub_listing import collection_slug, list_collection

            return (Line(reference=repo_id) for repo_id in list_collection(collection_slug(self.models), access))
        return read_list(self.models, column=self.column)

    def count(self) -> int | None:
        """How many there are, where that can be known before the work begins."""
        if self.models is None or not Path(self.models).is_file():
            return None
        return sum(1 for _ in islice(read_list(self.models, column=self.column), self.limit))

    @property
    def is_file(self) -> bool:
        return self.models is not None and not self.models.startswith(("hf://", "http://", "https://"))


@dataclass(frozen=True, slots=True)
class Part:
    """Part `number` of `parts` of a list, dealt out one by one; numbers begin at 1, as job arrays count."""

    number: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.parts:
            message = f"--shard {self.number}/{self.parts} is no part of a list"
            raise UsageError(message, code="bad-shard", hint="1/4, 2/4, 3/4 and 4/4 are all of it")

    def has(self, index: int) -> bool:
        return index % self.parts == self.number - 1

    def size(self, total: int | None) -> int | None:
        return None if total is None else len(range(self.number - 1, total, self.parts))


def shard_of(texts: Iterable[str]) -> tuple[Part, str]:
    """`--shard` names a part of the list (2/8) and, for training, how devices share a model (zero3); each once at most."""
    numbers = [text for text in texts if re.fullmatch(r"[0-9]{1,9}/[0-9]{1,9}", text)]
    others = [text for text in texts if text not in numbers]
    if len(numbers) > 1 or len(others) > 1:
        raise UsageError("--shard is given twice", code="bad-shard", hint="2/8 for the list, zero3 for training")
    part = Part(*map(int, numbers[0].split("/"))) if numbers else Part()
    return part, others[0] if others else "none"


def work(
    entries: Iterable[Entry],
    question: Question,
    journal: Journal,
    progress: Progress,
    *,
    executor: Executor | None,
    max_workers: int,
) -> Iterator[int]:
    """
    The places of rows that are in the journal now: those of an earlier run at once, the others as they complete.

    Of rows that are known nothing stays in memory but their places, however many there are.
    """
    known: deque[int] = deque()

    def unknown() -> Iterator[Entry]:
        for entry in entries:
            asked = keyed(question, entry)
            if journal.has(asked.key):
                earlier = journal.is_earlier(asked.key)
                progress.count(journal.take(entry.index, asked.key)["status"], known=earlier)
                known.append(entry.index)
            else:
                yield asked

    call = partial(row_for, question)
    for row in run(call, unknown(), lost_row, executor=executor, max_workers=max_workers, ordered=False):
        while known:
            yield known.popleft()
        journal.keep(row)
        progress.count(row["status"])
        yield row["index"]
    yield from known


@contextmanager
def workers(scheduler: str | None) -> Iterator[Executor | None]:
    """Who works: None for threads of this process, or the workers of a dask scheduler by its address."""
    if scheduler is None:
        yield None
        return
    try:
        distributed: Any = import_module("distributed")
    except ImportError as error:
        hint = "pip install 'hfmem-cli[dask]'"
        raise CannotTell("--scheduler needs dask, which is not installed", code="missing-extra", hint=hint) from error
    try:
        client = distributed.Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        message = f"the dask scheduler {scheduler!r} cannot be reached: {str(error)[:120]}"
        raise NetworkError(message, code="no-scheduler", hint="--scheduler tcp://host:8786") from error
    try:
        yield client.get_executor(pure=False)
    finally:
        with suppress(TimeoutError):
            client.close(timeout=5)
