"""
Strict reading of a safetensors header: the verdicts of the reference implementation, and one stricter (duplicate keys).

The format: 8 bytes little-endian length n, n bytes of JSON, then the tensors without hole or overlap
(https://huggingface.co/docs/safetensors/index#format).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hfmem.checkpoint.json_text import clip, parse_object
from hfmem.checkpoint.tensors import DTYPE_BITS, Tensor
from hfmem.errors import HeaderError

PREFIX_BYTES = 8
MAX_HEADER_BYTES = 100_000_000
LARGEST = 2**63
MINUS_ZERO = re.compile(rb'"(?:shape|data_offsets)"\s*:\s*\[[^\]]*-0\s*[,\]]')
MAGIC: dict[bytes, tuple[str, str]] = {
    b"version ": ("lfs-pointer", "a Git LFS pointer; run `git lfs pull` or download the file again"),
    b"PK\x03\x04": ("not-safetensors", "a zip archive, probably a PyTorch .bin"),
    b"\x80\x02": ("not-safetensors", "a Python pickle"),
    b"\x80\x04": ("not-safetensors", "a Python pickle"),
    b"<!DOCTYP": ("not-safetensors", "a web page; the download went wrong"),
    b"<html": ("not-safetensors", "a web page; the download went wrong"),
    b"GGUF": ("not-safetensors", "a GGUF file"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What one file says of itself."""

    tensors: tuple[Tensor, ...]
    data_bytes: int
    has_unknown_dtypes: bool = False


def fits(length: int, file_bytes: int | None) -> bool:
    """Whether a header may be that long."""
    return length <= MAX_HEADER_BYTES and (file_bytes is None or PREFIX_BYTES + length <= file_bytes)


def header_length(prefix: bytes, file: str, file_bytes: int | None) -> int:
    """The length the first eight bytes declare. Raises `HeaderError` before anything of that length is read."""
    if len(prefix) < PREFIX_BYTES:
        raise HeaderError(f"{file} has {len(prefix)} bytes; a safetensors file has at least 10", code="too-short")
    length = int.from_bytes(prefix, "little")
    recognised = next((found for magic, found in MAGIC.items() if prefix.startswith(magic)), None)
    if recognised and not fits(length, file_bytes):  # a length of 640 begins as a pickle does
        raise HeaderError(f"{file} is not a safetensors file but {recognised[1]}", code=recognised[0])
    if length > MAX_HEADER_BYTES:
        raise HeaderError(
            f"{file} declares a header of {length:,} bytes; {MAX_HEADER_BYTES:,} is the most", code="header-too-large"
        )
    if length < 2:
        raise HeaderError(f"{file} declares a header of {length} bytes", code="empty-header")
    if file_bytes is not None and PREFIX_BYTES + length > file_bytes:
        raise HeaderError(
            f"{file} declares a header of {length:,} bytes but has {file_bytes:,} in all",
            code="truncated-header",
            hint="the download is incomplete: download the file again",
        )
    return length


def parse_header(text: bytes, file: str, file_bytes: int | None = None) -> Header:
    """
    The tensors a header names, checked against each other and, where its size is known, against the file.

    Raises `HeaderError`; a dtype the format does not know is kept by its bytes.
    """
    if MINUS_ZERO.search(text):
        raise HeaderError(f"{file} has a dimension or offset of -0", code="bad-dim")
    content = parse_object(text, f"the header of {file}", HeaderError, strict=True)
    data_bytes = None if file_bytes is None else file_bytes - PREFIX_BYTES - len(text)
    return read_entries(content, file, data_bytes)


def read_entries(content: Mapping[str, Any], file: str, data_bytes: int | None) -> Header:
    """The tensors of a parsed header; `data_bytes` is what follows the header in the file, None where unknown."""
    check_metadata(content.get("__metadata__"), file)
    spans: list[tuple[int, int]] = []
    tensors = []
    for name, entry in content.items():
        if name != "__metadata__":
            tensors.append(read_tensor(name, entry, file, spans))
    end = check_spans(spans, file)
    if data_bytes is not None:
        check_size(end, data_bytes, file)
    unknown = any(tensor.dtype not in DTYPE_BITS for tensor in tensors)
    return Header(tensors=tuple(tensors), data_bytes=end, has_unknown_dtypes=unknown)


def read_tensor(name: str, entry: Any, file: str, spans: list[tuple[int, int]]) -> Tensor:
    """One entry, checked; plain tests of types, for there can be half a million."""
    if type(entry) is not dict:
        raise HeaderError(f"{file}: tensor {clip(name)} is no JSON object", code="bad-tensor")
    dtype, shape, offsets = entry.get("dtype"), entry.get("shape"), entry.get("data_offsets")
    if dtype is None or shape is None or offsets is None:
        missing = next(key for key in ("dtype", "shape", "data_offsets") if entry.get(key) is None)
        raise HeaderError(f"{file}: tensor {clip(name)} has no {missing}", code="missing-field")
    if type(dtype) is not str or not dtype:
        raise HeaderError(f"{file}: tensor {clip(name)} has the dtype {clip(str(dtype))}", code="unknown-dtype")
    start, end = read_offsets(name, offsets, file)
    spans.append((start, end))
    check_shape(name, dtype, shape, end - start, file)
    return Tensor(name=name, dtype=dtype, shape=tuple(shape), stored_bytes=end - start, file=file)


def read_offsets(name: str, offsets: Any, file: str) -> tuple[int, int]:
    valid = type(offsets) is list and len(offsets) == 2 and type(offsets[0]) is int and type(offsets[1]) is int
    if not valid or not 0 <= offsets[0] <= offsets[1] < LARGEST:
        raise HeaderError(f"{file}: tensor {clip(name)} has the offsets {clip(str(offsets))}", code="bad-offset")
    return offsets[0], offsets[1]


def check_shape(name: str, dtype: str, shape: Any, num_bytes: int, file: str) -> None:
    """Elements × bits must be the bytes between the offsets; multiplying stops where no file could follow."""
    count = 0 if type(shape) is list and 0 in shape else 1
    for dim in shape if type(shape) is list else (None,):
        if type(dim) is not int or dim < 0:
            raise HeaderError(f"{file}: tensor {clip(name)} has the shape {clip(str(shape))}", code="bad-dim")
        count *= dim
        if count >= LARGEST:
            raise HeaderError(f"{file}: tensor {clip(name)} has more than 2^63 elements", code="overflow")
    bits = count * DTYPE_BITS.get(dtype, 0)
    if bits % 8:
        raise HeaderError(f"{file}: tensor {clip(name)} does not end on a whole byte: {bits} bits", code="misaligned")
    if dtype in DTYPE_BITS and bits // 8 != num_bytes:
        raise HeaderError(
            f"{file}: tensor {clip(name)} of {count:,} {dtype} needs {bits // 8:,} bytes, its offsets span {num_bytes:,}",
            code="size-mismatch",
        )


def check_spans(spans: list[tuple[int, int]], file: str) -> int:
    """Tensors must follow each other from byte 0 without hole or overlap; gives the end of the last."""
    spans.sort()
    end = 0
    for start, stop in spans:
        if start != end:
            found = "overlaps the one before" if start < end else f"leaves a hole of {start - end:,} bytes"
            raise HeaderError(f"{file}: the tensor at byte {start:,} {found}", code="hole-or-overlap")
        end = stop
    return end


def check_size(end: int, data_bytes: int, file: str) -> None:
    if end > data_bytes:
        raise HeaderError(
            f"{file} is {end - data_bytes:,} bytes short: its tensors need {end:,} bytes, {data_bytes:,} are there",
            code="truncated",
            hint="the download is incomplete: download the file again",
        )
    if end < data_bytes:
        raise HeaderError(f"{file} has {data_bytes - end:,} bytes behind its last tensor", code="trailing-bytes")


def check_metadata(metadata: Any, file: str) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, Mapping) or not all(isinstance(value, str) for value in metadata.values()):
        raise HeaderError(f"{file}: __metadata__ is not an object of strings", code="bad-metadata")
