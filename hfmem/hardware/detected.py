"""A device as this machine's driver describes it, with what the catalogue knows of it."""

from __future__ import annotations

from dataclasses import replace

from hfmem.hardware.catalogue import named
from hfmem.hardware.sizes import visible_bytes
from hfmem.hardware.values import Device

LONGEST_NAME = 80


def detected(
    name: str,
    *,
    vendor: str,
    rule: str,
    total: int,
    free: int | None,
    source: str,
    capability: str | None = None,
    unified: bool = False,
) -> Device:
    """
    The driver's total is what counts; the catalogue adds what a process sees of it and what the chip can do.

    A name is taken as it is: one that only resembles a row's must not become that row (RTX 5090 and RTX 5090 Laptop GPU).
    """
    row = nearest(name, vendor, total)
    usable = row.usable_bytes if row and row.memory_bytes == total else visible_bytes(total, rule)
    device = Device(
        name=name[:LONGEST_NAME],
        vendor=vendor,
        family=row.family if row else "unknown",
        marketing_gb=row.marketing_gb if row else None,
        memory_bytes=total,
        usable_bytes=usable,
        memory_source="driver",
        compute_capability=capability or (row.compute_capability if row else None),
        unified=unified,
        free_bytes=None if free is None or free > total else free,
        source=source,
    )
    return replace(device, aliases=row.aliases) if row else device


def nearest(name: str, vendor: str, total: int) -> Device | None:
    """The row of that very name whose size is nearest: an RTX 3060 with 12 GB is not the one with 8."""
    rows = [row for row in named(name) if row.vendor == vendor]
    return min(rows, key=lambda row: abs(row.memory_bytes - total), default=None)
