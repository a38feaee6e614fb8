"""Where bytes come from: the Hub, a directory or file, the Hub library's cache, memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hfmem.sources.base import Origin, Source
from hfmem.sources.directory import DirectorySource
from hfmem.sources.reference import LocalPath, parse_reference

if TYPE_CHECKING:
    from hfmem.sources.patience import Patience

__all__ = ["Access", "Origin", "Source", "open_source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """
    How the Hub is asked. Left out, `token` is the stored one and `cache_dir` is HF_HUB_CACHE.

    A branch or tag that was asked for less than `max_age` seconds ago is not asked for again.
    """

    token: str | None = field(default=None, repr=False)
    cache_dir: str | None = None
    patience: Patience | None = None
    max_age: float = 0.0


def open_source(text: str, *, revision: str | None = None, access: Access = Access()) -> Source:
    """The source a reference names; the Hub's client is imported only when it is not a path."""
    reference = parse_reference(text, revision=revision)
    if isinstance(reference, LocalPath):
        return DirectorySource(reference.path)
    from hfmem.sources.hub import HubSource

    return HubSource.open(
        reference, token=access.token, cache_dir=access.cache_dir, patience=access.patience, max_age=access.max_age
    )
