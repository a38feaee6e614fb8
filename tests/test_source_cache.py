"""The Hub library's own cache as a directory of checkpoints."""

from pathlib import Path

import pytest

from hfmem.errors import BrokenCheckpoint, NotFound
from hfmem.sources.directory import DirectorySource

SHA = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def cached(tmp_path: Path) -> Path:
    """The Hub library's cache with one repository, one file of which is in the store shared by all."""
    repo = tmp_path / "hub" / "models--org--name"
    snapshot = repo / "snapshots" / SHA
    for directory in (snapshot, repo / "blobs", repo / "refs", tmp_path / "hub" / "blobs" / "ab"):
        directory.mkdir(parents=True)
    (repo / "refs" / "main").write_text(SHA)
    (repo / "blobs" / "etag1").write_text("{}")
    (tmp_path / "hub" / "blobs" / "ab" / "abcd").write_text("weights")
    (repo / "blobs" / "etag2").symlink_to("../../blobs/ab/abcd")
    (snapshot / "config.json").symlink_to("../../blobs/etag1")
    (snapshot / "model.safetensors").symlink_to("../../blobs/etag2")
    return repo


@pytest.mark.parametrize("place", ["", f"snapshots/{SHA}"])
def test_the_cache_of_the_hub_library(cached: Path, place: str) -> None:
    source = DirectorySource(cached / place)
    assert source.files() == {"config.json": 2, "model.safetensors": 7}
    assert source.read("config.json", limit=10) == b"{}"
    assert source.read_range("model.safetensors", 0, 3) == b"wei"
    assert (source.origin.source, source.origin.commit) == ("cache", SHA)


def test_blobs_of_the_cache_may_be_a_link_to_a_shared_store(cached: Path, tmp_path: Path) -> None:
    (cached / "blobs").rename(tmp_path / "store")
    (cached / "blobs").symlink_to(tmp_path / "store")
    assert DirectorySource(cached).read("config.json", limit=10) == b"{}"


def test_a_link_out_of_the_cache(cached: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    (cached / "snapshots" / SHA / "out.json").symlink_to("../../../../secret")
    with pytest.raises(BrokenCheckpoint, match="leads out of its directory") as caught:
        DirectorySource(cached).read("out.json", limit=10)
    assert caught.value.code == "link-leaves-directory"


def test_a_single_file_of_the_cache_keeps_its_commit(cached: Path) -> None:
    source = DirectorySource(cached / "snapshots" / SHA / "model.safetensors")
    assert source.read_range("model.safetensors", 0, 7) == b"weights"
    assert source.read("config.json", limit=9) == b"{}"
    assert (source.origin.source, source.origin.commit) == ("file", SHA)


@pytest.mark.parametrize("ref", ["../../../../../etc", "main", "", "f" * 40])
def test_a_ref_of_the_cache_that_is_no_snapshot(cached: Path, ref: str) -> None:
    (cached / "refs" / "main").write_text(ref)
    with pytest.raises(NotFound, match="has no snapshot of main") as caught:
        DirectorySource(cached)
    assert caught.value.code == "revision-not-found"
