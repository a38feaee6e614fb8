"""The rows of a list as JSON Lines, and as one JSON array."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from hfmem.report.batch_rows import Row


def render_batch_lines(rows: Iterable[Row]) -> Iterator[str]:
    """A row a line: no NaN, ASCII only."""
    return (json.dumps(row, allow_nan=False) + "\n" for row in rows)


def render_batch_json(rows: Iterable[Row]) -> Iterator[str]:
    """One array, written row by row."""
    start = "["
    for row in rows:
        yield start + json.dumps(row, allow_nan=False)
        start = ",\n "
    yield "]\n" if start != "[" else "[]\n"
