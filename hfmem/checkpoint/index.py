"""
A shard index: which tensor lies in which file.

The map can have half a million entries; it is walked entry by entry, and of each name only a hash stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hfmem.checkpoint.json_text import clip, parse_object
from hfmem.errors import ShardIndexError

MAX_INDEX_BYTES = 250 * 2**20
MAX_SHARDS = 10_000
SHARD_NAME = re.compile(r"[A-Za-z0-9._\-]+(?:/[A-Za-z0-9._\-]+)*\.(?:safetensors|bin)")
OPENING = re.compile(rb'"weight_map"\s*:\s*\{\s*')
STRING = rb'"((?:[^"\\\x00-\x1f]|\\.)*)"'
ENTRY = re.compile(STRING + rb"\s*:\s*" + STRING + rb"\s*([,}])\s*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardIndex:
    """The shards in the order they come, the metadata, and hash of tensor name → number of its shard."""

    file: str
    shards: tuple[str, ...]
    places: dict[int, int]
    metadata: Mapping[str, Any]

    @property
    def total_size(self) -> int | None:
        """`metadata.total_size` as a whole number of bytes, None where it is missing or no size."""
        size = self.metadata.get("total_size")
        whole = int(size) if isinstance(size, float) and size.is_integer() else size
        return whole if isinstance(whole, int) and not isinstance(whole, bool) and whole > 0 else None


def parse_index(data: bytes, file: str) -> ShardIndex:
    """The index in `data`. Raises `ShardIndexError`: bad-index, duplicate-key, empty-index, unsafe-path."""
    opening = OPENING.search(data)
    if opening is None:
        raise malformed(parse_object(data, file, ShardIndexError, strict=False), file)
    numbers: dict[bytes, int] = {}
    places, end = read_map(data, opening.end(), numbers, file)
    rest = parse_object(data[: opening.end()] + b"}" + data[end:], file, ShardIndexError, strict=False)
    if rest.get("weight_map") != {} or not isinstance(rest.get("metadata", {}), (dict, type(None))):
        raise malformed(rest, file)
    if not places:
        raise ShardIndexError(f"{file} names no tensors", code="empty-index")
    shards = tuple(checked(name.decode(errors="replace"), file) for name in numbers)
    return ShardIndex(file=file, shards=shards, places=places, metadata=rest.get("metadata") or {})


def read_map(data: bytes, start: int, numbers: dict[bytes, int], file: str) -> tuple[dict[int, int], int]:
    """Walk the entries from `start`; gives hash of name → shard number, and where the map ends."""
    places: dict[int, int] = {}
    position, closed = start, data[start : start + 1] == b"}"
    if closed:
        return places, start + 1
    while not closed:
        entry = ENTRY.match(data, position)
        if entry is None:
            raise ShardIndexError(f"{file}: weight_map is malformed at byte {position}", code="bad-index")
        name, shard, mark = entry.groups()
        key = hash(plain(name))
        if key in places:
            raise ShardIndexError(f"{file} names {clip(plain(name))} twice", code="duplicate-key")
        places[key] = numbers.setdefault(shard, len(numbers))
        position, closed = entry.end(), mark == b"}"
    return places, position


def plain(name: bytes) -> str:
    """A name as the JSON string means it."""
    if b"\\" not in name:
        return name.decode(errors="replace")
    return str(next(iter(parse_object(b'{"' + name + b'": 0}', "the index", ShardIndexError, strict=False))))


def checked(shard: str, file: str) -> str:
    """A shard name that stays inside the checkpoint."""
    parts = shard.split("/")
    if not SHARD_NAME.fullmatch(shard) or len(shard) > 255 or any(part in ("", ".", "..") for part in parts):
        raise ShardIndexError(
            f"{file} names the file {clip(shard)}, which is no file of this checkpoint",
            code="unsafe-path",
            hint="do not use this checkpoint: an index should name only .safetensors files beside it",
        )
    return shard


def malformed(content: Mapping[str, Any], file: str) -> ShardIndexError:
    if "weight_map" not in content:
        return ShardIndexError(f"{file} has no weight_map", code="empty-index")
    return ShardIndexError(f"{file}: weight_map or metadata is no object", code="bad-index")
