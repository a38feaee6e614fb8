"""Opening a file of an untrusted tree: only a regular one, without waiting, and with the reason when it cannot be."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from hfmem.errors import BrokenCheckpoint, HfmemError, NotFound
from hfmem.sources.wording import quoted

# O_NONBLOCK keeps a pipe from waiting for its writer, O_NOCTTY a terminal from becoming ours.
_FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY"):
    _FLAGS |= getattr(os, _flag, 0)


@contextmanager
def opened(path: Path) -> Iterator[FileIO]:
    """The regular file at a path, unbuffered, so that no byte is read that is not asked for."""
    require_regular(path)  # before opening: opening a device can already act on it
    try:
        descriptor = os.open(path, _FLAGS)
    except OSError as error:
        raise why_unreadable(error, path) from error
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _not_regular(path)
        yield file


def require_regular(path: Path) -> os.stat_result:
    """What the system knows of a regular file; anything else at the path is an error."""
    try:
        status = os.stat(path)
    except OSError as error:
        raise why_unreadable(error, path) from error
    if not stat.S_ISREG(status.st_mode):
        raise _not_regular(path)
    return status


def why_unreadable(error: OSError, path: Path) -> HfmemError:
    """The error of ours for one of the system's."""
    shown = quoted(str(path))
    if error.errno == errno.ELOOP:
        return BrokenCheckpoint(f"the link {shown} leads to itself", code="symlink-loop")
    if error.errno in (errno.EACCES, errno.EPERM):
        return BrokenCheckpoint(f"no permission to read {shown}", code="permission-denied")
    if error.errno == errno.ENXIO:
        return _not_regular(path)
    if error.errno == errno.ENOENT and os.path.islink(path):
        target = quoted(os.readlink(path))
        return BrokenCheckpoint(f"the link {shown} leads to {target}, which does not exist", code="dangling-link")
    if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
        return NotFound(f"there is no file {shown}", code="file-not-found")
    return BrokenCheckpoint(f"{shown} cannot be read: {error.strerror}", code="unreadable")


def _not_regular(path: Path) -> BrokenCheckpoint:
    return BrokenCheckpoint(f"{quoted(str(path))} is no regular file", code="not-a-regular-file")
