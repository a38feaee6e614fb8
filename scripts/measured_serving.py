"""
Compare `hfmem estimate --engine` with logged start-ups and print the table of docs/method.md.

    python scripts/measured_serving.py [--rows]

Weights are those the engine prints for one rank. vLLM's tokens and concurrency are worked out from the pool it prints, so that
they judge the layout of the cache; its pool from the printed settings, where the log says the card's memory and the sequences of
the profile run. SGLang's tokens are worked out from the free memory it prints and our own weights. llama.cpp's files are made
by its recipes; older builds sized windows and latents otherwise, which is not taken out.
"""

from __future__ import annotations

import gzip
import json
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import checkpoints

from hfmem.checkpoint.tensors import Checkpoint, TensorGroup
from hfmem.errors import HfmemError
from hfmem.hardware import parse_target
from hfmem.memory.engines.llama_cpp import quantised_bytes, settle_llama_cpp
from hfmem.memory.engines.llama_cpp_setting import shares
from hfmem.memory.engines.sglang import sglang_capacity
from hfmem.memory.engines.sglang_setting import ranks as sglang_ranks
from hfmem.memory.engines.sglang_setting import settle_sglang
from hfmem.memory.engines.values import Card
from hfmem.memory.engines.vllm import vllm_capacity
from hfmem.memory.engines.vllm_ranks import ranks, worst
from hfmem.memory.engines.vllm_setting import VllmSetting, settle_vllm
from hfmem.memory.subject import Model, describe
from hfmem.memory.workload import Inference
from hfmem.model.read import read_model
from hfmem.sources.base import Origin
from hfmem.tables.engines import CONTEXT_BYTES
from hfmem.units import GIB, MIB

LOGS = ROOT / "fixtures" / "serving.json.gz"
Error = dict[str, float]
QUANTITIES = ("file", "weights", "cell", "keys", "compute", "pool", "tokens", "concurrency")
HEAD = "| engine | quantity | start-ups | median | 90 % | worst |"
SIZES = {
    "weights": "weights of a rank", "cell": "bytes of a token", "pool": "pool of the cache", "tokens": "tokens",
    "concurrency": "concurrency", "file": "file of a recipe", "keys": "keys and values", "compute": "compute buffer",
}  # fmt: skip


def main() -> int:
    rows = logged()["rows"]
    if "--rows" in sys.argv:
        for row in rows:
            found = errors(row)
            words = " ".join(f"{name} {100 * found[name]:+.2f}%" for name in QUANTITIES if name in found)
            print(f"{row['id']} {row['tier']} {engine_of(row):<12} {row['model'][:48]:<48} tp{row.get('tp', 1)} {words}")
    print(table())
    return 0


@cache
def logged() -> dict[str, Any]:
    return dict(json.loads(gzip.decompress(LOGS.read_bytes())))


@cache
def model_of(name: str) -> Model:
    """The model a log is of, as it was weighed when the fixture was written."""
    known = logged()["models"][name]
    if "fixture" in known:
        return fixture(known["fixture"])
    groups = tuple(unfolded(group) for group in known["groups"])
    checkpoint = Checkpoint(format="class", groups=groups)
    return describe(Origin(reference=name, source="memory"), read_model(known["config"]), checkpoint)


def fixture(name: str) -> Model:
    grouping = checkpoints.groups(name)
    origin = Origin(reference=name, source="memory")
    return describe(origin, read_model(checkpoints.config(name)), Checkpoint(format="safetensors", groups=grouping))


def unfolded(group: list[Any]) -> TensorGroup:
    pattern, first, dtype, shape, size, runs = group
    layers = {layer: count for start, end, count in runs for layer in range(start, end + 1)}
    return TensorGroup(pattern=pattern, first_name=first, dtype=dtype, shape=tuple(shape), tensor_bytes=size, layers=layers)


def engine_of(row: Mapping[str, Any]) -> str:
    """vllm@0.19, by the first numbers of the version a log names; one without is taken for the middle of V0."""
    if row["engine"] != "vllm":
        return str(row["engine"])
    version = re.match(r"(\d+)\.(\d+)", str(row.get("version") or ""))
    major, minor = (version[1], version[2]) if version else ("0", "8")
    return f"vllm@{major}.{minor}" if (major, minor) != ("0", "1") else "vllm@0.22"  # a nightly build calls itself 0.1


def workload_of(row: Mapping[str, Any]) -> Inference:
    online = "float8" if row.get("weights_dtype") == "fp8" and model_of(row["model"]).spec.quantization is None else None
    return Inference(
        engine=engine_of(row),
        context=row.get("max_model_len"),
        tp=row.get("tp") or 1,
        pp=row.get("pp") or 1,
        max_num_seqs=row.get("max_num_seqs"),
        max_num_batched_tokens=row.get("max_num_batched_tokens"),
        gpu_memory_utilization=row.get("gpu_memory_utilization"),
        kv_dtype="float8" if "fp8" in str(row.get("kv_cache_dtype")) else None,
        weights_dtype=online,
        enforce_eager=bool(row.get("enforce_eager")),
    )


def card_of(row: Mapping[str, Any]) -> Card | None:
    """The card a log names, with the memory it printed; None where it names none we know."""
    name = str(row.get("gpu") or "").partition("(")[0].strip()
    try:
        device = parse_target(name.replace(" unified", "")).device
    except HfmemError:
        total = row.get("gpu_total_gib")
        return Card(name=name or "unnamed", total_bytes=int(total * GIB)) if total else None
    total = int(row.get("gpu_total_gib", device.usable_bytes / GIB) * GIB)
    return Card(name=device.name, total_bytes=total, compute_capability=device.compute_capability)


def errors(row: Mapping[str, Any]) -> Error:
    """Relative errors of one start-up, by quantity."""
    try:
        return dict(COMPARED[row["engine"]](row))
    except HfmemError as error:
        print(f"{row['id']}: {error.message}", file=sys.stderr)
        return {}


def vllm_errors(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    model, card = model_of(row["model"]), card_of(row)
    setting = settle_vllm(model, workload_of(row), card)
    one = worst(ranks(model, setting.frame), setting)
    if row.get("weights_gib_per_gpu") and one.weights:
        yield "weights", one.weights / GIB / row["weights_gib_per_gpu"] - 1
    size = row.get("kv_gib_per_gpu") or 0
    if size <= 0:
        return
    pool = one.plan.pool(round(size * GIB), setting.request, setting.release)
    if row.get("kv_tokens"):
        yield "tokens", pool.tokens / row["kv_tokens"] - 1
    if row.get("max_concurrency"):
        yield "concurrency", pool.max_concurrency / row["max_concurrency"] - 1
    if card and is_whole(row, setting):
        yield "pool", vllm_capacity(model, setting).kv_cache_bytes / GIB / size - 1


def sglang_errors(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Weights, bytes of a token, and the tokens that follow from the free memory the log prints and our own weights."""
    model = model_of(row["model"])
    workload = replace(workload_of(row), dp=row.get("dp") or 1, **sglang_options(row))
    setting = settle_sglang(model, workload, card_of(row))
    cell = sglang_ranks(model, setting)[0].cell
    if row.get("weights_gib_per_gpu"):
        yield "weights", (sglang_ranks(model, setting)[0].weights or 0) / GIB / row["weights_gib_per_gpu"] - 1
    if row["tier"] == "A" and row.get("kv_gib_per_gpu"):
        yield "cell", cell.num_bytes / (row["kv_gib_per_gpu"] * GIB / row["kv_tokens"]) - 1
    if row.get("gpu_free_at_start_gib"):
        total = int(row["gpu_free_at_start_gib"] * GIB) + CONTEXT_BYTES + setting.distributed_bytes
        setting = replace(setting, page=row.get("page_size") or 1, card=replace(setting.card, total_bytes=total))
        yield "tokens", sglang_capacity(model, setting).kv_cache_tokens / row["kv_tokens"] - 1


def llama_cpp_errors(row: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """The file a recipe makes, what of it lies on the devices, keys and values, and the largest compute buffer."""
    model, detail = model_of(row["model"]), str(row.get("kv_detail"))
    kv_dtype = next((name for name in ("q8_0", "q4_0") if name in detail), "float16")
    workload = Inference(
        engine="llama.cpp",
        context=row["max_model_len"],
        kv_dtype=kv_dtype,
        flash_attention=row.get("flash_attn") == "1" or kv_dtype != "float16",
        max_num_batched_tokens=int(row.get("n_ubatch") or 512),
    )
    found, whole = shares(model, settle_llama_cpp(model, workload, None)), is_offloaded(row)
    assert model.weights
    total, placed = quantised_bytes(model.weights, model.spec, row["file_type"])
    if row.get("gguf_mib"):
        yield "file", total / MIB / row["gguf_mib"] - 1
    if whole and row.get("weights_gpu_mib"):
        yield "weights", placed / MIB / row["weights_gpu_mib"] - 1
    yield "keys", sum(share.kv for share in found) / MIB / row["kv_total_mib"] - 1
    if whole and row.get("compute_gpu_max_mib"):
        yield "compute", max(share.buffer for share in found) / MIB / row["compute_gpu_max_mib"] - 1


def is_offloaded(row: Mapping[str, Any]) -> bool:
    """Whether every layer and the output were put on devices."""
    done, _, every = str(row.get("offloaded") or "").partition("/")
    return bool(every) and done == every


COMPARED = {"vllm": vllm_errors, "sglang": sglang_errors, "llama.cpp": llama_cpp_errors}


def sglang_options(row: Mapping[str, Any]) -> dict[str, Any]:
    """What SGLang calls by other names."""
    cache = str(row.get("kv_cache_dtype"))
    names = {"int8": "int8", "fp4_e2m1": "fp4_e2m1", "fp8_e4m3": "float8", "fp8_e5m2": "float8"}
    chunk = row.get("chunked_prefill_size")
    return {
        "kv_dtype": names.get(cache),
        "gpu_memory_utilization": row.get("mem_fraction_static"),
        "max_num_batched_tokens": chunk if chunk and chunk > 0 else None,
    }


def is_whole(row: Mapping[str, Any], setting: VllmSetting) -> bool:
    """Whether the log prints what the pool follows from: a discrete card, its share, and the sequences sampled."""
    unified = "unified" in str(row.get("gpu")) or "Jetson" in str(row.get("gpu"))
    return bool(row.get("gpu_memory_utilization")) and "max_num_seqs" in row and not unified


def summary() -> dict[tuple[str, str], list[float]]:
    """Absolute errors by engine and quantity."""
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in logged()["rows"]:
        for quantity, error in errors(row).items():
            found[group_of(row), quantity].append(abs(error))
            if row["engine"] == "vllm":
                found["vllm, all", quantity].append(abs(error))
    return found


def group_of(row: Mapping[str, Any]) -> str:
    """Versions that behave alike."""
    if row["engine"] != "vllm":
        return str(row["engine"])
    minor = int(engine_of(row).rpartition(".")[2])
    bounds = ((9, "0.3 – 0.8"), (11, "0.9, 0.10"), (17, "0.11 – 0.16"), (20, "0.17 – 0.19"), (100, "0.20 and later"))
    return f"vllm {next(words for bound, words in bounds if minor < bound)}"


def table() -> str:
    lines = [HEAD, "|---|---|--:|--:|--:|--:|"]
    found = summary()
    for group in sorted(
        {name for name, _ in found}, key=lambda name: (re.findall(r"\d+", name)[:2] == [], name.replace("0.9,", "0.09,"))
    ):
        for quantity in QUANTITIES:
            if sizes := sorted(found.get((group, quantity), [])):
                middle, most = statistics.median(sizes), sizes[min(len(sizes) - 1, len(sizes) * 9 // 10)]
                shown = f"{100 * middle:.2f} % | {100 * most:.2f} % | {100 * sizes[-1]:.1f} %"
                lines.append(f"| {group} | {SIZES[quantity]} | {len(sizes)} | {shown} |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
