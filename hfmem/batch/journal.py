"""What has been worked out so far, a row a line: whoever is killed goes on from here."""

from __future__ import annotations

import fcntl
import json
import os
import re
import stat
from collections.abc import Iterator
from contextlib import ExitStack
from io import FileIO
from pathlib import Path
from tempfile import TemporaryFile

from hfmem.errors import HfmemError, UsageError
from hfmem.report.batch_rows import Row, is_whole

# What another run would not change; a wrong token, a missing directory or a network may be mended until then.
FINAL = ("ok", "partial", "unsupported", "broken", "invalid")
CHUNK = 65_536
KEY = re.compile("[0-9a-f]{32}")


class Journal:
    """
    Rows in the order they came; `has` knows them by their key, and iteration gives those of this run in the order of the list.

    A line is written by one call and counts once its end is there, so a run that is killed loses at most the line it was
    writing. In memory are only the places of rows.
    """

    def __init__(self, file: FileIO) -> None:
        self._file = file
        self._known: dict[int, int] = {}
        self._earlier: set[int] = set()  # rows of an earlier run that this one has not asked for
        self._places: dict[int, int] = {}
        self._end = 0

    @classmethod
    def unnamed(cls) -> Journal:
        """A journal that is gone with the process."""
        return cls(TemporaryFile(buffering=0))

    @classmethod
    def at(cls, path: Path, *, resume: bool) -> Journal:
        """The journal of a run; rows of an earlier one are gone on from or refused, and never lost. Raises `UsageError`."""
        with ExitStack() as unless_kept:
            journal = unless_kept.enter_context(cls(locked(path)))
            if resume:
                journal._load(path)
            elif path.stat().st_size:
                hint = f"--resume goes on from there; or remove {path}"
                raise UsageError(f"{path} has rows of an earlier run that did not end", code="journal-exists", hint=hint)
            unless_kept.pop_all()
            return journal

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def _load(self, path: Path) -> None:
        """Remember where rows are; the line that was being written is taken away. Raises `UsageError` for what is no journal."""
        with os.fdopen(os.dup(self._file.fileno()), "rb") as lines:
            for count, line in enumerate(lines, 1):
                if not line.endswith(b"\n"):
                    break
                row = decoded(line)
                if row is None:
                    message = f"line {count} of {path} is no row of a journal"
                    raise UsageError(message, code="bad-journal", hint="name the journal of an earlier run, or remove it")
                self._note(row, self._end)
                self._end += len(line)
        self._file.truncate(self._end)
        self._earlier = set(self._known)

    @property
    def num_foreign(self) -> int:
        """Rows of an earlier run that are of other models, other options or another version."""
        return len(self._earlier)

    def _note(self, row: Row, place: int) -> None:
        if row["status"] in FINAL:
            self._known[number(row["key"])] = place

    @property
    def is_empty(self) -> bool:
        return self._end == 0

    def has(self, key: str) -> bool:
        return number(key) in self._known

    def is_earlier(self, key: str) -> bool:
        """Whether an earlier run worked it out, and this one has not asked for it yet."""
        return number(key) in self._earlier

    def keep(self, row: Row) -> None:
        """Write a row of this run. Raises `HfmemError` where the disk is full."""
        line = json.dumps(row, allow_nan=False).encode() + b"\n"
        place, self._end = self._end, self._end + len(line)
        self._file.seek(place)
        try:
            written = self._file.write(line)
        except OSError as error:
            raise HfmemError(f"the journal cannot be written: {error.strerror}", code="not-saved") from error
        if written != len(line):
            raise HfmemError("the journal cannot be written: the disk is full", code="not-saved")
        self._places[row["index"]] = place
        self._note(row, place)

    def take(self, index: int, key: str) -> Row:
        """A row that is known, as the row of this place in the list."""
        self._places[index] = self._known[number(key)]
        self._earlier.discard(number(key))
        return self.read(index)

    def __iter__(self) -> Iterator[Row]:
        """The rows of this run, by their place in the list; as often as is wanted."""
        return (self.read(index) for index in sorted(self._places))

    def __len__(self) -> int:
        return len(self._places)

    def read(self, index: int) -> Row:
        """The row of one place in the list."""
        row = json.loads(self._line(self._places[index]))
        row.pop("key")
        return {**row, "index": index}

    def _line(self, place: int) -> bytes:
        """The line that begins there; a place is asked for by its number, for writing goes on at the end."""
        line = b""
        while b"\n" not in line:
            more = os.pread(self._file.fileno(), CHUNK, place + len(line))
            if not more:
                raise HfmemError("the journal was cut while it was in use", code="bad-journal", hint="run the list again")
            line += more
        return line.partition(b"\n")[0]


def locked(path: Path) -> FileIO:
    """The file, which nobody else writes while it is open."""
    try:
        file = FileIO(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666), "r+")
    except OSError as error:
        raise UsageError(f"the journal {path} cannot be written: {error.strerror}", code="bad-output") from error
    try:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise UsageError(f"the journal {path} is no regular file", code="bad-output", hint="--journal FILE")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise UsageError(f"another run writes {path}", code="journal-in-use", hint="wait, or give --journal") from error
    except OSError:  # a file system without locks, where nobody can be told
        return file
    except UsageError:
        file.close()
        raise
    return file


def decoded(line: bytes) -> Row | None:
    """The row of a line; None for one that is none."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    is_row = isinstance(row, dict) and KEY.fullmatch(str(row.get("key"))) and is_whole(row)
    return row if is_row else None


def number(key: str) -> int:
    """A key as a number, which takes less room."""
    return int(key[:16], 16)
