"""The command line: parse, call, print. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import Annotated

import typer

from hfmem._version import __version__
from hfmem.commands.batch import batch
from hfmem.commands.check import check
from hfmem.commands.devices import devices
from hfmem.commands.estimate import estimate
from hfmem.commands.fit import fit
from hfmem.commands.plot import plot
from hfmem.commands.train import train
from hfmem.commands.verify import verify
from hfmem.errors import ExitCode

app = typer.Typer(
    help="How much GPU memory a Hugging Face model needs, before anything is downloaded.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"hfmem {__version__}")
        raise typer.Exit


VersionOpt = Annotated[bool, typer.Option("--version", "-v", help="Print the version.", callback=print_version, is_eager=True)]


@app.callback()
def root(version: VersionOpt = False) -> None:
    """How much GPU memory a Hugging Face model needs, before anything is downloaded."""


for command in (estimate, train, fit, plot, check, batch, devices, verify):
    app.command()(command)


def main() -> None:
    """The entry point of `hfmem` and `python -m hfmem`."""
    gc.set_threshold(100_000)  # a short process: looking for cycles costs more than they do
    try:
        app()
    except SystemExit as ended:
        if ended.code == ExitCode.INTERRUPTED:
            leave(ExitCode.INTERRUPTED)
        raise


def leave(code: int) -> None:
    """End at once: whoever presses Ctrl-C does not wait for threads that wait for the Hub."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
