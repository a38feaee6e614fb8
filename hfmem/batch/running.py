"""Running one function over a list of any length: so many at once, so many waiting, and results as they come or in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from typing import Generic, TypeVar

Given = TypeVar("Given")
Result = TypeVar("Result")

DEFAULT_WORKERS = 16
WAITING = 4  # calls handed over for each worker, so that none of them is ever idle


def run(
    function: Callable[[Given], Result],
    items: Iterable[Given],
    lost: Callable[[Given, BaseException], Result],
    *,
    executor: Executor | None = None,
    max_workers: int = DEFAULT_WORKERS,
    ordered: bool = True,
) -> Iterator[Result]:
    """
    The results of `function`, in the order of `items` or as they complete.

    Items are taken as workers get free, so the list may be endless; results wait for their turn, never more of them than
    calls may be under way. A call that raises, or whose worker dies, gives what `lost` makes of it. What `items` raises, and
    an executor that takes no more calls, is raised once every call under way has given its result. Closing the iterator
    cancels what has not begun.
    """
    with pool_of(executor, max_workers) as pool:
        calls = Calls(function, iter(items), pool, max_workers * WAITING)
        try:
            for item, future in calls.in_order() if ordered else calls.as_completed():
                yield result_of(item, future, lost)
        finally:
            calls.cancel()
        if calls.ended_by is not None:
            raise calls.ended_by


def result_of(item: Given, future: Future[Result], lost: Callable[[Given, BaseException], Result]) -> Result:
    try:
        cause = future.exception()
    except CancelledError as error:  # by the executor
        cause = error
    return future.result() if cause is None else lost(item, cause)


class Calls(Generic[Given, Result]):
    """The calls under way, refilled from the items whenever one has ended."""

    def __init__(self, function: Callable[[Given], Result], items: Iterator[Given], pool: Executor, most: int) -> None:
        self._function = function
        self._items = items
        self._pool = pool
        self._most = most
        self._under_way: deque[tuple[Given, Future[Result]]] = deque()
        self.ended_by: Exception | None = None

    def in_order(self) -> Iterator[tuple[Given, Future[Result]]]:
        while self._refilled():
            item, future = self._under_way.popleft()
            wait([future])
            yield item, future

    def as_completed(self) -> Iterator[tuple[Given, Future[Result]]]:
        while self._refilled():
            wait([future for _, future in self._under_way], return_when=FIRST_COMPLETED)
            done, left = deque[tuple[Given, Future[Result]]](), deque[tuple[Given, Future[Result]]]()
            for call in self._under_way:
                (done if call[1].done() else left).append(call)
            self._under_way = left
            yield from done

    def _refilled(self) -> bool:
        """Hand over as many calls as may be under way; whether any are."""
        try:
            while self.ended_by is None and len(self._under_way) < self._most:
                item = next(self._items)
                self._under_way.append((item, self._pool.submit(self._function, item)))
        except StopIteration:
            self._most = 0
        except Exception as error:  # noqa: BLE001  raised by `run`, after the results of what is under way
            self.ended_by = error
        return bool(self._under_way)

    def cancel(self) -> None:
        for _, future in self._under_way:
            future.cancel()


@contextmanager
def pool_of(executor: Executor | None, max_workers: int) -> Iterator[Executor]:
    """The caller's executor, which stays the caller's, or threads of our own."""
    if executor is not None:
        yield executor
        return
    pool = ThreadPoolExecutor(max_workers, thread_name_prefix="hfmem-batch")
    try:
        yield pool
    finally:
        pool.shutdown(wait=False, cancel_futures=True)  # after an interrupt nobody waits for a slow answer
