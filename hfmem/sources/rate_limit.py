"""The Hub's rate limits as all requests of this process share them: whoever hears that nothing is left tells the others."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping

_RATE_LIMIT = re.compile(r'"(?P<bucket>\w{1,30})"\s*;\s*r\s*=\s*(?P<left>\d{1,9})\s*;\s*t\s*=\s*(?P<seconds>\d{1,9})')


def nothing_left(headers: Mapping[str, str]) -> tuple[str, float] | None:
    """The limit's name, and seconds until its window begins anew, where the `RateLimit` header says that nothing is left."""
    limit = _RATE_LIMIT.search(headers.get("ratelimit", ""))
    return (limit["bucket"], float(limit["seconds"])) if limit and int(limit["left"]) == 0 else None


class Gate:
    """
    Closed for as long as the Hub asks to wait; requests of one kind ("api", "resolvers") wait at it before they start.

    The Hub counts the two apart: https://huggingface.co/docs/hub/rate-limits
    """

    def __init__(self) -> None:
        self._opens: dict[str, float] = {}
        self._refused: dict[str, float] = {}
        self._lock = threading.Lock()

    def close(self, bucket: str, seconds: float, *, refused: bool = False) -> None:
        """Nobody starts for so long; a second more, because the server rounds down. `refused`: it has said so to somebody."""
        until = time.monotonic() + seconds + 1.0
        with self._lock:
            self._opens[bucket] = max(self._opens.get(bucket, 0.0), until)
            if refused:
                self._refused[bucket] = max(self._refused.get(bucket, 0.0), until)

    def wait(self, bucket: str, longest: float, sleep: Callable[[float], None]) -> float | None:
        """
        Wait until it opens. Where that is longer than `longest`, nothing is waited for: the seconds, where the server has
        refused somebody already and would refuse this one too, else None.
        """
        opens = 0.0
        while (moment := self._opens.get(bucket, 0.0)) > opens:  # closed anew while this one slept
            opens, seconds = moment, moment - time.monotonic()
            if seconds > longest + 1.0:
                break
            if seconds > 0:
                sleep(seconds)
        refused = self._refused.get(bucket, 0.0) - time.monotonic()
        return refused if refused > longest + 1.0 else None

    def opens_in(self) -> float:
        """Seconds until everything may be asked again; 0 where nothing waits."""
        return max([0.0, *(moment - time.monotonic() for moment in list(self._opens.values()))])


_GATES: dict[tuple[str, str, int], Gate] = {}


def gate_of(origin: tuple[str, str, int]) -> Gate:
    """The one gate of an endpoint in this process."""
    return _GATES.setdefault(origin, Gate())


def opens_in() -> float:
    """Seconds that requests to any endpoint have still to wait."""
    return max([0.0, *(gate.opens_in() for gate in list(_GATES.values()))])


BUCKETS = ("api", "resolvers")


def bucket_of(path: str) -> str:
    """Which limit counts a request: addresses of files have one of their own."""
    return "resolvers" if "/resolve/" in path else "api"
