"""The rows of a list as columns: for tables, one value a cell, and what is nested spread out."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hfmem.report.batch_rows import MODEL_COLUMNS, TOTAL_COLUMNS, WORKLOAD_COLUMNS, Row

FIRST = ("index", "reference", "status")
LAST = ("code", "message", "hint")
NUMBERS = frozenset({"index", "num_parameters", "stored_bytes", "loaded_bytes", "context", "batch", *TOTAL_COLUMNS})


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: its name, how a row's value is found, and whether that is a whole number."""

    name: str
    value: Callable[[Row], Any]
    is_number: bool = False


def columns_of(rows: Iterable[Row]) -> list[Column]:
    """Every column that some row has something for: items and devices are those that occur, in the order they do."""
    items: dict[str, None] = {}
    devices: dict[str, None] = {}
    for row in rows:
        items |= dict.fromkeys(item["name"] for item in row["items"])
        devices |= dict.fromkeys(map(device_name, row["devices"]))
    fixed = [plain(name) for name in (*FIRST, *MODEL_COLUMNS, *WORKLOAD_COLUMNS, *TOTAL_COLUMNS, "peak_phase")]
    spread = [item_column(name) for name in items]
    verdicts = [column for name in devices for column in device_columns(name)]
    return [*fixed, *spread, *verdicts, *(plain(name) for name in LAST)]


def device_name(device: dict[str, Any]) -> str:
    """A device with its number: what a column is called by."""
    return f"{device['num_devices']}x {device['name']}" if device["num_devices"] > 1 else str(device["name"])


def plain(name: str) -> Column:
    return Column(name=name, value=lambda row: row[name], is_number=name in NUMBERS)


def item_column(name: str) -> Column:
    return Column(name=f"{name}_bytes", value=lambda row: in_items(row, name), is_number=True)


def in_items(row: Row, name: str) -> int | None:
    return next((item["bytes"] for item in row["items"] if item["name"] == name), None)


def device_columns(name: str) -> tuple[Column, Column, Column]:
    def at(key: str) -> Callable[[Row], Any]:
        return lambda row: next((device[key] for device in row["devices"] if device_name(device) == name), None)

    return (
        Column(name=f"{name} verdict", value=at("verdict")),
        Column(name=f"{name} required_bytes", value=at("required_bytes"), is_number=True),
        Column(name=f"{name} max_context", value=at("max_context"), is_number=True),
    )
