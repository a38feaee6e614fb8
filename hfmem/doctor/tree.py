"""Findings about files as such: whether each can be read at all, and what is no checkpoint's."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from hfmem.doctor.fetching import fetched
from hfmem.doctor.values import Finding, Severity, failed
from hfmem.errors import HfmemError
from hfmem.sources.base import Source
from hfmem.sources.directory import DirectorySource

MOST_FILES = 20_000
POINTER = b"version https://git-lfs"
LOADED = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", "config.json", ".index.json")
UNFINISHED = (".incomplete", ".part", ".aria2", ".crdownload")


def file_findings(source: Source) -> Iterator[Finding]:
    """Every file that cannot be read, is a pointer to one, is empty or is unfinished."""
    files = source.files()
    wanted = frozenset(fetched(files, None))
    for name, size in islice(sorted(files.items()), MOST_FILES):
        yield from unfinished(name) or one_file(source, name, size, is_wanted=name in wanted or name.endswith(".index.json"))
    if isinstance(source, DirectorySource):
        for name, size in source.unfinished():
            yield from unfinished(name, f" of {size:,} bytes")


def unfinished(name: str, size: str = "") -> list[Finding]:
    if not name.endswith(UNFINISHED):
        return []
    message, hint = f"{name} is an unfinished download{size}", "run `hf download` again, or remove it"
    return [Finding(severity="suspicious", code="unfinished-download", message=message, file=name, hint=hint)]


def one_file(source: Source, name: str, size: int | None, *, is_wanted: bool) -> Iterator[Finding]:
    """What no loader reads may be left out of a download, and makes nothing broken."""
    severity: Severity = "broken" if is_wanted and name.endswith(LOADED) else "suspicious"
    try:
        beginning = source.read_range(name, 0, len(POINTER))
    except HfmemError as error:
        yield failed(error, name, severity)
        return
    if name.endswith(".safetensors"):
        return  # its header says the same, and more
    if beginning == POINTER:
        message, hint = f"{name} is a Git LFS pointer, not the file", "run `git lfs pull`, or download the file again"
        yield Finding(severity=severity, code="lfs-pointer", message=message, file=name, hint=hint)
    elif size == 0 and name.endswith(LOADED):
        yield Finding(severity=severity, code="empty-file", message=f"{name} is empty", file=name, hint="download it again")
