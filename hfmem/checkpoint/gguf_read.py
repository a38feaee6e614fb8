"""From the GGUF files of a folder to a `Checkpoint`: the headers of one model, its projector, and the names of the others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from hfmem.checkpoint.gguf import GgufFile, read_gguf
from hfmem.checkpoint.gguf_files import NUMBERED, preferred, projector, refuse_missing, sets, total, variants
from hfmem.checkpoint.gguf_stream import FIRST_BYTES
from hfmem.checkpoint.json_text import clip
from hfmem.checkpoint.tensors import Checkpoint, Grouping, Remark, TensorGroup
from hfmem.errors import BrokenCheckpoint, ShardIndexError
from hfmem.sources.base import Source

# Shards after the first and projectors have no vocabulary, so their headers are short.
SHORT_BYTES = 2**16


def read_gguf_folder(source: Source, own: Mapping[str, int | None], prefix: str) -> Checkpoint:
    """The model llama.cpp would take from these files; `prefix` is the folder they are in, with its slash."""
    found = sets(own)
    chosen = preferred(found)
    beside = projector(own, chosen)
    model = read_part(source, own, prefix, chosen.files, prefix.removesuffix("/") or None)
    parts = (read_part(source, own, prefix, (beside,), "mmproj"),) if beside and beside not in chosen.files else ()
    return Checkpoint(
        format="gguf",
        groups=model.groups,
        files=model.files,
        component=model.component,
        components=parts,
        files_bytes=model.files_bytes,
        header_bytes=model.header_bytes,
        metadata=model.metadata,
        variants=variants(found, chosen, own),
        remarks=model.remarks,
    )


def read_part(
    source: Source, own: Mapping[str, int | None], prefix: str, files: Sequence[str], component: str | None
) -> Checkpoint:
    """The tensors of one model's files. Raises `HeaderError`, `ShardIndexError`, `BrokenCheckpoint`, `CannotTell`."""
    refuse_missing(files)
    first_bytes = SHORT_BYTES if component == "mmproj" else FIRST_BYTES
    headers = list(read_headers(source, [prefix + file for file in files], first_bytes))
    refuse_wrong_split(headers)
    groups, size = grouped(headers), total(own, files)
    return Checkpoint(
        format="gguf",
        groups=groups,
        files={file: own.get(file) for file in files},
        component=component,
        files_bytes=None if groups else 0,
        header_bytes=None if size is None else size - sum(t.stored_bytes for header in headers for t in header.tensors),
        metadata=headers[0].metadata,
        remarks=tuple(remarks(headers)),
    )


def read_headers(source: Source, names: Sequence[str], first_bytes: int) -> Iterator[GgufFile]:
    """The headers in their order: the first with its vocabulary, then the others, as many at once as is useful."""
    yield read_gguf(source, names[0], first_bytes=first_bytes)
    rest = names[1:]
    if source.max_workers <= 1 or len(rest) < 2:
        yield from (read_gguf(source, name, first_bytes=SHORT_BYTES) for name in rest)
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(source.max_workers, len(rest))) as pool:
        yield from pool.map(lambda name: read_gguf(source, name, first_bytes=SHORT_BYTES), rest)


def grouped(headers: Sequence[GgufFile]) -> tuple[TensorGroup, ...]:
    """The tensors of all files; one in two of them is an error."""
    grouping, names = Grouping(), set[str]()
    for header in headers:
        for tensor in header.tensors:
            if tensor.name in names:
                message = f"tensor {clip(tensor.name)} is in two files, one of them {header.file}"
                raise BrokenCheckpoint(message, code="duplicate-tensor")
            names.add(tensor.name)
            grouping.add(tensor)
    return tuple(grouping.groups())


def refuse_wrong_split(headers: Sequence[GgufFile]) -> None:
    """Each shard says which of how many it is, and the first how many tensors there are. Raises `ShardIndexError`."""
    for position, header in enumerate(headers):
        count, number = header.metadata.get("split.count", 0), header.metadata.get("split.no", position)
        if count and (count, number) != (len(headers), position):
            raise ShardIndexError(
                f"{header.file} says it is shard {number} (from 0) of {count}, by its name it is {position} of {len(headers)}",
                code="missing-shard" if not NUMBERED.fullmatch(header.file) else "wrong-shard",
                hint="a shard must keep the name it was written with, and the others must lie beside it",
            )
    said = headers[0].metadata.get("split.tensors.count")
    there = sum(len(header.tensors) for header in headers)
    if said is not None and len(headers) > 1 and said != there:
        raise ShardIndexError(
            f"{headers[0].file} says its set holds {clip(str(said))} tensors, the headers hold {there:,}", code="index-mismatch"
        )


def remarks(headers: Sequence[GgufFile]) -> Iterator[Remark]:
    """What a reader of the totals should know."""
    unknown = sorted({name for header in headers for name in header.unknown_types})
    if unknown:
        message = f"tensor {', '.join(unknown)} is unknown: counted by the distance to the next tensor"
        yield Remark(code="unknown-dtype", message=message)
    if not any(header.tensors for header in headers):
        yield Remark(code="no-tensors", message=f"{headers[0].file} holds no tensors")
    trailing = next((header for header in headers if header.trailing_bytes), None)
    if trailing:
        message = f"{trailing.file} has {trailing.trailing_bytes:,} bytes behind its last tensor, which are not counted"
        yield Remark(code="trailing-bytes", message=message)
    if any(header.is_big_endian for header in headers):
        message = f"{headers[0].file} is big-endian: llama.cpp reads it only on a machine that is, too"
        yield Remark(code="big-endian", message=message)
