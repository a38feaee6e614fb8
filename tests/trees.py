"""Checkpoints written out in a test: safetensors files from names and shapes, indexes from maps, and a source that counts."""

import json
import math
import struct
from collections.abc import Mapping
from typing import Any

from hfmem.checkpoint.tensors import DTYPE_BITS
from hfmem.sources.base import Origin
from hfmem.sources.memory import MemorySource

INDEX = "model.safetensors.index.json"
Tensors = Mapping[str, tuple[str, list[int]]]


def as_json(value: Any) -> bytes:
    """JSON text, unless it is text already."""
    return value if isinstance(value, bytes) else json.dumps(value).encode()


def num_bytes(dtype: str, shape: list[int]) -> int:
    return math.prod(shape) * DTYPE_BITS[dtype] // 8


def safetensors(tensors: Tensors) -> bytes:
    """A whole file, its data zeros: `safetensors({"w": ("F32", [2])})`."""
    header: dict[str, Any] = {}
    end = 0
    for name, (dtype, shape) in tensors.items():
        start, end = end, end + num_bytes(dtype, shape)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


def index(weight_map: Mapping[str, str], **metadata: Any) -> bytes:
    return as_json({"metadata": metadata, "weight_map": weight_map})


class Watched:
    """Files in memory that remember which of them were read, and how."""

    max_workers = 1

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self.origin = Origin(reference="watched", source="memory")
        self.asked: list[str] = []
        self._inner = MemorySource(files)

    def files(self) -> Mapping[str, int | None]:
        return self._inner.files()

    def read(self, name: str, *, limit: int) -> bytes:
        self.asked.append(name)
        return self._inner.read(name, limit=limit)

    def read_range(self, name: str, start: int, length: int) -> bytes:
        self.asked.append(name)
        return self._inner.read_range(name, start, length)

    def sharded_headers(self, index: str) -> bytes | None:
        return None
