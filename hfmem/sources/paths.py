"""Names of files inside a source: what may be asked for, and what is asked for when a source is one file."""

from __future__ import annotations

import re

from hfmem.errors import BrokenCheckpoint
from hfmem.sources.wording import quoted

MAX_NAME_LENGTH = 1024

# Percent-encoded dots and slashes are refused because a server or proxy may decode them into a way out.
_FORBIDDEN = re.compile(r"[\\?#:\x00-\x1f\x7f-\x9f]|%(?:2e|2f|5c)", re.IGNORECASE)
_WEIGHTS_FILE = re.compile(r".*(?:\.safetensors|\.gguf|\.safetensors\.index[^/]*\.json)", re.DOTALL)


def is_safe_name(name: str) -> bool:
    """Whether the name is relative, `/`-separated and cannot leave its tree."""
    if not name or len(name) > MAX_NAME_LENGTH or _FORBIDDEN.search(name) or not name.isprintable():
        return False
    return all(segment not in ("", ".", "..") for segment in name.split("/"))


def safe_name(name: str) -> str:
    """The name itself, which is refused unless it stays inside its tree."""
    if not is_safe_name(name):
        raise BrokenCheckpoint(f"the file name {quoted(name)} does not stay inside the checkpoint", code="unsafe-path")
    return name


def is_weights_file(name: str) -> bool:
    """Whether the name is of a file that can be a checkpoint by itself: safetensors, GGUF or a shard index."""
    return _WEIGHTS_FILE.fullmatch(name) is not None


def is_index(name: str) -> bool:
    """Whether the name is of a shard index, which speaks for the files beside it."""
    return name.endswith(".json")
