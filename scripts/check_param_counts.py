"""
Compare published parameter counts and sizes with the classes of the pinned transformers.

    python scripts/check_param_counts.py [DATA]

DATA holds measured/param_counts.json and configs/ with SOURCES.json; every count whose model has a configuration there
is compared. A difference is explained when named reasons sum to it exactly.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from count_reasons import explain
from fixture_classes import Built, build, read_config

DATA = Path(__file__).parent.parent.parent / "shared" / "data"
NOT_GEOMETRY = {"architectures", "model_type", "model_id", "quantization_config", "auto_map"}


def main() -> int:
    """Print the table; the exit code is 1 when a difference has no explanation."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[1])
    parser.add_argument(
        "data",
        nargs="?",
        type=Path,
        default=DATA,
        help=f"default: {DATA.parent.name}/{DATA.name} beside the repository",
    )
    data = parser.parse_args().data
    verdicts: Counter[str] = Counter()
    for entry, config in entries(data):
        verdict, detail = judge(entry, config)
        verdicts[verdict] += 1
        print(f"{verdict:12} {entry['model_id']:50} {detail}")
    print(", ".join(f"{number} {verdict}" for verdict, number in verdicts.most_common()))
    return 1 if verdicts["unexplained"] else 0


def entries(data: Path) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Published counts with the configuration of their model."""
    sources = json.loads((data / "configs" / "SOURCES.json").read_text())
    files = {source["model_id"]: file for file, source in sources.items()}
    counts = json.loads((data / "measured" / "param_counts.json").read_text())
    return [
        (entry, json.loads((data / "configs" / files[entry["model_id"]]).read_text()) | {"model_id": entry["model_id"]})
        for entry in counts
        if entry["model_id"] in files
    ]


def judge(entry: dict[str, Any], config: dict[str, Any]) -> tuple[str, str]:
    """The verdict on one published count, and what it rests on."""
    if entry["params_total"] is None and entry["bytes_total"] is None:
        return "no total", entry["note"]
    built = build_class(config)
    if built is None:
        return "no class", f"{', '.join(config.get('architectures') or ['?'])} is not in transformers"
    details = []
    for key, unit, ours in (
        ("params_total", "elements", built.unique_parameters),
        ("bytes_total", "bytes", built.parameter_bytes),
    ):
        if entry[key] is not None:
            reasons = explain(built, config, entry[key] - ours, unit=unit)
            if reasons is None:
                return "unexplained", f"{entry[key]:,} {unit}, the class has {ours:,}: {entry[key] - ours:+,}"
            details.append(" + ".join([f"{ours:,} {unit}", *(reason.text for reason in reasons)]))
    return "equal" if not any(" + " in detail for detail in details) else "explained", "; ".join(details)


def build_class(config: dict[str, Any]) -> Built | None:
    """The class that config.json names, or None where transformers does not have it."""
    import transformers

    architecture = (config.get("architectures") or [""])[0]
    if not hasattr(transformers, architecture):
        return None
    geometry = {key: value for key, value in config.items() if key not in NOT_GEOMETRY}
    dtype = config.get("dtype") or config.get("torch_dtype") or "float32"
    return build(read_config(config["model_type"], geometry), architecture=architecture, dtype=dtype)


if __name__ == "__main__":
    sys.exit(main())
