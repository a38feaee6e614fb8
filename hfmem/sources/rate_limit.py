"""The Hub's rate limits as all requests of this process share them: whoever hears that nothing is left tells the others."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Mapping

_RATE_LIMIT = re.compile(r'"(?P<bucket>\w{1,30})"\s*;\s*r\s*=\s*(?P<left>\d{1,9})\s*;\s*t\s*=\s*(?P<seconds>\d{1,9})')


def nothing_left(headers: Mapping[str, str]) -> float | None:
    """Seconds until a window begins anew, where the `RateLimit` header says that nothing of this one is left."""
    limit = _RATE_LIMIT.search(headers.get("ratelimit", ""))
    return float(limit["seconds"]) if limit and int(limit["left"]) == 0 else None


class Gate:
    """
    Closed for as long as the Hub asks to wait; requests of one kind ("api", "resolvers") wait at it before they start.

    The Hub counts the two apart: https://huggingface.co/docs/hub/rate-limits
    """

    def __init__(self) -> None:
        self._opens: dict[str, float] = {}
        self._lock = threading.Lock()

    def close(self, bucket: str, seconds: float) -> None:
        """Nobody starts for so long; a second more, because the server rounds down."""
        with self._lock:
            self._opens[bucket] = max(self._opens.get(bucket, 0.0), time.monotonic() + seconds + 1.0)

    def wait(self, bucket: str, longest: float, sleep: Callable[[float], None]) -> None:
        """Wait until it opens; a wait longer than `longest` is left to the server's own refusal."""
        seconds = self._opens.get(bucket, 0.0) - time.monotonic()
        if 0 < seconds <= longest + 1.0:
            sleep(seconds)

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


def bucket_of(path: str) -> str:
    """Which limit counts a request: addresses of files have one of their own."""
    return "resolvers" if "/resolve/" in path else "api"
