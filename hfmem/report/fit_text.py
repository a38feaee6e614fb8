"""The verdicts of devices as people read them: a row a device, what would fit instead, and the grid."""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.hardware.report import FitReport, FitRow
from hfmem.memory.estimate import DeviceFit
from hfmem.report.escape import terminal
from hfmem.report.text import title
from hfmem.units import memory

ROW = "{:<26}  {:>11}  {:>11}  {:<16}  {:>9}  {:>9}  {}"
SIGNS = {"fits": "✓", "tight": "≈", "no": "✗", "unknown": "?"}


def render_fit(report: FitReport) -> str:
    """The whole report, without a trailing newline."""
    lines = [*title(report.estimate), "", *device_table([row.fit for row in report.rows])]
    for row in report.rows:
        lines += [*instead(row), *grid(row)]
    lines += [f"note: {terminal(note.message)}" for note in report.notes]
    return "\n".join(lines)


def device_table(fits: list[DeviceFit]) -> Iterator[str]:
    """A line a device; bytes are those of one of them."""
    yield ROW.format("DEVICE", "USABLE", "NEEDED", "VERDICT", "CONTEXT", "BATCH", "NOTE").rstrip()
    for fit in fits:
        needed = "unknown" if fit.required_bytes is None else memory(fit.required_bytes)
        growth = [shown(fit.max_context), shown(fit.max_batch)]
        yield ROW.format(name_of(fit), memory(fit.usable_bytes), needed, verdict(fit), *growth, note_of(fit)).rstrip()


def name_of(fit: DeviceFit) -> str:
    return terminal(f"{fit.num_devices} × {fit.name}" if fit.num_devices > 1 else fit.name)


def verdict(fit: DeviceFit) -> str:
    """The sign, the word, and how full the device is or what is missing."""
    spare = fit.spare_bytes
    if spare is None or fit.required_bytes is None:
        return f"{SIGNS[fit.verdict]} {fit.verdict}"
    if spare < 0:
        return f"{SIGNS[fit.verdict]} {fit.verdict} −{memory(-spare)}"
    return f"{SIGNS[fit.verdict]} {fit.verdict} {100 * fit.required_bytes / fit.usable_bytes:.0f}%"


def shown(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def note_of(fit: DeviceFit) -> str:
    """What a pool holds, why not, and whether the size is the box's alone."""
    parts = [fit.reason] if fit.reason else []
    if fit.capacity and fit.capacity.kv_cache_tokens:
        pool = fit.capacity
        parts.append(f"pool {memory(pool.kv_cache_bytes)}, {pool.kv_cache_tokens:,} tokens, {pool.max_concurrency:,.2f} at once")
    parts += ["size from the box"] if fit.memory_source == "spec" else []
    return terminal("; ".join(parts))


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
