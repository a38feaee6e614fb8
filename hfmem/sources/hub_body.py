"""Reading the body of an answer: to a limit, before a deadline, and no byte of a range that was not asked for."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx2

from hfmem.errors import NetworkError
from hfmem.sources.hub_errors import Subject, Transient, not_the_hub
from hfmem.sources.patience import Deadline

# Without ranges, a server sends the file from its start; so much of it may be read to reach a range.
MAX_BYTES_WITHOUT_RANGES = 4 * 1024 * 1024

_CONTENT_RANGE = re.compile(r"bytes (\d{1,19})-(\d{1,19})/(\d{1,19}|\*)")

Decode = Callable[[bytes, int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The bytes `start` to `start + length`, exclusive."""

    start: int
    length: int

    @property
    def end(self) -> int:
        """The position after the last byte."""
        return self.start + self.length

    def header(self) -> str:
        """The range as a request writes it, with its last byte."""
        return f"bytes={self.start}-{self.end - 1}"


def whole_body(response: httpx2.Response, deadline: Deadline, *, limit: int, expected: int | None, subject: Subject) -> bytes:
    """All of a body, which is refused as soon as it is more than `limit` bytes, or than the `expected` ones."""
    decode = _decoder(response, subject)
    most = limit if expected is None else min(limit, expected)
    body = bytearray()
    for chunk in _chunks(response, deadline, subject):
        body += decode(chunk, most + 1 - len(body))
        # An archive of nothing never grows, so what is transferred is bounded as well.
        if len(body) > most or response.num_bytes_downloaded > most + 65536:
            raise NetworkError(f"{subject.host} sends more than {most} bytes for {subject}", code="too-big")
    if expected is not None and len(body) < expected:
        raise _cut(subject, len(body), expected)
    return bytes(body)


def range_body(response: httpx2.Response, deadline: Deadline, *, asked: Range, subject: Subject) -> bytes:
    """The asked bytes, fewer only where the file ends."""
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise NetworkError(f"{subject.host} compresses a range of {subject}", code="encoded-range")
    if response.status_code == 206:
        return _partial(response, asked, deadline, subject)
    return _skipped(response, asked, deadline, subject)


def total_bytes(response: httpx2.Response) -> int | None:
    """The size of the file a range is of, as the answer states it."""
    if response.status_code == 200:
        return _declared_bytes(response)
    total = response.headers.get("content-range", "").rpartition("/")[2]
    return int(total) if re.fullmatch(r"\d{1,19}", total) else None


def _partial(response: httpx2.Response, asked: Range, deadline: Deadline, subject: Subject) -> bytes:
    found = response.headers.get("content-range", "")
    match = _CONTENT_RANGE.fullmatch(found.strip())
    first, last = (int(match[1]), int(match[2])) if match else (-1, -1)
    ends_the_file = match is not None and match[3] == str(last + 1)
    if first != asked.start or not asked.start <= last < asked.end or (last + 1 < asked.end and not ends_the_file):
        message = f"{subject.host} answers {asked.header()!r} of {subject} with another range: {found[:60]!r}"
        raise NetworkError(message, code="wrong-range")
    return _exactly(response, last + 1 - first, deadline, subject)


def _skipped(response: httpx2.Response, asked: Range, deadline: Deadline, subject: Subject) -> bytes:
    """The range out of a whole file, where that is cheap."""
    if asked.end > MAX_BYTES_WITHOUT_RANGES:
        raise NetworkError(
            f"{subject.host} sends no ranges, only all of {subject}",
            code="no-range",
            hint="download the checkpoint and name its directory, or set HF_ENDPOINT to a server with ranges",
        )
    declared = _declared_bytes(response)
    reachable = asked.end if declared is None else min(asked.end, declared)
    return _exactly(response, reachable, deadline, subject)[asked.start :]


def _chunks(response: httpx2.Response, deadline: Deadline, subject: Subject) -> Iterator[bytes]:
    """The body as it arrives; without a chunk size, so that a drip is noticed at its first byte."""
    try:
        for chunk in response.iter_raw():
            deadline.check()
            yield chunk
    except httpx2.RemoteProtocolError as error:
        raise Transient(f"{subject.host} cut {subject} short", code="cut-body") from error


def _exactly(response: httpx2.Response, num_bytes: int, deadline: Deadline, subject: Subject) -> bytes:
    body = bytearray()
    ends_there = _declared_bytes(response) == num_bytes
    for chunk in _chunks(response, deadline, subject):
        body += chunk
        # A body that ends there is read to its end, which frees the connection for the next request.
        if len(body) >= num_bytes and not ends_there:
            break
    if len(body) < num_bytes:
        raise _cut(subject, len(body), num_bytes)
    return bytes(body[:num_bytes])


def _cut(subject: Subject, num_bytes: int, expected: int) -> Transient:
    return Transient(f"{subject.host} cut {subject} after {num_bytes} of {expected} bytes", code="cut-body")


def _declared_bytes(response: httpx2.Response) -> int | None:
    text = response.headers.get("content-length", "")
    return int(text) if re.fullmatch(r"\d{1,19}", text) else None


def _decoder(response: httpx2.Response, subject: Subject) -> Decode:
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return _as_it_is
    if encoding == "gzip":
        return _Gzip(subject).decode
    raise not_the_hub(subject, f"a body is encoded as {encoding[:30]!r}, which was not asked for")


def _as_it_is(chunk: bytes, limit: int) -> bytes:
    return chunk[:limit]


class _Gzip:
    """Decompression that stops at a limit, so that a small body cannot become a large one."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._inflate = zlib.decompressobj(wbits=31)

    def decode(self, chunk: bytes, limit: int) -> bytes:
        try:
            return self._inflate.decompress(chunk, limit)
        except zlib.error as error:
            raise not_the_hub(self._subject, "a compressed body is damaged") from error
