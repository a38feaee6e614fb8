"""A sweep as a chart: names for its lines, and a sentence a device on where its memory ends."""

from __future__ import annotations

from hfmem.hardware.sweep import Point, Reach, Sweep
from hfmem.memory.estimate import Item
from hfmem.report.chart import Chart, Crossing, Limit, Points, Series
from hfmem.report.device_lines import device_name
from hfmem.report.text import asked, title
from hfmem.units import memory

X_LABELS = {"context": "tokens of context", "batch": "sequences at once", "tp": "ranks (--tp)"}
ONE = {"context": "token", "batch": "sequence", "tp": "rank"}


def chart_of(sweep: Sweep) -> Chart:
    """The chart of a sweep; targets that need the same share a line."""
    several = any(reach.num_devices > 1 for reach in sweep.reaches) or sweep.x == "tp"
    return Chart(
        title=next(title(sweep.estimate)),
        subtitle=workload(sweep),
        x_label=X_LABELS[sweep.x],
        y_label="memory of one device" if several else "memory",
        marks=sweep.marks,
        series=lines(sweep),
        limits=tuple(limit(reach, sweep) for reach in sweep.reaches),
        sentences=(*(sentence(reach, sweep) for reach in sweep.reaches), *unknown(sweep)),
    )


def workload(sweep: Sweep) -> str:
    """What was asked, without what the axis says."""
    return " · ".join(part for part in asked(sweep.estimate).split(" · ") if not part.startswith(f"{sweep.x} "))


def lines(sweep: Sweep) -> tuple[Series, ...]:
    """A line for every way to need memory; they are named by their devices where they differ."""
    groups: dict[tuple[tuple[int, int], ...], list[Reach]] = {}
    for reach in sweep.reaches:
        shape = tuple((point.x, point.num_bytes) for point in reach.points if point.x in sweep.marks)
        groups.setdefault(shape, []).append(reach)
    if len(groups) < 2:
        points = {point.x: point for reach in sweep.reaches for point in reach.points} or {p.x: p for p in sweep.points}
        return (line("needed", [points[x] for x in sorted(points)]),)
    return tuple(line(", ".join(map(name_of, group)), merged(group)) for group in groups.values())


def merged(group: list[Reach]) -> list[Point]:
    points = {point.x: point for reach in group for point in reach.points}
    return [points[x] for x in sorted(points)]


def line(name: str, points: list[Point]) -> Series:
    """The line, and its range where it has one."""
    ranged = points if any(point.low_bytes != point.high_bytes for point in points) else []
    edges: tuple[Points, Points] = tuple((p.x, p.low_bytes) for p in ranged), tuple((p.x, p.high_bytes) for p in ranged)
    return Series(name=name, points=tuple((p.x, p.num_bytes) for p in points), low=edges[0], high=edges[1])


def name_of(reach: Reach) -> str:
    return device_name(reach.name, reach.num_devices)


def limit(reach: Reach, sweep: Sweep) -> Limit:
    """The device's line, with the place where it is crossed if the chart goes so far."""
    at = next((point for point in reach.points if point.x == reach.last), None)
    name = reach.name if sweep.x == "tp" else name_of(reach)
    if at is None or reach.last == reach.end or (sweep.x == "tp" and at is reach.points[0]):
        return Limit(name=name, num_bytes=reach.limit_bytes)
    where = f"fits {name} from tp {reach.last} on" if sweep.x == "tp" else f"crosses {name} at {number(reach.last, sweep.x)}"
    return Limit(name=name, num_bytes=reach.limit_bytes, crossing=Crossing(x=at.x, num_bytes=at.num_bytes, label=where))


def number(count: int, x: str) -> str:
    return f"{count:,} {ONE[x]}" + ("" if count == 1 else "s")


def sentence(reach: Reach, sweep: Sweep) -> str:
    """How far one target goes, in words and exact."""
    room = f"{memory(reach.limit_bytes)} " + (f"filled by {reach.filled_by}" if reach.filled_by else "usable")
    who = reach.name if sweep.x == "tp" else name_of(reach)
    named = who if who == memory(reach.limit_bytes) else f"{who} ({room})"  # an amount says it itself
    return f"{named}: {how_far(reach, sweep)}" if reach.known else f"{who}: cannot tell, a part is unknown"


def how_far(reach: Reach, sweep: Sweep) -> str:
    because = f" ({reach.reason})" if reach.reason else ""
    if sweep.x == "tp":
        return ranks(reach, sweep)
    if not reach.last:
        return f"holds not even {number(1, sweep.x)}{because}"
    sure = "" if reach.sure == reach.last else f"; surely fits to {reach.sure:,}" if reach.sure else "; surely fits none"
    if reach.last == reach.end:
        whole = sweep.x == "context" and sweep.estimate.model.max_position_embeddings == reach.end
        most = number(reach.last, sweep.x)
        return f"holds all {most} of the model{sure}" if whole else f"holds {most}, the end of the axis{sure}"
    return f"the line crosses at {number(reach.last, sweep.x)}, one more does not fit{because}{sure}"


def ranks(reach: Reach, sweep: Sweep) -> str:
    """The fewest ranks that hold it."""
    if not reach.last:
        return f"fits at no tp to {sweep.marks[-1]}"
    sure = "" if reach.sure == reach.last else f", surely from tp {reach.sure} on" if reach.sure else ", surely at none"
    return f"fits from tp {reach.last} on{sure}"


def unknown(sweep: Sweep) -> tuple[str, ...]:
    """What is missing from the line, by name."""
    items: dict[str, Item] = {item.name: item for phase in sweep.estimate.phases for item in phase.items}
    missing = [item for item in items.values() if item.num_bytes is None]
    return tuple(f"{item.name} is unknown: {item.note.removeprefix('unknown: ')}; the line is without it" for item in missing)
