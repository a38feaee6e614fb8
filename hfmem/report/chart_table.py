"""The numbers behind a chart, a row a named number of its axis."""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.report.chart import Chart, Series
from hfmem.report.escape import markdown
from hfmem.units import memory


def heads(chart: Chart) -> list[str]:
    return [chart.x_label, *(line.name for line in chart.series)]


def rows(chart: Chart) -> Iterator[list[str]]:
    """The number, then what each line has there, with its range."""
    for number in chart.ticks:
        yield [f"{number:,}", *(cell(line, number) for line in chart.series)]


def cell(line: Series, number: int) -> str:
    found, low, high = (dict(edge).get(number) for edge in (line.points, line.low, line.high))
    if found is None:
        return ""
    return memory(found) + (f" ({memory(low)} – {memory(high)})" if low is not None and high is not None and low != high else "")


def render_chart_markdown(chart: Chart) -> str:
    """The table and what it says, without a trailing newline."""
    lines = [
        f"**{markdown(chart.title)}**  ",
        f"{markdown(chart.subtitle)}",
        "",
        "| " + " | ".join(map(markdown, heads(chart))) + " |",
        "|" + "--:|" * (1 + len(chart.series)),
        *("| " + " | ".join(row) + " |" for row in rows(chart)),
        *([""] if chart.sentences else []),
        *(f"- {markdown(sentence)}" for sentence in chart.sentences),
    ]
    return "\n".join(lines)
