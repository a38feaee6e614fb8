"""`hfmem verify`."""

from __future__ import annotations

from typing import Any

import typer

from hfmem import options as opt
from hfmem.commands.estimate import estimate
from hfmem.commands.showing import rendered
from hfmem.commands.train import train as train_command
from hfmem.commands.workloads import takes_options_of, workload_of
from hfmem.errors import ExitCode, UsageError
from hfmem.terminal import failures, write


@takes_options_of(train_command, estimate)
def verify(
    model: opt.ModelArg,
    train: opt.TrainOpt = False,
    dry_run: opt.DryRunOpt = False,
    textbook: opt.TextbookOpt = False,
    strict: opt.StrictOpt = False,
    timeline: opt.TimelineOpt = False,
    time_limit: opt.SecondsOpt = 120.0,
    memory_limit: opt.GibOpt = 4.0,
    format: opt.FormatOpt = opt.Format.text,
    **options: Any,
) -> None:
    """
    Check an estimate against the model's class and, with --dry-run, against its code.

    Examples:  hfmem verify Qwen/Qwen3-8B   |   hfmem verify DIR --train --method lora --context 4096 --dry-run
    """
    with failures():
        from hfmem import api
        from hfmem.witness.ask import Limits

        if timeline and format is not opt.Format.json:
            raise UsageError("--timeline is written as JSON alone", code="bad-workload", hint="add --format json")
        workload = workload_of(train, options)
        where = {name: options[name] for name in ("revision", "token", "cache_dir")}
        limits = Limits(memory_bytes=int(memory_limit * 2**30), seconds=time_limit)
        wanted = {"runs": dry_run or timeline, "timeline": timeline, "textbook": textbook, "limits": limits}
        found = api.verify(api.load(model, **where), workload, **wanted)
        write(word(found.agrees) if options["quiet"] else rendered("verification", found, format))
        if found.agrees is None:
            raise typer.Exit(ExitCode.CANNOT_TELL)
        if strict and not found.is_settled:
            raise typer.Exit(ExitCode.UNEXPECTED)


def word(agrees: bool | None) -> str:
    return "unknown" if agrees is None else "agrees" if agrees else "disagrees"
