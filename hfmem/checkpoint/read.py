"""From a source to a `Checkpoint`: the format is recognised, headers are read, nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hfmem.checkpoint.formats import (
    ADAPTER,
    DIFFUSERS,
    SENTENCE,
    Choice,
    choose,
    folder,
    missing_numbers,
)
from hfmem.checkpoint.json_text import MAX_CONFIG_BYTES, clip, parse_object
from hfmem.checkpoint.room import room_for
from hfmem.checkpoint.shards import declared_size, read_combined, read_files, read_index, read_sharded, unusable_size
from hfmem.checkpoint.tensors import Checkpoint, Declared, Remark, TensorGroup
from hfmem.errors import ConfigError, NotFound, ShardIndexError
from hfmem.sources.base import Source


def read_checkpoint(source: Source) -> Checkpoint:
    """
    What the files say. Raises `BrokenCheckpoint` where they contradict themselves, `CannotTell` for formats that are not
    read, and `NotFound` where there is no model at all.
    """
    files = source.files()
    if DIFFUSERS in files:
        return read_pipeline(source, files)
    found = read_folder(source, files, "")
    if ADAPTER in files:
        return read_adapter(source, found)
    if SENTENCE in files:
        return read_modules(source, files, found)
    if found.format == "none":
        return without_weights(files, source)
    return found


def read_folder(source: Source, files: Mapping[str, int | None], name: str) -> Checkpoint:
    """The weights of one folder ("" is the root)."""
    own = folder(files, name)
    choice = choose(own)
    prefix = f"{name}/" if name else ""
    if choice.format == "gguf":
        from hfmem.checkpoint.gguf_read import read_gguf_folder  # most trees have none

        return read_gguf_folder(source, {file: own[file] for file in choice.files}, prefix)
    if choice.format == "safetensors":
        return read_safetensors(source, own, choice, prefix, name)
    if choice.format == "pytorch":
        return read_pickles(source, own, choice, prefix, name)
    return Checkpoint(format="none", component=name or None)


def read_safetensors(source: Source, own: Mapping[str, int | None], choice: Choice, prefix: str, name: str) -> Checkpoint:
    declared: list[Declared] = []
    if choice.index:
        with room_for(own.get(choice.index)):
            groups, shards, declared, more = read_indexed(source, choice.index, prefix)
        choice = replace(choice, skipped=(*unlisted(own, shards), *choice.skipped))
    else:
        refuse_gaps(choice.files)
        groups, more = read_files(source, [prefix + file for file in choice.files])
        shards = choice.files
    found = Checkpoint(
        format="safetensors",
        groups=groups,
        files={file: own.get(file) for file in shards},
        component=name or None,
        declared=tuple(declared),
        files_bytes=None if groups else 0,
    )
    empty = [] if groups else [Remark(code="no-tensors", message="the safetensors files hold no tensors")]
    return replace(found, remarks=(*skipped(choice), *more, *empty, *differing(found)))


def read_indexed(
    source: Source, index_name: str, prefix: str
) -> tuple[tuple[TensorGroup, ...], tuple[str, ...], list[Declared], list[Remark]]:
    """The shards an index names, in one reply where the source offers that."""
    reply = source.sharded_headers(index_name) if not prefix else None
    if reply is not None:
        return read_combined(source, index_name, reply)
    groups, index, more = read_sharded(source, index_name, prefix)
    return groups, index.shards, declared_size(index_name, index.total_size), more


def read_pickles(source: Source, own: Mapping[str, int | None], choice: Choice, prefix: str, name: str) -> Checkpoint:
    """Sizes alone, from the index or the file list: a pickle is never opened."""
    total, declared, names, remarks = None, [], choice.files, skipped(choice)
    if choice.index:
        index = read_index(source, choice.index, prefix)
        total, names = index.total_size, index.shards
        declared, remarks = declared_size(choice.index, total), [*remarks, *unusable_size(index)]
    else:
        refuse_gaps(choice.files)
    sizes = [own.get(file) for file in names]
    on_disk = sum(size for size in sizes if size is not None) if None not in sizes else None
    if total and on_disk and total > on_disk:
        remarks.append(beyond_files(declared[0], on_disk))
        total = None
    message = f"weights are not safetensors but {names[0]}, which is never opened: " + (
        "their size is the index's total_size" if total else "their size is that of the files, an upper bound"
    )
    return Checkpoint(
        format="pytorch",
        files={file: own.get(file) for file in names},
        component=name or None,
        declared=tuple(declared),
        files_bytes=total or on_disk,
        remarks=(*remarks, Remark(code="pickled-weights", message=message)),
    )


def beyond_files(total: Declared, on_disk: int) -> Remark:
    message = f"{total.origin} says {total.num_bytes:,} bytes, the files have {on_disk:,}; the files are used"
    return Remark(code="declared-total-differs", message=message)


def read_pipeline(source: Source, files: Mapping[str, int | None]) -> Checkpoint:
    """A diffusers pipeline: every component that model_index.json names and that has weights."""
    index = parse_object(source.read(DIFFUSERS, limit=MAX_CONFIG_BYTES), DIFFUSERS, ShardIndexError, strict=False)
    names = [name for name, value in index.items() if isinstance(value, list) and value and value[0] is not None]
    present = [name for name in names if any(file.startswith(f"{name}/") for file in files)]
    components = [read_folder(source, files, name) for name in present]
    absent = ", ".join(clip(name) for name in names if name not in present)
    remark = Remark(code="missing-component", message=f"{DIFFUSERS} names components that have no folder: {absent}")
    return Checkpoint(
        format="diffusers",
        components=tuple(part for part in components if part.format != "none"),
        remarks=(remark,) if absent else (),
    )


def read_modules(source: Source, files: Mapping[str, int | None], root: Checkpoint) -> Checkpoint:
    """sentence-transformers: the transformer at the root or in a folder, and the dense layers beside it."""
    content = parse_list(source.read(SENTENCE, limit=MAX_CONFIG_BYTES))
    paths = [str(entry.get("path") or "").strip("/") for entry in content if isinstance(entry, Mapping)]
    parts = [read_folder(source, files, path) for path in dict.fromkeys(paths) if path and ".." not in path.split("/")]
    components = tuple(part for part in parts if part.format != "none")
    if "" in paths or not components:
        return replace(root, format="sentence-transformers", components=components)
    config_file = f"{components[0].component}/config.json"
    return Checkpoint(format="sentence-transformers", components=components, config_file=config_file)


def parse_list(data: bytes) -> list[Any]:
    wrapped = parse_object(b'{"modules": ' + data + b"}", SENTENCE, ShardIndexError, strict=False)
    modules = wrapped["modules"]
    return modules if isinstance(modules, list) else []


def read_adapter(source: Source, found: Checkpoint) -> Checkpoint:
    """An adapter's own weights, and the name of its base where adapter_config.json can be read."""
    try:
        content = parse_object(source.read(ADAPTER, limit=MAX_CONFIG_BYTES), ADAPTER, ConfigError, strict=False)
    except ConfigError as error:
        remark = Remark(code=error.code, message=error.message, hint=error.hint)
        return replace(found, format="adapter", remarks=(*found.remarks, remark))
    base = content.get("base_model_name_or_path")
    return replace(found, format="adapter", adapter_base=base if isinstance(base, str) and base else None)


def without_weights(files: Mapping[str, int | None], source: Source) -> Checkpoint:
    """A tree with a config.json alone is a model without weights; one without even that is none."""
    if "config.json" not in files:
        raise NotFound(
            f"{source.origin.reference} has neither weights nor config.json",
            code="no-model",
            hint="give a directory or repository that holds a model",
        )
    return Checkpoint(format="config-only")


def unlisted(own: Mapping[str, int | None], shards: Iterable[str]) -> list[str]:
    """Safetensors files beside an index that does not name them, such as `consolidated.safetensors`."""
    listed = set(shards)
    return sorted(file for file in own if file.endswith(".safetensors") and "/" not in file and file not in listed)


def skipped(choice: Choice) -> list[Remark]:
    """The files that were not counted, and why."""
    found = []
    if choice.skipped:
        message = f"not counted, the same weights again: {some(choice.skipped)}"
        found.append(Remark(code="same-weights-twice", message=message))
    if choice.unclear:
        message = f"of several weight files {choice.files[0]} is counted, not {some(choice.unclear)}"
        hint = "give the path of a file to size that one alone"
        found.append(Remark(code="several-checkpoints", message=message, hint=hint))
    return found


def some(names: Sequence[str]) -> str:
    """The first names of many."""
    return ", ".join(names[:2]) + (f" and {len(names) - 2:,} more" if len(names) > 2 else "")


def refuse_gaps(files: tuple[str, ...]) -> None:
    missing = missing_numbers(files)
    if missing:
        raise ShardIndexError(
            f"shards are missing: {', '.join(missing[:3])}" + (f" and {len(missing) - 3} more" if len(missing) > 3 else ""),
            code="missing-shard",
            hint="the download is incomplete: run `hf download` again",
        )


def differing(checkpoint: Checkpoint) -> list[Remark]:
    """Declared totals that the headers contradict."""
    stored = checkpoint.own_bytes
    return [
        Remark(
            code="declared-total-differs",
            message=f"{total.origin} says {total.num_bytes:,} bytes, the headers hold {stored:,}; the headers are used",
        )
        for total in checkpoint.declared
        if total.num_bytes is not None and stored is not None and total.num_bytes != stored
    ]
