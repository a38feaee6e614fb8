"""The whole way over a loopback Hub: the same answer as from a directory, with the fewest requests, and errors by name."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import checkpoints
import pytest
from hub_server import HubServer, Sparse, safetensors_head

from hfmem.checkpoint.shards import FIRST_BYTES
from hfmem.errors import ExitCode

SINGLE, SHARDED = "meta-llama/Llama-3.2-1B", "mistralai/Mixtral-8x7B-v0.1"


@pytest.fixture(scope="module")
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def published(name: str, folder: Path) -> dict[str, bytes | Sparse]:
    """A bundled checkpoint as files of a repository; weight files have their length and no content."""
    directory = checkpoints.write(name, folder)
    return {path.name: content(path) for path in directory.iterdir()}


def content(path: Path) -> bytes | Sparse:
    if path.suffix != ".safetensors":
        return path.read_bytes()
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        file.seek(0)
        return Sparse(file.read(8 + length), size=path.stat().st_size)


def hfmem(hub: HubServer, home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **hub.environment(home), **variables}
    command = [sys.executable, "-m", "hfmem", "estimate", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, encoding="utf-8", check=False)


def answer(found: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    assert found.returncode == 0, found.stderr
    return dict(json.loads(found.stdout))


def sizes(report: dict[str, Any]) -> Any:
    model = {key: value for key, value in report["model"].items() if key not in ("reference", "source", "revision", "commit")}
    return model, report["phases"]


@pytest.mark.parametrize("name", [SINGLE, SHARDED])
def test_the_hub_and_a_directory_give_the_same_answer(hub: HubServer, tmp_path: Path, name: str) -> None:
    commit = hub.add(name, published(name, tmp_path / "files"))
    report = answer(hfmem(hub, tmp_path, name, "--format", "json"))
    local = subprocess.run(
        [sys.executable, "-m", "hfmem", "estimate", str(tmp_path / "files"), "--format", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert sizes(report) == sizes(json.loads(local.stdout))
    assert report["model"]["source"] == "hub"
    assert report["model"]["commit"] == commit


def requests(hub: HubServer, home: Path, *arguments: str, **variables: str) -> tuple[int, int]:
    """Requests and body bytes one command costs; it must succeed."""
    before, sent = hub.num_requests, sum(seen.body_bytes for seen in hub.log)
    answer(hfmem(hub, home, *arguments, "--format", "json", **variables))
    return hub.num_requests - before, sum(seen.body_bytes for seen in hub.log) - sent


def test_a_sharded_model_on_main_costs_three_requests_and_then_one(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.add(SHARDED, published(SHARDED, tmp_path / "files"))
    cold, _ = requests(hub, tmp_path, SHARDED)
    warm, _ = requests(hub, tmp_path, SHARDED)
    pinned, _ = requests(hub, tmp_path, f"{SHARDED}@{commit}")
    offline, _ = requests(hub, tmp_path, SHARDED, HF_HUB_OFFLINE="1")
    assert (cold, warm, pinned, offline) == (3, 1, 0, 0)


def test_other_revisions_read_a_header_in_one_request(hub: HubServer, tmp_path: Path) -> None:
    files = published(SHARDED, tmp_path / "files")
    hub.add(SHARDED, files, revision="refs/pr/1")
    count, sent = requests(hub, tmp_path, SHARDED, "--revision", "refs/pr/1")
    shards = [value for name, value in files.items() if name.endswith(".safetensors")]
    assert count == 3 + len(shards)  # info, config, index; then the beginning of each shard
    small = sum(len(value) for value in files.values() if isinstance(value, bytes))
    headers = sum(max(len(shard.head), FIRST_BYTES) for shard in shards if isinstance(shard, Sparse))
    listing = max(seen.body_bytes for seen in hub.log if "/api/models/" in seen.path)
    assert sent <= headers + small + listing


def test_a_mirror_without_the_headers_address_is_read_shard_by_shard(hub: HubServer, tmp_path: Path) -> None:
    hub.add("mirror/model", published(SHARDED, tmp_path / "files"), sharded_headers=False)
    count, _ = requests(hub, tmp_path, "mirror/model")
    assert count == 4 + len(checkpoints.headers(SHARDED))


def test_a_header_longer_than_its_beginning_is_read_to_its_end(hub: HubServer, tmp_path: Path) -> None:
    tensors = {f"model.layers.{n}.mlp.a_long_name_of_a_projection.weight": ("F16", (2, 2), 8) for n in range(900)}
    head = safetensors_head(tensors)
    assert len(head.head) > 2 * FIRST_BYTES
    hub.add("org/long", {"config.json": b'{"model_type": "llama"}', "model.safetensors": head})
    count, sent = requests(hub, tmp_path, "org/long", "--partial")
    assert count == 4  # info, config, beginning, rest
    assert sent < len(head.head) + 2000


def test_a_sub_folder_is_a_model_of_its_own(hub: HubServer, tmp_path: Path) -> None:
    files = {f"inner/{name}": value for name, value in published(SINGLE, tmp_path / "files").items()}
    hub.add("org/outer", files)
    report = answer(hfmem(hub, tmp_path, "hf://org/outer/inner", "--format", "json"))
    assert report["model"]["num_parameters"] == checkpoints.expected(SINGLE)["unique_parameters"]


def test_an_adapter_adds_its_base(hub: HubServer, tmp_path: Path) -> None:
    hub.add(SINGLE, published(SINGLE, tmp_path / "files"))
    header = json.dumps({"base_model.model.q_proj.lora_A.weight": {"dtype": "F32", "shape": [16, 64], "data_offsets": [0, 4096]}})
    weights = len(header).to_bytes(8, "little") + header.encode() + bytes(4096)
    config = json.dumps({"peft_type": "LORA", "base_model_name_or_path": SINGLE}).encode()
    hub.add("org/adapter", {"adapter_config.json": config, "adapter_model.safetensors": weights})
    report = answer(hfmem(hub, tmp_path, "org/adapter", "--format", "json"))
    items = {item["name"]: item["bytes"] for item in report["phases"][0]["items"]}
    assert items["weights"] == checkpoints.expected(SINGLE)["stored_bytes"]
    assert items["adapters"] == 4096


# what is asked of what repository, exit code, words
ERRORS: list[tuple[str, dict[str, Any], list[str], ExitCode, str]] = [
    ("a gated repository", {"gated": True}, ["org/errors"], ExitCode.ACCESS_DENIED, "gated"),
    ("a private repository", {"private": True}, ["org/errors"], ExitCode.NOT_FOUND, "private"),
    ("no such repository", {}, ["org/nothing"], ExitCode.NOT_FOUND, "org/nothing"),
    ("no such revision", {}, ["org/errors@nope"], ExitCode.NOT_FOUND, "nope"),
    ("an id that is none", {}, ["org/na me"], ExitCode.USAGE, "org/na me"),
    ("offline and not cached", {}, ["org/errors"], ExitCode.NETWORK, "HF_HUB_OFFLINE is set"),
]


@pytest.mark.parametrize(("state", "arguments", "code", "words"), [row[1:] for row in ERRORS], ids=[row[0] for row in ERRORS])
def test_errors_of_the_hub_have_their_exit_code(
    hub: HubServer, tmp_path: Path, state: dict[str, Any], arguments: list[str], code: ExitCode, words: str
) -> None:
    hub.add("org/errors", published(SINGLE, tmp_path / "files"), **{"gated": False, "private": False, **state})
    offline = {"HF_HUB_OFFLINE": "1"} if "OFFLINE" in words else {}
    found = hfmem(hub, tmp_path, *arguments, **offline)
    assert found.returncode == code, found.stderr
    assert words in found.stderr
    assert found.stdout == ""
    assert "Traceback" not in found.stderr


def test_a_token_is_never_printed_nor_sent_elsewhere(hub: HubServer, tmp_path: Path) -> None:
    canary = "hf_canaryCanaryCanary"
    hub.allow(canary)
    hub.add("org/secret", published(SINGLE, tmp_path / "files"), private=True)
    before = len(hub.log)
    found = hfmem(hub, tmp_path, "org/secret", "--explain", HF_TOKEN=canary)
    assert found.returncode == 0
    assert canary not in found.stdout + found.stderr
    assert all(seen.origin == "hub" for seen in hub.log[before:] if seen.authorization)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".safetensors")
    assert canary.encode() not in stored
