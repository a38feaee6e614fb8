"""
A shard index: which tensor lies in which file.

The map can have half a million entries; it is walked entry by entry, and of each name only a hash stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hfmem.checkpoint.json_text import clip, kind, parse_object
from hfmem.errors import ShardIndexError

MAX_INDEX_BYTES = 250 * 2**20
MAX_SHARDS = 10_000
SHARD_NAME = re.compile(r"[A-Za-z0-9._\-]+(?:/[A-Za-z0-9._\-]+)*\.(safetensors|bin)")
OPENING = re.compile(rb'"weight_map"\s*+:\s*+\{\s*+')
MAX_OPENINGS = 8  # places that look like the map's beginning and may be inside something else
STRING = rb'"((?:[^"\\\x00-\x1f]++|\\.)*+)"'
ENTRY = re.compile(STRING + rb"\s*+:\s*+" + STRING + rb"\s*+([,}])\s*+")
BYTE_ORDER_MARK = b"\xef\xbb\xbf"


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
        return size_in(self.metadata)


def size_in(metadata: object) -> int | None:
    """The `total_size` of an index's metadata, None where it is missing or no size a checkpoint could have."""
    size = metadata.get("total_size") if isinstance(metadata, Mapping) else None
    whole = int(size) if isinstance(size, float) and size.is_integer() else size
    return whole if isinstance(whole, int) and not isinstance(whole, bool) and 0 < whole < 2**63 else None


def parse_index(data: bytes, file: str) -> ShardIndex:
    """The index in `data`. Raises `ShardIndexError`: bad-index, duplicate-key, empty-index, unsafe-path, and bad JSON."""
    if data.startswith(BYTE_ORDER_MARK):
        raise ShardIndexError(f"{file} begins with a byte-order mark", code="bad-json", hint="save it as plain UTF-8")
    opening = find_map(data, file)
    if opening is None:
        raise malformed(parse_object(data, file, ShardIndexError, strict=False), file)
    shards: dict[str, int] = {}
    places, end = read_map(data, opening.end(), shards, file)
    rest = parse_object(data[: opening.start()] + b'"": null' + data[end:], file, ShardIndexError, strict=False)
    if "weight_map" in rest:
        raise ShardIndexError(f"{file} has the key 'weight_map' twice", code="duplicate-key")
    metadata = rest.get("metadata")
    if not isinstance(metadata, (dict, type(None))):
        raise ShardIndexError(f"{file}: metadata is a JSON {kind(metadata)}, not an object", code="bad-index")
    if not places:
        raise ShardIndexError(f"{file} names no tensors", code="empty-index")
    return ShardIndex(file=file, shards=tuple(shards), places=places, metadata=metadata or {})


def find_map(data: bytes, file: str) -> re.Match[bytes] | None:
    """The beginning of the outermost `weight_map`: closed right there, the file so far is an object that has it."""
    for opening in islice(OPENING.finditer(data), MAX_OPENINGS):
        try:
            so_far = parse_object(data[: opening.end()] + b"}}", file, ShardIndexError, strict=False)
        except ShardIndexError:
            continue
        if "weight_map" in so_far:
            return opening
    return None


def read_map(data: bytes, start: int, shards: dict[str, int], file: str) -> tuple[dict[int, int], int]:
    """Walk the entries from `start`; gives hash of name → shard number, and where the map ends."""
    places: dict[int, int] = {}
    numbers: dict[bytes, int] = {}
    position, closed = start, data[start : start + 1] == b"}"
    if closed:
        return places, start + 1
    while not closed:
        entry = ENTRY.match(data, position)
        if entry is None:
            raise ShardIndexError(f"{file}: weight_map is malformed at byte {position}", code="bad-index")
        name, shard, mark = entry.groups()
        key = hash(plain(name, file))
        if key in places:
            raise ShardIndexError(f"{file} names {clip(plain(name, file))} twice", code="duplicate-key")
        if shard not in numbers:
            numbers[shard] = shards.setdefault(checked(plain(shard, file), file), len(shards))
        places[key] = numbers[shard]
        position, closed = entry.end(), mark == b"}"
    return places, position


def plain(name: bytes, file: str) -> str:
    """A name as the JSON string means it."""
    if b"\\" in name:
        return str(next(iter(parse_object(b'{"' + name + b'": 0}', file, ShardIndexError, strict=False))))
    try:
        return name.decode()
    except UnicodeDecodeError as cause:
        raise ShardIndexError(f"{file} is not UTF-8: byte {name[cause.start]:#04x} in a name", code="not-utf8") from cause


def checked(shard: str, file: str) -> str:
    """A shard name that stays inside the checkpoint and is of the index's own format: an index of .bin files lists those."""
    ending = "bin" if ".bin." in file else "safetensors"
    name = SHARD_NAME.fullmatch(shard)
    if name is None or name[1] != ending or len(shard) > 255 or {".", ".."} & set(shard.split("/")):
        raise ShardIndexError(
            f"{file} names the file {clip(shard)}, which is no .{ending} file of this checkpoint",
            code="unsafe-path",
            hint=f"do not use this checkpoint: an index should name only .{ending} files beside it",
        )
    return shard


def malformed(content: Mapping[str, Any], file: str) -> ShardIndexError:
    if "weight_map" not in content:
        return ShardIndexError(f"{file} has no weight_map", code="empty-index")
    return ShardIndexError(f"{file}: weight_map is not an object of tensor and file names", code="bad-index")
