"""
The beginning of a GGUF file as it is read: a window that grows, and never past what the file or a header may have.

Every length that the file declares is compared with the file before anything of that size is read or walked.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any

from hfmem.checkpoint.header import MAX_HEADER_BYTES
from hfmem.checkpoint.json_text import clip
from hfmem.errors import HeaderError
from hfmem.sources.base import Source

FIRST_BYTES = 2**20  # a tokenizer's vocabulary follows, and is mostly a few times that
GROWTH = 4
MAX_NAME_BYTES = 65_535
INCOMPLETE = "the download is incomplete: download the file again"
LENGTH_CODES = {1: "I"}  # version 1 counts in 32 bits


@dataclass(slots=True)
class Stream:
    """The bytes from the start to `position` are understood, those to the end of `data` at hand."""

    source: Source
    file: str
    file_bytes: int | None
    next_bytes: int = FIRST_BYTES
    data: bytearray = field(default_factory=bytearray)
    position: int = 0
    order: str = "<"
    length_code: str = "Q"

    def reach(self, end: int, what: str) -> None:
        """Have everything before `end` at hand. Raises `HeaderError` where that cannot be."""
        if end <= len(self.data):
            return
        self.check(end, what)
        while len(self.data) < end:
            most = min(MAX_HEADER_BYTES, MAX_HEADER_BYTES if self.file_bytes is None else self.file_bytes)
            total = min(most, max(end, self.next_bytes))
            found = self.source.read_range(self.file, len(self.data), total - len(self.data))
            if not found:
                raise self.truncated(what, end, len(self.data))
            self.data += found
            self.next_bytes = GROWTH * len(self.data)

    def check(self, end: int, what: str) -> None:
        """Refuse a part that the file, or any header, is too short for."""
        if self.file_bytes is not None and end > self.file_bytes:
            raise self.truncated(what, end, self.file_bytes)
        if end > MAX_HEADER_BYTES:
            message = f"{self.file}: {what} ends at byte {end:,}; a header of {MAX_HEADER_BYTES:,} bytes is the most"
            raise HeaderError(message, code="header-too-large")

    def check_count(self, count: int, least_bytes: int, what: str) -> None:
        """Refuse a number of things that have no room in what is left."""
        self.check(self.position + count * least_bytes, f"a list of {count:,} {what}")

    def truncated(self, what: str, end: int, there: int) -> HeaderError:
        message = f"{self.file}: {what} ends at byte {end:,}, the file has {there:,}"
        return HeaderError(message, code="truncated-header", hint=INCOMPLETE)

    def numbers(self, code: str, count: int, what: str) -> tuple[Any, ...]:
        """`count` numbers of one type, by its letter in `struct`."""
        size = count * struct.calcsize(f"<{code}")
        self.reach(self.position + size, what)
        found = struct.unpack_from(f"{self.order}{count}{code}", self.data, self.position)
        self.position += size
        return found

    def number(self, code: str, what: str) -> Any:
        return self.numbers(code, 1, what)[0]

    def length(self, what: str) -> int:
        return int(self.number(self.length_code, what))

    def take(self, num_bytes: int, what: str) -> bytes:
        self.reach(self.position + num_bytes, what)
        found = bytes(self.data[self.position : self.position + num_bytes])
        self.position += num_bytes
        return found

    def name(self, what: str) -> str:
        """A key or a tensor's name: UTF-8, and not empty."""
        length = self.length(f"the length of {what}")
        if not 0 < length <= MAX_NAME_BYTES:
            code = "name-too-long" if length else "empty-name"
            raise HeaderError(f"{self.file}: {what} has {length:,} bytes; 1 to {MAX_NAME_BYTES:,} are possible", code=code)
        text = self.take(length, what)
        try:
            return text.decode()
        except UnicodeDecodeError as cause:
            shown = clip(text.decode(errors="replace"))
            raise HeaderError(f"{self.file}: {what} is not UTF-8: {shown}", code="not-utf8") from cause

    def skip(self, num_bytes: int, what: str) -> None:
        """Pass over bytes that must be there; they are read only where something behind them is."""
        self.check(self.position + num_bytes, what)
        self.position += num_bytes

    def skip_strings(self, count: int, what: str) -> None:
        """Pass over strings, of which a vocabulary has hundreds of thousands."""
        length = struct.Struct(self.order + self.length_code)
        position, size, data, read = self.position, length.size, self.data, length.unpack_from
        while count:
            try:
                while count:
                    position += size + read(data, position)[0]
                    count -= 1
            except (struct.error, IndexError, OverflowError):  # past what is at hand
                self.reach(position + size, what)
        self.check(position, what)
        self.position = position
