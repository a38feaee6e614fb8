"""The verdicts of devices as a Markdown table."""

from __future__ import annotations

from hfmem.hardware.report import FitReport
from hfmem.report.device_lines import device_rows, name_of
from hfmem.report.escape import markdown
from hfmem.report.markdown import heading


def render_fit_markdown(report: FitReport) -> str:
    lines = [*heading(report.estimate), *device_rows([row.fit for row in report.rows])]
    for row in report.rows:
        lines += [f"\n- on {markdown(name_of(row.fit))}: `{found.change}` fits" for found in row.suggestions]
    return "\n".join(lines)
