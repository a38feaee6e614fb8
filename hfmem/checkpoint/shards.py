"""The tensors of one folder: headers read shard by shard, or in one reply where the source offers that."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hfmem.checkpoint.combined import combined_parts
from hfmem.checkpoint.header import PREFIX_BYTES, Header, header_length, parse_header, read_entries
from hfmem.checkpoint.index import MAX_INDEX_BYTES, MAX_SHARDS, ShardIndex, parse_index, size_in
from hfmem.checkpoint.json_text import clip
from hfmem.checkpoint.tensors import Declared, Grouping, Remark, Tensor, TensorGroup
from hfmem.errors import BrokenCheckpoint, HeaderError, ShardIndexError
from hfmem.sources.base import Published, Source

MET = -1
# Four of five headers on the Hub are shorter than 25 kB (huggingface_hub #1855), and 100 kB would be a third of a small model.
FIRST_BYTES = 32 * 1024


@dataclass(slots=True)
class Collected:
    """What has been read so far of one folder's weights."""

    grouping: Grouping = field(default_factory=Grouping)
    places: dict[int, int] = field(default_factory=dict)  # hash of name → number of its shard, or MET
    unlisted: int = 0
    misplaced: int = 0
    first_unlisted: str = ""
    unknown_dtypes: set[str] = field(default_factory=set)


def read_sharded(source: Source, index_name: str, prefix: str = "") -> tuple[tuple[TensorGroup, ...], ShardIndex, list[Remark]]:
    """Every tensor of the shards an index names. Raises `ShardIndexError`, `HeaderError`."""
    index = read_index(source, index_name, prefix)
    collected = Collected(places=index.places)
    for number, header in enumerate(shard_headers(source, [prefix + shard for shard in index.shards])):
        add(collected, header, number, index.shards[number])
    return tuple(collected.grouping.groups()), index, [*remarks(collected, index_name), *unusable_size(index)]


def read_index(source: Source, index_name: str, prefix: str = "") -> ShardIndex:
    """An index whose files are all there. Raises `ShardIndexError`."""
    index = parse_index(source.read(prefix + index_name, limit=MAX_INDEX_BYTES), index_name)
    if len(index.shards) > MAX_SHARDS:
        raise ShardIndexError(
            f"{index_name} names {len(index.shards):,} files; {MAX_SHARDS:,} is the most", code="too-many-shards"
        )
    refuse_missing(source.files(), [prefix + shard for shard in index.shards], index_name)
    return index


def unusable_size(index: ShardIndex) -> list[Remark]:
    """A `total_size` that is there and cannot be one."""
    said = index.metadata.get("total_size")
    if said is None or index.total_size is not None:
        return []
    message = f"{index.file}: metadata.total_size is {clip(str(said))}, which is no size; it is not used"
    return [Remark(code="declared-total-differs", message=message)]


def read_combined(
    source: Source, index_name: str, reply: bytes
) -> tuple[tuple[TensorGroup, ...], tuple[str, ...], list[Declared], list[Remark]]:
    """Every tensor of the source's one reply for all shards. Raises `HeaderError`, `ShardIndexError`."""
    collected, sizes, index = Collected(), source.files(), None
    shards: list[str] = []
    for part, shard, value in combined_parts(reply):
        if part == "index":
            index = value
        elif part == "headers" and shard and isinstance(value, Mapping):
            header = read_entries(value, shard, None)
            check_against_size(header, shard, sizes.get(shard))
            add(collected, header, len(shards), shard)
            shards.append(shard)
    if not shards:
        raise HeaderError("the Hub's safetensors metadata has no headers", code="bad-index")
    return tuple(collected.grouping.groups()), tuple(sorted(shards)), declared(index_name, index), remarks(collected, None)


def read_files(source: Source, names: Sequence[str]) -> tuple[tuple[TensorGroup, ...], list[Remark]]:
    """Every tensor of files that no index names."""
    collected = Collected()
    for number, header in enumerate(shard_headers(source, names)):
        add(collected, header, number, names[number])
    return tuple(collected.grouping.groups()), remarks(collected, None)


def shard_headers(source: Source, names: Sequence[str]) -> Iterator[Header]:
    """The headers in the order asked, read as many at once as the source has use for."""
    sizes = source.files()
    if source.max_workers <= 1 or len(names) == 1:
        yield from (read_header(source, name, sizes.get(name)) for name in names)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(source.max_workers, len(names))) as pool:
        yield from pool.map(lambda name: read_header(source, name, sizes.get(name)), names)


def read_header(source: Source, name: str, file_bytes: int | None) -> Header:
    """
    One file's header: its length first, then exactly the header.

    On the Hub the first read brings most headers whole, for there a request costs more than bytes do.
    """
    first = source.read_range(name, 0, FIRST_BYTES if isinstance(source, Published) else PREFIX_BYTES)
    length = header_length(first[:PREFIX_BYTES], name, file_bytes)
    text = first[PREFIX_BYTES : PREFIX_BYTES + length]
    if len(text) < length:
        text += source.read_range(name, PREFIX_BYTES + len(text), length - len(text))
    if len(text) != length:
        raise HeaderError(f"{name} declares a header of {length:,} bytes, {len(text):,} are there", code="truncated-header")
    return parse_header(text, name, file_bytes)


def add(collected: Collected, header: Header, number: int, shard: str) -> None:
    """Count a header's tensors; a name met before is an error, one in another place than listed is remembered."""
    for tensor in header.tensors:
        key = hash(tensor.name)
        listed = collected.places.get(key)
        if listed == MET:
            raise BrokenCheckpoint(f"tensor {clip(tensor.name)} is in two files, one of them {shard}", code="duplicate-tensor")
        collected.places[key] = MET
        place(collected, tensor, listed, number)
        collected.grouping.add(tensor)
    if header.has_unknown_dtypes:
        from hfmem.checkpoint.tensors import DTYPE_BITS

        collected.unknown_dtypes.update(tensor.dtype for tensor in header.tensors if tensor.dtype not in DTYPE_BITS)


def place(collected: Collected, tensor: Tensor, listed: int | None, number: int) -> None:
    if listed is None:
        collected.unlisted += 1
        collected.first_unlisted = collected.first_unlisted or tensor.name
    elif listed != number:
        collected.misplaced += 1


def remarks(collected: Collected, index_name: str | None) -> list[Remark]:
    """What does not agree between the index and the headers; the headers are what counts."""
    found = []
    missing = sum(place != MET for place in collected.places.values())
    if index_name and missing:
        found.append(Remark(code="index-mismatch", message=f"{index_name} names {missing:,} tensors that no file has"))
    if index_name and collected.unlisted:
        some = f"{collected.unlisted:,} tensors that {index_name} does not name, the first {clip(collected.first_unlisted)}"
        found.append(Remark(code="index-mismatch", message=f"the files hold {some}; they are counted"))
    if collected.misplaced:
        found.append(
            Remark(
                code="index-mismatch",
                message=f"{collected.misplaced:,} tensors are in another file than {index_name} says",
            )
        )
    if collected.unknown_dtypes:
        names = ", ".join(sorted(clip(name) for name in collected.unknown_dtypes))
        found.append(Remark(code="unknown-dtype", message=f"dtype {names} is unknown: counted by its bytes"))
    return found


def refuse_missing(files: Mapping[str, int | None], shards: Iterable[str], index_name: str) -> None:
    missing = [shard for shard in shards if shard not in files]
    if missing:
        shown = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
        raise ShardIndexError(
            f"{index_name} names files that are not there: {shown}",
            code="missing-shard",
            hint="the download is incomplete: run `hf download` again",
        )


def check_against_size(header: Header, shard: str, file_bytes: int | None) -> None:
    """A whole file is its header and its tensors, so it cannot be smaller than they are."""
    if file_bytes is not None and header.data_bytes + PREFIX_BYTES + 2 > file_bytes:
        raise HeaderError(
            f"{shard} is short: its tensors need {header.data_bytes:,} bytes, the file has {file_bytes:,}",
            code="truncated",
        )


def declared(index_name: str, index: object) -> list[Declared]:
    return declared_size(index_name, size_in(index.get("metadata")) if isinstance(index, Mapping) else None)


def declared_size(index_name: str, size: int | None) -> list[Declared]:
    return [Declared(origin=f"{index_name}: metadata.total_size", num_bytes=size)] if size else []
