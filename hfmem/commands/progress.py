"""How far a list is: one line on stderr that is written over, or a line now and then where that is no terminal."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

REDRAWN_EACH = 0.2
PLAIN_EACH = 10.0


class Progress:
    """Counts rows by their status; `line` says how it stands."""

    def __init__(self, total: int | None, waits: Callable[[], float]) -> None:
        self.total = total
        self.statuses: Counter[str] = Counter()
        self.num_known = 0  # from an earlier run
        self._waits = waits
        self._began = time.monotonic()

    def count(self, status: str, *, known: bool = False) -> None:
        self.statuses[status] += 1
        self.num_known += known

    @property
    def num_done(self) -> int:
        return self.statuses.total()

    def line(self) -> str:
        """Such as `120/2,000 · 117 ok · 3 gated · 31.2/s · 1 min 0 s left`."""
        of = f"/{self.total:,}" if self.total is not None else ""
        parts = [f"{self.num_done:,}{of}", *(f"{count:,} {status}" for status, count in self.statuses.most_common())]
        parts += [f"{self.num_known:,} known already"] * bool(self.num_known) + list(self.pace())
        waits = self._waits()
        return " · ".join([*parts, f"waits {span(waits)} for the Hub's rate limit"] if waits > 1 else parts)

    def pace(self) -> Iterator[str]:
        """Rows a second of this run, and how long the rest takes at that."""
        worked = self.num_done - self.num_known
        each_second = worked / max(1e-3, time.monotonic() - self._began)
        if worked:
            yield f"{each_second:.1f}/s"
        if worked and self.total is not None and self.total > self.num_done:
            yield f"{span((self.total - self.num_done) / each_second)} left"


def span(seconds: float) -> str:
    """A time as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


@contextmanager
def shown(progress: Progress, *, quiet: bool, stream: TextIO | None = None) -> Iterator[None]:
    """Show it on stderr while the list is worked on, waiting for the Hub included, and once more at the end."""
    out = stream or sys.stderr
    if quiet or out is None:
        yield
        return
    over = out.isatty() and not os.environ.get("HF_HUB_DISABLE_PROGRESS_BARS")
    ended = threading.Event()
    drawing = threading.Thread(target=draw, args=(progress, ended, out, over), daemon=True)
    drawing.start()
    try:
        yield
    finally:
        ended.set()
        drawing.join(timeout=2)
        if progress.num_done:
            put(out, f"\r\x1b[2K{progress.line()}\n" if over else f"{progress.line()}\n")


def draw(progress: Progress, ended: threading.Event, out: TextIO, over: bool) -> None:
    while not ended.wait(REDRAWN_EACH if over else PLAIN_EACH):
        put(out, f"\r\x1b[2K{progress.line()[: width()]}" if over else f"{progress.line()}\n")


def width() -> int:
    try:
        return os.get_terminal_size(2).columns - 1
    except OSError:
        return 79


def put(out: TextIO, text: str) -> None:
    """A terminal that is gone is no reason to stop."""
    try:
        out.write(text)
        out.flush()
    except (OSError, ValueError):
        return
