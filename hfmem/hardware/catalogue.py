"""
The GPUs of `tables/devices.json`, a row each, and their names.

A row says what is known: `gb` on the box, `mib` a driver reports, `visible_gib` a process sees; `rule` (sizes.py) gives
the rest. `names` go without a size: of rows that share one, the row with `default` has it, else it is ambiguous. `exact`
are names as they are. `machines` are providers' names, with the row and how many; `slices` are MIG profiles, with the
eighths of the card's memory and the MiB where they were read.

Names, sizes on the box and capabilities of rows whose source is `huggingface.js hardware.ts` are facts taken from
@huggingface/tasks (MIT, Hugging Face), commit fe42e68.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

from hfmem.errors import UsageError
from hfmem.hardware.names import key, plain_keys, sized_keys
from hfmem.hardware.sizes import reported_bytes, visible_bytes
from hfmem.hardware.values import Device
from hfmem.tables import table_bytes
from hfmem.units import GIB, MIB

SIZE_FIRST = re.compile(r"(\d{1,4}gi?b)(.+)", re.ASCII)


@cache
def table() -> dict[str, Any]:
    """The file's sections: devices, machines, slices."""
    whole: dict[str, Any] = json.loads(table_bytes("devices.json"))
    return whole


@cache
def devices() -> tuple[Device, ...]:
    """Every GPU of the catalogue, in the file's order: vendor, family, newest first."""
    return tuple(device(row) for row in table()["devices"])


def device(row: dict[str, Any]) -> Device:
    mib, visible = row.get("mib"), row.get("visible_gib")
    memory = mib * MIB if mib else reported_bytes(row["gb"], row["rule"])
    return Device(
        name=row["name"],
        vendor=row["vendor"],
        family=row["family"],
        marketing_gb=row["gb"],
        memory_bytes=memory,
        usable_bytes=int(visible * GIB) if visible else visible_bytes(memory, row["rule"]),
        memory_source="driver" if mib else "spec",
        compute_capability=row.get("capability"),
        unified=row.get("unified", False),
        aliases=own_names().get(row["name"], ()),
        source=row["source"],
    )


@cache
def names() -> dict[str, tuple[str, ...]]:
    """Each name as `key` makes it, with the rows that have it; of a shared one the default row alone, if there is one."""
    found: dict[str, list[str]] = {}
    defaults = {row["name"] for row in table()["devices"] if row.get("default")}
    for row in table()["devices"]:
        for name in dict.fromkeys((*plain_keys(row), *sized_keys(row))):
            found.setdefault(name, []).append(row["name"])
    return {name: tuple(row for row in rows if row in defaults) or tuple(rows) for name, rows in found.items()}


@cache
def own_names() -> dict[str, tuple[str, ...]]:
    """The names of each row that stand for it alone."""
    found: dict[str, list[str]] = {}
    for name, rows in names().items():
        if len(rows) == 1:
            found.setdefault(rows[0], []).append(name)
    return {row: tuple(own) for row, own in found.items()}


@cache
def by_name() -> dict[str, Device]:
    return {each.name: each for each in devices()}


@cache
def machines() -> dict[str, tuple[str, int]]:
    """Names of rented machines, as `key` makes them: the row and how many of it."""
    return {key(name): (row, count) for name, (row, count) in table()["machines"].items()}


def machine_named(text: str) -> tuple[str, int] | None:
    """The row and how many of it; SageMaker puts `ml.` before EC2's names."""
    return machines().get(key(text).removeprefix("ml."))


def named(text: str) -> tuple[Device, ...]:
    """The devices a name stands for, which may follow its size: one, several where it is ambiguous, none."""
    wanted = key(text)
    rows = names().get(wanted) or names().get(SIZE_FIRST.sub(r"\2\1", wanted), ())
    return tuple(by_name()[row] for row in rows)


def find(
    query: str | None = None, *, vendor: str | None = None, min_bytes: int = 0, dtype: str | None = None
) -> tuple[Device, ...]:
    """The devices a query finds, of a vendor, with so much memory, that run a dtype."""
    maker = vendor.casefold() if vendor else None
    makers = sorted({each.vendor for each in devices() if each.vendor})
    if maker is not None and maker not in makers:
        raise UsageError(f"vendor {maker[:40]!r} is not known", code="unknown-vendor", hint=f"one of {', '.join(makers)}")
    return tuple(
        each
        for each in (called(query) if query else devices())
        if maker in (None, each.vendor) and each.memory_bytes >= min_bytes and (dtype is None or each.runs(dtype))
    )


def called(query: str) -> tuple[Device, ...]:
    """The devices whose name or alias contains the query, else what it stands for as a name."""
    wanted = key(query)
    found = tuple(each for each in devices() if wanted and any(wanted in alias for alias in (key(each.name), *each.aliases)))
    machine = machine_named(query)
    return found or named(query) or ((by_name()[machine[0]],) if machine else ())


def next_larger(device: Device) -> Iterator[Device]:
    """Devices of the same vendor that give a process more, the smallest first."""
    larger = (each for each in devices() if each.vendor == device.vendor and each.usable_bytes > device.usable_bytes)
    yield from sorted(larger, key=lambda each: each.usable_bytes)
