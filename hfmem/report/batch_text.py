"""The rows of a list as a table for a terminal, and as Markdown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from hfmem.report.batch_columns import device_name
from hfmem.report.batch_rows import Row
from hfmem.report.device_lines import SIGNS
from hfmem.report.escape import markdown, terminal
from hfmem.units import count, memory

WIDEST = 60
CACHES = ("kv_cache", "recurrent_state")
HEADS = ("MODEL", "STATUS", "PARAMETERS", "WEIGHTS", "CACHE", "TOTAL")
RIGHT = frozenset({"PARAMETERS", "WEIGHTS", "CACHE", "TOTAL"})


def render_batch_text(rows: Iterable[Row]) -> Iterator[str]:
    """Aligned columns, then the failures with their reasons, then a count; `rows` is gone through several times."""
    devices = devices_of(rows)
    heads = [*HEADS, *(terminal(name) for name in devices)]
    widths = [len(head) for head in heads]
    for row in rows:
        widths = [max(width, min(len(cell), WIDEST)) for width, cell in zip(widths, cells(row, devices), strict=True)]
    yield line(heads, heads, widths)
    for row in rows:
        yield line(cells(row, devices), heads, widths)
    yield from failures(rows)
    yield f"\n{summary(rows)}\n"


def line(texts: list[str], heads: list[str], widths: list[int]) -> str:
    aligned = (
        text.rjust(width) if head in RIGHT else text.ljust(width) for text, head, width in zip(texts, heads, widths, strict=True)
    )
    return "  ".join(aligned).rstrip() + "\n"


def cells(row: Row, devices: list[str]) -> list[str]:
    """A row as the words of a line."""
    total = "" if row["total_bytes"] is None else memory(row["total_bytes"]) + ("" if row["status"] == "ok" else " +?")
    verdicts = {device_name(device): device["verdict"] for device in row["devices"]}
    return [
        terminal(row["reference"]),
        row["status"],
        "" if row["num_parameters"] is None else count(row["num_parameters"]),
        size(row, ("weights",)),
        size(row, CACHES),
        total,
        *(f"{SIGNS[verdicts[name]]} {verdicts[name]}" if name in verdicts else "" for name in devices),
    ]


def size(row: Row, names: tuple[str, ...]) -> str:
    """The items of these names together; nothing where there are none, and "unknown" where one is."""
    found = [item["bytes"] for item in row["items"] if item["name"] in names]
    if not found:
        return ""
    return "unknown" if None in found else memory(sum(found))


def devices_of(rows: Iterable[Row]) -> list[str]:
    names: dict[str, None] = {}
    for row in rows:
        names |= dict.fromkeys(map(device_name, row["devices"]))
    return list(names)


def failures(rows: Iterable[Row]) -> Iterator[str]:
    """Why there is no estimate, below the table, where there is room for it."""
    for row in rows:
        if row["code"] is not None:
            hint = f" ({row['hint']})" if row["hint"] else ""
            yield f"{terminal(row['reference'])}: {terminal(row['message'] + hint)} [{row['code']}]\n"


def summary(rows: Iterable[Row]) -> str:
    statuses = Counter(row["status"] for row in rows)
    return f"{statuses.total():,} models: " + (", ".join(f"{number:,} {status}" for status, number in statuses.most_common()))


def render_batch_markdown(rows: Iterable[Row]) -> Iterator[str]:
    """The same table for issues and pull requests."""
    devices = devices_of(rows)
    heads = [*HEADS, *devices, "NOTE"]
    yield table_line(head.lower() if head in HEADS or head == "NOTE" else head for head in heads)
    yield table_line("---:" if head in RIGHT else "---" for head in heads)
    for row in rows:
        yield table_line(map(markdown, [row["reference"], *cells(row, devices)[1:], row["message"] or ""]))
    yield f"\n{summary(rows)}\n"


def table_line(texts: Iterable[Any]) -> str:
    return f"| {' | '.join(texts)} |\n"
