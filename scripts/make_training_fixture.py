"""
Write fixtures/training_measured.json.gz: published peaks of training runs and the settings our comparison needs.

    python scripts/make_training_fixture.py MEASUREMENTS

MEASUREMENTS is a JSON list of runs; remarks are reduced to the words that are settings.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FIELDS = (
    "id", "scope", "model", "method", "quant", "lora_r", "lora_targets", "optimizer", "optimizer_state_dtype", "master_weights",
    "autocast", "micro_batch", "seq_len", "packing", "grad_ckpt", "attn", "loss_impl", "kernels", "n_gpus", "sharding", "offload",
    "peak", "unit", "stat", "per_gpu", "framework", "versions", "source", "grade",
)  # fmt: skip
WORDS = ("lora_dropout", "prepare_model_for_kbit")


def main() -> int:
    rows = [slim(row) for row in json.loads(Path(sys.argv[1]).read_text())]
    target = ROOT / "fixtures" / "training_measured.json.gz"
    target.write_bytes(gzip.compress(json.dumps(rows, separators=(",", ":")).encode(), mtime=0))
    print(f"{len(rows)} runs, {target.stat().st_size:,} bytes")
    return 0


def slim(row: dict[str, Any]) -> dict[str, Any]:
    """The settings of one run; the source without its quotation."""
    note = " ".join(word for word in WORDS if word in (row["note"] or ""))
    return {**{field: row[field] for field in FIELDS}, "source": str(row["source"]).split(" ")[0][:100], "note": note}


if __name__ == "__main__":
    sys.exit(main())
