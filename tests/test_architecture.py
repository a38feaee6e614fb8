"""The house holds: one direction of imports, small functions, no code that could run a checkpoint."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "hfmem"
ROOT_FILES = {"errors", "units", "_version"}
EVERYWHERE = {"errors", "_version"}
# room → the rooms it may import (design: data goes one way)
MAY_IMPORT = {
    "errors": set(),
    "_version": set(),
    "units": set(),
    "tables": set(),
    "sources": {"sources"},
    "checkpoint": {"checkpoint", "sources"},
    "model": {"model", "checkpoint", "tables"},
    "memory": {"memory", "model", "checkpoint", "sources", "tables", "units"},
    "hardware": {"hardware", "memory", "tables", "units"},
    "doctor": {"doctor", "sources", "checkpoint", "model", "memory", "tables"},
    "checking": {"__init__", "api", "doctor", "hardware", "memory", "sources", "witness"},
    "witness": {"witness", "checkpoint", "model", "memory"},
    "report": {"report", "doctor", "memory", "hardware", "witness", "units"},
    "api": {"sources", "checkpoint", "model", "memory", "hardware", "witness"},
    "batch": {"__init__", "batch", "api", "memory", "hardware", "report", "sources"},
    "options": set(),
    "terminal": {"report"},
    "commands": {
        "__init__",
        "api",
        "batch",
        "doctor",
        "checking",
        "memory",
        "hardware",
        "report",
        "sources",
        "witness",
        "options",
        "terminal",
        "commands",
    },
    "cli": {"commands"},
    "__init__": {"api", "batch", "checking", "doctor", "hardware", "memory"},
    "__main__": {"cli"},
}
FILES = sorted(PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return parts[0]


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield from ([f"{node.module}.{alias.name}" for alias in node.names] if node.module == "hfmem" else [node.module])
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_a_room_imports_only_what_it_may(path: Path) -> None:
    ours = {name.split(".")[1] for name in imports(parsed(path)) if name.startswith("hfmem.")}
    assert ours <= MAY_IMPORT[room(path)] | EVERYWHERE


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_files_and_functions_stay_small(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 300
    for node in ast.walk(parsed(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            assert (node.end_lineno or 0) - node.body[0].lineno < 35, f"the body of {node.name} has more than 35 lines"


def test_only_hub_modules_know_the_hub_client() -> None:
    users = {path.name for path in FILES if any(name.split(".")[0] == "huggingface_hub" for name in imports(parsed(path)))}
    assert all(name.startswith("hub") for name in users), users


def test_torch_is_loaded_in_the_workers_process_alone() -> None:
    """Modules that import a heavy library at their top are those that only the worker and its runs import."""
    heavy = {"torch", "transformers", "accelerate", "peft"}
    at_top = {
        path.name: ast.Module([n for n in parsed(path).body if isinstance(n, ast.Import | ast.ImportFrom)], []) for path in FILES
    }
    found = {name for name, tree in at_top.items() if heavy & {n.split(".")[0] for n in imports(tree)}}
    inside = {"fake.py", "gpu_path.py", "liveness.py", "quantised.py", "training_run.py", "inference_run.py"}
    assert found <= inside
    users = {path.name for path in FILES if any(n.split(".")[-1] + ".py" in inside for n in imports(parsed(path)))}
    assert users <= inside | {"worker.py", "build.py", "recorded.py"}


def test_nothing_can_run_a_checkpoint() -> None:
    forbidden = re.compile(r"\bpickle\b\.|torch\.load|trust_remote_code\s*=\s*True|\bexec\(|\beval\(|yaml\.load|\bmmap\b")
    found = {path.name: forbidden.findall(path.read_text()) for path in FILES}
    assert not {name: hits for name, hits in found.items() if hits}


def modules_after(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint('\\n'.join(sys.modules))"
    return set(subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split())


def test_import_loads_nothing_heavy() -> None:
    loaded = modules_after("import hfmem")
    assert not loaded & {"torch", "transformers", "accelerate", "huggingface_hub", "typer", "rich", "numpy", "json"}


def test_an_estimate_of_a_directory_loads_no_hub_client(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    code = f"import hfmem.cli as c\ntry:\n    c.app(['estimate', {str(tmp_path)!r}, '-q'])\nexcept SystemExit:\n    pass"
    loaded = modules_after(code)
    assert not loaded & {"torch", "transformers", "accelerate", "huggingface_hub", "httpx2", "numpy", "rich.console", "asyncio"}
