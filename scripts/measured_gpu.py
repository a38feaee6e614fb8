"""
Peaks measured on GPUs beside ours: the tables of docs/method.md from fixtures/measured/*.json, which scripts/measure_gpu writes.

A file holds the tensors of the classes that ran, so that ours is worked out from the same ones without torch.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import dry_runs

from hfmem.api import load_source
from hfmem.memory.estimate import Estimate
from hfmem.memory.serving import estimate_inference
from hfmem.memory.subject import Model
from hfmem.memory.training.estimate import estimate_training
from hfmem.memory.training.workload import parse_training
from hfmem.memory.weights import weigh
from hfmem.memory.workload import Inference
from hfmem.sources.memory import MemorySource
from hfmem.units import MIB
from hfmem.witness.class_count import groups

CONFIGS = dry_runs.ROOT / "fixtures"
MEASURED = CONFIGS / "measured"
SERVING = "serving"
# What a row calls its workload → its options; serving has none of its own
WORKLOADS: dict[str, dict[str, str] | None] = {" ".join(options.values()): options for options in dry_runs.GRID} | {SERVING: None}
NUMBER = re.compile(r"(?<=\.)\d+(?=\.)")
NOTHING = "No run on a GPU has been recorded yet."


def table(folder: Path = MEASURED, configs: Path = CONFIGS) -> str:
    """Every file's tables, in the order of their names."""
    found = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    return "\n\n".join(section(data, configs) for data in found if data["rows"]) or NOTHING


def section(data: Mapping[str, Any], configs: Path) -> str:
    answers = [(row, estimate_of(data, row, configs)) for row in data["rows"] if row["status"] == "measured"]
    training = [(row, found) for row, found in answers if row["workload"] != SERVING]
    serving = [(row, found) for row, found in answers if row["workload"] == SERVING]
    parts = (heading(data), training_table(data, training), range_table(answers), serving_table(data, serving))
    return "\n\n".join(part for part in parts if part)


def heading(data: Mapping[str, Any]) -> str:
    """What ran where, when, and how to run it again."""
    versions = ", ".join(f"{name} {version}" for name, version in data["versions"].items())
    return f"{data['gpu']}, driver {data['driver']}, CUDA {data['cuda']}; {versions}; {data['date']}, `{data['command']}`:"


def estimate_of(data: Mapping[str, Any], row: Mapping[str, Any], configs: Path) -> Estimate:
    """Our answer for a measured row, from the tensors its class had."""
    config = config_of(row["model"], data["setting"]["layers"], configs)
    model = model_of(config, unfolded(data["classes"][row["model"]]["tensors"]))
    return estimate(model, data["setting"], row["workload"], data["versions"]["transformers"])


def config_of(name: str, layers: int, folder: Path = CONFIGS) -> dict[str, Any]:
    """A configuration cut to some layers, its weights unpacked and in 16 bits."""
    raw = json.loads((folder / name.replace("/", "--") / "config.json").read_text())
    config = dry_runs.shortened(raw, layers)
    return {key: value for key, value in config.items() if key not in ("quantization_config", "torch_dtype")} | {
        "dtype": "bfloat16"
    }


def model_of(config: Mapping[str, Any], tensors: Iterable[list[Any]]) -> Model:
    """The model a configuration describes, weighed as its class is built."""
    model = load_source(MemorySource({"config.json": json.dumps(config).encode()}))
    checkpoint = replace(model.checkpoint, format="class", groups=tuple(groups(list(tensors))))
    return replace(model, checkpoint=checkpoint, weights=weigh(checkpoint, model.spec))


def estimate(model: Model, setting: Mapping[str, Any], workload: str, transformers: str) -> Estimate:
    options = WORKLOADS[workload]
    if options is None:
        return estimate_inference(model, Inference(batch=setting["batch"], context=setting["context"]))
    return estimate_training(model, parse_training({**setting, **options, "transformers": transformers}))


def folded(tensors: Iterable[list[Any]]) -> list[list[Any]]:
    """Tensors that differ in their layer alone as one row: name with a star, dtype, shape, layers."""
    found: dict[tuple[str, str, tuple[int, ...]], list[int]] = {}
    for name, dtype, shape in tensors:
        number = NUMBER.search(name)
        layers = found.setdefault((NUMBER.sub("*", name, count=1), dtype, tuple(shape)), [])
        layers += [int(number.group())] if number else []
    return [[name, dtype, list(shape), layers] for (name, dtype, shape), layers in found.items()]


def unfolded(rows: Iterable[list[Any]]) -> Iterator[list[Any]]:
    """The tensors again, each by its own name."""
    for name, dtype, shape, layers in rows:
        yield from ([name.replace("*", str(layer), 1), dtype, shape] for layer in layers or [""])


def training_table(data: Mapping[str, Any], answers: list[tuple[Any, Estimate]]) -> str:
    """Errors of allocated peaks; where there is none, what became of the run."""
    runs = [allocated(row, found) for row, found in answers]
    rows = [row for row in data["rows"] if row["workload"] != SERVING]
    if not rows:
        return ""
    cells = {(row["model"], row["workload"]): row["status"] for row in rows}
    cells |= {(run.name, run.workload): f"{run.error:+.1%}" for run in runs}
    columns, setting = [name for name in WORKLOADS if name != SERVING], data["setting"]
    what = f"{setting['layers']} layers of, {setting['batch']} × {setting['context']:,} tokens"
    lines = [f"| {what} | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    models = dict.fromkeys(row["model"] for row in rows)
    lines += [f"| {model} | {' | '.join(cells.get((model, column), '—') for column in columns)} |" for model in models]
    return "\n".join([*lines, "", dry_runs.summary(runs)] if runs else lines)


def allocated(row: Mapping[str, Any], found: Estimate) -> dry_runs.Run:
    return dry_runs.Run(row["model"], row["workload"], row["max_memory_allocated"], found.totals["allocated_bytes"])


def range_table(answers: list[tuple[Any, Estimate]]) -> str:
    """How many reserved peaks, and sizes of the process as nvidia-smi has them, are in the range we give."""
    reserved = [in_reserved(row, found) for row, found in answers if found.totals]
    device = [in_device(row, found) for row, found in answers if row["device_bytes"] is not None]
    lines = [f"| {name} | {len(hits)} | {sum(hits)} |" for name, hits in (("reserved", reserved), ("device", device)) if hits]
    if not lines:
        return ""
    more = statistics.median(row["max_memory_reserved"] / row["max_memory_allocated"] - 1 for row, _ in answers)
    outside = [row["device_bytes"] - row["max_memory_reserved"] for row, _ in answers if row["device_bytes"] is not None]
    around = f"; the device's beside reserved {statistics.median(outside) / MIB:,.0f} MiB" if outside else ""
    head = ["| reading | runs | within our range |", "|---|--:|--:|"]
    return "\n".join([*head, *lines, "", f"Medians: reserved beside allocated {more:+.1%}{around}."])


def in_reserved(row: Mapping[str, Any], found: Estimate) -> bool:
    return bool(found.totals["reserved_low_bytes"] <= row["max_memory_reserved"] <= found.totals["reserved_high_bytes"])


def in_device(row: Mapping[str, Any], found: Estimate) -> bool:
    return bool(found.peak.low_bytes <= row["device_bytes"] <= found.peak.high_bytes)


def serving_table(data: Mapping[str, Any], answers: list[tuple[Any, Estimate]]) -> str:
    """What a prompt's pass holds beside the weights, and the caches after one token more."""
    if not answers:
        return ""
    runs = [beside_weights(row, found) for row, found in answers]
    lines = [f"| a prompt of {data['setting']['context'] - 1:,} | beside weights, MiB | ours | error | cache, MiB | ours |"]
    lines += ["|---|" + "--:|" * 5]
    for run, (row, found) in zip(runs, answers, strict=True):
        sizes = f"{run.dry / MIB:,.0f} | {run.ours / MIB:,.0f} | {run.error:+.1%}"
        lines.append(f"| {run.name} | {sizes} | {row['cache_bytes'] / MIB:,.1f} | {cache(found) / MIB:,.1f} |")
    return "\n".join([*lines, "", dry_runs.summary(runs)])


def beside_weights(row: Mapping[str, Any], found: Estimate) -> dry_runs.Run:
    """Activations and caches at the peak of the prompt's pass; nothing is sampled here, so no logits are copied."""
    items = (item for item in found.phases[1].items if item.name not in ("weights", "logits", "runtime"))
    measured = row["phases"]["prefill"]["allocated"] - row["static"]
    return dry_runs.Run(row["model"], "prompt", measured, sum(item.num_bytes or 0 for item in items))


def cache(found: Estimate) -> int:
    return sum(item.num_bytes or 0 for item in found.phases[2].items if item.name in ("kv_cache", "recurrent_state"))


if __name__ == "__main__":
    print(table())
