"""Labels that would lie on each other, moved apart."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Words that belong to a height, and the height they are written at."""

    at: float
    words: str
    more: str = ""
    kind: str = ""
    place: float = 0.0


def spread_out(labels: Iterable[Label], *, low: float, high: float, gap: float) -> list[Label]:
    """From the top down, each as near to its height as those above and below let it be; too many go on below the edge."""
    placed: list[Label] = []
    for label in sorted(labels, key=lambda each: each.at):
        least = placed[-1].place + gap if placed else low
        placed.append(replace(label, place=max(label.at, least)))
    ceiling = high
    for index in range(len(placed) - 1, -1, -1):
        room = max(ceiling, low + gap * index)
        placed[index] = replace(placed[index], place=min(placed[index].place, room))
        ceiling = placed[index].place - gap
    return placed


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A stretch of a picture, y growing downwards."""

    left: float
    top: float
    right: float
    bottom: float

    def touches(self, other: Box) -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom

    def holds(self, other: Box) -> bool:
        return self.left <= other.left and other.right <= self.right and self.top <= other.top and other.bottom <= self.bottom


def around(x: float, y: float, width: float, *, rising: bool) -> Iterator[Box]:
    """Places for a label at a point of a line, those first where the line is not; then the same farther off."""
    sides = ((-1, -1), (1, 1), (1, -1), (-1, 1)) if rising else ((1, -1), (-1, 1), (-1, -1), (1, 1))
    for away in range(6):
        for to_right, to_below in sides:
            left = x + 11 if to_right > 0 else x - 11 - width
            top = y + 7 + 18 * away if to_below > 0 else y - 7 - 18 * (away + 1)
            yield Box(left=left, top=top, right=left + width, bottom=top + 18)


def free_box(candidates: Iterable[Box], within: Box, taken: Sequence[Box] = (), crossed: Sequence[Box] = ()) -> Box:
    """The first place where nothing is yet; else one that only lies on what may be crossed; else the first of all."""
    places = list(candidates)
    inside = [box for box in places if within.holds(box) and not any(box.touches(other) for other in taken)]
    clear = (box for box in inside if not any(box.touches(other) for other in crossed))
    return next(clear, (inside or places)[0])
