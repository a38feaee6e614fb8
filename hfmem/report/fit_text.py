"""The verdicts of devices as people read them: a row a device, what would fit instead, and the grid."""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.hardware.report import FitReport, FitRow
from hfmem.report.device_lines import SIGNS, device_table, name_of, verdict
from hfmem.report.escape import terminal
from hfmem.report.text import note_line, title
from hfmem.units import memory


def render_fit(report: FitReport) -> str:
    """The whole report, without a trailing newline."""
    lines = [*title(report.estimate), "", *device_table([row.fit for row in report.rows])]
    for row in report.rows:
        lines += [*instead(row), *grid(row)]
    lines += map(note_line, report.notes)
    return "\n".join(lines)


def instead(row: FitRow) -> Iterator[str]:
    """The changes under which a device would do, cheapest first."""
    if row.fit.verdict != "no":
        return
    yield ""
    if not row.suggestions:
        yield f"on {name_of(row.fit)} no single change helps"
        return
    yield f"on {name_of(row.fit)} it would fit with"
    for found in row.suggestions:
        yield f"  {terminal(found.change):<44}  {memory(found.fit.required_bytes or 0):>11}  {verdict(found.fit)}"


def grid(row: FitRow) -> Iterator[str]:
    """Context by batch; a sign says how each fits, so that it reads without colour."""
    if not row.grid:
        return
    batches = sorted({cell.batch for cell in row.grid})
    yield ""
    yield f"{name_of(row.fit)}: needed by context and batch, {memory(row.fit.usable_bytes)} usable"
    yield f"{'CONTEXT':>10}" + "".join(f"{batch:>13}" for batch in batches)
    for context in sorted({cell.context for cell in row.grid}):
        cells = {cell.batch: cell for cell in row.grid if cell.context == context}
        sizes = (memory(cells[batch].required_bytes or 0) + " " + SIGNS[cells[batch].verdict] for batch in batches)
        yield f"{context:>10,}" + "".join(f"{size:>13}" for size in sizes)
