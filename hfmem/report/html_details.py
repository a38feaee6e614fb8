"""What opens under a model: every part with how it is known, devices, other contexts, remarks, where it was read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hfmem.report.batch_rows import Row
from hfmem.report.device_lines import device_name
from hfmem.report.html_survey import device_key
from hfmem.report.html_text import joined, safe, size
from hfmem.report.text import LABELS, spread
from hfmem.units import disk, memory

HEADING = "<tr><th scope=col>Part<th scope=col>Size<th scope=col>Range<th scope=col>Known by<th scope=col>Formula and note"


def details(row: Row) -> str:
    """Closed until asked for; closing tags that HTML does not need are left out, for there are thousands of them."""
    summary = joined(row["architecture"] or row["model_type"] or "unknown architecture", row["dtype"], row["quantization"])
    said = f"<div>{devices(row)}{curve(row)}{remarks(row)}</div>"
    return f"<details><summary>{summary}</summary><div class=x>{items(row)}{said}{provenance(row)}</div></details>"


def items(row: Row) -> str:
    caption = f"<caption>Memory at the peak, {safe(row['peak_phase'])}</caption>"
    return f"<table class=i>{caption}{HEADING}{''.join(map(item_row, row['items']))}</table>"


def item_row(item: dict[str, Any]) -> str:
    label = LABELS.get(item["name"], item["name"].replace("_", " "))
    limits = "" if item["bytes"] is None else spread(item["low_bytes"], item["high_bytes"])
    known = f"<td>{size(item['bytes'])}<td>{limits}<td>{safe(item['basis'])}"
    return f"<tr><th scope=row>{safe(label)}{known}<td>{joined(item['formula'], item['note'])}"


def devices(row: Row) -> str:
    """What the columns have no room for."""
    lines = "".join(f"<li>{device_line(device)}" for device in row["devices"])
    return f"<ul>{lines}</ul>" if lines else ""


def device_line(device: dict[str, Any]) -> str:
    needs = f"needs {size(device['required_bytes'])} of {memory(device['usable_bytes'])} usable"
    return f"<b>{safe(device_name(*device_key(device)))}</b> {joined(needs, *growth(device))}"


def growth(device: dict[str, Any]) -> Iterator[str]:
    """What is left, how far the batch goes, and what a pool holds."""
    if (spare := device["spare_bytes"]) is not None:
        yield f"{memory(spare)} to spare" if spare >= 0 else f"{memory(-spare)} too little"
    if device["max_context"]:
        yield f"context up to {device['max_context']:,}"
    if device["max_batch"]:
        yield f"batch up to {device['max_batch']:,}"
    if device["num_devices"] > 1:
        yield "sizes are those of one device"
    yield device["reason"]
    if (pool := device["capacity"]) and pool["kv_cache_tokens"]:
        yield f"pool of {memory(pool['kv_cache_bytes'])}, {pool['kv_cache_tokens']:,} tokens"
    if device["memory_source"] == "spec":
        yield "size from the box"


def curve(row: Row) -> str:
    points = ", ".join(f"{tokens:,} tokens {memory(num_bytes)}" for tokens, num_bytes in row["curve"])
    return f"<p><b>Other contexts</b> {points}" if points else ""


def remarks(row: Row) -> str:
    """Remarks with their next steps."""
    return "".join(f"<p><b>Note</b> {safe(note['message'])}{hint_of(note)}" for note in row["notes"])


def hint_of(said: dict[str, Any]) -> str:
    """The next thing to try, of a remark or of a failure."""
    return f" <span class=h>hint: {safe(said['hint'])}</span>" if said["hint"] else ""


def provenance(row: Row) -> str:
    """What was read, at which commit, and for which workload."""
    return "<dl>" + "".join(f"<dt>{name}<dd>{value}" for name, value in facts(row) if value) + "</dl>"


def facts(row: Row) -> Iterator[tuple[str, str]]:
    yield "Reference", safe(row["reference"])
    yield "Source", joined(row["source"], row["revision"], row.get("format"))
    yield "Commit", safe(row["commit"] or "")
    yield "Type", joined(row["model_type"], row["dtype"], row["quantization"])
    yield "Parameters", "" if row["num_parameters"] is None else f"{row['num_parameters']:,}"
    yield "Weights", joined(*stored_and_loaded(row))
    yield "Workload", joined(row["mode"], row["engine"], row["method"], f"context {row['context']:,}", f"batch {row['batch']:,}")


def stored_and_loaded(row: Row) -> Iterator[str]:
    for word in ("stored", "loaded"):
        if (num_bytes := row[f"{word}_bytes"]) is not None:
            yield f"{disk(num_bytes)} {word}"
