"""Data alone: what other rooms look up."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any


@cache
def read_row(table: str, key: str) -> Any:
    """
    One row of a generated table, None where it has none.

    The generators write a row a line, so that looking one up does not parse the eight hundred others.
    """
    return read_line(table, f"  {json.dumps(key)}: ")


@cache
def read_section(table: str, key: str) -> Any:
    """A part of a generated table that is no row."""
    return read_line(table, f"{json.dumps(key)}: ")


def read_line(table: str, mark: str) -> Any:
    data, begin = table_bytes(table), f"\n{mark}".encode()
    start = data.find(begin)
    if start < 0:
        return None
    start += len(begin)
    return json.loads(data[start : data.index(b"\n", start)].rstrip(b","))


@cache
def table_bytes(table: str) -> bytes:
    """A generated table of this folder, by its file name."""
    return (Path(__file__).parent / table).read_bytes()
