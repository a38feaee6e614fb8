"""`hfmem fit`."""

from __future__ import annotations

from typing import Any

import typer

from hfmem import options as opt
from hfmem.commands.estimate import estimate
from hfmem.commands.showing import rendered
from hfmem.commands.train import train as train_command
from hfmem.commands.workloads import takes_options_of, workload_of
from hfmem.errors import ExitCode
from hfmem.terminal import failures, write


@takes_options_of(train_command, estimate)
def fit(
    model: opt.ModelArg,
    on: opt.OnOpt = None,
    train: opt.FitTrainOpt = False,
    grid: opt.GridOpt = False,
    sibling: opt.SiblingOpt = None,
    exit_code: opt.ExitOpt = False,
    partial: opt.PartialOpt = False,
    format: opt.FormatOpt = opt.Format.text,
    quiet: opt.WordOpt = False,
    **options: Any,
) -> None:
    """
    Say on which devices a model fits, how long a context they hold, and what would fit instead.

    Examples:  hfmem fit Qwen/Qwen3-8B --on "RTX 4090" --on 2xH100 --engine vllm   |   hfmem fit DIR --on local --train
    """
    with failures():
        from hfmem import api

        where = {name: options[name] for name in ("revision", "token", "cache_dir")}
        loaded = api.load(model, **where)
        found = api.fit(loaded, workload_of(train, options), on or (), siblings=sibling or (), grid=grid, instead=not quiet)
        verdicts = [row.fit.verdict for row in found.rows]
        write("\n".join(verdicts) if quiet else rendered("fit", found, format))
        if "unknown" in verdicts and not partial:
            raise typer.Exit(ExitCode.CANNOT_TELL)
        if exit_code and "no" in verdicts:
            raise typer.Exit(ExitCode.DOES_NOT_FIT)
