"""GGUF files written out in a test: metadata, tensors by type and dimensions, and data that weighs nothing."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hub_repos import Sparse

from hfmem.checkpoint.gguf_types import TYPES, stored_bytes

NUMBERS = {name: number for number, kind in TYPES.items() for name in [kind.name]}
U8, I8, U16, I16, U32, I32, F32, BOOL, STRING, ARRAY, U64, I64, F64 = range(13)
CODES = {U8: "B", I8: "b", U16: "H", I16: "h", U32: "I", I32: "i", F32: "f", BOOL: "B", U64: "Q", I64: "q", F64: "d"}
# A tensor: its type, by name or number, and its dimensions as GGUF writes them, fastest first.
Tensors = Mapping[str, tuple[str | int, Sequence[int]]]


@dataclass(frozen=True)
class As:
    """A value of a type that is not the usual one, or an array of one: `As(ARRAY, [1], U16)`."""

    kind: int
    value: Any
    inner: int = U32


@dataclass(frozen=True)
class Writer:
    """How numbers and lengths are written."""

    version: int = 3
    order: str = "<"

    def number(self, kind: int, value: float) -> bytes:
        return struct.pack(self.order + CODES[kind], value)

    def length(self, value: int) -> bytes:
        return self.number(U32 if self.version == 1 else U64, value)

    def string(self, text: str | bytes) -> bytes:
        data = text.encode() if isinstance(text, str) else text
        return self.length(len(data)) + data

    def payload(self, kind: int, value: Any, inner: int) -> bytes:
        if kind == STRING:
            return self.string(value)
        if kind != ARRAY:
            return self.number(kind, value)
        if inner == ARRAY:
            return self.number(U32, ARRAY) + self.length(len(value)) + b"".join(self.payload(ARRAY, v, U32) for v in value)
        return self.number(U32, inner) + self.length(len(value)) + b"".join(self.payload(inner, v, U32) for v in value)

    def value(self, value: Any) -> bytes:
        found = value if isinstance(value, As) else usual(value)
        return self.number(U32, found.kind) + self.payload(found.kind, found.value, found.inner)

    def tensor(self, name: str | bytes, kind: int, dims: Sequence[int], offset: int) -> bytes:
        sizes = b"".join(map(self.length, dims))
        return self.string(name) + self.number(U32, len(dims)) + sizes + self.number(U32, kind) + self.number(U64, offset)


def usual(value: Any) -> As:
    if isinstance(value, (list, tuple)):
        return As(ARRAY, value, usual(value[0]).kind if value else U32)
    kinds = {bool: BOOL, int: U32, float: F32, str: STRING, bytes: STRING}
    return As(kinds[type(value)], value)


def align(position: int, alignment: int = 32) -> int:
    return -(-position // alignment) * alignment


def header(metadata: Mapping[str, Any], tensors: Tensors, *, version: int = 3, order: str = "<", alignment: int = 32) -> Sparse:
    """A whole file, its data zeros that are not in memory."""
    writer = Writer(version, order)
    head = b"GGUF" + writer.number(U32, version) + writer.length(len(tensors)) + writer.length(len(metadata))
    head += b"".join(writer.string(key) + writer.value(value) for key, value in metadata.items())
    end = 0
    for name, (kind, dims) in tensors.items():
        number = kind if isinstance(kind, int) else NUMBERS[kind]
        head += writer.tensor(name, number, dims, end)
        end = align(end + stored_bytes(TYPES[number], dims, name), alignment)
    return Sparse(head, align(len(head), alignment) + end if tensors else len(head))


def gguf(metadata: Mapping[str, Any], tensors: Tensors, **ways: Any) -> bytes:
    """The same as bytes, for small tensors."""
    found = header(metadata, tensors, **ways)
    return found.part(0, found.size)


def split(metadata: Mapping[str, Any], shards: Sequence[Tensors], stem: str = "m") -> dict[str, bytes]:
    """A set of shards as gguf-split writes it: only the first has the model's metadata."""
    total = sum(len(tensors) for tensors in shards)
    files = {}
    for number, tensors in enumerate(shards):
        own = {"split.no": As(U16, number), "split.count": As(U16, len(shards)), "split.tensors.count": As(I32, total)}
        name = f"{stem}-{number + 1:05d}-of-{len(shards):05d}.gguf"
        files[name] = gguf({**(metadata if number == 0 else {}), **own}, tensors)
    return files
