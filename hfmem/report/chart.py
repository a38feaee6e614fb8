"""What a chart of memory shows: lines of (x, bytes) and the devices they may cross; how it is drawn is another's."""

from __future__ import annotations

from dataclasses import dataclass

Points = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line: its points are (x, bytes), x rising. `low` and `high` are the edges of its range, where it has one."""

    name: str
    points: Points
    low: Points = ()
    high: Points = ()

    def __post_init__(self) -> None:
        for line in (self.points, self.low, self.high):
            if [x for x, _ in line] != sorted({x for x, _ in line}):
                raise ValueError(f"{self.name}: x does not rise")
        if len(self.low) != len(self.high):
            raise ValueError(f"{self.name}: {len(self.low)} points below and {len(self.high)} above")


@dataclass(frozen=True, slots=True, kw_only=True)
class Crossing:
    """The last place of a line that a device holds, and what to write there."""

    x: int
    num_bytes: int
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """What one device can give, as a horizontal line."""

    name: str
    num_bytes: int
    crossing: Crossing | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Bytes against something counted, such as "tokens of context"; what it says is there in sentences too."""

    title: str
    x_label: str
    series: tuple[Series, ...]
    limits: tuple[Limit, ...] = ()
    subtitle: str = ""
    y_label: str = "memory"
    marks: tuple[int, ...] = ()  # the x that are named on the axis; none: those of the points
    sentences: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.series or not all(line.points for line in self.series):
            raise ValueError("a chart has a line, and a line a point")

    @property
    def ticks(self) -> tuple[int, ...]:
        return self.marks or tuple(sorted({x for line in self.series for x, _ in line.points}))
