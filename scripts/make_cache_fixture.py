"""
Write fixtures/caches.json.gz: for every model type, bytes the real cache classes of transformers held, and the geometry.

    python scripts/make_cache_fixture.py [MEASUREMENTS]

MEASUREMENTS is a JSON file of runs on the meta device (default ../shared/data/kv_oracle.json). Each row of the fixture has
the configuration twice: `full`, and `stripped` of every value equal to its class's default, which is what checkpoints hold.
"""

from __future__ import annotations

import gzip
import json
import os
import sys
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(Path(__file__).parent))


def main() -> int:
    """Read the measurements, drop what no size depends on, write the fixture."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT.parent / "shared" / "data" / "kv_oracle.json"
    results = json.loads(source.read_text())["results"]
    rows = [row for name in sorted(results) for row in rows_of(name, results[name])]
    target = ROOT / "fixtures" / "caches.json.gz"
    target.write_bytes(gzip.compress(json.dumps(rows, separators=(",", ":")).encode(), mtime=0))
    print(f"{len(rows)} rows of {len({row['type'] for row in rows})} model types, {target.stat().st_size:,} bytes")
    return 0


def rows_of(name: str, result: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a measured variant; variants the class itself refused are left out."""
    return [
        {
            "type": name,
            "variant": variant,
            "full": geometry(run["config"]),
            "stripped": geometry(stripped(run["config"])),
            "points": [point for run_point in run["points"] for point in points(run_point)],
        }
        for variant, run in result["variants"].items()
        if "points" in run
    ]


def points(run: dict[str, Any]) -> list[list[int]]:
    """[batch, prompt tokens, tokens seen, bytes kept alive] of each step."""
    return [
        [run["batch"], run["prefill"], step["seq"], step["storage"] + step.get("module_state_bytes", 0)] for step in run["steps"]
    ]


def geometry(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without what no size depends on."""
    from generate_defaults import NOISE

    kept = {key: value for key, value in config.items() if not NOISE.search(key) or key == "is_encoder_decoder"}
    return {key: geometry(value) if isinstance(value, dict) and key.endswith("config") else value for key, value in kept.items()}


def stripped(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration without values equal to the default of its own class, nested ones against theirs."""
    default = class_default(config.get("model_type", ""))
    found = {}
    for key, value in config.items():
        if isinstance(value, dict) and value.get("model_type"):
            found[key] = stripped(value)
        elif key == "model_type" or key not in default or default[key] != value:
            found[key] = value
    return found


DEFAULTS: dict[str, dict[str, Any]] = {}


def class_default(model_type: str) -> dict[str, Any]:
    """What the class says when nothing is given; empty for a class that cannot be built so."""
    if model_type not in DEFAULTS:
        from transformers.models.auto.configuration_auto import CONFIG_MAPPING

        try:
            DEFAULTS[model_type] = json.loads(CONFIG_MAPPING[model_type]().to_json_string(use_diff=False))
        except Exception:  # unknown to the mapping, or refuses to be built empty: nothing is stripped
            DEFAULTS[model_type] = {}
    return DEFAULTS[model_type]


if __name__ == "__main__":
    sys.exit(main())
