"""The verdicts of devices as a Markdown table."""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.hardware.report import FitReport
from hfmem.memory.estimate import DeviceFit
from hfmem.report.escape import markdown
from hfmem.report.fit_text import name_of, note_of, shown, verdict
from hfmem.report.markdown import heading
from hfmem.units import memory


def render_fit_markdown(report: FitReport) -> str:
    lines = [*heading(report.estimate), *device_rows([row.fit for row in report.rows])]
    for row in report.rows:
        lines += [f"\n- on {markdown(name_of(row.fit))}: `{found.change}` fits" for found in row.suggestions]
    return "\n".join(lines)


def device_rows(fits: list[DeviceFit]) -> Iterator[str]:
    yield "| device | usable | needed | verdict | longest context | largest batch | note |"
    yield "|---|--:|--:|---|--:|--:|---|"
    for fit in fits:
        needed = "unknown" if fit.required_bytes is None else memory(fit.required_bytes)
        growth = f"{shown(fit.max_context)} | {shown(fit.max_batch)}"
        cells = f"{memory(fit.usable_bytes)} | {needed} | {verdict(fit)} | {growth} | {markdown(note_of(fit))}"
        yield f"| {markdown(name_of(fit))} | {cells} |"
