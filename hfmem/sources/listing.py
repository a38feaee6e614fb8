"""The files under a directory, as far as a checkpoint reaches: a few levels deep, and not without end."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from hfmem.errors import BrokenCheckpoint
from hfmem.sources.paths import is_safe_name
from hfmem.sources.regular_file import why_unreadable
from hfmem.sources.wording import quoted

MAX_DEPTH = 3
MAX_ENTRIES = 100_000


def listed(root: Path) -> Mapping[str, int | None]:
    """
    Name → bytes of every file up to three directories down; hidden directories and linked ones are left out.

    Pipes, devices and broken links are listed without a size, so that reading one can say what it is.
    """
    sizes: dict[str, int | None] = {}
    for num_entries, entry in enumerate(_entries(root, MAX_DEPTH)):
        if num_entries >= MAX_ENTRIES:
            raise _too_many(root)
        name = Path(entry.path).relative_to(root).as_posix()
        if not _is_directory(entry) and is_safe_name(name):
            sizes[name] = _size(entry)
    return sizes


def _entries(directory: Path, depth: int) -> Iterator[os.DirEntry[str]]:
    try:
        entries = os.scandir(directory)
    except OSError as error:
        if depth == MAX_DEPTH:
            raise why_unreadable(error, directory) from error
        return
    with entries:
        for entry in entries:
            yield entry
            if depth > 0 and entry.is_dir(follow_symlinks=False) and not entry.name.startswith("."):
                yield from _entries(Path(entry.path), depth - 1)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself, or into a directory that may not be entered
        return False


def _size(entry: os.DirEntry[str]) -> int | None:
    try:
        status = entry.stat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _too_many(root: Path) -> BrokenCheckpoint:
    return BrokenCheckpoint(
        f"{quoted(str(root))} holds more than {MAX_ENTRIES} files and directories",
        code="too-many-files",
        hint="name the checkpoint's own directory",
    )
