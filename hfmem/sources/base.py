"""What every place bytes come from can do; a source knows files and ranges, never formats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from hfmem.errors import BrokenCheckpoint, NotFound
from hfmem.sources.wording import quoted


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a checkpoint comes from, as far as it is known."""

    reference: str  # what names it again: a repo id or a path
    source: str  # "hub", "cache", "directory", "file" or "memory"
    revision: str | None = None
    commit: str | None = None
    gated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """What the Hub says of a repository beside its files, and what of them is on this machine already."""

    repo_id: str
    gated: bool
    private: bool
    license: str | None
    files: Mapping[str, int | None]  # all of it, whatever part a reference is of
    prefix: str  # leads from there to the names of that part; "" for all of it
    digests: Mapping[str, str]  # file → sha256, or git's own name of a small one
    downloaded: frozenset[str]  # files that are whole in the Hub library's cache
    cache_dir: str
    is_usual_cache: bool
    is_listed: bool  # False where the Hub was not asked, and files are those that happen to be here
    has_hidden: bool  # files of names nobody could ask for


class Source(Protocol):
    """
    A read-only tree of files: names are relative, `/`-separated, and cannot leave the tree.

    Every method raises `NotFound` for a name that is not there, `BrokenCheckpoint` for a file that is
    no regular file or leaves the tree, and the access and network errors of its transport.
    """

    @property
    def origin(self) -> Origin: ...

    @property
    def max_workers(self) -> int:
        """How many calls to `read_range` may usefully be under way at once."""
        ...

    def files(self) -> Mapping[str, int | None]:
        """Name → bytes (None where the source does not say) of every file of the tree."""
        ...

    def read(self, name: str, *, limit: int) -> bytes:
        """The whole of a small file; more than `limit` bytes is an error, found before they are read."""
        ...

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer only where the file ends; never a byte more is transferred."""
        ...

    def sharded_headers(self, index: str) -> bytes | None:
        """
        The headers of all shards of `index` in one JSON text where the source offers that, else None.

        `{"index": {"metadata": …}, "headers": {shard: {tensor: {"dtype", "shape", "data_offsets"}}}}`
        """
        ...


@runtime_checkable
class Published(Protocol):
    """A source that is a repository of the Hub."""

    def repository(self) -> Repository: ...

    def may_read(self) -> bool | None:
        """Whether this token may read the files, asked now; None where that cannot be asked."""
        ...

    @property
    def snapshot(self) -> Source | None:
        """Its files on this machine, where the Hub library has downloaded some."""
        ...


@runtime_checkable
class Remembering(Protocol):
    """A source whose content never changes, so that what was worked out from it can be kept beside it."""

    def recall(self, key: str) -> bytes | None:
        """What was worked out from this very content before and kept under `key`."""
        ...

    def remember(self, key: str, content: bytes) -> None:
        """Keep what was worked out from this content, where that is possible."""
        ...


def no_such_file(name: str, place: str) -> NotFound:
    """The error for a file that `place` does not have."""
    return NotFound(f"{place} has no file {quoted(name)}", code="file-not-found")


def too_big(name: str, num_bytes: int, limit: int) -> BrokenCheckpoint:
    """The error for a file that is larger than its reader can use."""
    message = f"{quoted(name)} has {num_bytes} bytes, more than the {limit} such a file may have"
    return BrokenCheckpoint(message, code="too-big")
