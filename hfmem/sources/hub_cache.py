"""What has been read of a commit is kept: a commit never changes, so it need not be asked for twice."""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from huggingface_hub import cached_assets_path, constants

from hfmem.errors import HfmemError
from hfmem.sources.cache_layout import COMMIT
from hfmem.sources.regular_file import opened

MAX_ENTRY_BYTES = 64 * 1024 * 1024  # larger than any index and any set of headers seen so far

_FORMAT = b"hfmem cache 1\n"
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitCache:
    """
    The entries of one repository of one endpoint.

    Each is a file of its own that begins with the checksum of its key and content, so a torn, corrupted or
    misplaced one is a miss. A cache that cannot be written, or has no directory at all, keeps nothing.
    """

    endpoint: str
    repo_id: str

    def find(self, commit: str, key: str) -> bytes | None:
        """What was kept for a commit under a key."""
        path = self._path(commit, key)
        if path is None:
            return None
        try:
            with opened(path) as file:
                entry = file.read(MAX_ENTRY_BYTES + _DIGEST_BYTES)
        except (HfmemError, OSError):
            return None
        digest, content = entry[:_DIGEST_BYTES], entry[_DIGEST_BYTES:]
        return content if digest == self._digest(commit, key, content) else None

    def keep(self, commit: str, key: str, content: bytes) -> None:
        """Keep content for a commit, where that is possible."""
        path = self._path(commit, key)
        if path is not None and len(content) <= MAX_ENTRY_BYTES:
            with suppress(OSError):
                _replace(path, self._digest(commit, key, content) + content)

    def commit_of(self, revision: str, max_age: float = math.inf) -> str | None:
        """The commit a revision was when it was last asked for, where that is not longer than `max_age` seconds ago."""
        if not self._is_recent("refs", revision, max_age):
            return None
        text = (self.find("refs", revision) or b"").decode("ascii", errors="replace")
        return text if COMMIT.fullmatch(text) else None

    def keep_commit(self, revision: str, commit: str) -> None:
        """Remember the commit of a revision."""
        self.keep("refs", revision, commit.encode())

    def _is_recent(self, commit: str, key: str, max_age: float) -> bool:
        path = self._path(commit, key) if max_age > 0 else None
        try:
            return path is not None and time.time() - path.stat().st_mtime < max_age
        except OSError:
            return False

    def _path(self, commit: str, key: str) -> Path | None:
        namespace = f"{urlsplit(self.endpoint).netloc.rpartition('@')[2].replace(':', '_')}--{self.repo_id}"
        directory = _directory(namespace, commit, constants.HF_ASSETS_CACHE)
        return directory / hashlib.sha256(key.encode()).hexdigest()[:40] if directory else None

    def _digest(self, commit: str, key: str, content: bytes) -> bytes:
        place = "\n".join((self.endpoint, self.repo_id, commit, key)).encode()
        return hashlib.sha256(_FORMAT + hashlib.sha256(place).digest() + content).digest()


@lru_cache(maxsize=256)  # a model is asked for some entries, one after the other
def _directory(namespace: str, commit: str, assets_dir: str) -> Path | None:
    """Where a commit's entries are, made now; None where there can be no such place."""
    try:
        return cached_assets_path("hfmem", namespace, commit, assets_dir=assets_dir)
    except (OSError, ValueError, RuntimeError):
        return None


def _replace(path: Path, content: bytes) -> None:
    """Written beside its place and moved there, so that no reader ever sees half of it."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".writing-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.replace(name, path)
    except BaseException:  # an interrupt must not leave the half-written file either
        with suppress(OSError):
            os.unlink(name)
        raise
