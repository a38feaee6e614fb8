"""Names of files inside a source: what may be asked for, and what is asked for when a source is one file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hfmem.errors import BrokenCheckpoint
from hfmem.sources.wording import quoted

MAX_NAME_LENGTH = 1024

# A single weights file is shown alone, but what describes it may be read from beside it.
READ_WITH_A_FILE = ("config.json",)

# Percent-encoded dots and slashes are refused because a server or proxy may decode them into a way out.
_FORBIDDEN = re.compile(r"[\\?#:\x00-\x1f\x7f-\x9f]|%(?:2e|2f|5c)", re.IGNORECASE)
_GGUF_SHARD = re.compile(r"(?P<stem>.+)-\d{5}-of-(?P<count>\d{5})\.gguf", re.DOTALL)
_WEIGHTS_FILE = re.compile(r".*(?:\.safetensors|\.gguf|\.safetensors\.index[^/]*\.json)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooted:
    """A part of a tree: what is before its names, what can be read of it, and what it shows."""

    prefix: str
    readable: Mapping[str, int | None]
    shown: Mapping[str, int | None]


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


def with_its_shards(name: str, names: Iterable[str]) -> list[str]:
    """The file, and the others of its set where it is one shard of a GGUF model, which is split without an index."""
    shard = _GGUF_SHARD.fullmatch(name)
    if shard is None:
        return [name]
    parts = ((other, _GGUF_SHARD.fullmatch(other)) for other in names)
    found = (other for other, part in parts if part and part.group("stem", "count") == shard.group("stem", "count"))
    return sorted({name, *found})


def rooted(files: Mapping[str, int | None], subfolder: str | None) -> Rooted | None:
    """The part of a tree under a folder, or the part that one file of it stands for; None where there is neither."""
    if subfolder is None:
        return Rooted(prefix="", readable=files, shown=files)
    if subfolder not in files:
        prefix = f"{subfolder}/"
        under = _under(files, prefix)
        return Rooted(prefix=prefix, readable=under, shown=under) if under else None
    folder, slash, name = subfolder.rpartition("/")
    beside = _under(files, folder + slash)
    if is_index(name):
        return Rooted(prefix=folder + slash, readable=beside, shown=beside)
    shown = {part: beside[part] for part in with_its_shards(name, beside)}
    readable = {known: beside[known] for known in READ_WITH_A_FILE if known in beside} | shown
    return Rooted(prefix=folder + slash, readable=readable, shown=shown)


def _under(files: Mapping[str, int | None], prefix: str) -> Mapping[str, int | None]:
    return {name.removeprefix(prefix): size for name, size in files.items() if name.startswith(prefix)}
