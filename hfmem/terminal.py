"""What a command leaves behind: text on stdout, failures in two lines on stderr, and the documented exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import typer

from hfmem.errors import ExitCode, HfmemError


def write(text: str) -> None:
    """Print a line to stdout, whatever its encoding can show of it."""
    write_pieces((text, "\n"))


def write_pieces(pieces: Iterable[str]) -> None:
    """The same for a text that is made while it is printed."""
    if sys.stdout is None:  # what Python makes of a closed descriptor
        raise HfmemError("there is nowhere to write: standard output is closed", code="no-output")
    encoding = sys.stdout.encoding or "utf-8"
    for piece in pieces:
        put(piece.encode(encoding, "backslashreplace").decode(encoding))
    put("")


def put(text: str) -> None:
    """Text, or with none what is still in the buffer."""
    try:
        sys.stdout.write(text) if text else sys.stdout.flush()
    except OSError as error:
        discard_output()
        if isinstance(error, BrokenPipeError):  # whoever read has read enough
            raise typer.Exit(ExitCode.UNEXPECTED) from error
        raise HfmemError(f"standard output cannot be written: {error.strerror}", code="no-output") from error


def discard_output() -> None:
    """Let what is left in the buffer go nowhere, so that the interpreter does not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def failures() -> Iterator[None]:
    """Every failure as one or two lines on stderr and its documented exit code; a traceback only with HFMEM_DEBUG."""
    try:
        yield
    except HfmemError as error:
        complain(error.message, error.hint)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(ExitCode.INTERRUPTED) from error
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if os.environ.get("HFMEM_DEBUG"):
            raise
        complain(f"unexpected {type(error).__name__}: {error}", "set HFMEM_DEBUG=1 for the traceback, and please report it")
        raise typer.Exit(ExitCode.UNEXPECTED) from error


def complain(message: str, hint: str | None) -> None:
    from hfmem.report.escape import terminal

    typer.echo(f"error: {terminal(message)}", err=True)
    if hint:
        typer.echo(f"hint: {terminal(hint)}", err=True)
