"""`hfmem plot`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from hfmem import options as opt
from hfmem.commands.estimate import estimate
from hfmem.commands.saving import place, save
from hfmem.commands.showing import rendered, renderer
from hfmem.commands.train import train as train_command
from hfmem.commands.workloads import takes_options_of, workload_of
from hfmem.errors import ExitCode, UsageError
from hfmem.terminal import failures, write

if TYPE_CHECKING:
    from hfmem.hardware.sweep import Sweep

WIDEST = 160  # columns of a chart that nobody gave a width
# What `-o` writes: the end of a file's name → the module of `hfmem.report` and its function.
WRITERS = {
    ".svg": "sweep_report.render_sweep_svg",
    ".html": "sweep_report.render_sweep_html",
    ".png": "sweep_report.render_sweep_png",
}


@takes_options_of(train_command, estimate)
def plot(
    model: opt.ModelArg,
    x: opt.AxisOpt = "context",
    on: opt.OnOpt = None,
    output: opt.OutputOpt = None,
    train: opt.PlotTrainOpt = False,
    partial: opt.PartialOpt = False,
    width: opt.WidthOpt = None,
    format: opt.FormatOpt = opt.Format.text,
    quiet: opt.LastOpt = False,
    **options: Any,
) -> None:
    """
    Draw the memory a model needs as its context, batch or ranks grow, and where that crosses a device.

    Examples:  hfmem plot Qwen/Qwen3-8B --on "RTX 4090"   |   hfmem plot DIR --x batch --train --on H100 -o chart.svg
    """
    with failures():
        from hfmem import api

        write_to = writer_of(output, format, quiet) if output else None
        if quiet and not on:
            raise UsageError("--quiet prints what devices hold, and none is named", code="no-device", hint='--on "RTX 4090"')
        where = {name: options[name] for name in ("revision", "token", "cache_dir")}
        found = api.curve(api.load(model, **where), workload_of(train, options), x=x, on=on or ())
        if output and write_to:
            save(output, [write_to(found)])
        else:
            told = {"width": width or min(WIDEST, shutil.get_terminal_size().columns)} if format is opt.Format.text else {}
            write(lasts(found) if quiet else rendered("sweep", found, format, **told).rstrip("\n"))
        if not found.complete and not partial:
            raise typer.Exit(ExitCode.CANNOT_TELL)


def writer_of(output: Path, format: opt.Format, quiet: bool) -> Callable[[Sweep], str | bytes]:
    """The renderer that the end of the file's name asks for; everything that can be refused is, before anything is read."""
    name = WRITERS.get(output.suffix.lower())
    if name is None:
        message = f"-o {output} ends in none of {', '.join(WRITERS)}"
        raise UsageError(message, code="bad-output", hint=f"-o {output.stem or 'chart'}.svg")
    if quiet or format is not opt.Format.text:
        option = "--quiet" if quiet else f"--format {format.value}"
        raise UsageError(f"{option} is printed, -o is written", code="bad-output", hint="leave one of the two out")
    place(output)
    found: Callable[[Sweep], str | bytes] = renderer(name)
    return found


def lasts(found: Sweep) -> str:
    """The last number that fits, a line a device."""
    return "\n".join(str(reach.last) if reach.known else "unknown" for reach in found.reaches)
