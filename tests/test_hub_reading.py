"""Reading a model from the Hub: what is asked for, what is kept, and that nothing more is transferred."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Content, HubServer, Sparse, pointed_at, safetensors_head, sharded

from hfmem.errors import BrokenCheckpoint, CannotTell, NotFound
from hfmem.sources import open_source
from hfmem.sources.base import Source

INDEX = "model.safetensors.index.json"
SMALL: dict[str, Content] = {
    "config.json": b'{"model_type": "llama"}',
    "a dir/x~+é.json": b"[1]",
    "model.safetensors": Sparse(b"0123456789", 4 * 10**9),
}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server, pointed_at(server, tmp_path):
        yield server


def read_all(source: Source) -> bytes | None:
    assert source.read("config.json", limit=1000)
    return source.sharded_headers(INDEX)


def test_a_cold_sharded_model_takes_three_requests_and_a_warm_one_takes_one(hub: HubServer) -> None:
    commit = hub.add("org/name", sharded(160))
    cold = read_all(open_source("org/name"))
    assert cold is not None
    assert len(json.loads(cold)["headers"]) == 160
    assert hub.num_requests == 3
    assert [seen.path.partition("?")[0] for seen in hub.log if seen.status == 200] == [
        "/api/models/org/name",
        f"/api/resolve-cache/models/org/name/{commit}/config.json",
        f"/api/models/org/name/safetensors-metadata/{INDEX}",
    ]
    assert read_all(open_source("org/name")) == cold
    assert hub.num_requests == 4


def test_a_cached_commit_takes_no_request(hub: HubServer) -> None:
    commit = hub.add("org/name", sharded(2))
    first = read_all(open_source("org/name"))
    assert read_all(open_source(f"org/name@{commit}")) == first
    assert hub.num_requests == 3
    source = open_source(f"org/name@{commit}")
    assert (source.origin.source, source.origin.commit, source.origin.revision) == ("cache", commit, commit)


def test_the_origin_names_the_commit(hub: HubServer) -> None:
    commit = hub.add("org/name", SMALL)
    source = open_source("org/name")
    origin = source.origin
    assert (origin.reference, origin.source, origin.revision, origin.commit, origin.gated) == (
        "org/name",
        "hub",
        "main",
        commit,
        False,
    )
    assert source.files() == {"config.json": 23, "a dir/x~+é.json": 3, "model.safetensors": 4 * 10**9}
    assert source.max_workers == 8


def test_ranges_transfer_what_was_asked_and_no_more(hub: HubServer) -> None:
    hub.add("org/name", SMALL)
    source = open_source("org/name")
    assert source.read_range("model.safetensors", 2, 3) == b"234"
    assert source.read_range("model.safetensors", 8, 100) == b"89" + bytes(98)
    assert source.read_range("model.safetensors", 4 * 10**9 - 2, 100) == b"\0\0"
    assert source.read_range("model.safetensors", 4 * 10**9, 100) == b""
    assert source.read_range("config.json", 1, 4) == b'"mod'
    assert sum(seen.body_bytes for seen in hub.log if seen.origin == "storage") == 3 + 100 + 2
    before = len(hub.log)
    assert source.read_range("model.safetensors", 2, 3) == b"234"
    assert len(hub.log) == before


def test_names_are_quoted(hub: HubServer) -> None:
    hub.add("org/name", SMALL)
    assert open_source("org/name").read("a dir/x~+é.json", limit=10) == b"[1]"


def test_ranges_are_read_by_several_threads(hub: HubServer) -> None:
    hub.add("org/name", sharded(16))
    source = open_source("org/name")
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda name=name: found.append(source.read_range(name, 0, 8)))
        for name in source.files()
        if name.endswith(".safetensors")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 16
    assert hub.num_requests == 1 + 16


def test_another_revision_is_read_shard_by_shard(hub: HubServer) -> None:
    hub.add("org/name", {"config.json": b"{}"})
    commit = hub.add("org/name", sharded(2), revision="refs/pr/1")
    source = open_source("org/name", revision="refs/pr/1")
    assert source.origin.commit == commit
    assert read_all(source) is None
    assert hub.num_requests == 2
    assert "/api/models/org/name/revision/refs%2Fpr%2F1?blobs=true" in [seen.path for seen in hub.log]


@pytest.mark.parametrize("fault", ["absent", "not found", "page", "flip", "server error", "list"])
def test_a_server_without_combined_headers_is_read_shard_by_shard(hub: HubServer, fault: str) -> None:
    hub.add("org/name", sharded(2), sharded_headers=fault != "absent")
    pattern = "safetensors-metadata"
    if fault == "not found":
        hub.fail(pattern, "status", status=404)
    if fault == "page":
        hub.fail(pattern, "html")
    if fault == "flip":
        hub.fail(pattern, "commit_flip")
    if fault == "server error":
        hub.fail(pattern, "status", status=501)
    if fault == "list":
        hub.fail(pattern, "body", body=b"[]")
    source = open_source("org/name")
    assert source.sharded_headers(INDEX) is None
    assert source.read_range("model-00001-of-00002.safetensors", 0, 8)


def test_a_renamed_repository_is_followed(hub: HubServer) -> None:
    hub.add("new/name", {"config.json": b"{}", INDEX: b'{"weight_map": {}}'})
    hub.rename("old/name", "new/name")
    source = open_source("old/name")
    assert source.origin.reference == "new/name"
    assert source.read("config.json", limit=10) == b"{}"
    assert hub.num_requests == 2
    assert not [seen.path for seen in hub.log if "/old/name/resolve" in seen.path]


def test_a_repository_without_an_owner_in_its_name(hub: HubServer) -> None:
    hub.add("gpt2", {"config.json": b"{}"})
    assert open_source("gpt2").read("config.json", limit=10) == b"{}"


def test_a_folder_of_a_repository_is_a_root(hub: HubServer) -> None:
    hub.add("org/name", {"config.json": b"{}", "sub/deep/config.json": b'{"a":1}', "sub/deep/m.safetensors": b"w"})
    source = open_source("hf://org/name/sub/deep")
    assert source.files() == {"config.json": 7, "m.safetensors": 1}
    assert source.read("config.json", limit=10) == b'{"a":1}'
    assert source.sharded_headers(INDEX) is None
    with pytest.raises(BrokenCheckpoint, match="does not stay inside"):
        source.read("../config.json", limit=10)
    with pytest.raises(NotFound, match="no file or folder 'absent'") as caught:
        open_source("hf://org/name/absent")
    assert caught.value.code == "path-not-found"


def test_a_file_of_a_repository_is_shown_alone(hub: HubServer) -> None:
    hub.add(
        "org/name", {"config.json": b"{}", "q4.gguf": b"4", "q8.gguf": b"88", "in/m.safetensors.index.json": b"{}", "in/x": b""}
    )
    source = open_source("https://huggingface.co/org/name/blob/main/q4.gguf")
    assert source.files() == {"q4.gguf": 1}
    assert source.read("config.json", limit=10) == b"{}"
    assert open_source("hf://org/name/in/m.safetensors.index.json").files() == {"m.safetensors.index.json": 2, "x": 0}
    with pytest.raises(NotFound):
        source.read("q8.gguf", limit=10)
    with pytest.raises(CannotTell, match=r"'config\.json' is no \.safetensors file"):
        open_source("hf://org/name/config.json")


def test_a_name_that_is_not_listed_or_not_safe_is_never_asked_for(hub: HubServer) -> None:
    hub.add("org/name", {"config.json": b"{}"})
    source = open_source("org/name")
    with pytest.raises(NotFound, match=r"org/name at 'main' has no file 'absent\.json'") as caught:
        source.read("absent.json", limit=10)
    assert caught.value.code == "file-not-found"
    for name in ("../../../api/whoami-v2", "/etc/passwd", "https://evil/x", "%2e%2e/x", "a?x=1#y", "..\\x"):
        with pytest.raises(BrokenCheckpoint) as unsafe:
            source.read_range(name, 0, 8)
        assert unsafe.value.code == "unsafe-path"
        with pytest.raises(BrokenCheckpoint):
            source.sharded_headers(name)
    assert hub.num_requests == 1


def test_a_file_beyond_the_limit_is_not_asked_for(hub: HubServer) -> None:
    hub.add("org/name", SMALL)
    with pytest.raises(BrokenCheckpoint, match="more than the 10") as caught:
        open_source("org/name").read("model.safetensors", limit=10)
    assert caught.value.code == "too-big"
    assert hub.num_requests == 1


def test_a_whole_read_is_cached_whatever_its_limit(hub: HubServer) -> None:
    hub.add("org/name", SMALL)
    source = open_source("org/name")
    assert source.read("config.json", limit=100) == source.read("config.json", limit=50)
    with pytest.raises(BrokenCheckpoint):
        source.read("config.json", limit=5)


def test_a_compressed_body_is_unpacked(hub: HubServer) -> None:
    import gzip

    hub.add("org/name", {"config.json": b"0123456789"})
    hub.fail("resolve-cache", "body", body=gzip.compress(b"0123456789"), headers={"Content-Encoding": "gzip"})
    assert open_source("org/name").read("config.json", limit=50) == b"0123456789"


def test_another_process_reads_the_same_with_three_requests(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/name", sharded(3))
    program = (
        "import sys; from hfmem.sources import open_source; source = open_source('org/name');"
        f"source.read('config.json', limit=100); print(len(source.sharded_headers({INDEX!r})));"
        "assert not {'huggingface_hub.hf_api', 'huggingface_hub.file_download', 'torch'} & set(sys.modules)"
    )
    environment = os.environ | hub.environment(tmp_path / "home")
    for expected in (3, 4):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program], env=environment, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr) == (0, "")
        assert hub.num_requests == expected
    agents = {seen.user_agent or "" for seen in hub.log}
    assert all(agent.startswith("hfmem/") and "; hf_hub/" in agent for agent in agents)


def test_weights_written_by_the_helper_have_a_header() -> None:
    file = safetensors_head({"a": ("BF16", (2, 3), 12)})
    length = int.from_bytes(file.head[:8], "little")
    assert json.loads(file.head[8:])["a"] == {"dtype": "BF16", "shape": [2, 3], "data_offsets": [0, 12]}
    assert len(file) == 8 + length + 12
