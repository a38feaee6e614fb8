"""What `-o` names: a file that is there whole or not at all."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path
from stat import S_IMODE, S_ISDIR, S_ISREG

from hfmem.errors import HfmemError, UsageError


def save(path: Path, pieces: Iterable[str | bytes]) -> None:
    """
    Write the pieces as they come, text as UTF-8, beside the file they are to be, and put them in its place at the end.

    Whatever happens before that, an interrupt too, leaves the file as it was. A link is followed, and a file that is replaced
    keeps its mode. Raises `UsageError` where no file can be at that path, `HfmemError` where writing fails, as on a full disk.
    """
    target = place(path)
    part = target.with_name(f".hfmem-{os.urandom(8).hex()}.part")
    file = started(part, path)
    try:
        with file:
            for piece in pieces:
                with writing(path):
                    add(file, piece)
            with writing(path):
                os.fsync(file.fileno())
        with writing(path):
            if target.exists():
                part.chmod(S_IMODE(target.stat().st_mode))
            part.replace(target)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def try_out(path: Path) -> None:
    """Raises before any work what would keep the file from being written at the end of it."""
    part = place(path).with_name(f".hfmem-{os.urandom(8).hex()}.part")
    started(part, path).close()
    part.unlink(missing_ok=True)


def place(path: Path) -> Path:
    """Where the file is to be, links followed; devices and pipes are refused, for they must not be replaced."""
    target = Path(os.path.realpath(path))
    mode = mode_of(target, path)
    if mode is not None and S_ISDIR(mode):
        raise UsageError(f"{path} is a directory", code="bad-output", hint="name a file in it")
    if mode is not None and not S_ISREG(mode):
        raise UsageError(f"{path} is no regular file", code="bad-output", hint="leave -o out to write to standard output")
    if mode is not None and not os.access(target, os.W_OK):
        raise UsageError(f"{path} cannot be written: it is read-only", code="bad-output", hint="name another file")
    if not target.parent.is_dir():
        hint = f"mkdir -p {shlex.quote(str(path.parent))}"
        raise UsageError(f"{path} cannot be written: {path.parent} is no directory", code="bad-output", hint=hint)
    return target


def mode_of(target: Path, path: Path) -> int | None:
    """What is there; None where nothing is yet. A name the system does not take is refused before any work is done."""
    try:
        return target.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise refused(path, error) from error


def refused(path: Path, error: OSError) -> UsageError:
    return UsageError(f"{path} cannot be written: {error.strerror}", code="bad-output", hint="name another file")


def started(part: Path, path: Path) -> FileIO:
    """The unfinished file, new and with the mode the umask gives; unbuffered, so that closing it cannot fail."""
    try:
        return FileIO(part, "x")
    except OSError as error:
        raise refused(path, error) from error


def add(file: FileIO, piece: str | bytes) -> None:
    """The whole piece; one call may write less."""
    data = memoryview(piece.encode("utf-8", "backslashreplace") if isinstance(piece, str) else piece)
    while data:
        data = data[file.write(data) :]


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What the system says of the file; failures of whoever makes the pieces are not its."""
    try:
        yield
    except OSError as error:
        raise HfmemError(f"{path} cannot be written: {error.strerror}", code="not-saved") from error
