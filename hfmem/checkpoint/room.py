"""How much of large files may be taken apart at once: threads that would need more wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

# An index of ninety thousand tensors has nine megabytes, its map ten times that as Python's objects.
TOGETHER_BYTES = 96 * 2**20
OBJECTS = 10
SMALL_BYTES = 2**20

_free = TOGETHER_BYTES
_changed = threading.Condition()


@contextmanager
def room_for(num_bytes: int | None, *, times: int = OBJECTS) -> Iterator[None]:
    """Wait until there is room for what so many bytes of JSON become; small ones never wait, and the largest has it all."""
    if not num_bytes or num_bytes < SMALL_BYTES:
        yield
        return
    share = min(TOGETHER_BYTES, num_bytes * times)
    take(share)
    try:
        yield
    finally:
        take(-share)


def take(num_bytes: int) -> None:
    global _free
    with _changed:
        _changed.wait_for(lambda: _free >= num_bytes)
        _free -= num_bytes
        _changed.notify_all()
