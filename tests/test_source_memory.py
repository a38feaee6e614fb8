"""Files that are values."""

import pytest

from hfmem.errors import BrokenCheckpoint, NotFound
from hfmem.sources.memory import MemorySource


def test_files_in_memory() -> None:
    source = MemorySource({"config.json": b"{}", "a/b": b"0123"})
    assert source.files() == {"config.json": 2, "a/b": 4}
    assert source.read("config.json", limit=2) == b"{}"
    assert source.read_range("a/b", 1, 2) == b"12"
    assert source.read_range("a/b", 3, 9) == b"3"
    assert source.origin.source == "memory"
    assert source.max_workers == 1
    assert source.sharded_headers("x") is None
    with pytest.raises(NotFound, match="memory has no file 'absent'"):
        source.read("absent", limit=1)
    with pytest.raises(BrokenCheckpoint, match="4 bytes, more than the 3"):
        source.read("a/b", limit=3)
