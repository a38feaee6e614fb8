"""Where a number of a chart lies between its edges, and which numbers are named there."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log2

from hfmem.report.chart import Chart, Limit
from hfmem.units import GIB, KIB, MIB

STEPS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
TICKS = 6  # about so many of memory
NEAR, BEYOND, ROOM = 3.0, 2.0, 1.1  # a device so many times above the lines is off the chart; lines so far above a device too


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The edges of a chart: x on a logarithm, since its numbers double, and bytes from nothing to `top`."""

    left: int
    right: int
    top: int
    step: int  # bytes from tick to tick

    def across(self, x: int) -> float:
        """From 0 at the left edge to 1 at the right one."""
        return 0.5 if self.left == self.right else log2(x / self.left) / log2(self.right / self.left)

    def up(self, num_bytes: int) -> float:
        """From 0 at the bottom to 1 at the top; more for what leaves the chart."""
        return num_bytes / self.top

    @property
    def ticks(self) -> tuple[int, ...]:
        """Sizes from nothing to the top."""
        return tuple(range(0, self.top + 1, self.step))

    @property
    def unit(self) -> tuple[int, str]:
        """The largest unit in which every tick is a whole number."""
        return next((unit, name) for unit, name in ((GIB, "GiB"), (MIB, "MiB"), (KIB, "KiB")) if not self.step % unit)

    def size(self, num_bytes: int) -> str:
        """A tick without its unit, which stands beside the axis once."""
        return f"{num_bytes // self.unit[0]:,}"


def scale_of(chart: Chart) -> Scale:
    """The scale that shows where lines and devices meet: neither squeezes the other to the floor."""
    numbers = [x for line in chart.series for x, _ in line.points]
    highest = top_of(chart)
    step = step_of(highest)
    return Scale(left=min(numbers), right=max(numbers), top=ceil(highest / step) * step, step=step)


def top_of(chart: Chart) -> float:
    """The bytes to be shown, and a little more."""
    lines = [[num_bytes for _, num_bytes in line.points] for line in chart.series]
    highest = max(max(line) for line in lines)
    edges = [num_bytes for line in chart.series for _, num_bytes in line.high]
    with_range = min(max([highest, *edges]), ROOM * highest)
    limits = [limit.num_bytes for limit in chart.limits if limit.num_bytes <= NEAR * highest]
    if not limits:
        return max(1.0, ROOM * with_range)
    shown = max(BEYOND * max(limits), 1.6 * max(min(line) for line in lines))
    return max(1.0, ROOM * max(limits), min(ROOM * with_range, shown))


def off_chart(chart: Chart, scale: Scale) -> tuple[Limit, ...]:
    """Devices with so much more than the lines need that they are not drawn."""
    return tuple(limit for limit in chart.limits if limit.num_bytes > scale.top)


def unit_of(num_bytes: float) -> tuple[int, str]:
    return next(((unit, name) for unit, name in ((GIB, "GiB"), (MIB, "MiB")) if num_bytes >= 2 * unit), (KIB, "KiB"))


def step_of(num_bytes: float) -> int:
    """The step that gives about as many ticks as wanted; above 1,000 GiB it grows on."""
    unit = unit_of(num_bytes)[0]
    wanted = num_bytes / unit / TICKS
    power = 1
    while wanted > STEPS[-1] * power:
        power *= STEPS[-1]
    return int(next(step for step in STEPS if step * power >= wanted) * power * unit)


def counted(number: int) -> str:
    """A number of an axis: 1k for 1,024, for tokens come in powers of two; 1M for 1,048,576."""
    if number >= 2**20 and not number % 2**20:
        return f"{number // 2**20:,}M"
    return f"{number // 1024:,}k" if number >= 1024 and not number % 1024 else f"{number:,}"
