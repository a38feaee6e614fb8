"""
Rewrite what documents hold of commands: `$ hfmem …` blocks with what they print, and tables between `begin` and `end` marks.

    python scripts/render_docs.py [--check]

`fixtures:ORG/NAME` in a command stands for the bundled checkpoint of that name, unpacked.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

sys.path.insert(0, str(ROOT / "scripts"))

import checkpoints
import compare_tables
import dry_runs
import measured_gpu
import measured_serving
from bench_hub import published
from hub_server import HubServer, Sparse

BLOCK = re.compile(r"```console\n\$ (hfmem [^\n]+)\n(.*?)```", re.DOTALL)
TABLE = re.compile(r"<!-- begin (\w+) -->\n.*?<!-- end \1 -->", re.DOTALL)
CONSTRAINTS = ROOT / "scripts" / "constraints.txt"
LOCAL = re.compile(r"(torch \d+\.\d+\.\d+)\+\w+")  # a build for the CPU says so
DISK = re.compile(r"^(disk +).*$", re.MULTILINE)  # another on every machine
PUBLISHED = ("HuggingFaceTB/SmolLM2-135M-Instruct",)  # ids that stand for themselves: the test suite's Hub has them
LIST = "models.txt"
LISTED = ("Qwen/Qwen3-0.6B", "Qwen/Qwen3-30B-A3B", "google/gemma-3-4b-it", "mistralai/Mixtral-8x7B-v0.1", "openai/gpt-oss-20b")
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "method.md")


def main() -> int:
    """Write the documents, or with --check say which differ."""
    stale = [path.name for path in DOCUMENTS if render(path.read_text()) != path.read_text()]
    if "--check" in sys.argv:
        print(f"to be rendered again: {', '.join(stale)}" if stale else "documents are up to date")
        return 1 if stale else 0
    for path in DOCUMENTS:
        path.write_text(render(path.read_text()))
    return 0


def render(text: str) -> str:
    text = BLOCK.sub(lambda block: block[0] if is_left(block[1]) else f"```console\n$ {block[1]}\n{output(block[1])}```", text)
    return TABLE.sub(lambda block: f"<!-- begin {block[1]} -->\n{TABLES[block[1]]()}\n<!-- end {block[1]} -->", text)


def is_left(command: str) -> bool:
    """Whether a block has to stay as it is: witnesses need libraries, and other versions of them say other things."""
    return command.startswith("hfmem verify") and not is_pinned()


def is_pinned() -> bool:
    """Whether the libraries of scripts/constraints.txt are installed in those versions."""
    pinned = dict(line.split("==") for line in CONSTRAINTS.read_text().splitlines() if "==" in line)
    try:
        return all(version(name).partition("+")[0] == wanted for name, wanted in pinned.items())
    except PackageNotFoundError:
        return False


def measured() -> str:
    """The tables of estimated against measured training runs, worked out again."""
    command = [sys.executable, str(ROOT / "scripts" / "measured_training.py")]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True).stdout.rstrip()


# What a mark stands for; dry runs and comparisons are the recorded ones
TABLES: dict[str, Callable[[], str]] = {
    "measured_training": measured,
    "measured_gpu": lambda: measured_gpu.table().rstrip(),
    "measured_serving": lambda: measured_serving.table().rstrip(),
    "dry_runs": lambda: dry_runs.tables(dry_runs.recorded()),
    "comparison": lambda: compare_tables.table().rstrip(),
    "comparison_short": lambda: compare_tables.short_table().rstrip(),
}


def output(command: str) -> str:
    """What a command prints, its bundled checkpoints named as they are written."""
    words, places = [], {}
    with tempfile.TemporaryDirectory() as folder, HubServer() as hub:
        for word in shlex.split(command)[1:]:
            name = word.removeprefix("fixtures:")
            if word == LIST:
                write_list(Path(folder))
            elif word in PUBLISHED:
                publish(hub, word, Path(folder))
            if name != word:
                places[str(checkpoints.write(name, Path(folder) / name.split("/")[-1]))] = word
                word = next(reversed(places))
            words.append(word)
        found = run(words, Path(folder) if LIST in words else ROOT, hub.environment(Path(folder) / "home"))
    text = found.stdout + found.stderr
    for place, name in places.items():
        text = text.replace(place, name)
    return DISK.sub(r"\1~/.cache/huggingface/hub: …", LOCAL.sub(r"\1", text))


def run(words: list[str], where: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    """A command of ours that reaches no Hub but the one of the test suite."""
    environment = {**os.environ, **variables, "NO_COLOR": "1", "PYTHONIOENCODING": "utf-8"}
    line = [sys.executable, "-m", "hfmem", *words]
    return subprocess.run(line, capture_output=True, encoding="utf-8", env=environment, cwd=where, check=False)


def publish(hub: HubServer, name: str, folder: Path) -> None:
    """A bundled checkpoint on the Hub of the test suite, with what repositories have beside weights."""
    files = published(checkpoints.write(name, folder / name.split("/")[-1]))
    beside = {"README.md": b"#", "tokenizer.json": b"{}", "pytorch_model.bin": Sparse(b"", sum(map(len, files.values())))}
    hub.add(name, {**files, **beside})


def write_list(folder: Path) -> None:
    """A list of models, and each of them in a directory of its name, which stands before the Hub's."""
    for name in LISTED:
        checkpoints.write(name, folder / name)
    (folder / LIST).write_text("".join(f"{name}\n" for name in (*LISTED, "./downloads/llama")))


if __name__ == "__main__":
    sys.exit(main())
