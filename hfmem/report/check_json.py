"""The `hfmem.check/1` JSON object; changes to it only add."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from hfmem._version import __version__
from hfmem.doctor.values import Checkup, Preflight
from hfmem.report.json_report import device_dict, origin_dict


def render_checkup_json(found: Checkup) -> str:
    """One line of valid JSON: no NaN, ASCII only."""
    return json.dumps(to_dict(found), allow_nan=False)


def to_dict(found: Checkup) -> dict[str, Any]:
    return {
        "schema": "hfmem.check/1",
        "model": origin_dict(found),
        "verdict": found.verdict,
        "num_files": found.num_files,
        "num_tensors": found.num_tensors,
        "stored_bytes": found.stored_bytes,
        "preflight": preflight_dict(found.preflight) if found.preflight else None,
        "devices": [device_dict(fit) for fit in found.devices],
        "findings": [asdict(each) for each in found.findings],
        "versions": {"hfmem": __version__},
    }


def preflight_dict(found: Preflight) -> dict[str, Any]:
    """Every file with its bytes, and the sums of them."""
    told = asdict(found)
    told["files"] = [{"name": each.name, "bytes": each.num_bytes, "here": each.is_here} for each in found.files]
    return {**told, "num_bytes": found.num_bytes, "missing_bytes": found.missing_bytes, "has_room": found.has_room}
