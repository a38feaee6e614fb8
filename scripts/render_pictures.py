"""
Draw the pictures of docs/images: reports of bundled checkpoints as `--format svg` prints them.

    python scripts/render_pictures.py [--check]

Commands run where a directory is called `fixtures:ORG/NAME`, so that a picture says of which checkpoint it is.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

import checkpoints

IMAGES = ROOT / "docs" / "images"
WORKED = (0, 9)  # exit codes of a report: a checkpoint that is broken is one too
INTERRUPTED = "interrupted-download"
LIST = """\
fixtures:google/gemma-3-4b-it
fixtures:HuggingFaceTB/SmolLM3-3B-Base
fixtures:meta-llama/Llama-3.1-8B-Instruct
fixtures:mistralai/Mixtral-8x7B-v0.1
fixtures:openai/gpt-oss-20b
fixtures:Qwen/Qwen3-0.6B
fixtures:Qwen/Qwen3-30B-A3B
fixtures:unsloth/Meta-Llama-3.1-8B-Instruct-bnb-4bit
./no-such-directory
"""
# A witness needs torch, so `hfmem verify` has no picture.
PICTURES = {
    "estimate": "estimate fixtures:google/gemma-3-4b-it --context 32768 --on 'RTX 4090'",
    "train": "train fixtures:meta-llama/Llama-3.2-1B --method lora --checkpointing full --context 4096 --kernels liger",
    "fit": "fit fixtures:meta-llama/Llama-3.1-8B-Instruct --context 65536 --on 'RTX 4090' --on 2xL40S --on H100",
    "check": f"check {INTERRUPTED}",
    "batch": "batch models.txt --on 'RTX 4090' --on H100 --quiet",
    "plot": "plot fixtures:meta-llama/Llama-3.1-8B-Instruct --on 'RTX 4090' --on H100",
}


def main() -> int:
    """Write the pictures, or with --check say which differ."""
    if "--check" in sys.argv:
        found = stale()
        print(f"to be drawn again: {', '.join(found)}" if found else "pictures are up to date")
        return 1 if found else 0
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures().items():
        (IMAGES / f"{name}.svg").write_bytes(picture)
    return 0


def stale() -> list[str]:
    """The pictures that are missing or differ from what the commands print now, and those of no command."""
    drawn = {f"{name}.svg": picture for name, picture in pictures().items()}
    there = {path.name: path.read_bytes() for path in IMAGES.glob("*.svg")}
    return sorted(name for name in drawn.keys() | there.keys() if drawn.get(name) != there.get(name))


def pictures() -> dict[str, bytes]:
    with checkpoint_directories() as folder:
        return {name: output(shlex.split(command), folder) for name, command in PICTURES.items()}


@contextmanager
def checkpoint_directories() -> Iterator[Path]:
    """A folder with every checkpoint that is named, the list of them, and one whose download did not end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = [word for command in PICTURES.values() for word in shlex.split(command)]
        for word in {*words, *LIST.splitlines()}:
            if word.startswith("fixtures:"):
                checkpoints.write(word.removeprefix("fixtures:"), folder / word)
        *_, last = sorted(checkpoints.write("meta-llama/Llama-3.1-8B-Instruct", folder / INTERRUPTED).glob("*.safetensors"))
        last.rename(last.with_name(f"{last.name}.incomplete"))
        (folder / "models.txt").write_text(LIST)
        yield folder


def output(words: list[str], folder: Path) -> bytes:
    """What a command prints in that folder, whatever this terminal is like."""
    environment = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "HFMEM_DEBUG")}
    environment |= {"TERM": "xterm", "PYTHONIOENCODING": "utf-8", "PYTHONPATH": str(ROOT)}
    found = subprocess.run(
        [sys.executable, "-m", "hfmem", *words, "--format", "svg"], capture_output=True, env=environment, cwd=folder, check=False
    )
    if found.returncode not in WORKED:
        raise RuntimeError(f"hfmem {shlex.join(words)}: {found.stderr.decode()}")
    return found.stdout.rstrip() + b"\n"


if __name__ == "__main__":
    sys.exit(main())
