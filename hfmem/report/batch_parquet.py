"""The rows of a list as a Parquet file, for those who query it."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from itertools import islice
from typing import Any

from hfmem.errors import CannotTell
from hfmem.report.batch_columns import Column, columns_of
from hfmem.report.batch_rows import Row

ROWS_AT_ONCE = 1000


def render_batch_parquet(rows: Iterable[Row]) -> Iterator[bytes]:
    """The whole file, which is small, for it is packed. Raises `CannotTell` where pyarrow is not installed."""
    require_pyarrow()
    import pyarrow as arrow
    from pyarrow import parquet

    columns = columns_of(rows)
    schema = arrow.schema([(column.name, arrow.int64() if column.is_number else arrow.string()) for column in columns])
    sink, left = io.BytesIO(), iter(rows)
    with parquet.ParquetWriter(sink, schema) as writer:
        while part := list(islice(left, ROWS_AT_ONCE)):
            writer.write_table(arrow.table({column.name: values_of(part, column) for column in columns}, schema=schema))
    yield sink.getvalue()


def require_pyarrow() -> None:
    """Raises `CannotTell` where it is not installed, without loading it."""
    if find_spec("pyarrow") is None:
        hint = "pip install 'hfmem-cli[parquet]'"
        raise CannotTell("Parquet needs pyarrow, which is not installed", code="missing-extra", hint=hint)


def values_of(rows: list[Row], column: Column) -> list[Any]:
    """The column's values, text as it is: no program takes a Parquet cell for a formula. What no column can hold is null."""
    values = [column.value(row) for row in rows]
    if column.is_number:
        return [value if value is None or abs(value) < 2**63 else None for value in values]
    return [None if value is None else text_of(value) for value in values]


def text_of(value: Any) -> str:
    """Text that is UTF-8; bytes of a name that are none as their codes."""
    return str(value).encode("utf-8", "backslashreplace").decode()
