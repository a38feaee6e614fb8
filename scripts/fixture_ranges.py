"""
Names with ranges in them: `layers.[0-2,4].weight` stands for four tensors.

A header of ninety thousand expert tensors becomes a few lines. tests/checkpoints.py reads them back.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)|^\d+(?=\.)")
Box = tuple[tuple[int, ...], ...]


def fold(tensors: dict[str, Any]) -> dict[str, Any]:
    """The same tensors under fewer names: equal values whose numbers fill a box share one."""
    groups: dict[tuple[str, Any], list[tuple[int, ...]]] = defaultdict(list)
    for name, value in tensors.items():
        groups[NUMBER.sub("{}", name), value].append(tuple(map(int, NUMBER.findall(name))))
    folded = {
        template.format(*map(write_range, box)): value for (template, value), points in groups.items() for box in boxes(points)
    }
    return dict(sorted(folded.items()))


def boxes(points: list[tuple[int, ...]]) -> Iterator[Box]:
    """Boxes that hold exactly these points: first coordinates with the same rest go together."""
    if not points[0]:
        yield ()
        return
    rests: dict[int, list[tuple[int, ...]]] = defaultdict(list)
    for point in sorted(points):
        rests[point[0]].append(point[1:])
    alike: dict[tuple[Box, ...], list[int]] = defaultdict(list)
    for first, rest in rests.items():
        alike[tuple(boxes(rest))].append(first)
    for inner, firsts in alike.items():
        for box in inner:
            yield (tuple(firsts), *box)


def write_range(numbers: tuple[int, ...]) -> str:
    """`7` for one number, `[0-2,4]` for several."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    texts = [str(low) if low == high else f"{low}-{high}" for low, high in runs]
    return texts[0] if len(numbers) == 1 else f"[{','.join(texts)}]"
