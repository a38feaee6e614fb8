"""
Compare `hfmem train` with measured peaks and print the tables of docs/method.md.

    python scripts/measured_training.py [MEASUREMENTS] [--rows]

MEASUREMENTS is a JSON list of runs with their settings (default fixtures/training_measured.json.gz). Peaks of torch's
allocator are compared with our allocated bytes; reserved peaks and those of nvidia-smi with our ranges. Runs that cannot be
compared are counted with the reason.
"""

from __future__ import annotations

import statistics
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from measured_rows import METHODS, ROOT, measured_bytes, model_of, read_rows, workload

from hfmem.errors import HfmemError
from hfmem.memory.estimate import Estimate
from hfmem.memory.training.estimate import estimate_training

ALLOCATED = ("max_memory_allocated", "peak active")


def main() -> int:
    """Print both summaries, and with --rows every comparison."""
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    source = Path(arguments[0]) if arguments else ROOT / "fixtures" / "training_measured.json.gz"
    errors: dict[str, list[float]] = defaultdict(list)
    inside: dict[str, list[bool]] = defaultdict(list)
    left_out: Counter[str] = Counter()
    for row in read_rows(source):
        reason, found = estimated(row)
        if found is None:
            left_out[reason] += 1
        elif is_allocated(row):
            errors[group_of(row)].append(100 * (found.totals["allocated_bytes"] / measured_bytes(row) - 1))
        else:
            inside[source_of(row)].append(within(row, found))
        if found and "--rows" in sys.argv:
            print(described(row, found))
    print("\n".join([*error_table(errors), "", *range_table(inside)]))
    print(f"\nNot compared: {', '.join(f'{count} {reason}' for reason, count in left_out.most_common())}.")
    return 0


def estimated(row: dict[str, Any]) -> tuple[str, Estimate | None]:
    """Our answer, or why there is none to compare."""
    if row["scope"] != "train_step" or "coef" in row["unit"] or "max context" in row["stat"]:
        return "are no peak of a training step", None
    if row["method"] not in METHODS:
        return "are of another method", None
    if not row["micro_batch"] or not row["seq_len"]:
        return "do not say batch or length", None
    if row["sharding"] and ("TP" in row["sharding"] or "PP" in row["sharding"]):
        return "split a model over devices", None
    model = model_of(row)
    if model is None:
        return "are of a model whose geometry is not in fixtures/training_models.json", None
    try:
        return "", estimate_training(model, workload(row))
    except HfmemError as error:
        return f"are refused ({error.code})", None


def is_allocated(row: dict[str, Any]) -> bool:
    return str(row["stat"]).startswith(ALLOCATED)


def within(row: dict[str, Any], found: Estimate) -> bool:
    """Whether a reserved peak is in our range; one of unnamed kind may be the device's."""
    low, high = found.totals["reserved_low_bytes"], found.totals["reserved_high_bytes"]
    if "reserved" not in row["stat"] or "unspecified" in row["stat"]:
        high = found.totals["device_high_bytes"]
    return low <= measured_bytes(row) <= high


def described(row: dict[str, Any], found: Estimate) -> str:
    ratio = found.totals["allocated_bytes"] / measured_bytes(row)
    verdict = (
        f"{100 * (ratio - 1):+6.1f} %" if is_allocated(row) else f"measured / allocated {1 / ratio:5.2f} {within(row, found)}"
    )
    return f"{row['id']:<42} {row['stat'][:14]:<14} {row['grade']} {row['method']:<9} {found.peak.name:<22} {verdict}"


def group_of(row: dict[str, Any]) -> str:
    devices = "1 device" if row["n_gpus"] == 1 else f"{(row['sharding'] or '').split(',')[0]}, {row['n_gpus']} devices"
    return f"{source_of(row)}: {devices}, {row['method']}, grade {row['grade']}"


def source_of(row: dict[str, Any]) -> str:
    return str(row["source"]).split(":")[0].split(" ")[0]


def error_table(groups: dict[str, list[float]]) -> list[str]:
    lines = ["| allocated peaks | runs | median | median of absolute | p90 | largest |", "|---|--:|--:|--:|--:|--:|"]
    for name, errors in sorted(groups.items()):
        sizes = sorted(abs(error) for error in errors)
        tenth = sizes[min(len(sizes) - 1, len(sizes) * 9 // 10)]
        worst = max(errors, key=abs)
        middle, typical = statistics.median(errors), statistics.median(sizes)
        lines.append(f"| {name} | {len(errors)} | {middle:+.1f} % | {typical:.1f} % | {tenth:.1f} % | {worst:+.1f} % |")
    return lines


def range_table(groups: dict[str, list[bool]]) -> list[str]:
    lines = ["| reserved and device peaks | runs | within the range |", "|---|--:|--:|"]
    lines += [f"| {name} | {len(hits)} | {sum(hits)} |" for name, hits in sorted(groups.items())]
    every = [hit for hits in groups.values() for hit in hits]
    return [*lines, f"| all | {len(every)} | {sum(every)} ({100 * sum(every) / max(1, len(every)):.0f} %) |"]


if __name__ == "__main__":
    sys.exit(main())
