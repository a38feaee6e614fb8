"""
Strict reading of a GGUF header: what llama.cpp accepts, and what it cannot load is an error that says why.

The format: magic, version, counts, key-value pairs, tensor infos, padding, then the tensors, each at a multiple of the
alignment (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md). Checks are those of llama.cpp's gguf.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import zip_longest

from hfmem.checkpoint.gguf_stream import FIRST_BYTES, INCOMPLETE, LENGTH_CODES, Stream
from hfmem.checkpoint.gguf_types import LARGEST, MAIN_TYPES, TYPES, count_elements, stored_bytes
from hfmem.checkpoint.gguf_values import Metadata, Value, read_pairs
from hfmem.checkpoint.header import MAGIC
from hfmem.checkpoint.json_text import clip
from hfmem.checkpoint.tensors import Tensor
from hfmem.errors import CannotTell, HeaderError
from hfmem.sources.base import Source

GGUF = b"GGUF"
OLD_FORMATS = (b"lmgg", b"tjgg", b"fmgg", b"algg")
NEWEST_VERSION = 3
DEFAULT_ALIGNMENT = 32
MAX_TENSORS = 1_000_000
MAX_DIMS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufFile:
    """What one file says of itself; the tensors lie from `data_offset` on."""

    file: str
    version: int
    metadata: Metadata
    tensors: tuple[Tensor, ...]
    data_offset: int
    data_bytes: int = 0  # to the end of the last tensor
    trailing_bytes: int = 0  # behind the last tensor and its padding
    unknown_types: tuple[str, ...] = ()  # sized by the distance to the next tensor
    is_big_endian: bool = False


@dataclass(slots=True)
class Entry:
    """A tensor info before the offsets of all are known."""

    name: str
    dims: tuple[int, ...]
    kind: int
    offset: int
    num_bytes: int | None = field(default=None)  # None: the type is unknown

    @property
    def dtype(self) -> str:
        return TYPES[self.kind].name if self.kind in TYPES else f"type {self.kind}"


def read_gguf(source: Source, file: str, *, first_bytes: int = FIRST_BYTES) -> GgufFile:
    """The header of one file, read by ranges that grow. Raises `HeaderError`, and `CannotTell` for a newer version."""
    stream = Stream(source=source, file=file, file_bytes=source.files().get(file), next_bytes=first_bytes)
    version = read_version(stream)
    num_tensors, num_pairs = stream.length("the number of tensors"), stream.length("the number of keys")
    if num_tensors > MAX_TENSORS:
        raise HeaderError(f"{file} declares {num_tensors:,} tensors; {MAX_TENSORS:,} is the most", code="too-many-tensors")
    stream.check_count(num_tensors, 1 + 4 + 4 + 4 + 8, "tensors")
    metadata = read_pairs(stream, num_pairs)
    alignment = read_alignment(metadata, file)
    entries = read_entries(stream, num_tensors, alignment)
    data_offset = aligned(stream.position, alignment)
    unknown = place(entries, alignment, data_offset, stream)
    end = max((entry.offset + (entry.num_bytes or 0) for entry in entries), default=0)
    return GgufFile(
        file=file,
        version=version,
        metadata=metadata,
        tensors=tuple(made(entry, file) for entry in entries),
        data_offset=data_offset if entries else stream.position,
        data_bytes=end,
        trailing_bytes=max(0, (stream.file_bytes or 0) - data_offset - aligned(end, alignment)) if entries else 0,
        unknown_types=unknown,
        is_big_endian=stream.order == ">",
    )


def read_version(stream: Stream) -> int:
    """The version, which also says how wide lengths are and in which order bytes come."""
    refuse_others(stream)
    stream.take(len(GGUF), "the magic")
    version = int(stream.number("I", "the version"))
    if version and not version & 0xFFFF:  # written the other way round
        stream.order = ">"
        version = int.from_bytes(version.to_bytes(4, "little"), "big")
    if version == 0:
        raise HeaderError(f"{stream.file} is a GGUF file of version 0", code="bad-version")
    if version > NEWEST_VERSION:
        raise CannotTell(
            f"{stream.file} is a GGUF file of version {version:,}; {NEWEST_VERSION} is the newest known",
            code="unsupported-version",
            hint="the file may be newer than this version of hfmem, or damaged",
        )
    stream.length_code = LENGTH_CODES.get(version, "Q")
    return version


def refuse_others(stream: Stream) -> None:
    """Recognise what else may lie under the name of a GGUF file."""
    if stream.file_bytes is not None and stream.file_bytes < len(GGUF) + 4:
        message = f"{stream.file} has {stream.file_bytes} bytes; a GGUF file has at least 16"
        raise HeaderError(message, code="too-short", hint=INCOMPLETE)
    stream.reach(len(GGUF) + 4, "the version")
    start = bytes(stream.data[:9])
    if start.startswith(GGUF):
        return
    code, known = next((found for magic, found in MAGIC.items() if start.startswith(magic)), ("bad-magic", ""))
    if start.startswith(OLD_FORMATS):
        known = "of a format older than GGUF, which no current llama.cpp reads"
    elif start[8:9] == b"{":
        known = "a safetensors file"
    raise HeaderError(
        f"{stream.file} is not a GGUF file but {known}" if known else f"{stream.file} begins with {start[:4]!r}, not with GGUF",
        code={"not-safetensors": "not-gguf"}.get(code, "not-gguf" if known and code == "bad-magic" else code),
        hint="name the file as what it is, or download it again",
    )


def read_alignment(metadata: Metadata, file: str) -> int:
    found: Value = metadata.get("general.alignment", DEFAULT_ALIGNMENT)
    if type(found) is not int or found <= 0 or found & (found - 1) or found >= 2**32:
        raise HeaderError(f"{file}: general.alignment is {clip(str(found))}, not a power of two", code="bad-alignment")
    return found


def aligned(position: int, alignment: int) -> int:
    return -(-position // alignment) * alignment


def read_entries(stream: Stream, count: int, alignment: int) -> list[Entry]:
    """The tensor infos as they come. Raises `HeaderError` where one contradicts itself or is named as another."""
    names: set[str] = set()
    entries = []
    for number in range(count):
        name = stream.name(f"the name of tensor {number + 1:,} of {count:,}")
        if name in names:
            raise HeaderError(f"{stream.file} has the tensor {clip(name)} twice", code="duplicate-tensor")
        names.add(name)
        entries.append(read_entry(stream, name, alignment))
    return entries


def read_entry(stream: Stream, name: str, alignment: int) -> Entry:
    what = f"tensor {clip(name)}"
    num_dims = stream.number("I", what)
    if num_dims > MAX_DIMS:
        raise HeaderError(f"{stream.file}: {what} has {num_dims:,} dimensions; {MAX_DIMS} is the most", code="bad-dim")
    dims = stream.numbers(stream.length_code, num_dims, what)
    kind, offset = stream.number("I", what), stream.number("Q", what)
    if offset % alignment or offset >= LARGEST:
        raise HeaderError(
            f"{stream.file}: {what} begins at byte {offset:,}, which is no multiple of {alignment}", code="bad-offset"
        )
    place_name = f"{stream.file}: {what}"
    known = TYPES.get(kind)
    size = stored_bytes(known, dims, place_name) if known else None
    count_elements(dims, place_name)
    return Entry(name=name, dims=dims, kind=kind, offset=offset, num_bytes=size)


def place(entries: Sequence[Entry], alignment: int, data_offset: int, stream: Stream) -> tuple[str, ...]:
    """
    Hold the tensors against each other and against the file; gives the types that were sized by their distance.

    They must follow each other from byte 0 without overlap, and without more of a hole than alignment asks for.
    """
    ordered = sorted(entries, key=lambda entry: entry.offset)
    unknown: dict[str, None] = {}
    if ordered and ordered[0].offset:
        raise hole(stream.file, ordered[0], 0)
    for entry, following in zip_longest(ordered, ordered[1:]):
        end = following.offset if following else None if stream.file_bytes is None else stream.file_bytes - data_offset
        if is_sized_by_distance(entry, following, end, alignment):
            entry.num_bytes = distance(entry, end, stream.file)
            unknown[entry.dtype] = None
        expected = entry.offset + (entry.num_bytes or 0)
        if following and following.offset != aligned(expected, alignment):
            raise hole(stream.file, following, expected)
        if not following and end is not None and expected > end:
            raise too_short(stream.file, expected, max(0, end))
    return tuple(unknown)


def is_sized_by_distance(entry: Entry, following: Entry | None, end: int | None, alignment: int) -> bool:
    """Whether a type is unknown, or another engine's and not as long as it is there."""
    if entry.num_bytes is None:
        return True
    between = following is not None and aligned(entry.offset + entry.num_bytes, alignment) != end
    return entry.kind not in MAIN_TYPES and between


def distance(entry: Entry, end: int | None, file: str) -> int:
    """The bytes from a tensor to what follows it."""
    if end is None:
        raise CannotTell(
            f"{file}: tensor {clip(entry.name)} has the unknown {entry.dtype}, and the file's size is not known",
            code="unknown-size",
        )
    if end < entry.offset:
        raise too_short(file, entry.offset, max(0, end))
    return end - entry.offset


def hole(file: str, entry: Entry, expected: int) -> HeaderError:
    found = "overlaps the one before" if entry.offset < expected else "leaves a hole behind the one before"
    return HeaderError(
        f"{file}: tensor {clip(entry.name)} begins at byte {entry.offset:,} and {found}, which ends at {expected:,}",
        code="hole-or-overlap",
    )


def too_short(file: str, needed: int, there: int) -> HeaderError:
    message = f"{file} is {needed - there:,} bytes short: its tensors need {needed:,} bytes, {there:,} are there"
    return HeaderError(message, code="truncated", hint=INCOMPLETE)


def made(entry: Entry, file: str) -> Tensor:
    """The tensor with its shape as torch writes it, which is the other way round."""
    shape = tuple(reversed(entry.dims))
    return Tensor(name=entry.name, dtype=entry.dtype, shape=shape, stored_bytes=entry.num_bytes or 0, file=file)
