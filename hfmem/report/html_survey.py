"""What is known of a whole list before its first row is written: counts, devices, the largest model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hfmem.report.batch_rows import Row

# What a bar is made of, by the names of items; what is in none of them is the rest.
GROUPS = {
    "weights": ("weights", "projector", "adapters", "reference_model"),
    "cache": ("kv_cache", "recurrent_state"),
    "activations": ("activations", "logits", "prefill_cache"),
    "training": ("gradients", "optimizer", "optimizer_temporary", "master_weights", "autocast_copies"),
}
REST = "runtime and the rest"
GROUP_OF = {name: group for group, names in GROUPS.items() for name in names}
DeviceKey = tuple[str, int]  # name and number of devices


def device_key(device: dict[str, Any]) -> DeviceKey:
    return device["name"], device["num_devices"]


def bar_parts(row: Row) -> dict[str, int]:
    """Bytes a group, in the order of the legend, without the empty ones."""
    found = dict.fromkeys((*GROUPS, REST), 0)
    for item in row["items"]:
        found[GROUP_OF.get(item["name"], REST)] += item["bytes"] or 0
    return {group: num_bytes for group, num_bytes in found.items() if num_bytes}


@dataclass(slots=True)
class Survey:
    """Counts over all rows; its size grows with the kinds of things there are, not with the rows."""

    statuses: Counter[str] = field(default_factory=Counter)
    workloads: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # mode, engine, method
    contexts: Counter[int] = field(default_factory=Counter)
    batches: Counter[int] = field(default_factory=Counter)
    verdicts: Counter[tuple[DeviceKey, str]] = field(default_factory=Counter)
    usable_bytes: dict[DeviceKey, int] = field(default_factory=dict)  # in the order of the columns
    groups: set[str] = field(default_factory=set)
    largest_bytes: int = 0
    largest_reference: str = ""
    stored_bytes: int = 0
    has_curves: bool = False

    def add(self, row: Row) -> None:
        self.statuses[row["status"]] += 1
        if row["mode"]:
            self.workloads[row["mode"], row["engine"] or "", row["method"] or ""] += 1
            self.contexts[row["context"]] += 1
            self.batches[row["batch"]] += 1
        if (row["total_bytes"] or 0) > self.largest_bytes:
            self.largest_bytes, self.largest_reference = row["total_bytes"], row["reference"]
        self.stored_bytes += row["stored_bytes"] or 0
        self.groups.update(bar_parts(row))
        self.has_curves |= bool(row["curve"])
        for device in row["devices"]:
            self.usable_bytes.setdefault(device_key(device), device["usable_bytes"])
            self.verdicts[device_key(device), device["verdict"]] += 1

    @property
    def num_models(self) -> int:
        return self.statuses.total()

    @property
    def devices(self) -> tuple[DeviceKey, ...]:
        return tuple(self.usable_bytes)

    def failures(self) -> Iterator[tuple[str, int]]:
        """How many rows have no estimate, by status, the most frequent first."""
        return ((status, count) for status, count in self.statuses.most_common() if status not in ("ok", "partial"))


def survey(rows: Iterable[Row]) -> Survey:
    found = Survey()
    for row in rows:
        found.add(row)
    return found
