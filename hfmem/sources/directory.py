"""Checkpoints on this machine: a directory, one file of it, or what the Hub's cache holds."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, replace
from io import FileIO
from pathlib import Path

from hfmem.errors import BrokenCheckpoint, CannotTell, NotFound
from hfmem.sources.base import Origin, no_such_file, too_big
from hfmem.sources.cache_layout import commit_of, is_repo_directory, snapshot_around, snapshot_of
from hfmem.sources.listing import listed
from hfmem.sources.local_digests import known_digests, unfinished
from hfmem.sources.paths import READ_WITH_A_FILE, is_index, is_weights_file, safe_name, with_its_shards
from hfmem.sources.regular_file import opened, require_regular, why_unreadable
from hfmem.sources.wording import quoted


class DirectorySource:
    """A tree of files on disk, read with plain reads of just the bytes asked for and never mapped."""

    max_workers = 1

    def __init__(self, path: str | os.PathLike[str]) -> None:
        place = _place(Path(path))
        self.origin = place.origin
        self._root = place.root
        self._stores = place.stores
        self._sizes = place.sizes
        self._shown = place.shown

    def files(self) -> Mapping[str, int | None]:
        """Name → bytes of every file; None for what is no readable regular file, which reading explains."""
        return self._shown

    def read(self, name: str, *, limit: int) -> bytes:
        """The whole of a small file."""
        path = self._resolved(name)
        num_bytes = require_regular(path).st_size
        if num_bytes > limit:
            raise too_big(name, num_bytes, limit)
        return self._bytes(name, path, 0, num_bytes)

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer only where the file ends."""
        path = self._resolved(name)
        return self._bytes(name, path, start, length)

    def sharded_headers(self, index: str) -> bytes | None:
        """None: the files themselves are at hand."""
        return None

    def digests(self) -> Mapping[str, str]:
        """File → what it must hash to, where the Hub library noted that beside it."""
        return known_digests(self._root, self._shown)

    def unfinished(self) -> tuple[tuple[str, int], ...]:
        """Downloads into here that were not ended, and their bytes so far."""
        return tuple(unfinished(self._root))

    def _resolved(self, name: str) -> Path:
        path = self._root / safe_name(name)
        if name not in self._sizes and not path.is_dir():
            raise no_such_file(name, quoted(str(self._root)))
        try:
            resolved = Path(os.path.realpath(path, strict=True))
        except OSError as error:
            raise why_unreadable(error, path) from error
        if not any(resolved.is_relative_to(store) for store in self._stores):
            raise BrokenCheckpoint(
                f"the link {quoted(str(path))} leads out of its directory, to {quoted(str(resolved))}",
                code="link-leaves-directory",
                hint="put the file itself there, or name the directory it is in",
            )
        return resolved

    def _bytes(self, name: str, path: Path, start: int, length: int) -> bytes:
        with opened(path) as file:
            before = os.fstat(file.fileno())
            content = _read_exactly(file, path, start, min(length, max(0, before.st_size - start)))
            after = os.fstat(file.fileno())
        if _version(before) != _version(after) or before.st_size != self._sizes[name]:
            raise BrokenCheckpoint(
                f"{quoted(str(path))} changed while it was read", code="changed", hint="wait until it is written"
            )
        return content


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A path, understood: its root, where its links may lead, what can be read of it and what is shown."""

    origin: Origin
    root: Path
    stores: tuple[Path, ...]
    sizes: Mapping[str, int | None]
    shown: Mapping[str, int | None]


def _place(path: Path) -> _Place:
    try:
        status = os.stat(path)
    except OSError as error:
        raise why_unreadable(error, path) from error
    if not stat.S_ISDIR(status.st_mode):
        return _file_place(path)
    real = Path(os.path.realpath(path))
    return _directory_place(_latest_snapshot(real) if is_repo_directory(real) else real, path)


def _directory_place(root: Path, path: Path) -> _Place:
    snapshot = snapshot_around(root)
    origin = Origin(
        reference=str(path),
        source="cache" if snapshot else "directory",
        commit=snapshot.commit if snapshot else None,
    )
    stores = (root, *snapshot.blobs) if snapshot else (root,)
    sizes = listed(root)
    return _Place(origin=origin, root=root, stores=stores, sizes=sizes, shown=sizes)


def _file_place(path: Path) -> _Place:
    size = require_regular(path).st_size
    if not is_weights_file(path.name):
        message = f"{quoted(str(path))} is no .safetensors file, shard index or .gguf file"
        raise CannotTell(message, code="unsupported-file", hint="name the checkpoint's directory")
    root = Path(os.path.realpath(path.parent))
    if is_index(path.name):
        return replace(_directory_place(root, path), origin=_file_origin(root, path))
    beside = {name: _size(root / name) for name in READ_WITH_A_FILE if os.path.lexists(root / name)}
    snapshot = snapshot_around(root)
    # The user named this link, so it may lead anywhere.
    stores = (root, Path(os.path.realpath(path)), *(snapshot.blobs if snapshot else ()))
    shown = {name: _size(root / name) for name in with_its_shards(path.name, _names(root, path.name))} | {path.name: size}
    return _Place(origin=_file_origin(root, path), root=root, stores=stores, sizes=beside | shown, shown=shown)


def _names(root: Path, name: str) -> list[str]:
    """What lies beside a file that may be one shard of several; a directory that may not be listed shows nothing."""
    try:
        return os.listdir(root) if name.endswith(".gguf") else []
    except OSError:
        return []


def _file_origin(root: Path, path: Path) -> Origin:
    snapshot = snapshot_around(root)
    return Origin(reference=str(path), source="file", commit=snapshot.commit if snapshot else None)


def _size(path: Path) -> int | None:
    return path.stat().st_size if path.is_file() else None


def _latest_snapshot(repo: Path) -> Path:
    commit = commit_of(repo, "main")
    snapshot = snapshot_of(repo, commit) if commit else None
    if snapshot is None:
        raise NotFound(
            f"the cache directory {quoted(str(repo))} has no snapshot of main",
            code="revision-not-found",
            hint="name one of the directories in snapshots/",
        )
    return snapshot.path


def _read_exactly(file: FileIO, path: Path, start: int, length: int) -> bytes:
    """One read gives all of an ordinary file, and then nothing is copied: an index can have sixty megabytes."""
    try:
        file.seek(start)
        content = file.read(length) or b""
        while len(content) < length and (more := file.read(length - len(content))):
            content += more
    except OSError as error:
        raise why_unreadable(error, path) from error
    return content


def _version(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns
