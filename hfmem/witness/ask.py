"""Ask a witness: in a process of its own, under limits, and only once for the same question and the same libraries."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from hfmem._version import __version__
from hfmem.errors import CannotTell
from hfmem.witness.worker import OUT_OF_MEMORY, RUN_FAILED

LIBRARIES = ("torch", "transformers", "accelerate", "peft")
KERNELS = ("mamba-ssm", "causal-conv1d", "flash-linear-attention", "kernels")  # a class runs others where it finds these
# What an answer has, by its witness
SAYS = {
    "count": {
        "architecture",
        "parameters",
        "parameter_bytes",
        "by_dtype",
        "buffer_bytes",
        "tied",
        "whole",
        "without_head",
        "tensors",
        "stored",
    },
    "train": {"phases", "timeline"},
    "serve": {"phases", "timeline", "cache_bytes"},
}
SECRET = re.compile(r"token|secret|password|api_?key", re.IGNORECASE)
INSTALL = "pip install 'hfmem-cli[verify]'"
MORE_MEMORY = "--memory-limit GIB lets the witness take more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a witness may take. The largest model of transformers, 671 B parameters, stays below 1 GiB."""

    memory_bytes: int = 4 * 2**30
    seconds: float = 120.0


def ask(kind: str, request: Mapping[str, Any], limits: Limits | None = None) -> dict[str, Any]:
    """
    What a witness finds, from memory where it was asked before.

    Raises `CannotTell`: the extra is not installed, the class refuses, or a limit was reached.
    """
    versions = installed()
    question = json.dumps({"kind": kind, **request}, sort_keys=True)
    place = remembered(question, versions)
    found = recall(place, kind)
    if found is None:
        found = run(kind, request, limits or Limits())
        if found.get("code") not in (OUT_OF_MEMORY, RUN_FAILED):
            remember(place, found)
    if "found" not in found:
        hint = MORE_MEMORY if found["code"] == OUT_OF_MEMORY else None
        who = (
            "the run on fake tensors stopped"
            if found["code"] == RUN_FAILED
            else f"transformers {versions['transformers']} refuses"
        )
        raise CannotTell(f"{who}: {found['refused']}", code=found["code"], hint=hint)
    answer: dict[str, Any] = found["found"]
    return answer


def installed() -> dict[str, str]:
    """Library → version. Raises `CannotTell` where one is missing, with the command that installs it."""
    found, missing = {"hfmem": __version__}, []
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        raise CannotTell(f"verifying needs {' and '.join(missing)}: {INSTALL}", code="missing-extra")
    return found


def run(kind: str, request: Mapping[str, Any], limits: Limits) -> dict[str, Any]:
    """One answer of the worker; -P keeps a `torch.py` of the working directory from being imported."""
    question = json.dumps({"kind": kind, "memory_bytes": limits.memory_bytes, **request})
    command = [sys.executable, "-P", "-m", "hfmem.witness.worker"]
    try:
        done = subprocess.run(
            command, input=question, capture_output=True, text=True, timeout=limits.seconds, env=surroundings(), check=False
        )
    except subprocess.TimeoutExpired as error:
        message = f"the model class was still at work after {limits.seconds:g} seconds, and was stopped"
        raise CannotTell(message, code="witness-timeout", hint="--time-limit SECONDS gives it more") from error
    if done.returncode:
        raise CannotTell(
            f"the witness ended without an answer (status {done.returncode}): {last_line(done.stderr)}",
            code="witness-died",
            hint=MORE_MEMORY,
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def surroundings() -> dict[str, str]:
    """The environment without the Hub: a witness needs no network and no token."""
    kept = {name: value for name, value in os.environ.items() if not SECRET.search(name)}
    return kept | {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "CUDA_VISIBLE_DEVICES": ""}


def last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1][:300] if lines else "it said nothing"


def remembered(question: str, versions: Mapping[str, str]) -> Path:
    """Where the answer to a question is kept; other libraries, or another witness, are another place."""
    key = json.dumps([question, sorted(versions.items()), sys.version, [optional(name) for name in KERNELS], own_digest()])
    return assets() / "hfmem" / "witness" / f"{hashlib.sha256(key.encode()).hexdigest()[:40]}.json"


def optional(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


@cache
def own_digest() -> str:
    """This room's own code: an answer of yesterday's is not today's."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def assets() -> Path:
    """Where the Hub's library keeps what other libraries make, by the same variables."""
    if named := os.environ.get("HF_ASSETS_CACHE"):
        return Path(named).expanduser()
    if home := os.environ.get("HF_HOME"):
        return Path(home).expanduser() / "assets"
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "huggingface" / "assets"


def recall(place: Path, kind: str) -> dict[str, Any] | None:
    """An answer of before; a file that is damaged is as good as none."""
    try:
        found = json.loads(place.read_text())
    except (OSError, ValueError):
        return None
    if not isinstance(found, dict):
        return None
    answered = isinstance(found.get("found"), dict) and SAYS[kind] <= set(found["found"])
    return found if answered or (isinstance(found.get("refused"), str) and isinstance(found.get("code"), str)) else None


def remember(place: Path, found: Mapping[str, Any]) -> None:
    """Keep an answer, whole or not at all; where nothing can be written, it is asked again."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=place.parent, suffix=".part", delete=False) as file:
            json.dump(found, file)
        os.replace(file.name, place)
    except OSError:
        return
