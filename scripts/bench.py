"""
Measure whole commands: hfmem beside a do-nothing Typer command, and on a loopback Hub beside hf-mem and accelerate.

    python scripts/bench.py [--runs N]

Prints medians of N runs taken in turn, and ratios. hf-mem knows one address only, so it is led to the same loopback Hub
through a proxy with a certificate of its own making (needs the openssl command). A list of models is in bench_batch.py.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

import checkpoints
from bench_hub import loopback

from hfmem.hardware import devices

FITTED = "meta-llama/Llama-3.1-8B-Instruct"
SMALL, SHARDED, LARGE = "Qwen/Qwen3-0.6B", "mistralai/Mixtral-8x7B-v0.1", "deepseek-ai/DeepSeek-V3"
NOTHING = "import typer\napp = typer.Typer()\n@app.command()\ndef main(name: str = 'x') -> None:\n    typer.echo(name)\napp()\n"


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One whole process."""

    cpu_seconds: float
    wall_seconds: float
    peak_mib: float
    exit_code: int


def main() -> int:
    """Run every comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each command")
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        local(Path(folder), runs)
        remote(Path(folder), runs)
    return 0


def local(folder: Path, runs: int) -> None:
    """A directory: start-up beside a command that does nothing, and ninety thousand tensors."""
    small = checkpoints.write(SMALL, folder / "small")
    large = checkpoints.write(LARGE, folder / "large")
    nothing = folder / "nothing.py"
    nothing.write_text(NOTHING)
    base, ours = compare(runs, [sys.executable, str(nothing), "--name", "y"], estimate(str(small)))
    show("do-nothing Typer command", base)
    show("hfmem estimate DIR --format json", ours, base)
    interpreter, imported = compare(runs, [sys.executable, "-c", "pass"], [sys.executable, "-c", "import hfmem"])
    print(f"import hfmem: {1000 * (imported.cpu_seconds - interpreter.cpu_seconds):.0f} ms of CPU above the interpreter")
    show("hfmem estimate, 139 shards, 91,991 tensors", compare(runs, estimate(str(large)))[0])
    fitting(checkpoints.write(FITTED, folder / "fitted"), runs)


def fitting(directory: Path, runs: int) -> None:
    """A hundred devices, with what would fit instead, beside a plain estimate of the same directory."""
    on = [word for device in devices()[:100] for word in ("--on", device.name)]
    engines = ("transformers", "vllm", "sglang", "llama.cpp")
    commands = [[sys.executable, "-m", "hfmem", "fit", str(directory), "--engine", engine, *on] for engine in engines]
    base, *found = compare(runs, estimate(str(directory)), *commands)
    for engine, cost in zip(engines, found, strict=True):
        show(f"hfmem fit, 100 devices, {engine}", cost, base)


def remote(folder: Path, runs: int) -> None:
    """The same repository on the same loopback Hub, cold and warm, by each tool."""
    with loopback(folder, checkpoints.write(SHARDED, folder / "sharded"), SHARDED) as hub:
        tools = {"hfmem": estimate(SHARDED)}
        if shutil.which("hf-mem", path=str(Path(sys.executable).parent)):
            tools["hf-mem"] = [str(Path(sys.executable).parent / "hf-mem"), "--model-id", SHARDED]
        if (Path(sys.executable).parent / "accelerate").exists():
            accelerate = str(Path(sys.executable).parent / "accelerate")
            tools["accelerate"] = [accelerate, "estimate-memory", SHARDED, "--library_name", "transformers"]
        first: dict[str, Cost] = {}
        for temperature in ("cold", "warm"):
            for name, command in tools.items():
                homes = [folder / f"{name}-home{i if temperature == 'cold' else 0}" for i in range(runs)]
                count, sent = hub.totals()
                found = [run(command, hub.environment(home, name)) for home in homes]
                after, after_sent = hub.totals()
                cost = median(found)
                base = first.setdefault(temperature, cost)
                traffic = f"{(after - count) / runs:.0f} requests, {(after_sent - sent) / runs / 1000:,.0f} kB"
                show(f"{name} on the Hub, {temperature}", cost, base if name != "hfmem" else None, traffic)


def estimate(reference: str) -> list[str]:
    return [sys.executable, "-m", "hfmem", "estimate", reference, "--format", "json"]


def compare(runs: int, *commands: Sequence[str]) -> list[Cost]:
    """Medians of commands run in turn, after one round that is not counted."""
    rounds = [[run(command, dict(os.environ)) for command in commands] for _ in range(runs + 1)][1:]
    return [median([found[i] for found in rounds]) for i in range(len(commands))]


def median(costs: Sequence[Cost]) -> Cost:
    return Cost(
        cpu_seconds=statistics.median(cost.cpu_seconds for cost in costs),
        wall_seconds=statistics.median(cost.wall_seconds for cost in costs),
        peak_mib=statistics.median(cost.peak_mib for cost in costs),
        exit_code=max(cost.exit_code for cost in costs),
    )


def run(command: Sequence[str], environment: dict[str, str]) -> Cost:
    """One process, its own CPU and peak memory as the system accounts for them."""
    runner = [sys.executable, "-S", str(ROOT / "scripts" / "bench_run.py"), *command]
    found = subprocess.run(runner, stdout=subprocess.PIPE, env=environment, check=True)
    return Cost(**json.loads(found.stdout))


def show(name: str, cost: Cost, base: Cost | None = None, traffic: str = "") -> None:
    ratio = f"  {cost.cpu_seconds / base.cpu_seconds:6.2f} × CPU" if base else ""
    failed = f"  exit {cost.exit_code}" if cost.exit_code else ""
    figures = f"{cost.cpu_seconds:7.3f} s CPU  {cost.wall_seconds:7.3f} s  {cost.peak_mib:7.1f} MiB"
    print(f"{name:<44} {figures}  {traffic}{ratio}{failed}")


if __name__ == "__main__":
    sys.exit(main())
