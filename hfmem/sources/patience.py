"""How long to wait for others: for a byte, for an answer, and before another try."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """The limits of one request; `sleep` is replaced by tests."""

    tries: int = 3
    idle_seconds: float = 10.0  # between two bytes, and for a connection
    answer_seconds: float = 60.0  # for all of one answer, however its bytes drip
    first_wait_seconds: float = 1.0  # doubled with each try
    longest_wait_seconds: float = 30.0  # a server that asks for more gets no further try
    sleep: Callable[[float], None] = time.sleep

    def wait_before_try(self, tries: int, asked_seconds: float | None) -> float | None:
        """How long to wait after so many tries; None when it is time to give up."""
        if tries >= self.tries:
            return None
        if asked_seconds is None:
            return min(self.longest_wait_seconds, self.first_wait_seconds * 2.0 ** (tries - 1))
        # A second more, because the server rounds down.
        return asked_seconds + 1.0 if asked_seconds <= self.longest_wait_seconds else None


class Deadline:
    """A moment on the clock that never jumps."""

    def __init__(self, seconds: float) -> None:
        self._ends = time.monotonic() + seconds

    def check(self) -> None:
        """TimeoutError once the moment has passed."""
        if time.monotonic() > self._ends:
            raise TimeoutError


def within(seconds: float, call: Callable[[], Result]) -> Result:
    """
    The call's result, or TimeoutError when it takes longer.

    It runs in a thread that is left behind then, because the resolution of a name and the headers of
    an answer offer no other way to stop waiting.
    """
    future: Future[Result] = Future()
    threading.Thread(target=_settle, args=(future, call), daemon=True).start()
    return future.result(timeout=seconds)


def _settle(future: Future[Result], call: Callable[[], Result]) -> None:
    try:
        future.set_result(call())
    except BaseException as error:  # noqa: BLE001  it belongs to the thread that waits
        future.set_exception(error)
