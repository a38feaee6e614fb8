"""A sweep as the `hfmem.plot/1` JSON object: the axis, every point in bytes, and how far each device goes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from hfmem._version import __version__
from hfmem.hardware.sweep import Point, Reach, Sweep
from hfmem.report.json_report import model_dict, note_dicts


def render_sweep_json(sweep: Sweep) -> str:
    """One line of valid JSON; the workload is the one at the first number."""
    estimate = sweep.estimate
    found = {
        "schema": "hfmem.plot/1",
        "model": model_dict(estimate),
        "workload": dict(estimate.resolved),
        "complete": sweep.complete,
        "x": sweep.x,
        "marks": list(sweep.marks),
        "points": point_dicts(sweep.points),
        "devices": [reach_dict(reach, sweep) for reach in sweep.reaches],
        "notes": note_dicts(estimate.notes),
        "versions": {"hfmem": __version__},
    }
    return json.dumps(found, allow_nan=False)


def point_dicts(points: Iterable[Point]) -> list[dict[str, int]]:
    return [{"x": p.x, "bytes": p.num_bytes, "low_bytes": p.low_bytes, "high_bytes": p.high_bytes} for p in points]


def reach_dict(reach: Reach, sweep: Sweep) -> dict[str, Any]:
    """How far one device goes; of ranks, the fewest. Numbers are null where a part is unknown, 0 where none fits."""
    last, sure = ("min_tp", "sure_min_tp") if sweep.x == "tp" else (f"max_{sweep.x}", f"sure_max_{sweep.x}")
    return {
        "name": reach.name,
        "num_devices": reach.num_devices,
        "limit_bytes": reach.limit_bytes,
        "filled_by": reach.filled_by or None,
        last: reach.last if reach.known else None,
        sure: reach.sure if reach.known else None,
        "reason": reach.reason,
        "points": point_dicts(reach.points),
    }
