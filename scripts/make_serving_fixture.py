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

import serving_ggufs
import serving_models

ROOT = Path(__file__).parent.parent


from hfmem import api
from hfmem.memory.subject import Model
from hfmem.sources.memory import MemorySource
from hfmem.witness.verify import count_too

GGUF_FIELDS = (
    "id", "engine", "date", "tier", "max_model_len", "n_ubatch", "flash_attn", "kv_detail", "offloaded", "n_devices", "gguf_mib",
    "weights_gpu_mib", "kv_total_mib", "compute_gpu_max_mib",
)  # fmt: skip
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
    ggufs = [slim_gguf(row) for row in measured if row["id"] in serving_ggufs.LOGS]
    known = {name: serving_models.known(name) for name in {row["model"] for row in rows}}
    bases = {name: found for name, found in known.items() if found} | {row["model"]: gguf_base(row) for row in ggufs}
    models = {name: described(*bases[name], Path(sys.argv[2])) for name in sorted(bases)}
    rows += ggufs
    text = json.dumps({"rows": rows, "models": models}, separators=(",", ":"))
    TARGET.write_bytes(gzip.compress(text.encode(), mtime=0))
    print(f"{len(rows)} start-ups of {len(models)} models, {TARGET.stat().st_size:,} bytes")
    return 0


def found(row: dict[str, Any]) -> bool:
    return serving_models.known(row["model"]) is not None


def slim(row: dict[str, Any]) -> dict[str, Any]:
    kept = {field: row[field] for field in FIELDS if row.get(field) is not None}
    return {**kept, "source": str(row["source"]).split(" ")[0][:100]}


def slim_gguf(row: dict[str, Any]) -> dict[str, Any]:
    """A start-up of llama.cpp by the model and file type it ran."""
    model, file_type = serving_ggufs.LOGS[row["id"]]
    kept = {field: row[field] for field in GGUF_FIELDS if row.get(field) is not None}
    return {**kept, "model": model, "file_type": file_type, "source": str(row["source"]).split(" ")[0][:100]}


def gguf_base(row: dict[str, Any]) -> tuple[str | dict[str, Any], dict[str, Any]]:
    return serving_ggufs.MODELS[row["model"]], {}


def described(base: str | dict[str, Any], changes: dict[str, Any], configs: Path) -> dict[str, Any]:
    """Configuration and tensors of one model; a bundled fixture is only named."""
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
