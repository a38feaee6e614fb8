"""An estimate as a fragment of HTML, for notebooks: styles stand at the elements, colours come from the page."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hfmem.memory.estimate import DeviceFit, Estimate, Item, Note, Phase
from hfmem.report.device_lines import name_of, note_of, shown, verdict
from hfmem.report.markup import markup
from hfmem.report.text import LABELS, SIGNS, explanation, spread, title
from hfmem.units import memory

COLOURS = ("#3b7dc4", "#b8651b", "#2f8a4f", "#8a5cc7", "#c93f71", "#1f8782", "#8a761f", "#b8554f", "#757b85")
VERDICTS = {"fits": "#3a9d5d", "tight": "#b8860b", "no": "#d1493f", "unknown": "#8a8f98"}
EDGE = "border:0;border-bottom:1px solid rgba(128,128,128,.3);padding:.25em .8em"
TABLE = "border-collapse:collapse;margin:.6em 0;font-size:inherit;font-variant-numeric:tabular-nums;color:inherit"
BAR_WIDTH, BAR_HEIGHT, LETTER = 640, 26, 7


def render_estimate_html(estimate: Estimate) -> str:
    """The report; whatever a checkpoint says is escaped."""
    first, second = title(estimate)
    parts = [
        '<div class="hfmem-estimate" style="font-size:13px;line-height:1.45;color:inherit">',
        f'<div style="font-weight:600;font-size:1.1em">{markup(first)}</div>',
        f'<div style="opacity:.75">{markup(second)}</div>',
        *phases(estimate),
        table(("component", "size", "share", "range", "known by"), item_rows(estimate), "lrrrl"),
        bar(estimate.peak),
        *devices(estimate.devices),
        *notes(estimate.notes),
        *details("How each number is made", [f"<pre>{markup_lines(explanation(estimate))}</pre>"]),
        "</div>",
    ]
    return "\n".join(parts) + "\n"


def markup_lines(lines: Iterable[str]) -> str:
    return "\n".join(map(markup, lines))


def phases(estimate: Estimate) -> Iterator[str]:
    """The phases of a training step, the largest marked."""
    if estimate.resolved["mode"] == "training":
        told = (
            f"{markup(phase.name)} {memory(phase.total_bytes)}" + (" (peak)" if phase is estimate.peak else "")
            for phase in estimate.phases
        )
        yield f'<div style="margin-top:.4em">{" · ".join(told)}</div>'


def table(heads: Iterable[str], rows: Iterable[tuple[str, ...]], align: str) -> str:
    """A table of cells that are escaped already; `align` has a letter a column."""
    sides = ["left" if letter == "l" else "right" for letter in align]
    top = "".join(
        f'<th scope="col" style="text-align:{side};{EDGE};font-weight:600">{head}</th>'
        for head, side in zip(heads, sides, strict=True)
    )
    body = ("".join(f'<td style="text-align:{s};{EDGE}">{c}</td>' for c, s in zip(row, sides, strict=True)) for row in rows)
    lines = "\n".join(f"<tr>{cells}</tr>" for cells in body)
    return f'<table style="{TABLE}">\n<thead><tr>{top}</tr></thead>\n<tbody>\n{lines}\n</tbody>\n</table>'


def item_rows(estimate: Estimate) -> Iterator[tuple[str, ...]]:
    """A row an item of the peak, in the colour it has in the bar, and the total."""
    peak = estimate.peak
    for item, colour in coloured(peak):
        yield item_row(item, peak.total_bytes, colour)
    known = f"peak is {markup(peak.name)}" + ("" if estimate.complete else "; a part is unknown, this is what is known")
    yield "<b>total</b>", f"<b>{memory(peak.total_bytes)}</b>", "", spread(peak.low_bytes, peak.high_bytes), known


def item_row(item: Item, total: int, colour: str) -> tuple[str, ...]:
    name = f'<span style="color:{colour}" aria-hidden="true">■</span> {markup(LABELS.get(item.name, item.name))}'
    if item.num_bytes is None:
        return name, "unknown", "", "", markup(item.note.removeprefix("unknown: "))
    share = f"{100 * item.num_bytes / total:.1f}%" if total else ""
    known_by = f"{SIGNS[item.basis]} {item.basis}" + (f": {markup(item.note)}" if item.note else "")
    return name, memory(item.num_bytes), share, spread(item.low, item.high), known_by


def coloured(peak: Phase) -> Iterator[tuple[Item, str]]:
    for index, item in enumerate(peak.items):
        yield item, COLOURS[index % len(COLOURS)]


def bar(peak: Phase) -> str:
    """One stretch an item, with its name where that has room, and its size for whoever points at it."""
    stretches, left = [], 0.0
    for item, colour in coloured(peak):
        width = BAR_WIDTH * (item.num_bytes or 0) / max(1, peak.total_bytes)
        stretches += [stretch(item, colour, left, width)] if item.num_bytes else []
        left += width
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {BAR_WIDTH} {BAR_HEIGHT}" role="img"'
        f' style="width:100%;max-width:{BAR_WIDTH}px;height:auto;display:block"'
        f' aria-label="{markup(peak.name)}: {memory(peak.total_bytes)}">\n' + "\n".join(stretches) + "\n</svg>"
    )


def stretch(item: Item, colour: str, left: float, width: float) -> str:
    name = LABELS.get(item.name, item.name)
    label = (
        f'<text x="{left + width / 2:.2f}" y="17" text-anchor="middle" font-size="12" fill="#fff"'
        f' font-family="system-ui,sans-serif">{markup(name)}</text>'
    )
    told = f"<title>{markup(name)}: {memory(item.num_bytes or 0)}</title>"
    block = f'<rect x="{left:.2f}" width="{max(0.5, width - 1):.2f}" height="{BAR_HEIGHT}" rx="2" fill="{colour}"/>'
    return f"<g>{told}{block}{label if width > LETTER * len(name) + 10 else ''}</g>"


def devices(fits: tuple[DeviceFit, ...]) -> Iterator[str]:
    """A row a device, its verdict in a word, a sign and a colour."""
    if fits:
        heads = ("device", "usable", "needed", "verdict", "longest context", "largest batch", "note")
        yield table(heads, map(device_row, fits), "lrrlrrl")


def device_row(fit: DeviceFit) -> tuple[str, ...]:
    needed = "unknown" if fit.required_bytes is None else memory(fit.required_bytes)
    word = f'<span style="color:{VERDICTS[fit.verdict]};font-weight:600">{markup(verdict(fit))}</span>'
    growth = shown(fit.max_context), shown(fit.max_batch)
    return markup(name_of(fit)), memory(fit.usable_bytes), needed, word, *growth, markup(note_of(fit))


def notes(found: tuple[Note, ...]) -> Iterator[str]:
    """Remarks, shut away until they are asked for."""
    if found:
        told = (markup(note.message) + (f" ({markup(note.hint)})" if note.hint else "") for note in found)
        yield from details(
            f"{len(found)} note{'' if len(found) == 1 else 's'}", ["<ul>", *(f"<li>{n}</li>" for n in told), "</ul>"]
        )


def details(summary: str, inside: Iterable[str]) -> Iterator[str]:
    yield f'<details style="margin:.4em 0"><summary style="cursor:pointer">{summary}</summary>'
    yield from inside
    yield "</details>"
