"""The joiner of `hfmem check`: a checkpoint examined, beside the Hub, its class and the devices it is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from hfmem import api
from hfmem.doctor.examine import Examination, compare, examine
from hfmem.doctor.hashes import Told, bytes_to_hash, hash_findings
from hfmem.doctor.values import Checkup, Finding
from hfmem.errors import CannotTell, NotFound, UsageError
from hfmem.hardware.values import Target
from hfmem.memory.subject import Model, describe
from hfmem.memory.workload import Inference
from hfmem.sources import Access, Source, open_source
from hfmem.sources.base import Published
from hfmem.sources.directory import DirectorySource
from hfmem.sources.memory import MemorySource

Begin = Callable[[int], Told]  # told how many bytes there are to hash; gives what is told of those that are


def check(
    reference: str | Path,
    *,
    revision: str | None = None,
    token: str | None = None,
    cache_dir: str | None = None,
    local_dir: str | Path | None = None,
    hash: bool = False,
    verify: bool = False,
    on: Sequence[str | Target] = (),
    workload: Inference | None = None,
    begin: Begin = lambda num_bytes: lambda done: None,
) -> Checkup:
    """
    Everything that is wrong with a checkpoint's files; for a Hub repository also what a download of it would bring.

    `local_dir` is a copy of the repository, whose gaps are found; `hash` compares contents with the Hub's digests, `verify`
    tensors with the model's class (needs the verify extra), `on` says whether `workload` fits. A broken file is a finding,
    and so is a repository that may not be read. Raises `NotFound`, `NetworkError` and `UsageError`.
    """
    source = open_source(str(reference), revision=revision, access=Access(token=token, cache_dir=cache_dir))
    found = examined(source, local_dir)
    if hash:
        found.findings += hashed(found.source, source, begin)
    model = described(found)
    if model and verify:
        found.findings += class_findings(model)
    if model:
        found.findings += stored_twice(model)
    fits = api.fit(model, workload, on, instead=False).rows if model and on else ()
    return replace(found.checkup(), devices=tuple(row.fit for row in fits))


def examined(source: Source, local_dir: str | Path | None) -> Examination:
    """The source itself, or the copy of it in a directory."""
    if not isinstance(source, Published):
        if local_dir is not None:
            message = f"--local-dir is a copy of a Hub repository, and {source.origin.reference} is none"
            raise UsageError(message, code="not-a-repository", hint="hfmem check ORG/NAME --local-dir DIR")
        return examine(source, api.spec_of)
    found = examine(source, api.spec_of)
    if local_dir is None:
        compare(found, source)
        return found
    copy = copied(Path(local_dir), source.repository().prefix)
    compare(copy, source, whole=found, local_dir=str(local_dir))
    return copy


def copied(directory: Path, prefix: str) -> Examination:
    """A copy that may have nothing in it yet; of a part of a repository, the folder it lies in there."""
    if not directory.is_dir():
        raise NotFound(f"there is no directory {str(directory)!r}", code="path-not-found", hint="check the path")
    inner = directory / prefix
    source: Source = DirectorySource(inner) if inner.is_dir() else MemorySource({}, reference=str(inner))
    try:
        return examine(source, api.spec_of)
    except NotFound:
        return Examination(source)


def hashed(source: Source, asked: Source, begin: Begin) -> Iterator[Finding]:
    """What is on this machine against the digests that are known for it. Raises `UsageError` where there is nothing."""
    content: Source | None = source.snapshot if isinstance(source, Published) else source
    if content is None:
        hint = "download it, or name a directory: hfmem check ORG/NAME --local-dir DIR --hash"
        raise UsageError("--hash reads files, and none of this repository are here", code="nothing-to-hash", hint=hint)
    expected = expected_of(asked, content, is_copy=source is not asked)
    return hash_findings(content, expected, begin(bytes_to_hash(content, expected)))


def expected_of(asked: Source, content: Source, *, is_copy: bool) -> Mapping[str, str]:
    """File → what it must hash to, by its name in the content: a snapshot is of the whole repository, a copy of a part of it."""
    if not isinstance(asked, Published):
        return content.digests() if isinstance(content, DirectorySource) else {}
    about = asked.repository()
    part = {path: digest for path, digest in about.digests.items() if path.startswith(about.prefix)}
    return {path.removeprefix(about.prefix): digest for path, digest in part.items()} if is_copy else part


def described(found: Examination) -> Model | None:
    if found.checkpoint is None or found.spec is None:
        return None
    return describe(found.source.origin, found.spec, found.checkpoint)


def class_findings(model: Model) -> Iterator[Finding]:
    """Tensors the class expects and the files have not, and those it does not know. Raises `CannotTell` without the extra."""
    from hfmem.witness.ask import installed
    from hfmem.witness.class_count import count_class, strangers

    installed()
    try:
        missing, unknown = strangers(model, counted := count_class(model))
    except CannotTell as error:
        yield Finding(severity="note", code=error.code, message=f"not compared with its class: {error.message}", hint=error.hint)
        return
    if missing:
        message = f"{counted.architecture} has a tensor that the files have not: {missing}"
        hint = "it would be newly initialised: the weights may be another class's"
        yield Finding(severity="suspicious", code="missing-tensor", message=message, tensor=missing.partition(" ")[0], hint=hint)
    for module in unknown:
        message = f"{counted.architecture} does not know {module}: it is not loaded"
        yield Finding(severity="note", code="unknown-tensor", message=message, tensor=module)


def stored_twice(model: Model) -> Iterator[Finding]:
    """Weights that are one tensor once loaded."""
    for row in model.weights.differences if model.weights else ():
        if row.reason == "tied weights stored again" and row.num_bytes:
            message = f"tied weights are stored twice: {row.num_bytes:,} bytes are downloaded and not loaded"
            yield Finding(severity="note", code="tied-twice", message=message)
