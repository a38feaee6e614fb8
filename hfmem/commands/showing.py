"""A report in the format asked for; each renderer is loaded when it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from hfmem import options as opt
from hfmem.errors import ExitCode
from hfmem.terminal import write

if TYPE_CHECKING:
    from hfmem.check.values import Checkup
    from hfmem.hardware.report import FitReport
    from hfmem.memory.estimate import Estimate
    from hfmem.witness.values import Verification


def show(found: Estimate, format: opt.Format, *, explain: bool, partial: bool, quiet: bool, exit_code: bool) -> None:
    """Print an estimate; an unknown part is exit code 7 unless that was allowed, a device too small 3 where that was asked."""
    write(str(found.total_bytes) if quiet else rendered(found, format, explain))
    if not found.complete and not partial:
        raise typer.Exit(ExitCode.CANNOT_TELL)
    if exit_code and any(fit.verdict == "no" for fit in found.devices):
        raise typer.Exit(ExitCode.DOES_NOT_FIT)


def rendered(found: Estimate, format: opt.Format, explain: bool) -> str:
    """The report in the format asked for; each renderer is loaded when it is used."""
    if format is opt.Format.json:
        from hfmem.report.json_report import render_json

        return render_json(found)
    if format is opt.Format.markdown:
        from hfmem.report.markdown import render_markdown

        return render_markdown(found, explain=explain)
    from hfmem.report.text import render_text

    return render_text(found, explain=explain)


def rendered_verification(found: Verification, format: opt.Format) -> str:
    if format is opt.Format.json:
        from hfmem.report.verify_json import render_verification_json

        return render_verification_json(found)
    if format is opt.Format.markdown:
        from hfmem.report.verify_markdown import render_verification_markdown

        return render_verification_markdown(found)
    from hfmem.report.verify_text import render_verification

    return render_verification(found)


def rendered_fit(found: FitReport, format: opt.Format) -> str:
    if format is opt.Format.json:
        from hfmem.report.fit_json import render_fit_json

        return render_fit_json(found)
    if format is opt.Format.markdown:
        from hfmem.report.fit_markdown import render_fit_markdown

        return render_fit_markdown(found)
    from hfmem.report.fit_text import render_fit

    return render_fit(found)


def rendered_checkup(found: Checkup, format: opt.Format) -> str:
    if format is opt.Format.json:
        from hfmem.report.check_json import render_checkup_json

        return render_checkup_json(found)
    if format is opt.Format.markdown:
        from hfmem.report.check_text import render_checkup_markdown

        return render_checkup_markdown(found)
    from hfmem.report.check_text import render_checkup

    return render_checkup(found)
