"""A chart in a terminal: dots for the lines, dashes for the devices, and below it what that says."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from hfmem.report.braille import Plane
from hfmem.report.chart import Chart, Series
from hfmem.report.chart_scale import Scale, counted, off_chart, scale_of
from hfmem.report.escape import terminal
from hfmem.report.markup import shortened
from hfmem.units import memory

SIGNS = "○□△◇"
CROSSING = "●"
NARROWEST, LOWEST = 24, 4  # columns and rows of the plot itself, however small the terminal is


def render_chart_text(chart: Chart, *, width: int = 80, height: int | None = None) -> str:
    """The chart in so many columns, its plot in so many rows, without a trailing newline."""
    scale = scale_of(chart)
    names = {size: scale.size(size) for size in scale.ticks}
    margin = max(map(len, names.values())) + 2
    plane = Plane(max(NARROWEST, width - margin - 1), max(LOWEST, height or max(8, min(20, width // 5))))
    draw(chart, scale, plane)
    at_row = {row_of(size, scale, plane): name for size, name in names.items()}
    rows = (f"{at_row.get(row, ''):>{margin - 1}} {'┤' if row in at_row else '│'}{dots}" for row, dots in enumerate(plane.rows()))
    lines = [
        terminal(chart.title),  # whole: a name that is broken cannot be copied
        *paragraph(chart.subtitle, width),
        "",
        f"{terminal(chart.y_label)}, {scale.unit[1]}",
        *(row.rstrip() for row in rows),
        *(" " * margin + line for line in axis(chart, scale, plane)),
        *legend(chart, scale, width),
        *([""] if chart.sentences else []),
        *(line for sentence in chart.sentences for line in paragraph(sentence, width)),
    ]
    return "\n".join(lines)


def paragraph(text: str, width: int) -> list[str]:
    """Text in lines that the terminal holds, the later ones set in."""
    return textwrap.wrap(terminal(text), max(NARROWEST, width), subsequent_indent="  ", break_on_hyphens=False)


def row_of(num_bytes: int, scale: Scale, plane: Plane) -> int:
    return max(0, down_of(num_bytes, scale, plane)) // 4


def column_of(x: int, scale: Scale, plane: Plane) -> int:
    return round(scale.across(x) * (plane.width - 1))


def draw(chart: Chart, scale: Scale, plane: Plane) -> None:
    """Lines first, then signs, then devices where nothing is yet."""
    for line in chart.series:
        curve(line, scale, plane)
    if len(chart.series) > 1:
        for index, line in enumerate(chart.series):
            signs(line, SIGNS[index % len(SIGNS)], chart, scale, plane)
    for limit in chart.limits:
        if limit.crossing and limit.crossing.num_bytes <= scale.top:
            row, column = row_of(limit.crossing.num_bytes, scale, plane), column_of(limit.crossing.x, scale, plane)
            plane.write(column, row, CROSSING)
    devices(chart, scale, plane)


def curve(line: Series, scale: Scale, plane: Plane) -> None:
    """A dot in every column between two points, joined to the one before."""
    dots = [(2 * scale.across(x) * (plane.width - 1), down_of(num_bytes, scale, plane)) for x, num_bytes in line.points]
    before = dots[0][1]
    for (left, start), (right, end) in zip(dots, dots[1:] or dots, strict=False):
        for column in range(round(left), round(right) + 1):
            part = (column - left) / (right - left) if right > left else 0.0
            down = round(start + (end - start) * min(1.0, max(0.0, part)))
            plane.stroke(column, before, down)
            before = down


def down_of(num_bytes: int, scale: Scale, plane: Plane) -> int:
    """Dots from the upper edge, so that a size lies in the middle of the row its tick has; a little above it at most."""
    return max(-8, round((1 - scale.up(num_bytes)) * 4 * (plane.height - 1)) + 1)


def signs(line: Series, sign: str, chart: Chart, scale: Scale, plane: Plane) -> None:
    for x, num_bytes in line.points:
        if x in chart.ticks and num_bytes <= scale.top:
            plane.write(column_of(x, scale, plane), row_of(num_bytes, scale, plane), sign)


def devices(chart: Chart, scale: Scale, plane: Plane) -> None:
    """Names first, each where its row is free, then the dashes around them."""
    shown = [limit for limit in chart.limits if limit.num_bytes <= scale.top]
    for limit in shown:
        row = row_of(limit.num_bytes, scale, plane)
        for words in (f" {limit.name} · {memory(limit.num_bytes)} ", f" {shortened(limit.name, plane.width // 2)} "):
            text = terminal(words)
            place = next((c for c in (2, plane.width - len(text) - 2) if plane.is_free(c, row, len(text))), None)
            if place is not None:
                plane.write(place, row, text)
                break
    for limit in shown:
        plane.under(row_of(limit.num_bytes, scale, plane), "╌")


def axis(chart: Chart, scale: Scale, plane: Plane) -> Iterator[str]:
    """The lower edge with its ticks, their numbers as far as there is room, and what is counted."""
    edge, names = ["─"] * plane.width, [" "] * plane.width
    free = plane.width + 1
    for number in reversed(chart.ticks):
        column, text = column_of(number, scale, plane), counted(number)
        edge[column] = "┬"
        start = max(0, min(plane.width - len(text), column - len(text) // 2))
        if start + len(text) < free:
            names[start : start + len(text)] = text
            free = start
    yield "└" + "".join(edge)
    yield " " + "".join(names).rstrip()
    yield terminal(chart.x_label).center(plane.width).rstrip()


def legend(chart: Chart, scale: Scale, width: int) -> Iterator[str]:
    """Which sign is whose, and what lies above the chart."""
    if len(chart.series) > 1:
        yield from paragraph("  ".join(f"{SIGNS[i % len(SIGNS)]} {line.name}" for i, line in enumerate(chart.series)), width)
    if above := off_chart(chart, scale):
        yield from paragraph("↑ above: " + ", ".join(f"{limit.name} {memory(limit.num_bytes)}" for limit in above), width)
