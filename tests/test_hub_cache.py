"""What is kept of the Hub, and what is read of the Hub library's own cache."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Content, HubServer, Sparse, pointed_at, sharded

from hfmem.errors import NetworkError, NotFound
from hfmem.sources.hub import HubSource
from hfmem.sources.hub_cache import CommitCache
from hfmem.sources.patience import Patience
from hfmem.sources.reference import HubRepo

INDEX = "model.safetensors.index.json"
FILES: dict[str, Content] = {"config.json": b'{"a": 1}', "model.safetensors": Sparse(b"0123456789", 1000)}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server, pointed_at(server, tmp_path):
        yield server


def opened(revision: str | None = None, **settings: Any) -> HubSource:
    patience = Patience(tries=1, idle_seconds=1, answer_seconds=5)
    return HubSource.open(HubRepo(repo_id="org/name", revision=revision), patience=patience, **settings)


def entries(home: Path) -> list[Path]:
    return [path for path in (home / "assets").rglob("*") if path.is_file()]


def read_all(source: HubSource) -> tuple[bytes, bytes, bytes | None]:
    part = source.read_range("model.safetensors", 0, 10) if "model.safetensors" in source.files() else b""
    return source.read("config.json", limit=100), part, source.sharded_headers(INDEX)


def test_offline_answers_from_what_was_kept(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.add("org/name", {**sharded(2), **FILES})
    online = read_all(opened())
    asked = len(hub.log)
    with pointed_at(hub, tmp_path, offline=True):
        source = opened()
        assert read_all(source) == online
        assert (source.origin.source, source.origin.commit, source.origin.revision) == ("cache", commit, "main")
        assert opened(commit).files() == source.files()
        with pytest.raises(NetworkError, match=r"'model\.safetensors' of org/name at 'main' is not in the cache") as caught:
            source.read_range("model.safetensors", 0, 11)
        assert caught.value.code == "offline"
        with pytest.raises(NotFound):
            source.read("absent", limit=1)
    assert len(hub.log) == asked


@pytest.mark.parametrize("revision", [None, "dev", "a" * 40])
def test_offline_without_a_copy_is_an_error_with_a_way_on(hub: HubServer, tmp_path: Path, revision: str | None) -> None:
    with pointed_at(hub, tmp_path, offline=True), pytest.raises(NetworkError, match="is not in the cache") as caught:
        opened(revision)
    assert caught.value.code == "offline"
    assert caught.value.hint is not None and "HF_HUB_OFFLINE" in caught.value.hint
    assert hub.log == []


def test_an_unreachable_hub_points_to_the_copy(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/name", FILES)
    opened()
    hub.fail("/api/", "reset")
    with pytest.raises(NetworkError) as caught:
        opened()
    assert caught.value.hint == "a cached revision is available; HF_HUB_OFFLINE=1 uses it"
    with pytest.raises(NetworkError) as other:
        opened("other")
    assert other.value.hint is not None and "a cached revision" not in other.value.hint


@pytest.mark.parametrize("damage", [b"", b"x" * 100, "truncate", "flip", "swap"])
def test_a_damaged_entry_is_a_miss(hub: HubServer, tmp_path: Path, damage: bytes | str) -> None:
    commit = hub.add("org/name", FILES)
    online = read_all(opened())
    paths = [path for path in entries(tmp_path) if "refs" not in path.parts]
    contents = [path.read_bytes() for path in paths]
    for number, path in enumerate(paths):
        if isinstance(damage, bytes):
            path.write_bytes(damage)
        elif damage == "swap":
            path.write_bytes(contents[number - 1])
        else:
            path.write_bytes(contents[number][:-1] + (b"" if damage == "truncate" else b"\x00"))
    before = hub.num_requests
    assert read_all(opened(commit)) == online
    assert hub.num_requests == before + 3
    assert [path.read_bytes() for path in paths] == contents


def test_a_cache_of_things_that_are_no_files_is_a_miss(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/name", FILES)
    online = read_all(opened())
    for path in entries(tmp_path):
        path.unlink()
        os.mkfifo(path)
    assert read_all(opened()) == online


def test_a_cache_that_cannot_be_made_keeps_nothing(hub: HubServer, tmp_path: Path) -> None:
    (tmp_path / "assets").write_text("in the way")
    hub.add("org/name", FILES)
    assert read_all(opened()) == read_all(opened())
    assert hub.num_requests == 2 * 4
    assert (tmp_path / "assets").read_text() == "in the way"


@pytest.mark.parametrize("call", ["tempfile.mkstemp", "os.replace", "pathlib.Path.mkdir"])
@pytest.mark.parametrize("number", [28, 30])
def test_a_full_or_read_only_disk_keeps_nothing(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    def refuse(*args: object, **settings: object) -> None:
        raise OSError(number, os.strerror(number))

    hub.add("org/name", FILES)
    monkeypatch.setattr(call, refuse)
    assert read_all(opened())[0] == FILES["config.json"]
    assert entries(tmp_path) == []


def test_an_entry_that_is_too_big_is_not_kept(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfmem.sources.hub_cache.MAX_ENTRY_BYTES", 3)
    hub.add("org/name", FILES)
    read_all(opened())
    assert entries(tmp_path) == []


def test_entries_belong_to_one_endpoint_and_one_repository(tmp_path: Path) -> None:
    with pointed_at("http://127.0.0.1:9", tmp_path):
        caches = [CommitCache(endpoint=e, repo_id=r) for e in ("https://a", "https://b:1") for r in ("org/name", "org/other")]
        for number, cache in enumerate(caches):
            cache.keep("c" * 40, "key", str(number).encode())
        assert [cache.find("c" * 40, "key") for cache in caches] == [b"0", b"1", b"2", b"3"]
        assert caches[0].find("d" * 40, "key") is None
        caches[0].keep("refs", "main", b"not a commit")
        assert caches[0].commit_of("main") is None


def test_entries_are_for_their_owner_alone(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/name", FILES)
    read_all(opened())
    assert {path.stat().st_mode & 0o777 for path in entries(tmp_path)} == {0o600}


def test_an_entry_of_another_version_is_a_miss(hub: HubServer) -> None:
    commit = hub.add("org/name", FILES)
    CommitCache(endpoint=hub.url, repo_id="org/name").keep(commit, "info", b'{"other": 1}')
    assert opened(commit).origin.source == "hub"


def downloaded(cache: Path, commit: str, files: dict[str, bytes]) -> Path:
    """The Hub library's cache after it has downloaded some files."""
    repo = cache / "models--org--name"
    snapshot = repo / "snapshots" / commit
    (repo / "refs").mkdir(parents=True, exist_ok=True)
    (repo / "blobs").mkdir(exist_ok=True)
    snapshot.mkdir(parents=True)
    (repo / "refs" / "main").write_text(commit)
    for number, (name, content) in enumerate(files.items()):
        (repo / "blobs" / f"{commit}{number}").write_bytes(content)
        (snapshot / name).symlink_to(f"../../blobs/{commit}{number}")
    return snapshot


def test_a_downloaded_file_is_not_asked_for(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.add("org/name", FILES)
    downloaded(tmp_path / "hub", commit, {"config.json": b'{"a": 1}', "model.safetensors": b"0123456789" + bytes(990)})
    source = opened()
    assert read_all(source) == (b'{"a": 1}', b"0123456789", None)
    assert source.origin.source == "hub"
    assert hub.num_requests == 1


def test_the_given_cache_directory_is_looked_into(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.add("org/name", FILES)
    downloaded(tmp_path / "elsewhere", commit, {"config.json": b'{"b": 2}'})
    assert opened(cache_dir=str(tmp_path / "elsewhere")).read("config.json", limit=100) == b'{"b": 2}'


def test_a_broken_download_is_asked_for(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.add("org/name", FILES)
    snapshot = downloaded(tmp_path / "hub", commit, {"config.json": b'{"a"'})
    (snapshot / "model.safetensors").symlink_to("nowhere")
    assert read_all(opened())[:2] == (b'{"a": 1}', b"0123456789")


def test_a_download_that_breaks_while_it_is_read_is_asked_for(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.add("org/name", FILES)
    snapshot = downloaded(tmp_path / "hub", commit, {"config.json": b'{"b": 2}'})
    source = opened()
    (snapshot / "config.json").resolve().write_text("changed")
    assert source.read("config.json", limit=100) == b'{"a": 1}'


def test_offline_answers_from_a_download(hub: HubServer, tmp_path: Path) -> None:
    commit = "b" * 40
    downloaded(tmp_path / "hub", commit, {"config.json": b"{}"})
    with pointed_at(hub, tmp_path, offline=True):
        source = opened()
        assert (source.origin.source, source.origin.commit) == ("cache", commit)
        assert source.files() == {"config.json": 2}
        assert source.read("config.json", limit=10) == b"{}"
        assert source.sharded_headers(INDEX) is None
        assert opened(commit).read("config.json", limit=10) == b"{}"


def test_a_download_that_cannot_be_listed_is_asked_for(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    downloaded(tmp_path / "hub", hub.add("org/name", FILES), {"config.json": b"{}"})
    monkeypatch.setattr("hfmem.sources.listing.MAX_ENTRIES", 0)
    assert opened().read("config.json", limit=100) == b'{"a": 1}'


@pytest.mark.parametrize("ref", ["../../../../../etc", "", "c" * 40])
def test_offline_a_ref_that_leads_nowhere_is_not_cached(hub: HubServer, tmp_path: Path, ref: str) -> None:
    repo = downloaded(tmp_path / "hub", "b" * 40, {}).parent.parent
    (repo / "refs" / "main").write_text(ref)
    with pointed_at(hub, tmp_path, offline=True), pytest.raises(NetworkError) as caught:
        opened()
    assert caught.value.code == "offline"


def test_a_branch_asked_for_a_moment_ago_is_not_asked_for_again_where_that_is_allowed(hub: HubServer) -> None:
    hub.add("org/name", {**sharded(2), **FILES})
    cold = read_all(opened())
    before = hub.num_requests
    source = opened(max_age=60)
    assert read_all(source) == cold
    assert (hub.num_requests, source.origin.source) == (before, "cache")
    opened()
    opened(max_age=1e-9)
    assert hub.num_requests == before + 2


def test_a_believed_branch_still_gives_the_headers_of_all_shards_in_one_reply(hub: HubServer) -> None:
    hub.add("org/name", {**sharded(2), **FILES})
    opened()
    before = hub.num_requests
    assert opened(max_age=60).sharded_headers(INDEX) is not None
    assert hub.num_requests == before + 1
