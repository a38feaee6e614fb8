"""The catalogue of GPUs, and this machine's: as text, as JSON, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict

from hfmem.hardware.values import Device
from hfmem.report.escape import markdown, terminal
from hfmem.units import memory

HEADINGS = ("NAME", "VENDOR", "MEMORY", "USABLE", "MARKETED", "CAPABILITY", "KNOWN BY")
NUMBERS = range(2, 5)  # the columns that are aligned to the right


def render_devices(devices: Iterable[Device], format: str = "text") -> str:
    """The devices in one of the formats, without a trailing newline."""
    return RENDERERS[format](tuple(devices))


def render_text(devices: tuple[Device, ...]) -> str:
    """A row a device, in columns as wide as they must be."""
    rows = [HEADINGS, *(tuple(map(terminal, cells(each))) for each in devices)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(aligned(row, widths)).rstrip() for row in rows)


def aligned(row: tuple[str, ...], widths: list[int]) -> Iterator[str]:
    for column, (cell, width) in enumerate(zip(row, widths, strict=True)):
        yield cell.rjust(width) if column in NUMBERS else cell.ljust(width)


def cells(device: Device) -> tuple[str, ...]:
    marketed = "" if device.marketing_gb is None else f"{device.marketing_gb:g} GB"
    return (
        device.name,
        device.vendor or "",
        memory(device.memory_bytes),
        memory(device.usable_bytes),
        marketed,
        device.compute_capability or "",
        device.memory_source,
    )


def render_markdown(devices: tuple[Device, ...]) -> str:
    heads = "| " + " | ".join(heading.lower() for heading in HEADINGS) + " |"
    rows = ("| " + " | ".join(map(markdown, cells(each))) + " |" for each in devices)
    return "\n".join((heads, "|---|---|--:|--:|--:|---|---|", *rows))


def render_json(devices: tuple[Device, ...]) -> str:
    """Every field of every device, sizes in bytes."""
    return json.dumps({"schema": "hfmem.devices/1", "devices": [asdict(each) for each in devices]}, allow_nan=False)


RENDERERS: dict[str, Callable[[tuple[Device, ...]], str]] = {
    "text": render_text,
    "json": render_json,
    "markdown": render_markdown,
}
