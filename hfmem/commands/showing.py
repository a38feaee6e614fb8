"""A report in the format asked for; each renderer is loaded when it is used."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal

import typer

from hfmem import options as opt
from hfmem.errors import ExitCode
from hfmem.terminal import write

if TYPE_CHECKING:
    from hfmem.memory.estimate import Estimate

Report = Literal["estimate", "fit", "verification", "checkup", "sweep"]
# What is shown → for each format the module of `hfmem.report` and its function.
RENDERERS: dict[Report, dict[opt.Format, str]] = {
    "estimate": {
        opt.Format.text: "text.render_text",
        opt.Format.json: "json_report.render_json",
        opt.Format.markdown: "markdown.render_markdown",
    },
    "fit": {
        opt.Format.text: "fit_text.render_fit",
        opt.Format.json: "fit_json.render_fit_json",
        opt.Format.markdown: "fit_markdown.render_fit_markdown",
    },
    "verification": {
        opt.Format.text: "verify_text.render_verification",
        opt.Format.json: "verify_json.render_verification_json",
        opt.Format.markdown: "verify_markdown.render_verification_markdown",
    },
    "checkup": {
        opt.Format.text: "check_text.render_checkup",
        opt.Format.json: "check_json.render_checkup_json",
        opt.Format.markdown: "check_text.render_checkup_markdown",
    },
    "sweep": {
        opt.Format.text: "sweep_report.render_sweep_text",
        opt.Format.json: "sweep_json.render_sweep_json",
        opt.Format.markdown: "sweep_report.render_sweep_markdown",
        opt.Format.svg: "sweep_report.render_sweep_svg",
    },
}


def show(found: Estimate, format: opt.Format, *, explain: bool, partial: bool, quiet: bool, exit_code: bool) -> None:
    """Print an estimate; an unknown part is exit code 7 unless that was allowed, a device too small 3 where that was asked."""
    told = {} if format is opt.Format.json else {"explain": explain}  # JSON tells everything as it is
    write(str(found.total_bytes) if quiet else rendered("estimate", found, format, **told))
    if not found.complete and not partial:
        raise typer.Exit(ExitCode.CANNOT_TELL)
    if exit_code and any(fit.verdict == "no" for fit in found.devices):
        raise typer.Exit(ExitCode.DOES_NOT_FIT)


def rendered(what: Report, found: object, format: opt.Format, **options: Any) -> str:
    """The report in the format asked for; a picture is one of its text, unless the report draws its own."""
    renderers = RENDERERS[what]
    if format is opt.Format.svg and format not in renderers:
        return pictured(rendered(what, found, opt.Format.text, **options))
    return str(renderer(renderers[format])(found, **options))


def pictured(text: str) -> str:
    from hfmem.report.picture import render_picture

    return render_picture(text, "hfmem")


def renderer(name: str) -> Callable[..., Any]:
    """The function of that name in a module of `hfmem.report`, which is loaded now."""
    module, _, function = name.partition(".")
    found: Callable[..., Any] = getattr(import_module(f"hfmem.report.{module}"), function)
    return found
