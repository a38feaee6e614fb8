"""Findings about safetensors files and their index: every header, and what index and headers say of each other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hfmem.checkpoint.formats import INDEXES, Choice, choose, missing_numbers
from hfmem.checkpoint.header import Header
from hfmem.checkpoint.index import MAX_INDEX_BYTES, ShardIndex, parse_index
from hfmem.checkpoint.json_text import clip
from hfmem.checkpoint.shards import read_header
from hfmem.doctor.values import Finding, failed
from hfmem.errors import HfmemError
from hfmem.sources.base import Source

AGAIN = "the download is incomplete: run `hf download` again"


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder's files by their names in it; `prefix` leads there, "" at the root."""

    source: Source
    prefix: str
    files: Mapping[str, int | None]


def folders(source: Source) -> Iterator[Folder]:
    """The folders that hold safetensors files or an index of them, the root first."""
    held: dict[str, dict[str, int | None]] = {}
    for path, size in source.files().items():
        parent, slash, name = path.rpartition("/")
        if name.endswith(".safetensors") or name in INDEXES:
            held.setdefault(parent + slash, {})[name] = size
    for prefix in sorted(held):
        yield Folder(source, prefix, held[prefix])


def weight_findings(folder: Folder) -> Iterator[Finding]:
    """Every broken header, and for the model's own files what its index gets wrong."""
    headers: dict[str, Header] = {}
    choice = choose(folder.files)
    for name in sorted(file for file in folder.files if file.endswith(".safetensors")):
        try:
            headers[name] = read_header(folder.source, folder.prefix + name, folder.files[name])
        except HfmemError as error:
            yield failed(error, folder.prefix + name, "suspicious" if is_left(name, choice) else "broken")
    if choice.index:
        yield from index_findings(folder, choice.index, headers)
    else:
        for name in missing_numbers(choice.files) if folder.source.origin.source != "file" else ():
            yield missing(folder, name, "the other files of its set are there")
        yield from twice(folder, {name: headers[name] for name in choice.files if name in headers})


def is_left(name: str, choice: Choice) -> bool:
    """Whether loaders leave a file: the same weights again, or another model's."""
    return name in choice.skipped or name in choice.unclear or bool(choice.index and name.startswith("consolidated"))


def index_findings(folder: Folder, name: str, headers: Mapping[str, Header]) -> Iterator[Finding]:
    try:
        index = parse_index(folder.source.read(folder.prefix + name, limit=MAX_INDEX_BYTES), name)
    except HfmemError as error:
        yield failed(error, folder.prefix + name)
        return
    there = folder.source.files()
    for shard in index.shards:
        if folder.prefix + shard not in there:
            yield missing(folder, shard, f"{name} names it")
    own = {shard: headers[shard] for shard in index.shards if shard in headers}
    yield from twice(folder, own)
    if len(own) == len(index.shards):
        yield from places(folder, index, own)
        yield from total(folder, index, own)


def missing(folder: Folder, name: str, why: str) -> Finding:
    message = f"{name} is not there, but {why}"
    return Finding(severity="broken", code="missing-shard", message=message, file=folder.prefix + name, hint=AGAIN)


def twice(folder: Folder, headers: Mapping[str, Header]) -> Iterator[Finding]:
    """Tensors in two files: which one is loaded depends on their order."""
    met: dict[str, str] = {}
    for shard, header in headers.items():
        for tensor in header.tensors:
            before = met.setdefault(tensor.name, shard)
            if before != shard:
                message = f"tensor {clip(tensor.name)} is in two files, {before} and {shard}"
                file = folder.prefix + shard
                yield Finding(severity="broken", code="duplicate-tensor", message=message, file=file, tensor=tensor.name)


def places(folder: Folder, index: ShardIndex, headers: Mapping[str, Header]) -> Iterator[Finding]:
    """Tensors that are elsewhere than the index says, that it does not name, and that only it names."""
    left = dict(index.places)
    for shard, header in headers.items():
        for tensor in header.tensors:
            number = left.pop(hash(tensor.name), None)
            if number is None:
                message = f"{clip(tensor.name)} is in {shard}, but {index.file} does not name it"
                yield mismatch(folder, index, message, tensor.name)
            elif index.shards[number] != shard:
                message = f"{clip(tensor.name)} is in {shard}, but {index.file} says {index.shards[number]}"
                yield mismatch(folder, index, message, tensor.name)
    for number in sorted(set(left.values())):
        count = sum(place == number for place in left.values())
        yield mismatch(folder, index, f"{index.file} names {count:,} tensors in {index.shards[number]} that no file has", None)


def mismatch(folder: Folder, index: ShardIndex, message: str, tensor: str | None) -> Finding:
    file = folder.prefix + index.file
    return Finding(severity="suspicious", code="index-mismatch", message=message, file=file, tensor=tensor)


def total(folder: Folder, index: ShardIndex, headers: Mapping[str, Header]) -> Iterator[Finding]:
    """`total_size` against the tensors' bytes; loaders do not use it, so it is a note, with the way it is wrong."""
    said, stored = index.metadata.get("total_size"), sum(header.data_bytes for header in headers.values())
    if said is None or index.total_size == stored:
        return
    way = "is no size" if index.total_size is None else f"is {abs(index.total_size - stored):,} too {way_of(index, stored)}"
    yield Finding(
        severity="note",
        code="declared-total-differs",
        message=f"{index.file}: metadata.total_size {way}",
        file=folder.prefix + index.file,
        found=clip(str(said)),
        expected=f"{stored}",
    )


def way_of(index: ShardIndex, stored: int) -> str:
    return "many" if (index.total_size or 0) > stored else "few"
