"""
Write fixtures/serving.json.gz: logged start-ups of serving engines, and the configuration and tensors of each model.

    python scripts/make_serving_fixture.py MEASUREMENTS CONFIGS

MEASUREMENTS is a JSON list of start-ups, CONFIGS a directory of published configurations. Models without a bundled fixture are
weighed as their class is built, which needs the verify extra.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import serving_models

ROOT = Path(__file__).parent.parent


from hfmem import api
from hfmem.memory.subject import Model
from hfmem.sources.memory import MemorySource
from hfmem.witness.verify import count_too

TARGET = ROOT / "fixtures" / "serving.json.gz"
FIELDS = (
    "id", "engine", "version", "model", "tier", "tp", "pp", "dp", "ep", "gpu", "gpu_total_gib", "gpu_free_at_start_gib",
    "gpu_memory_utilization", "mem_fraction_static", "chunked_prefill_size", "page_size", "max_model_len",
    "max_num_batched_tokens", "max_num_seqs", "kv_cache_dtype", "enforce_eager", "weights_dtype", "weights_gib_per_gpu",
    "activation_peak_gib", "non_torch_gib", "kv_gib_per_gpu", "kv_tokens", "max_concurrency", "source",
)  # fmt: skip


def main() -> int:
    measured = json.loads(Path(sys.argv[1]).read_text())
    rows = [slim(row) for row in measured if row["engine"] in ("vllm", "sglang") and row["tier"] in "AB" and found(row)]
    models = {row["model"]: described(row["model"], Path(sys.argv[2])) for row in rows}
    text = json.dumps({"rows": rows, "models": models}, separators=(",", ":"))
    TARGET.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(rows)} start-ups of {len(models)} models, {TARGET.stat().st_size:,} bytes")
    return 0


def found(row: dict[str, Any]) -> bool:
    return serving_models.known(row["model"]) is not None


def slim(row: dict[str, Any]) -> dict[str, Any]:
    kept = {field: row[field] for field in FIELDS if row.get(field) is not None}
    return {**kept, "source": str(row["source"]).split(" ")[0][:100]}


def described(name: str, configs: Path) -> dict[str, Any]:
    """Configuration and tensors of one model; a bundled fixture is only named."""
    known = serving_models.known(name)
    assert known
    base, changes = known
    if isinstance(base, str) and base.startswith("fixtures/"):
        return {"fixture": base.removeprefix("fixtures/").replace("--", "/", 1)}
    config = base if isinstance(base, dict) else json.loads((configs / f"{base.removeprefix('data/')}.json").read_text())
    config = {key: value for key, value in (config | changes).items() if key != "auto_map"}
    model = count_too(loaded(config), asked=False)
    return {"config": config, "groups": [folded(group) for group in model.checkpoint.groups]}


def loaded(config: dict[str, Any]) -> Model:
    return api.load_source(MemorySource({"config.json": json.dumps(config).encode()}))


def folded(group: Any) -> list[Any]:
    """A group of tensors, its layers as [first, last, tensors each]."""
    runs: list[list[int]] = []
    for layer, count in sorted(group.layers.items()):
        if runs and runs[-1][1] == layer - 1 and runs[-1][2] == count:
            runs[-1][1] = layer
        else:
            runs.append([layer, layer, count])
    return [group.pattern, group.first_name, group.dtype, list(group.shape), group.tensor_bytes, runs]


if __name__ == "__main__":
    sys.exit(main())
