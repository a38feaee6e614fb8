"""The tools that are compared: where each is, how it is asked, and the command that stands for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
FOLDER = Path(os.environ.get("HFMEM_PEERS", ROOT / ".venv-peers"))
PROGRAMS = ROOT / "scripts" / "peers"
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
PATIENCE = 3000  # seconds for a peer to answer everything


@dataclass(frozen=True, kw_only=True)
class Peer:
    """One tool in an environment of its own."""

    name: str  # of its package
    program: str  # in scripts/peers
    command: tuple[str, ...]  # one estimate of one model, as it is timed
    jobs: tuple[str, ...]
    needs_https: bool = False
    note: str = ""

    @property
    def python(self) -> Path:
        return FOLDER / self.name / "bin" / "python" if self.name != "hfmem-cli" else Path(sys.executable)

    @property
    def shown(self) -> str:
        return " ".join(self.command).replace(MODEL, "ID")


PEERS = (
    Peer(
        name="hfmem-cli",
        program="ask_hfmem.py",
        command=("hfmem", "estimate", MODEL, "--context", "8192", "--format", "json"),
        jobs=("cache",),
    ),
    Peer(
        name="hf-mem",
        program="ask_hf_mem.py",
        command=(
            *("hf-mem", "--model-id", MODEL, "--experimental", "--max-model-len", "8192"),
            *("--kv-cache-dtype", "bfloat16", "--json-output"),
        ),
        jobs=("cache",),
        needs_https=True,
        note="counts the whole context in every layer of a model that mixes windows, as an upper bound of what engines reserve",
    ),
    Peer(
        name="accelerate",
        program="ask_accelerate.py",
        command=("accelerate", "estimate-memory", MODEL, "--library_name", "transformers", "--dtypes", "float16"),
        jobs=("training",),
        note="has no estimate of caches; its training column knows neither batch nor length",
    ),
    Peer(
        name="modelinfo-cli",
        program="ask_modelinfo.py",
        command=("modelinfo", MODEL, "--context", "8192"),
        jobs=("cache",),
        needs_https=True,
        note="asked with --tensors, so that it may fall back on shapes; the timed command is without",
    ),
    Peer(
        name="fitcheck-llm",
        program="ask_fitcheck.py",
        command=("fitcheck", "infer", MODEL, "--precision", "bf16", "--seq-len", "8192", "--gpu", "h200", "--json"),
        jobs=("cache", "training"),
        note="refuses what its formulas do not cover; full training counts a float32 master copy, which these runs had not",
    ),
    Peer(
        name="llm-analysis",
        program="ask_llm_analysis.py",
        command=(
            *("python", "-m", "llm_analysis.analysis", "infer", "--model_name", MODEL, "--gpu_name", "a100-sxm-80gb"),
            *("--seq_len", "8191", "--num_tokens_to_generate", "1", "--log_level", "ERROR"),
        ),
        jobs=("cache", "training"),
        note="its requirements hold transformers at 4.31; unknown types were given in its own format; it weighs no gated blocks",
    ),
)


def version(peer: Peer) -> str:
    """The installed version."""
    code = f"import importlib.metadata as m; print(m.version({peer.name!r}))"
    return subprocess.run([str(peer.python), "-c", code], capture_output=True, encoding="utf-8", check=True).stdout.strip()


def whole(peer: Peer) -> list[str]:
    """The timed command with the paths of its environment."""
    executable = peer.python.parent / peer.command[0]
    return [str(executable), *peer.command[1:]]


def ask(peer: Peer, job: str, questions: Sequence[Mapping[str, Any]], variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Every question to one process of the peer, in order."""
    answers: list[dict[str, Any]] = run([str(peer.python), str(PROGRAMS / peer.program), job], questions, variables)
    return answers


def class_shapes(configs: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, list[int]]]:
    """Shapes of the telling tensors of transformers' classes, which are in accelerate's environment."""
    python = next(peer.python for peer in PEERS if peer.name == "accelerate")
    questions = [{"id": repo, "config": raw, "reduced": not repo.startswith("configs/")} for repo, raw in configs.items()]
    found: dict[str, dict[str, list[int]]] = run([str(python), str(PROGRAMS / "write_headers.py")], questions, os.environ)
    return found


def run(command: Sequence[str], questions: Sequence[Mapping[str, Any]], variables: Mapping[str, str]) -> Any:
    found = subprocess.run(
        command,
        input=json.dumps(questions),
        capture_output=True,
        encoding="utf-8",
        env=dict(variables),
        timeout=PATIENCE,
        check=False,
    )
    if found.returncode:
        raise SystemExit(f"{' '.join(command)} failed: {found.stderr[-2000:]}")
    return json.loads(found.stdout)
