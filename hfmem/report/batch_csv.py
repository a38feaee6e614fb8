"""The rows of a list as CSV, in which no cell is a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from hfmem.report.batch_columns import columns_of
from hfmem.report.batch_rows import Row
from hfmem.report.escape import terminal

# A spreadsheet takes text that begins so for a formula: https://owasp.org/www-community/attacks/CSV_Injection
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # in full width too


def render_batch_csv(rows: Iterable[Row]) -> Iterator[str]:
    """A line a row under a header; `rows` is gone through twice."""
    columns = columns_of(rows)
    yield csv_line([column.name for column in columns])
    for row in rows:
        yield csv_line([column.value(row) for column in columns])


def csv_line(values: list[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(map(cell, values))
    return line.getvalue()


def cell(value: Any) -> Any:
    """A value as a spreadsheet may see it: text that looks like a formula gets an apostrophe, which says that it is none."""
    if not isinstance(value, str):
        return value
    text = terminal(value)
    return f"'{text}" if value.lstrip().startswith(FORMULA) else text
