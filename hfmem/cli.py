"""The command line: parse, call, print. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterable
from contextlib import suppress
from importlib import import_module
from typing import Annotated, Any

import typer

from hfmem._version import __version__

# Each command is a module of `hfmem.commands` and the function of its name in it, in the order of --help.
COMMANDS = ("estimate", "train", "fit", "plot", "check", "batch", "devices", "verify")


def print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"hfmem {__version__}")
        raise typer.Exit


VersionOpt = Annotated[bool, typer.Option("--version", "-v", help="Print the version.", callback=print_version, is_eager=True)]


def root(version: VersionOpt = False) -> None:
    """How much GPU memory a Hugging Face model needs, before anything is downloaded."""


def app_of(names: Iterable[str]) -> typer.Typer:
    """The application with these commands; each has up to seventy options, and those of the others cost time to declare."""
    found = typer.Typer(
        help=root.__doc__,
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    found.callback()(root)
    for name in names:
        found.command()(getattr(import_module(f"hfmem.commands.{name}"), name))
    return found


def __getattr__(name: str) -> Any:
    """`app`, with all commands, is made when it is asked for."""
    if name != "app":
        raise AttributeError(f"module 'hfmem.cli' has no attribute {name!r}")
    return app_of(COMMANDS)


def main() -> None:
    """The entry point of `hfmem` and `python -m hfmem`."""
    gc.set_threshold(100_000)  # a short process: looking for cycles costs more than they do
    try:
        app_of([name for name in sys.argv[1:2] if name in COMMANDS] or COMMANDS)()
    except SystemExit as ended:
        others = (thread for thread in threading.enumerate() if thread is not threading.main_thread())
        waiting = any(not thread.daemon for thread in others)  # the interpreter would wait for these
        if isinstance(ended.code, int) and ended.code and waiting:
            leave(ended.code)
        raise


def leave(code: int) -> None:
    """End at once: whoever stopped a list does not wait for threads that wait for the Hub."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
