"""Where bytes come from: the Hub, a directory or file, the Hub library's cache, memory."""

from __future__ import annotations

from hfmem.sources.base import Origin, Source
from hfmem.sources.directory import DirectorySource
from hfmem.sources.reference import LocalPath, parse_reference

__all__ = ["Origin", "Source", "open_source"]


def open_source(text: str, *, revision: str | None = None, token: str | None = None, cache_dir: str | None = None) -> Source:
    """The source a reference names; the Hub's client is imported only when it is not a path."""
    reference = parse_reference(text, revision=revision)
    if isinstance(reference, LocalPath):
        return DirectorySource(reference.path)
    from hfmem.sources.hub import HubSource

    return HubSource.open(reference, token=token, cache_dir=cache_dir)
