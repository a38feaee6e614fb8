"""
Run the grid of scripts/dry_runs.py for real on a CUDA device: random weights, torch's counters, nvidia-smi.

    scripts/measure_gpu [--models NAME …] [--workloads NAME …] [--layers 6] [--context 2048] [--limit-gib N] [--output FILE]
    scripts/measure_gpu --list

Needs torch, transformers, accelerate and peft, and no network. Every workload has a process of its own, and a run that is broken
off goes on where it was. scripts/measured_gpu.py puts what was found beside ours.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dry_runs
import measured_gpu

GIB = 2**30
WORKER = Path(__file__).parent / "measure_gpu_run.py"
SECONDS = 1800  # after which a workload is stopped
FREE_SHARE = 0.95  # of the device's free memory
# Beside the workload's own options; names are those of hfmem's training options
SETTING: dict[str, Any] = {
    "batch": 1, "precision": "bf16", "optimizer": "adamw_torch_fused", "lora_rank": 16, "lora_targets": "all-linear",
    "adapter_dtype": "fp32", "reentrant": False,
}  # fmt: skip
# Variables that change what the allocator holds, or lead to the network
NOT_PASSED = re.compile(r"PYTORCH_.*ALLOC_CONF|PYTORCH_NO_CUDA_MEMORY_CACHING|CUBLAS(LT)?_WORKSPACE_\w+|\w*TOKEN\w*")
HEADER = ("gpu", "driver", "cuda", "total_bytes", "versions", "setting")  # what rows of one file have in common
TRIED_AGAIN = ("skipped",)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure what is not yet in the output; 2 where there is no device or the output is of another one."""
    asked = parse(arguments)
    workloads = [(model, workload) for model in asked.models for workload in asked.workloads]
    if asked.list:
        print("\n".join(f"{model:<40} {workload}" for model, workload in workloads))
        return 0
    facts = ask({"device": asked.device, "probe": True})
    if facts["status"] != "measured":
        print(f"error: nothing can be measured: {facts['message']}", file=sys.stderr)
        return 2
    data = header(facts, asked, sys.argv[1:] if arguments is None else arguments)
    path = asked.output or measured_gpu.MEASURED / f"{slug(data)}.json"
    if other := taken_over(data, path):
        print(f"error: {path} has rows of another {', '.join(other)}; name another --output", file=sys.stderr)
        return 2
    limit = int(asked.limit_gib * GIB) if asked.limit_gib is not None else int(facts["free_bytes"] * FREE_SHARE)
    measure(workloads, data, path, limit, asked)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/measure_gpu", description=(__doc__ or "").split("\n\n")[0])
    add = parser.add_argument
    add("--models", nargs="+", metavar="NAME", default=dry_runs.MODELS, help="of those that --list shows; default: all")
    known = [*measured_gpu.WORKLOADS]
    add("--workloads", nargs="+", metavar="NAME", default=known, choices=known, help="such as 'none full sdpa'; default: all")
    add("--layers", type=int, default=dry_runs.LAYERS, help="of which a model keeps the first (default: %(default)s)")
    add("--context", type=int, default=dry_runs.CONTEXT, help="tokens of a sequence (default: %(default)s)")
    add("--limit-gib", type=float, metavar="N", help="skip what we estimate above it (default: 95 %% of the free memory)")
    add("--output", type=Path, metavar="FILE", help="default: fixtures/measured/<gpu>-<torch>.json")
    add("--list", action="store_true", help="print the grid and run nothing")
    add("--configs", type=Path, default=measured_gpu.CONFIGS, help=argparse.SUPPRESS)
    add("--device", choices=("cuda", "cpu"), default="cuda", help=argparse.SUPPRESS)
    asked = parser.parse_args(arguments)
    missing = [name for name in asked.models if not (asked.configs / name.replace("/", "--") / "config.json").is_file()]
    if missing:
        parser.error(f"there is no configuration of {', '.join(missing)} in {asked.configs}")
    if asked.device == "cpu" and not asked.output:
        parser.error("a run without a device is no measurement; name its --output")
    return asked


def header(facts: Mapping[str, Any], asked: argparse.Namespace, arguments: Sequence[str]) -> dict[str, Any]:
    setting = {"layers": asked.layers, "context": asked.context, **SETTING}
    known = {name: facts[name] for name in HEADER if name in facts}
    command = shlex.join(["scripts/measure_gpu", *arguments])
    return {**known, "setting": setting, "date": f"{datetime.now(UTC):%Y-%m-%d}", "command": command, "classes": {}, "rows": []}


def slug(data: Mapping[str, Any]) -> str:
    return re.sub(r"[^a-z0-9.+]+", "-", f"{data['gpu']} {data['versions']['torch']}".lower())


def taken_over(data: dict[str, Any], path: Path) -> list[str]:
    """Take over what a file already has; or the facts in which it is of something else."""
    if not path.exists():
        return []
    before = json.loads(path.read_text())
    other = [name for name in HEADER if before[name] != data[name]]
    if not other:
        data.update(before)
    return other


def measure(
    workloads: Sequence[tuple[str, str]], data: dict[str, Any], path: Path, limit: int, asked: argparse.Namespace
) -> None:
    """Every workload that has no row yet; the file is whole after each."""
    done = {(row["model"], row["workload"]) for row in data["rows"] if row["status"] not in TRIED_AGAIN}
    found: Counter[str] = Counter()
    for model, workload in workloads:
        if (model, workload) in done:
            found["there already"] += 1
            continue
        config = measured_gpu.config_of(model, asked.layers, asked.configs)
        row = {"model": model, "workload": workload, **result(config, data, workload, limit, asked.device)}
        keep(row, data)
        save(data, path)
        found[row["status"]] += 1
        print(described(row), flush=True)
    print(f"{path}: {', '.join(f'{count} {status}' for status, count in found.items()) or 'nothing was asked for'}")


def result(config: Mapping[str, Any], data: Mapping[str, Any], workload: str, limit: int, device: str) -> dict[str, Any]:
    """What the workload's process answers; nothing is started for one that is not to fit."""
    needed = estimated(config, data, workload)
    if needed is not None and needed > limit:
        return {"status": "skipped", "message": f"estimated {needed / GIB:.1f} GiB, of {limit / GIB:.1f} GiB to be used"}
    started = time.monotonic()
    options = measured_gpu.WORKLOADS[workload]
    found = ask({"device": device, "config": config, "setting": data["setting"], "workload": options})
    return {**found, "seconds": round(time.monotonic() - started, 1)}


def estimated(config: Mapping[str, Any], data: Mapping[str, Any], workload: str) -> int | None:
    """Bytes of the device we say it takes; None where we cannot say, which the run itself will show."""
    from hfmem.witness.meta import count

    try:
        model = measured_gpu.model_of(config, count({"config": config, "dtype": "bfloat16"})["tensors"])
        return measured_gpu.estimate(model, data["setting"], workload, data["versions"]["transformers"]).total_bytes
    except Exception:
        return None


def ask(request: Mapping[str, Any], worker: Path = WORKER, seconds: float = SECONDS) -> dict[str, Any]:
    """The answer of a process of its own; a process that ends without one has failed, in its last words."""
    kept = {name: value for name, value in os.environ.items() if not NOT_PASSED.fullmatch(name)}
    environment = {**kept, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, str(worker)]
    try:
        done = subprocess.run(
            command, input=json.dumps(request), capture_output=True, text=True, timeout=seconds, env=environment, check=False
        )
    except subprocess.TimeoutExpired:
        return {"status": "failed", "message": f"was still at work after {seconds:g} seconds"}
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]
        return {"status": "failed", "message": f"its process ended with status {done.returncode}: {said}"}
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def keep(row: dict[str, Any], data: dict[str, Any]) -> None:
    """The row in the place of an earlier one of the same workload; what its class holds beside the rows, once."""
    tensors, parameters = row.pop("tensors", None), row.get("parameters")
    if tensors is not None:
        data["classes"].setdefault(row["model"], {"parameters": parameters, "tensors": measured_gpu.folded(tensors)})
    key = (row["model"], row["workload"])
    data["rows"] = [other for other in data["rows"] if (other["model"], other["workload"]) != key] + [row]


def save(data: Mapping[str, Any], path: Path) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".part", delete=False) as file:
        file.write("{\n" + ",\n".join(lines(data)) + "\n}\n")
        file.flush()
        os.fsync(file.fileno())
    os.chmod(file.name, 0o644)
    os.replace(file.name, path)


def lines(data: Mapping[str, Any]) -> Iterator[str]:
    """JSON with a line a fact, a class and a row."""
    for name, value in data.items():
        if name == "rows":
            text = "[\n" + ",\n".join(map(json.dumps, value)) + "\n]"
        elif name == "classes":
            text = "{\n" + ",\n".join(f"{json.dumps(model)}: {json.dumps(known)}" for model, known in value.items()) + "\n}"
        else:
            text = json.dumps(value)
        yield f"{json.dumps(name)}: {text}"


def described(row: Mapping[str, Any]) -> str:
    if row["status"] != "measured":
        return f"{row['model']:<40} {row['workload']:<18} {row['status']}: {row['message']}"
    allocated, reserved = row["max_memory_allocated"] / GIB, row["max_memory_reserved"] / GIB
    device = f"{row['device_bytes'] / GIB:7.2f}" if row["device_bytes"] is not None else "      —"
    sizes = f"allocated {allocated:7.2f}  reserved {reserved:7.2f}  device {device} GiB"
    return f"{row['model']:<40} {row['workload']:<18} {sizes}  {row['seconds']:.0f} s"


if __name__ == "__main__":
    sys.exit(main())
