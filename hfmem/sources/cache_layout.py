"""
The Hub's cache as it lies on disk, read without the library that writes it.

    <cache>/models--org--name/refs/main                   the text of a commit
    <cache>/models--org--name/snapshots/<commit>/<file>   a link to ../../blobs/<etag>, or the file itself
    <cache>/models--org--name/blobs/<etag>                a file, or a link into <cache>/blobs
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from hfmem.errors import HfmemError
from hfmem.sources.regular_file import opened

COMMIT = re.compile(r"[0-9a-f]{40}")
DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")  # git's name of a blob, or its sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The files of one commit in the cache."""

    path: Path
    commit: str

    @property
    def blobs(self) -> tuple[Path, ...]:
        """Where the files' links may lead: the repo's own store, and the one shared by the whole cache."""
        repo = self.path.parent.parent
        return tuple(Path(os.path.realpath(store)) for store in (repo / "blobs", repo.parent / "blobs"))


def repo_directory(cache: Path, repo_id: str) -> Path:
    """Where the cache keeps a model repository."""
    return cache / ("models--" + repo_id.replace("/", "--"))


def is_repo_directory(path: Path) -> bool:
    """Whether the path is a model repository of a cache."""
    return path.name.startswith("models--") and (path / "snapshots").is_dir()


def snapshot_around(path: Path) -> Snapshot | None:
    """The snapshot that a path is or lies in."""
    for place in (path, *path.parents):
        repo = place.parent.parent
        if place.parent.name == "snapshots" and repo.name.startswith("models--") and COMMIT.fullmatch(place.name):
            return Snapshot(path=place, commit=place.name)
    return None


def snapshot_of(repo: Path, commit: str) -> Snapshot | None:
    """The snapshot of a commit, when the cache has it."""
    path = repo / "snapshots" / commit
    return Snapshot(path=path, commit=commit) if path.is_dir() else None


def commit_of(repo: Path, revision: str) -> str | None:
    """The commit that a branch or tag was when the cache last saw it; None for a ref that holds no commit."""
    try:
        with opened(repo / "refs" / revision) as file:
            text = file.read(64).decode("ascii", errors="replace").strip()
    except (HfmemError, OSError):
        return None
    return text if COMMIT.fullmatch(text) else None
