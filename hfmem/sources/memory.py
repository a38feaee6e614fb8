"""Files that are values: the source for tests and for checkpoints that exist nowhere else."""

from __future__ import annotations

from collections.abc import Mapping

from hfmem.sources.base import Origin, no_such_file, too_big
from hfmem.sources.paths import safe_name


class MemorySource:
    """A tree of files given as bytes: `MemorySource({"config.json": b"{}"})`."""

    max_workers = 1

    def __init__(self, files: Mapping[str, bytes], *, reference: str = "memory") -> None:
        self.origin = Origin(reference=reference, source="memory")
        self._files = {safe_name(name): content for name, content in files.items()}

    def files(self) -> Mapping[str, int | None]:
        """Name → bytes of every file."""
        return {name: len(content) for name, content in self._files.items()}

    def read(self, name: str, *, limit: int) -> bytes:
        """The whole of a small file."""
        content = self._content(name)
        if len(content) > limit:
            raise too_big(name, len(content), limit)
        return content

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer only where the file ends."""
        return self._content(name)[start : start + length]

    def sharded_headers(self, index: str) -> bytes | None:
        """None: the files themselves are at hand."""
        return None

    def _content(self, name: str) -> bytes:
        if safe_name(name) not in self._files:
            raise no_such_file(name, self.origin.reference)
        return self._files[name]
