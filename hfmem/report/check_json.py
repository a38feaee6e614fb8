"""The `hfmem.check/1` JSON object; changes to it only add."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from hfmem._version import __version__
from hfmem.check.values import Checkup
from hfmem.report.json_report import origin_dict


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
        "findings": [asdict(each) for each in found.findings],
        "versions": {"hfmem": __version__},
    }
