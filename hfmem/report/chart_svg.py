"""A chart as one SVG: no script, no font and nothing else from elsewhere; legible on light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from hfmem.report.chart import Chart, Crossing, Points, Series
from hfmem.report.chart_scale import Scale, counted, off_chart, scale_of
from hfmem.report.labels import Box, Label, around, free_box, spread_out
from hfmem.report.markup import markup, shortened
from hfmem.units import memory

WIDTH, HEIGHT, GAP = 960, 540, 34  # from one name at the edge to the next
LEFT, TOP, RIGHT, BOTTOM = 76, 84, 736, 470  # the edges of the plot
STRIDES = 8  # spots from one point of a line to the next
PLOT = Box(left=LEFT, top=TOP, right=RIGHT, bottom=BOTTOM)
NAME_WIDTH, LETTER, LETTER_STRONG = 27, 6.6, 7.2  # letters of a name beside the plot; pixels of one, and of one in semibold
DASHES = ("", "10 5", "3 4", "12 4 3 4")
STYLE = """
.hfmem-chart{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif;fill:#1f2328}
.hfmem-chart .ground{fill:#fff}.hfmem-chart .title{font-size:16px;font-weight:600}.hfmem-chart .soft{fill:#59636e}
.hfmem-chart .grid{stroke:#d8dee4;stroke-width:1}.hfmem-chart .axis{stroke:#818b98;stroke-width:1}
.hfmem-chart .limit{stroke:#59636e;stroke-width:1.5;stroke-dasharray:7 5}.hfmem-chart .drop{stroke:#59636e;stroke-dasharray:1 4}
.hfmem-chart .line{fill:none;stroke-width:2.5;stroke-linejoin:round}.hfmem-chart .band{opacity:.14;stroke:none}
.hfmem-chart .halo{stroke:#fff;stroke-width:4;stroke-linejoin:round;paint-order:stroke}
.hfmem-chart .ring{fill:#fff;stroke:#1f2328;stroke-width:2.5}.hfmem-chart .strong{font-weight:600}
.hfmem-chart .s0{stroke:#0969da;fill:#0969da}.hfmem-chart .s1{stroke:#bc4c00;fill:#bc4c00}
.hfmem-chart .s2{stroke:#1a7f37;fill:#1a7f37}.hfmem-chart .s3{stroke:#8250df;fill:#8250df}
.hfmem-chart text.s0,.hfmem-chart text.s1,.hfmem-chart text.s2,.hfmem-chart text.s3{stroke:none}.hfmem-chart .line{fill:none}
@media (prefers-color-scheme:dark){.hfmem-chart{fill:#e6edf3}.hfmem-chart .ground{fill:#0d1117}
.hfmem-chart .soft{fill:#9198a1}.hfmem-chart .grid{stroke:#2a313c}.hfmem-chart .axis{stroke:#656c76}
.hfmem-chart .limit,.hfmem-chart .drop{stroke:#9198a1}.hfmem-chart .halo{stroke:#0d1117}
.hfmem-chart .ring{fill:#0d1117;stroke:#e6edf3}.hfmem-chart .band{opacity:.22}
.hfmem-chart .s0{stroke:#58a6ff;fill:#58a6ff}.hfmem-chart .s1{stroke:#f0883e;fill:#f0883e}
.hfmem-chart .s2{stroke:#3fb950;fill:#3fb950}.hfmem-chart .s3{stroke:#bc8cff;fill:#bc8cff}.hfmem-chart .line{fill:none}}
""".replace("\n", "")


def render_chart_svg(chart: Chart) -> str:
    """The whole picture, a title and a description for screen readers in it."""
    scale = scale_of(chart)
    height = height_of(chart)
    told = " ".join(f"{sentence}." for sentence in chart.sentences)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
        f' class="hfmem-chart" role="img" aria-label="{markup(chart.title)}">',
        f"<title>{markup(chart.title)}</title>",
        f"<desc>{markup(f'{chart.y_label} against {chart.x_label}; {chart.subtitle}. {told}')}</desc>",
        f"<style>{STYLE}</style>",
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>',
        *headings(chart),
        *axes(chart, scale),
        f'<svg x="{LEFT}" y="{TOP}" width="{RIGHT - LEFT}" height="{BOTTOM - TOP}"'
        f' viewBox="{LEFT} {TOP} {RIGHT - LEFT} {BOTTOM - TOP}" overflow="hidden">',
        *(f'<path class="band s{style_of(index)}" d="{band(line, scale)}"/>' for index, line in enumerate(chart.series)),
        *limits(chart, scale),
        *(stroke(line, index, scale) for index, line in enumerate(chart.series)),
        "</svg>",
        *(mark for index, line in enumerate(chart.series) for mark in markers(line, index, chart, scale)),
        *beside(chart, scale),
        *crossings(chart, scale),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def height_of(chart: Chart) -> int:
    """The usual height, or what the names beside the chart take."""
    return max(HEIGHT, TOP + GAP * (len(chart.limits) + len(chart.series)))


def style_of(index: int) -> int:
    return index % len(DASHES)


def across(x: int, scale: Scale) -> float:
    return round(LEFT + scale.across(x) * (RIGHT - LEFT), 1)


def down(num_bytes: int, scale: Scale) -> float:
    """Pixels from the upper edge; far above the plot, a line keeps its slope well enough."""
    return round(max(-10_000.0, BOTTOM - scale.up(num_bytes) * (BOTTOM - TOP)), 1)


def text(x: float, y: float, words: str, *, kind: str = "", anchor: str = "start") -> str:
    return f'<text x="{x:g}" y="{y:g}" class="{kind}" text-anchor="{anchor}">{markup(words)}</text>'


def straight(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}" class="{kind}"/>'


def headings(chart: Chart) -> Iterator[str]:
    yield text(24, 32, shortened(chart.title, 105), kind="title")
    yield text(24, 54, shortened(chart.subtitle, 135), kind="soft")


def axes(chart: Chart, scale: Scale) -> Iterator[str]:
    """Grid and numbers; numbers that would touch are left out, the last one stays."""
    for size in scale.ticks:
        y = down(size, scale)
        yield straight(LEFT, y, RIGHT, y, "grid" if size else "axis")
        yield text(LEFT - 10, y + 4.5, scale.size(size), kind="soft", anchor="end")
    free = float(WIDTH)
    for number in reversed(chart.ticks):
        x, words = across(number, scale), counted(number)
        yield straight(x, BOTTOM, x, BOTTOM + 5, "axis")
        if x + LETTER * len(words) / 2 + 8 < free:
            free = x - LETTER * len(words) / 2
            yield text(x, BOTTOM + 21, words, kind="soft", anchor="middle")
    yield text((LEFT + RIGHT) / 2, BOTTOM + 46, chart.x_label, anchor="middle")
    words = markup(f"{chart.y_label}, {scale.unit[1]}")
    yield f'<text transform="translate(24 {(TOP + BOTTOM) / 2:g}) rotate(-90)" text-anchor="middle">{words}</text>'


def path(points: Points, scale: Scale) -> str:
    return " ".join(f"{across(x, scale):g},{down(num_bytes, scale):g}" for x, num_bytes in points)


def stroke(line: Series, index: int, scale: Scale) -> str:
    dash = f' stroke-dasharray="{DASHES[style_of(index)]}"' if DASHES[style_of(index)] else ""
    return f'<polyline class="line s{style_of(index)}"{dash} points="{path(line.points, scale)}"/>'


def band(line: Series, scale: Scale) -> str:
    """The range: along its upper edge, and back along the lower one."""
    return f"M{path(line.high, scale)} {path(line.low[::-1], scale)}Z" if line.high else ""


def markers(line: Series, index: int, chart: Chart, scale: Scale) -> Iterator[str]:
    """A sign at every named number, of another shape for every line."""
    shapes = ("M-4,0a4,4 0 1 0 8,0a4,4 0 1 0 -8,0Z", "M-4,-4h8v8h-8Z", "M0,-5l5,9h-10Z", "M0,-5.5l5.5,5.5l-5.5,5.5l-5.5,-5.5Z")
    for x, num_bytes in line.points:
        if x in chart.ticks and num_bytes <= scale.top:
            where = f"translate({across(x, scale):g} {down(num_bytes, scale):g})"
            yield f'<path class="s{style_of(index)}" transform="{where}" d="{shapes[style_of(index)]}"/>'


def limits(chart: Chart, scale: Scale) -> Iterator[str]:
    for limit in chart.limits:
        if limit.num_bytes <= scale.top:
            yield straight(LEFT, down(limit.num_bytes, scale), RIGHT, down(limit.num_bytes, scale), "limit")


def beside(chart: Chart, scale: Scale) -> Iterator[str]:
    """Names at the right edge: of devices at their height, of lines where they end or leave the chart."""
    labels = [
        Label(at=down(limit.num_bytes, scale), words=limit.name, more=memory(limit.num_bytes), kind="strong")
        for limit in chart.limits
        if limit.num_bytes <= scale.top
    ]
    for index, line in enumerate(chart.series):
        x, num_bytes = line.points[-1]
        more = f"{'to ' if num_bytes > scale.top else ''}{memory(num_bytes)} at {counted(x)}"
        labels.append(Label(at=max(TOP, down(num_bytes, scale)), words=line.name, more=more, kind=f"strong s{style_of(index)}"))
    above = off_chart(chart, scale)
    for label in spread_out(labels, low=TOP + 6, high=BOTTOM, gap=GAP):
        yield straight(RIGHT + 6, label.at, RIGHT + 11, label.place, "grid")
        yield text(RIGHT + 14, label.place - 2, shortened(label.words, NAME_WIDTH), kind=label.kind)
        yield text(RIGHT + 14, label.place + 13, label.more, kind="soft")
    if above:
        words = ", ".join(f"{limit.name} {memory(limit.num_bytes)}" for limit in above)
        yield text(RIGHT, TOP - 10, shortened(f"above the chart: {words}", 105), kind="soft", anchor="end")


def crossings(chart: Chart, scale: Scale) -> Iterator[str]:
    """A ring where a line meets a device, a drop to the axis, and what that means beside it."""
    found = (limit.crossing for limit in chart.limits if limit.crossing and limit.crossing.num_bytes <= scale.top)
    shown = sorted(found, key=lambda crossing: crossing.x)
    for crossing in shown:
        x, y = across(crossing.x, scale), down(crossing.num_bytes, scale)
        yield straight(x, y, x, BOTTOM, "drop")
        yield f'<circle class="ring" cx="{x:g}" cy="{y:g}" r="5.5"/>'
    first = chart.series[0].points
    rising = first[0][1] <= first[-1][1]
    taken, crossed = [ring(each, scale) for each in shown], [box for line in chart.series for box in along(line, scale)]
    for crossing in shown:
        places = around(*middle(ring(crossing, scale)), LETTER_STRONG * len(crossing.label), rising=rising)
        box = free_box(places, PLOT, taken, crossed)
        taken.append(box)
        is_left = box.right < across(crossing.x, scale)
        x, anchor = (box.right, "end") if is_left else (box.left, "start")
        yield text(x, box.bottom - 5, crossing.label, kind="halo strong", anchor=anchor)


def ring(crossing: Crossing, scale: Scale) -> Box:
    return spot(across(crossing.x, scale), down(crossing.num_bytes, scale), 6)


def along(line: Series, scale: Scale) -> Iterator[Box]:
    """Spots on a line, close enough that no words go between them."""
    for (left, start), (right, end) in pairwise(line.points):
        for step in range(STRIDES):
            x = across(left, scale) + (across(right, scale) - across(left, scale)) * step / STRIDES
            yield spot(x, down(start + (end - start) * step // STRIDES, scale), 2)


def spot(x: float, y: float, size: float) -> Box:
    return Box(left=x - size, top=y - size, right=x + size, bottom=y + size)


def middle(box: Box) -> tuple[float, float]:
    return (box.left + box.right) / 2, (box.top + box.bottom) / 2
