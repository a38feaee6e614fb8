"""
Measure a list of models: `hfmem batch`, cold and warm, beside hf-mem called once per model, on one loopback Hub.

    python scripts/bench_batch.py [--runs N] [--models N]

Three quarters of the models are tiny and one quarter are bundled fixtures, in turn. The Hub and the proxy run in this process,
every tool in one of its own, and all of them come the same way: to https://huggingface.co through the proxy. hf-mem is asked
for caches too. It keeps nothing between runs, so it has no warm figure; as a command it gets a part of the list. Prints medians.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

import checkpoints
from bench import Cost, median, run
from bench_hub import HOST, Loopback, published
from hub_answers import ROUTES, Handler
from hub_server import HubServer
from many_repos import publish

FIXTURES = (
    "Qwen/Qwen3-0.6B", "meta-llama/Llama-3.2-1B", "mistralai/Mistral-7B-v0.3", "Qwen/Qwen2.5-1.5B", "allenai/OLMo-2-1124-7B",
    "meta-llama/Llama-3.1-8B-Instruct", "HuggingFaceTB/SmolLM3-3B-Base", "microsoft/Phi-3-mini-4k-instruct",
)  # fmt: skip
CACHES = ("HF_ASSETS_CACHE", "HF_HUB_CACHE", "HF_XET_CACHE", "XDG_CACHE_HOME")  # they would outlive a home and warm what is cold
FEW = 40  # models of the list that a command per model gets, and its figures are per model
SHELL = """\
while read -r model; do
  "$1" --model-id "$model" --experimental || failed=$((failed + 1))
done < "$2"
exit ${failed:-0}
"""
IN_TURN = """\
import sys, hf_mem
for model in open(sys.argv[1]).read().split():
    hf_mem.run(model, experimental=True)
"""
AT_ONCE = """\
import asyncio, sys, hf_mem
async def one(model, gate):
    async with gate:
        await hf_mem.arun(model, experimental=True)
async def main():
    gate = asyncio.Semaphore(16)
    await asyncio.gather(*(one(model, gate) for model in open(sys.argv[1]).read().split()))
asyncio.run(main())
"""


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A way through a list: its command in a folder of its own, which the tools of one `home` share in every round."""

    name: str
    home: str
    count: int
    command: Callable[[Path], list[str]]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a tool took for its list."""

    cost: Cost
    requests: float
    body_bytes: float


def main() -> int:
    """Publish the models, and let every tool go through them in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each tool")
    parser.add_argument("--models", type=int, default=300, help="models in the list")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, HubServer() as hub:
        folder = Path(name)
        models = list(publish_models(hub, asked.models, folder))
        loopback = Loopback(hub, folder)
        if loopback.certificate:
            hub.storage_url = f"https://{HOST}/storage"  # an encrypted Hub does not redirect to a plain one
        found = rounds(tools(folder, models), loopback, folder, asked.runs)
    show(found, asked.models)
    return 0


def publish_models(hub: HubServer, count: int, folder: Path) -> Iterator[str]:
    """Every fourth model is a fixture, so that each part of the list is as mixed as the whole."""
    small = iter(publish(hub, count, one_in=count + 1))
    fixtures = [published(checkpoints.write(name, folder / name)) for name in FIXTURES]
    for number in range(count):
        if number % 4 < 3:
            yield next(small)
        else:
            name = f"bundled/model-{number}"
            hub.add(name, fixtures[number // 4 % len(fixtures)])
            yield name


def stored(handler: Handler, place: str) -> None:
    """A large file on the Hub's own address."""
    repo_id, _, file = place.partition("@")
    handler._file(repo_id, file)


ROUTES.insert(0, (r"/storage/(?P<place>.+)", stored))


def tools(folder: Path, models: list[str]) -> list[Tool]:
    """What is installed here; the first of hf-mem's is what others are compared with."""
    every, few = folder / "every.txt", folder / "few.txt"
    every.write_text("\n".join(models) + "\n")
    few.write_text("\n".join(models[:FEW]) + "\n")

    def ours(home: Path) -> list[str]:
        return [sys.executable, "-m", "hfmem", "batch", str(every), "-o", str(home / "rows.jsonl"), "-q"]

    whole = len(models)
    found = [Tool(name=f"hfmem batch, {kind}", home="hfmem", count=whole, command=ours) for kind in ("cold", "warm")]
    if find_spec("hf_mem"):
        program = str(Path(sys.executable).parent / "hf-mem")
        shell = ["/bin/sh", "-c", SHELL, "sh", program, str(few)]
        in_turn, at_once = ([sys.executable, "-c", code, str(every)] for code in (IN_TURN, AT_ONCE))
        found += [
            Tool(name="hf-mem, a command per model", home="hf-mem", count=min(FEW, whole), command=lambda _: shell),
            Tool(name="hf-mem, its library in a loop", home="hf-mem", count=whole, command=lambda _: in_turn),
            Tool(name="hf-mem, its library, 16 at once", home="hf-mem", count=whole, command=lambda _: at_once),
        ]
    return found


def rounds(known: list[Tool], hub: Loopback, folder: Path, runs: int) -> dict[Tool, Found]:
    """Medians of rounds in which each tool has its turn; the cold run of a round fills the caches of its warm one."""
    found: dict[Tool, list[Found]] = {tool: [] for tool in known}
    for number in range(runs):
        for tool in known:
            home = folder / f"{tool.home}-{number}"
            found[tool].append(measure(tool, hub, home))
            if (rows := home / "rows.jsonl").exists():
                statuses = Counter(json.loads(line)["status"] for line in rows.read_text().splitlines())
                assert statuses == {"ok": tool.count}, statuses
        cold, warm = (found[tool][-1].requests for tool in known[:2])
        assert cold >= 2 * warm, f"a cold run asked {cold:.0f} times and a warm one {warm:.0f}: something was kept between homes"
    return {
        tool: Found(
            cost=median([each.cost for each in taken]),
            requests=statistics.median(each.requests for each in taken),
            body_bytes=statistics.median(each.body_bytes for each in taken),
        )
        for tool, taken in found.items()
    }


def measure(tool: Tool, hub: Loopback, home: Path) -> Found:
    """One process and its children, and what they asked of the Hub."""
    variables = {name: value for name, value in hub.environment(home, "hf-mem").items() if name not in CACHES}
    if hub.certificate:
        variables.pop("HF_ENDPOINT")  # the proxy leads there, as it leads hf-mem
    requests, body_bytes = hub.totals()
    cost = run(tool.command(home), variables)
    after, bytes_after = hub.totals()
    return Found(cost=cost, requests=after - requests, body_bytes=bytes_after - body_bytes)


def show(found: dict[Tool, Found], count: int) -> None:
    """A line a tool, per model; ratios are to hf-mem as a command, more is better."""
    print(f"{count} models, and {FEW} for a command per model")
    print(f"{'':<34}{'per second':>11}{'per CPU second':>16}{'requests':>10}{'kB':>8}{'peak':>12}   against hf-mem as a command")
    base = next((tool for tool in found if tool.home == "hf-mem"), None)
    for tool, taken in found.items():
        wall, cpu = (tool.count / seconds for seconds in (taken.cost.wall_seconds, taken.cost.cpu_seconds))
        line = f"{tool.name:<34}{wall:>11.1f}{cpu:>16.1f}{taken.requests / tool.count:>10.2f}"
        line += f"{taken.body_bytes / tool.count / 1000:>8.1f}{taken.cost.peak_mib:>8.0f} MiB"
        if base:
            other = found[base].cost
            faster, cheaper = wall * other.wall_seconds / base.count, cpu * other.cpu_seconds / base.count
            line += f"{faster:>8.1f} × as fast, {cheaper:.1f} × per CPU second"
        print(line + (f"  exit {taken.cost.exit_code}" if taken.cost.exit_code else ""))


if __name__ == "__main__":
    sys.exit(main())
