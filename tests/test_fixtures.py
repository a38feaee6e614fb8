"""The fixtures themselves: files that safetensors accepts, and sums that hold."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import checkpoints
import pytest

ROOT = Path(__file__).parent.parent
NAMES = checkpoints.names()
SMALL = ["google/gemma-3-270m", "EleutherAI/pythia-70m-deduped", "hugging-quants/Meta-Llama-3.1-8B-Instruct-GPTQ-INT4"]


@pytest.fixture(params=NAMES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_there_are_many_architectures() -> None:
    assert len({checkpoints.expected(name)["architecture"] for name in NAMES}) >= 34


def test_all_fixtures_stay_small() -> None:
    measured = checkpoints.FIXTURES / "measured"  # a whole grid on a GPU is one file
    found = [path for path in checkpoints.FIXTURES.rglob("*") if path.is_file() and measured not in path.parents]
    sizes = {path: path.stat().st_size for path in found}
    assert sum(sizes.values()) < 3_000_000
    assert max(sizes.values()) < 60_000


def test_offsets_follow_each_other_without_a_gap(name: str) -> None:
    for header in checkpoints.headers(name).values():
        end = 0
        for tensor, entry in header.items():
            if tensor != "__metadata__":
                assert entry["data_offsets"][0] == end
                end = entry["data_offsets"][1]


def test_headers_hold_what_is_expected(name: str) -> None:
    expected = checkpoints.expected(name)
    entries = [entry for header in checkpoints.headers(name).values() for key, entry in header.items() if key != "__metadata__"]
    assert len(entries) == expected["num_tensors"]
    assert sum(math.prod(entry["shape"]) for entry in entries) == expected["stored_elements"]
    assert sum(end - start for start, end in (entry["data_offsets"] for entry in entries)) == expected["stored_bytes"]


def test_notes_lead_from_the_parameters_to_the_file(name: str) -> None:
    expected = checkpoints.expected(name)
    notes = expected["notes"]
    assert expected["unique_parameters"] + sum(note["elements"] for note in notes) == expected["stored_elements"]
    assert expected["parameter_bytes"] + sum(note["bytes"] for note in notes) == expected["stored_bytes"]


def test_files_are_as_long_as_their_headers_say(name: str, tmp_path: Path) -> None:
    directory = checkpoints.write(name, tmp_path / "checkpoint")
    files = {path.name: path for path in directory.glob("*.safetensors")}
    assert sorted(files) == sorted(checkpoints.headers(name))
    total = 0
    for path in files.values():
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            assert json.loads(file.read(length))["__metadata__"] == {"format": "pt"}
        assert length % 8 == 0
        total += path.stat().st_size - 8 - length
    assert total == checkpoints.expected(name)["stored_bytes"]


def test_the_index_lists_every_tensor_of_several_files(tmp_path: Path) -> None:
    name = "mistralai/Mixtral-8x7B-v0.1"
    index = json.loads((checkpoints.write(name, tmp_path) / checkpoints.INDEX).read_text())
    expected = checkpoints.expected(name)
    assert index["metadata"] == {
        "total_parameters": expected["unique_parameters"],
        "total_size": expected["stored_bytes"],
    }
    assert len(index["weight_map"]) == expected["num_tensors"]
    assert set(index["weight_map"].values()) == {path.name for path in tmp_path.glob("*.safetensors")}


def test_safetensors_opens_the_files(name: str, tmp_path: Path) -> None:
    safe_open = pytest.importorskip("safetensors").safe_open
    pytest.importorskip("numpy", reason="safe_open reads into numpy")
    for file, header in checkpoints.headers(name).items():
        checkpoints.write_file(tmp_path / file, header)
        with safe_open(tmp_path / file, framework="np") as opened:
            assert set(opened.keys()) == set(header) - {"__metadata__"}


def test_a_name_with_ranges_stands_for_every_combination() -> None:
    assert list(checkpoints.unfold("a.[0-1].b.[2,4-5].c")) == [f"a.{i}.b.{j}.c" for i in (0, 1) for j in (2, 4, 5)]


@pytest.mark.skipif(
    not (importlib.util.find_spec("torch") and importlib.util.find_spec("transformers")),
    reason="regenerating needs torch and transformers",
)
def test_regenerating_gives_the_same_bytes(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "scripts" / "make_fixtures.py"), *SMALL, "--output", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"CUDA_VISIBLE_DEVICES": ""})
    for name in SMALL:
        for path in (tmp_path / name.replace("/", "--")).iterdir():
            assert path.read_bytes() == (checkpoints.folder(name) / path.name).read_bytes(), path
