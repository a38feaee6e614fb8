"""What ends a long run early: Ctrl-C, and the signals of whoever limits its time, as one and the same."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM and SIGHUP are a KeyboardInterrupt, so that what was done is written and can be gone on from."""
    with handled(ENDING, interrupt):
        yield


@contextmanager
def undisturbed() -> Iterator[None]:
    """Nothing ends the process but SIGKILL, while files are put in their places."""
    with handled((signal.SIGINT, *ENDING), signal.SIG_IGN):
        yield


@contextmanager
def handled(signals: tuple[int, ...], handler: Callable[[int, FrameType | None], Any] | signal.Handlers) -> Iterator[None]:
    """Only the main thread may say what becomes of signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {each: signal.signal(each, handler) for each in signals}
    try:
        yield
    finally:
        for each, former in before.items():
            signal.signal(each, former)


def interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
