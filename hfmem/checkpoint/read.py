"""From a source to a `Checkpoint`: the format is recognised, headers are read, nothing is ever unpickled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
from hfmem.checkpoint.index import MAX_INDEX_BYTES, parse_index
from hfmem.checkpoint.json_text import MAX_CONFIG_BYTES, parse_object
from hfmem.checkpoint.shards import declared_size, read_combined, read_files, read_sharded
from hfmem.checkpoint.tensors import Checkpoint, Declared, Remark
from hfmem.errors import CannotTell, ConfigError, NotFound, ShardIndexError
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
        return replace(found, format="adapter", adapter_base=adapter_base(source))
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
        raise CannotTell(
            f"{source.origin.reference} holds GGUF files, which are not read yet: {choice.files[0]}",
            code="unsupported-format",
            hint="give the repository the GGUF was made from; its memory is close to the unquantised estimate's parts",
        )
    if choice.format == "safetensors":
        return read_safetensors(source, own, choice, prefix, name)
    if choice.format == "pytorch":
        return read_pickles(source, own, choice, prefix, name)
    return Checkpoint(format="none", component=name or None)


def read_safetensors(source: Source, own: Mapping[str, int | None], choice: Choice, prefix: str, name: str) -> Checkpoint:
    remarks = skipped(choice)
    declared: list[Declared] = []
    if choice.index:
        reply = source.sharded_headers(choice.index) if not prefix else None
        if reply is not None:
            groups, declared, more = read_combined(source, choice.index, reply)
            shards: Iterable[str] = [file for file in own if file.endswith(".safetensors")]
        else:
            groups, index, more = read_sharded(source, choice.index, prefix)
            declared, shards = declared_size(choice.index, index.total_size), index.shards
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
    )
    return replace(found, remarks=(*remarks, *more, *differing(found)))


def read_pickles(source: Source, own: Mapping[str, int | None], choice: Choice, prefix: str, name: str) -> Checkpoint:
    """Sizes alone, from the index or the file list: a pickle is never opened."""
    total, declared, names = None, [], choice.files
    if choice.index:
        index = parse_index(source.read(prefix + choice.index, limit=MAX_INDEX_BYTES), choice.index)
        total, names = index.total_size, index.shards
        declared = declared_size(choice.index, total)
    sizes = [own.get(file) for file in names]
    on_disk = sum(size for size in sizes if size is not None) if all(size is not None for size in sizes) else None
    message = "weights are PyTorch files, which are never opened: " + (
        "their size is the index's total_size" if total else "their size is that of the files, an upper bound"
    )
    return Checkpoint(
        format="pytorch",
        files={file: own.get(file) for file in names},
        component=name or None,
        declared=tuple(declared),
        files_bytes=total or on_disk,
        remarks=(*skipped(choice), Remark(code="pickled-weights", message=message)),
    )


def read_pipeline(source: Source, files: Mapping[str, int | None]) -> Checkpoint:
    """A diffusers pipeline: every component that model_index.json names and that has weights."""
    index = parse_object(source.read(DIFFUSERS, limit=MAX_CONFIG_BYTES), DIFFUSERS, ShardIndexError, strict=False)
    names = [name for name, value in index.items() if isinstance(value, list) and value and value[0] is not None]
    components = [read_folder(source, files, name) for name in names if any(file.startswith(f"{name}/") for file in files)]
    return Checkpoint(format="diffusers", components=tuple(part for part in components if part.format != "none"))


def read_modules(source: Source, files: Mapping[str, int | None], root: Checkpoint) -> Checkpoint:
    """sentence-transformers: the transformer at the root or in a folder, and the dense layers beside it."""
    content = parse_list(source.read(SENTENCE, limit=MAX_CONFIG_BYTES))
    paths = [str(entry["path"]) for entry in content if isinstance(entry, Mapping) and entry.get("path")]
    parts = [read_folder(source, files, path) for path in paths if ".." not in path.split("/")]
    components = tuple(part for part in parts if part.format != "none")
    return replace(root, format="sentence-transformers", components=components)


def parse_list(data: bytes) -> list[Any]:
    wrapped = parse_object(b'{"modules": ' + data + b"}", SENTENCE, ShardIndexError, strict=False)
    modules = wrapped["modules"]
    return modules if isinstance(modules, list) else []


def adapter_base(source: Source) -> str | None:
    content = parse_object(source.read(ADAPTER, limit=MAX_CONFIG_BYTES), ADAPTER, ConfigError, strict=False)
    base = content.get("base_model_name_or_path")
    return base if isinstance(base, str) and base else None


def without_weights(files: Mapping[str, int | None], source: Source) -> Checkpoint:
    """A tree with a config.json alone is a model without weights; one without even that is none."""
    if "config.json" not in files:
        raise NotFound(
            f"{source.origin.reference} has neither weights nor config.json",
            code="no-model",
            hint="give a directory or repository that holds a model",
        )
    return Checkpoint(format="config-only")


def skipped(choice: Choice) -> list[Remark]:
    if not choice.skipped:
        return []
    names = ", ".join(choice.skipped[:2]) + (f" and {len(choice.skipped) - 2} more" if len(choice.skipped) > 2 else "")
    return [Remark(code="same-weights-twice", message=f"not counted, the same weights again: {names}")]


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
