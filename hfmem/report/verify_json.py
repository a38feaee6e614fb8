"""The `hfmem.verify/1` JSON object; changes to it only add."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from hfmem.report.json_report import model_dict, note_dicts
from hfmem.witness.sizing import sizing
from hfmem.witness.values import Counted, Row, Verification


def render_verification_json(found: Verification) -> str:
    """One line of valid JSON: no NaN, ASCII only."""
    return json.dumps(to_dict(found), allow_nan=False)


def to_dict(found: Verification) -> dict[str, Any]:
    return {
        "schema": "hfmem.verify/1",
        "model": model_dict(found.estimate),
        "workload": dict(found.estimate.resolved),
        "agrees": found.agrees,
        "rows": [row_dict(row) for row in found.rows],
        "class": class_dict(found.counted) if found.counted else None,
        "rules": [{**asdict(rule), "ratio": rule.ratio} for rule in found.rules],
        "timeline": [{"module": module, "alive_bytes": size} for module, size in found.timeline],
        "notes": note_dicts(found.notes),
        "versions": dict(found.versions),
    }


def row_dict(row: Row) -> dict[str, Any]:
    return {
        "witness": row.witness,
        "quantity": row.quantity,
        "unit": row.unit,
        "counted": row.counted,
        "ours": row.ours,
        "difference": row.difference,
        "unexplained": row.unexplained,
        "is_account": row.is_account,
        "tolerance": row.tolerance,
        "agrees": row.agrees,
        "reasons": [{"reason": r.reason, "elements": r.elements, "bytes": r.num_bytes} for r in row.reasons],
        "note": row.note,
    }


def class_dict(counted: Counted) -> dict[str, Any]:
    return {
        "architecture": counted.architecture,
        "num_parameters": counted.parameters,
        "parameter_bytes": counted.parameter_bytes,
        "buffer_bytes": counted.buffer_bytes,
        "by_dtype": dict(counted.by_dtype),
        "tied": [list(names) for names in counted.tied],
        "largest_layer": counted.whole.largest,
        "accelerate": [asdict(row) for row in sizing(counted.whole)],
        "accelerate_without_head": [asdict(row) for row in sizing(counted.without_head)],
    }
