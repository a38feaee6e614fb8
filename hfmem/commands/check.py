"""`hfmem check`."""

from __future__ import annotations

import typer

from hfmem import options as opt
from hfmem.commands.showing import rendered
from hfmem.errors import ExitCode
from hfmem.terminal import failures, write


def check(
    model: opt.ModelArg,
    format: opt.FormatOpt = opt.Format.text,
    quiet: opt.VerdictOpt = False,
    revision: opt.RevisionOpt = None,
    token: opt.TokenOpt = None,
    cache_dir: opt.CacheOpt = None,
) -> None:
    """
    Say everything that is wrong with a checkpoint's files: exit code 9 where it is broken.

    Examples:  hfmem check DIR   |   hfmem check ./model.safetensors --format json
    """
    with failures():
        from hfmem import api

        found = api.check(model, revision=revision, token=token, cache_dir=cache_dir)
        write(found.verdict if quiet else rendered("checkup", found, format))
        if found.verdict == "broken":
            raise typer.Exit(ExitCode.BROKEN)
