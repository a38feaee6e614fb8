"""The `hfmem.batch/1` row of a model in a list: what every report of a list is made of; changes to it only add."""

from __future__ import annotations

from typing import Any

from hfmem.memory.estimate import Estimate
from hfmem.memory.outcome import Outcome
from hfmem.report.json_report import capacity_dict, device_dict, item_dict, model_dict, note_dicts

Row = dict[str, Any]
# The columns a table can have, and that every row has, whether there is an estimate or not.
MODEL_COLUMNS = (
    "source", "revision", "commit", "format", "model_type", "architecture", "dtype", "quantization", "num_parameters",
    "stored_bytes", "loaded_bytes",
)  # fmt: skip
WORKLOAD_COLUMNS = ("mode", "engine", "method", "context", "batch")
TOTAL_COLUMNS = ("total_bytes", "low_bytes", "high_bytes")


SCHEMA = "hfmem.batch/1"
LISTS = ("items", "devices", "notes", "curve")


def is_whole(row: Row) -> bool:
    """Whether a row from a file is one of ours, with every column."""
    named = (*MODEL_COLUMNS, *WORKLOAD_COLUMNS, *TOTAL_COLUMNS, "reference", "code", "message", "hint")
    has_all = row.keys() >= {*named} and isinstance(row.get("index"), int) and isinstance(row.get("status"), str)
    return has_all and row.get("schema") == SCHEMA and all(isinstance(row.get(name), list) for name in LISTS)


def row_of(outcome: Outcome) -> Row:
    """One flat object; sizes are whole bytes and null where there is no estimate."""
    error = outcome.error
    found: Row = {
        "schema": SCHEMA,
        "index": outcome.index,
        "reference": outcome.reference,
        "status": outcome.status,
        "code": error.code if error else None,
        "message": error.message if error else None,
        "hint": error.hint if error else None,
        **dict.fromkeys((*MODEL_COLUMNS, *WORKLOAD_COLUMNS, *TOTAL_COLUMNS, "peak_phase")),
        **{name: [] for name in LISTS},
    }
    return found | estimate_columns(outcome.estimate, outcome.curve) if outcome.estimate else found


def estimate_columns(estimate: Estimate, curve: tuple[tuple[int, int], ...]) -> Row:
    model, peak = model_dict(estimate), estimate.peak
    packing = estimate.model.quantization
    return {
        **{name: model[name] for name in MODEL_COLUMNS},
        "quantization": packing and packing.method + (f" {packing.bits}-bit" if packing.bits else ""),
        **{name: estimate.resolved.get(name) for name in WORKLOAD_COLUMNS},
        **{name: getattr(peak, name) for name in TOTAL_COLUMNS},
        "peak_phase": peak.name,
        "items": [item_dict(item) for item in peak.items],
        **({"capacity": capacity_dict(estimate.capacity)} if estimate.capacity else {}),
        "devices": [device_dict(fit) for fit in estimate.devices],
        "notes": note_dicts(estimate.notes),
        "curve": [list(point) for point in curve],
    }
