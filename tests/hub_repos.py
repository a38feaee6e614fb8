"""Files and repositories that a test's Hub serves, weights as large as wanted and never in memory."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sparse:
    """A file that begins with `head` and is zeros up to `size`; as large as wanted, and never in memory."""

    head: bytes
    size: int

    def __len__(self) -> int:
        return self.size

    def part(self, start: int, end: int) -> bytes:
        known = self.head[start:end]
        return known + bytes(end - start - len(known))


Content = bytes | Sparse


@dataclass(slots=True)
class Repo:
    """One repository: revision → commit → files, and who may read it."""

    repo_id: str
    commits: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, Content]] = field(default_factory=dict)
    gated: bool = False
    private: bool = False
    disabled: bool = False
    sharded_headers: bool = True


def part_of(content: Content, start: int, end: int) -> bytes:
    return content.part(start, end) if isinstance(content, Sparse) else content[start:end]


def digest_of(content: Content) -> dict[str, Any]:
    """What the Hub says a file must hash to; nothing of files too large to make one here."""
    if isinstance(content, bytes):
        return {"blobId": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()}
    if content.size > 10**7:
        return {}
    digest = hashlib.sha256(content.part(0, content.size)).hexdigest()
    return {"blobId": "0" * 40, "lfs": {"sha256": digest, "size": content.size, "pointerSize": 130}}


def header_of(content: Content) -> Any:
    length = int.from_bytes(part_of(content, 0, 8), "little")
    return json.loads(part_of(content, 8, 8 + length))


def safetensors_head(tensors: Mapping[str, tuple[str, tuple[int, ...], int]]) -> Sparse:
    """A safetensors file of tensors given as name → (dtype, shape, bytes): its header, and its weights as zeros."""
    header: dict[str, Any] = {}
    end = 0
    for name, (dtype, shape, num_bytes) in tensors.items():
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + num_bytes]}
        end += num_bytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return Sparse(len(text).to_bytes(8, "little") + text, 8 + len(text) + end)


def sharded(num_shards: int, *, shard_bytes: int = 5_000_000_000) -> dict[str, Content]:
    """The files of a model in so many shards, each of one large tensor and a small one."""
    weight_map: dict[str, str] = {}
    files: dict[str, Content] = {}
    for number in range(1, num_shards + 1):
        shard = f"model-{number:05d}-of-{num_shards:05d}.safetensors"
        names = {
            f"layers.{number}.weight": ("BF16", (shard_bytes // 2,), shard_bytes),
            f"layers.{number}.bias": ("F32", (4,), 16),
        }
        files[shard] = safetensors_head(names)
        weight_map |= dict.fromkeys(names, shard)
    index = {"metadata": {"total_size": num_shards * (shard_bytes + 16)}, "weight_map": weight_map}
    return {"config.json": b'{"model_type": "llama"}', "model.safetensors.index.json": json.dumps(index).encode(), **files}
