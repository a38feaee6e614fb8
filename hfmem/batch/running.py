"""Running one function over a list of any length: so many at once, so many waiting, and results as they come or in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")

DEFAULT_WORKERS = 16
WAITING = 4  # calls handed over for each worker, so that none of them is ever idle


def run(
    function: Callable[[Given], Result],
    items: Iterable[Given],
    *,
    executor: Executor | None = None,
    max_workers: int = DEFAULT_WORKERS,
    ordered: bool = True,
) -> Iterator[Result]:
    """
    The results of `function`, in the order of `items` or as they complete.

    Items are taken as workers get free, so the list may be endless; results wait for their turn, never more of them than
    calls may be under way. Closing the iterator cancels what has not begun.
    """
    with pool_of(executor, max_workers) as pool:
        results = in_order if ordered else as_completed
        yield from results(pool, function, iter(items), max_workers * WAITING)


@contextmanager
def pool_of(executor: Executor | None, max_workers: int) -> Iterator[Executor]:
    """The caller's executor, which stays the caller's, or threads of our own."""
    if executor is not None:
        yield executor
        return
    pool = ThreadPoolExecutor(max_workers, thread_name_prefix="hfmem")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # after an interrupt nobody waits for a slow answer


def in_order(pool: Executor, function: Callable[[Given], Result], items: Iterator[Given], most: int) -> Iterator[Result]:
    waiting: deque[Future[Result]] = deque()
    try:
        while True:
            waiting.extend(pool.submit(function, item) for item in islice(items, most - len(waiting)))
            if not waiting:
                return
            yield waiting.popleft().result()
    finally:
        cancel(waiting)


def as_completed(pool: Executor, function: Callable[[Given], Result], items: Iterator[Given], most: int) -> Iterator[Result]:
    waiting: set[Future[Result]] = set()
    try:
        while True:
            waiting.update(pool.submit(function, item) for item in islice(items, most - len(waiting)))
            if not waiting:
                return
            done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
            while done:
                yield done.pop().result()
    finally:
        cancel(waiting)


def cancel(futures: Iterable[Future[Result]]) -> None:
    for future in futures:
        future.cancel()
