"""`hfmem batch`."""

from __future__ import annotations

from typing import Any

import typer

from hfmem import options as opt
from hfmem.commands.estimate import estimate
from hfmem.commands.train import train as train_command
from hfmem.commands.workloads import takes_options_of
from hfmem.terminal import failures


@takes_options_of(train_command, estimate)
def batch(
    models: opt.ListArg = None,
    column: opt.ColumnOpt = None,
    author: opt.AuthorOpt = None,
    search: opt.SearchOpt = None,
    limit: opt.LimitOpt = None,
    on: opt.OnOpt = None,
    train: opt.BatchTrainOpt = False,
    output: opt.OutputsOpt = None,
    format: opt.BatchFormatOpt = None,
    as_completed: opt.AsCompletedOpt = False,
    resume: opt.ResumeOpt = False,
    journal: opt.JournalOpt = None,
    shard: opt.PartOpt = None,
    scheduler: opt.SchedulerOpt = None,
    max_workers: opt.WorkersOpt = 16,
    max_age: opt.MaxAgeOpt = 0.0,
    strict: opt.StrictBatchOpt = False,
    partial: opt.PartialOpt = False,
    quiet: opt.SilentOpt = False,
    **options: Any,
) -> None:
    """
    Estimate every model of a list, and write a report of them.

    Examples:  hfmem batch models.txt --on H100 -o report.html   |   hfmem batch --author Qwen --limit 50 -o all.csv --resume
    """
    given = {**options, **{name: value for name, value in locals().items() if name != "options"}}
    with failures():
        from hfmem.commands.batch_job import job_of

        code = job_of(given).run()
        if code:
            raise typer.Exit(code)
