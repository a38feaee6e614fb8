"""What files of a directory must hash to, as the Hub library wrote it down when it downloaded them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from hfmem.errors import HfmemError
from hfmem.sources.cache_layout import DIGEST
from hfmem.sources.regular_file import opened

METADATA = Path(".cache", "huggingface", "download")  # beside files that were fetched with --local-dir
MAX_METADATA_BYTES = 4096


def known_digests(root: Path, names: Iterable[str]) -> dict[str, str]:
    """File → sha256, or git's own name of a small file; without those of which nothing is known."""
    return dict(digests(root, names))


def digests(root: Path, names: Iterable[str]) -> Iterator[tuple[str, str]]:
    for name in names:
        found = of_link(root / name) or of_metadata(root, name)
        if found is not None:
            yield name, found


def unfinished(root: Path) -> Iterator[tuple[str, int]]:
    """Downloads that were not ended, where the Hub library keeps them: beside a directory's files, or among a cache's blobs."""
    is_snapshot = root.parent.name == "snapshots"
    for place in (root.parent.parent / "blobs",) if is_snapshot else (root / METADATA,):
        for path in sorted(place.glob("**/*.incomplete")):
            yield str(path.relative_to(root.parent.parent if is_snapshot else root)), path.stat().st_size


def of_link(path: Path) -> str | None:
    """The blob a snapshot's link leads to is called by its digest."""
    try:
        target = os.readlink(path)
    except OSError:
        return None
    name = os.path.basename(target)
    return name if os.path.basename(os.path.dirname(target)) == "blobs" and DIGEST.fullmatch(name) else None


def of_metadata(root: Path, name: str) -> str | None:
    """The second line of what was noted for a file: its digest."""
    try:
        with opened(root / METADATA / f"{name}.metadata") as file:
            lines = file.read(MAX_METADATA_BYTES).decode("ascii", errors="replace").splitlines()
    except (HfmemError, OSError):
        return None
    digest = lines[1].strip() if len(lines) > 1 else ""
    return digest if DIGEST.fullmatch(digest) else None
