"""`hfmem check`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import typer

from hfmem import options as opt
from hfmem.commands.showing import rendered
from hfmem.errors import ExitCode
from hfmem.terminal import failures, write

if TYPE_CHECKING:
    from hfmem.doctor.values import Checkup


def check(
    model: opt.ModelArg,
    local_dir: opt.LocalDirOpt = None,
    hash: opt.HashOpt = False,
    verify: opt.ClassOpt = False,
    on: opt.OnOpt = None,
    context: opt.ContextOpt = None,
    batch: opt.BatchOpt = 1,
    engine: opt.EngineOpt = "transformers",
    exit_code: opt.ExitOpt = False,
    format: opt.FormatOpt = opt.Format.text,
    quiet: opt.VerdictOpt = False,
    revision: opt.RevisionOpt = None,
    token: opt.TokenOpt = None,
    cache_dir: opt.CacheOpt = None,
) -> None:
    """
    Say what is wrong with a checkpoint, or what a download of a repository would bring: exit code 9 where it is broken.

    Examples:  hfmem check DIR --hash   |   hfmem check Qwen/Qwen3-8B --on "RTX 4090"   |   hfmem check ORG/NAME --local-dir DIR
    """
    with failures():
        from hfmem.checking import check
        from hfmem.memory.workload import Inference

        asked = partial(check, model, revision=revision, token=token, cache_dir=cache_dir, local_dir=local_dir)
        workload = Inference(context=context, batch=batch, engine=engine)
        with bar(hash and not quiet) as begin:
            found = asked(hash=hash, verify=verify, on=on or (), workload=workload, begin=begin)
        write(found.verdict if quiet else rendered("checkup", found, format))
        if code := code_of(found, exit_code):
            raise typer.Exit(code)


def code_of(found: Checkup, exit_code: bool) -> ExitCode:
    if found.verdict == "broken":
        return ExitCode.BROKEN
    if found.preflight and found.preflight.may_read is False:
        return ExitCode.ACCESS_DENIED
    if exit_code and any(fit.verdict == "no" for fit in found.devices):
        return ExitCode.DOES_NOT_FIT
    return ExitCode.OK


@contextmanager
def bar(shown: bool) -> Iterator[Callable[[int], Callable[[int], None]]]:
    """How much has been hashed, on stderr, where that is a terminal."""
    if not shown:
        yield lambda num_bytes: lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:

        def begin(num_bytes: int) -> Callable[[int], None]:
            task = progress.add_task("hashing", total=num_bytes)
            return lambda done: progress.update(task, advance=done)

        yield begin
