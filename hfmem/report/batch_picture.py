"""The rows of a list as a picture of their table."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

from hfmem.report.batch_rows import Row
from hfmem.report.batch_text import render_batch_text, summary
from hfmem.report.picture import render_picture

MOST_ROWS = 100  # a picture is looked at whole; more are in every other format


def render_batch_picture(rows: Iterable[Row]) -> Iterator[str]:
    """The first rows with their failures, and a count of all; `rows` is gone through several times."""
    shown = list(islice(rows, MOST_ROWS))
    *table, counted = render_batch_text(shown)
    more = sum(1 for _ in rows) - len(shown)
    if more > 0:
        counted = f"… and {more:,} more\n\n{summary(rows)}\n"
    yield render_picture("".join([*table, counted]).rstrip("\n"), "hfmem")
