"""The `hfmem.fit/1` JSON object, and the rows of devices that estimates share with it."""

from __future__ import annotations

import json
from typing import Any

from hfmem._version import __version__
from hfmem.hardware.report import FitReport, FitRow
from hfmem.report.json_report import device_dict, model_dict, note_dicts


def render_fit_json(report: FitReport) -> str:
    """One line of valid JSON."""
    estimate = report.estimate
    found = {
        "schema": "hfmem.fit/1",
        "model": model_dict(estimate),
        "workload": dict(estimate.resolved),
        "fits": report.fits,
        "devices": [row_dict(row) for row in report.rows],
        "notes": note_dicts((*estimate.notes, *report.notes)),
        "versions": {"hfmem": __version__},
    }
    return json.dumps(found, allow_nan=False)


def row_dict(row: FitRow) -> dict[str, Any]:
    cells = [
        {"context": cell.context, "batch": cell.batch, "required_bytes": cell.required_bytes, "verdict": cell.verdict}
        for cell in row.grid
    ]
    instead = [{"change": found.change, **device_dict(found.fit)} for found in row.suggestions]
    return {**device_dict(row.fit), "workload": dict(row.estimate.resolved), "instead": instead, "grid": cells}
