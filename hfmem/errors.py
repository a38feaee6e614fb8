"""
What can go wrong, as one tree; `cli` turns each into its exit code.

    HfmemError
    ├── UsageError            2  the call itself is wrong
    ├── NotFound              4  no such repo, revision, file or path
    ├── AccessDenied          5  gated, private, disabled, or a token that is refused
    ├── NetworkError          6  unreachable, offline, rate limited, or not the Hub
    ├── CannotTell            7  unsupported format or architecture, or a part that cannot be read
    │   └── ConfigError          config.json is malformed or lacks a field
    └── BrokenCheckpoint      9  the files contradict themselves
        ├── HeaderError          a safetensors header
        └── ShardIndexError      a shard index
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar


class ExitCode(IntEnum):
    """The documented exit codes; no command exits with any other number."""

    OK = 0
    UNEXPECTED = 1
    USAGE = 2
    DOES_NOT_FIT = 3
    NOT_FOUND = 4
    ACCESS_DENIED = 5
    NETWORK = 6
    CANNOT_TELL = 7
    BATCH_FAILURES = 8
    BROKEN = 9
    INTERRUPTED = 130


class HfmemError(Exception):
    """A failure a user can act on: what, where and the value found; `hint` is the next thing to try."""

    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED

    def __init__(self, message: str, *, code: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.hint = hint

    def __reduce__(self) -> tuple[object, ...]:
        """Keyword-only arguments are lost on the way to another process unless they are named here."""
        return _restored, (type(self), self.message, self.__dict__)


def _restored(kind: type[HfmemError], message: str, state: dict[str, object]) -> HfmemError:
    error = kind.__new__(kind, message)
    error.__dict__.update(state)
    return error


class UsageError(HfmemError):
    """The call itself is wrong."""

    exit_code = ExitCode.USAGE


class NotFound(HfmemError):
    """No such repo, revision, file or path."""

    exit_code = ExitCode.NOT_FOUND


class AccessDenied(HfmemError):
    """Gated, private or disabled, or the token is refused."""

    exit_code = ExitCode.ACCESS_DENIED


class NetworkError(HfmemError):
    """Unreachable, offline, rate limited, or an answer that is not the Hub's."""

    exit_code = ExitCode.NETWORK


class CannotTell(HfmemError):
    """An unsupported format or architecture, or a part that cannot be read."""

    exit_code = ExitCode.CANNOT_TELL


class ConfigError(CannotTell):
    """config.json is malformed, or has no usable value for a field."""


class BrokenCheckpoint(HfmemError):
    """The checkpoint's files contradict themselves or each other."""

    exit_code = ExitCode.BROKEN


class HeaderError(BrokenCheckpoint):
    """A safetensors header breaks the format."""


class ShardIndexError(BrokenCheckpoint):
    """A shard index is malformed or names a file outside the checkpoint."""
