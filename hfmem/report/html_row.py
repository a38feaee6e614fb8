"""One model of an HTML report: a row to compare, and under it the details that open."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hfmem.report.batch_rows import Row
from hfmem.report.device_lines import SIGNS
from hfmem.report.html_details import details, hint_of
from hfmem.report.html_survey import Survey, bar_parts, device_key
from hfmem.report.html_text import joined, safe, size, sortable
from hfmem.report.text import spread
from hfmem.units import count, disk

COLUMNS = ("Model", "Status", "Parameters", "Download", "Memory", "Made of")
FIRST_SHOWN = 200  # laying out more rows at once makes sorting slow; the script has a button for the rest
STATUS_SIGNS = {"ok": "✓", "partial": "?"}  # every other status is a failure


def model_rows(number: int, row: Row, found: Survey) -> str:
    """A `tbody` a model, so that its rows sort, hide and print together; its letters are the verdicts it is filtered by."""
    by_key = {device_key(device): device for device in reversed(row["devices"])}
    devices = [by_key.get(key) for key in found.devices]
    letters = "".join(device["verdict"][0] if device else "-" for device in devices)
    curve = " ".join(f"{tokens:d},{num_bytes:d}" for tokens, num_bytes in row["curve"])
    late = " late" if number >= FIRST_SHOWN else ""
    opening = f'<tbody class="m{late}" data-s="{safe(row["status"])}" data-f="{safe(letters)}" data-c="{curve}">\n<tr>'
    return opening + "".join(cells(row, devices, found)) + "</tbody>\n"


def cells(row: Row, devices: list[dict[str, Any] | None], found: Survey) -> Iterator[str]:
    name, status = safe(row["reference"]).replace("/", "/<wbr>"), safe(row["status"])
    sign = STATUS_SIGNS.get(row["status"], "✗")
    yield f"<th scope=rowgroup><span class=r>{name}</span>"
    yield f"<td class=s{sign_class(row)}><b>{sign} {status}</b>"
    if row["total_bytes"] is None:
        yield f"<td class=e colspan={len(COLUMNS) - 2 + len(devices)}>{failure(row)}"
        return
    yield f"<td class=q{sortable(row['num_parameters'])}>{shown(row['num_parameters'], count)}"
    yield f"<td class=q{sortable(row['stored_bytes'])}>{shown(row['stored_bytes'], disk)}"
    yield f"<td class=q{sortable(row['total_bytes'])}>{total(row)}"
    yield f"<td>{bar(row, found.largest_bytes)}"
    yield from map(device_cell, devices)
    yield f"\n<tr class=d><td colspan={len(COLUMNS) + len(devices)}>{details(row)}"


def sign_class(row: Row) -> str:
    """How a status is coloured; its sign and word say the same."""
    return {"ok": "f", "partial": "u"}.get(row["status"], "n")


def failure(row: Row) -> str:
    """Why there is no estimate, and the next thing to try."""
    return f"<code>{safe(row['code'] or '')}</code> {safe(row['message'] or '')}{hint_of(row)}"


def shown(number: int | None, unit: Any) -> str:
    return "unknown" if number is None else unit(number)


def total(row: Row) -> str:
    """The peak's bytes over their range; a row with an unknown part says so."""
    more = "<small>+ unknown part</small>" if row["status"] == "partial" else ""
    limits = spread(row["low_bytes"], row["high_bytes"])
    return f"<b>{size(row['total_bytes'])}</b>{more}" + (f"<small>{limits}</small>" if limits else "")


def bar(row: Row, largest: int) -> str:
    """
    A stretch a group: as wide as its share of this model, in a picture as wide as this model's share of the largest.

    The style sheet alone switches between the two, so that the switch needs no arithmetic.
    """
    parts, start, drawn = bar_parts(row), 0.0, []
    whole = sum(parts.values())
    for group, num_bytes in parts.items():
        width = 100 * num_bytes / whole
        drawn.append(f'<rect class={group[0]} x="{start:.2f}%" width="{width:.2f}%" height="100%"/>')
        start += width
    words = ", ".join(f"{group} {size(num_bytes)}" for group, num_bytes in parts.items())
    return f'<svg class=b role=img width="{100 * whole / max(largest, 1):.2f}%" aria-label="{words}">{"".join(drawn)}</svg>'


def device_cell(device: dict[str, Any] | None) -> str:
    """The verdict as a sign and a word, how full the device is, and the longest context it has room for."""
    if device is None:
        return "<td class=v>not judged"
    required, longest, verdict = device["required_bytes"], device["max_context"], device["verdict"]
    full = "" if required is None else f" {100 * required / max(device['usable_bytes'], 1):,.0f}%"
    context = "" if longest is None else f"<small>{f'to {count(longest)} tokens' if longest else 'at no context'}</small>"
    return f'<td class="v {verdict[0]}"{sortable(required)}><b>{joined(f"{SIGNS[verdict]} {verdict}")}</b>{full}{context}'
