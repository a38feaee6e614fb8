"""What a download would bring: which files, how much of it is here, whether there is room, and the line that does it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from hfmem.checkpoint.tensors import Checkpoint
from hfmem.doctor.fetching import download_command, fetched, formats_of, is_weight, vllm_weights
from hfmem.doctor.values import Fetch, Finding, Preflight
from hfmem.model.spec import ModelSpec
from hfmem.sources.base import Origin, Repository

MAIN = "main"
FLOATS = {"F32": 4, "F16": 2, "BF16": 2}


def preflight(
    origin: Origin,
    repository: Repository,
    shown: Mapping[str, int | None],
    checkpoint: Checkpoint | None,
    spec: ModelSpec | None,
    *,
    may_read: bool | None,
    local: Mapping[str, int | None] | None = None,
    local_dir: str | None = None,
) -> Preflight:
    """
    The look ahead for one commit: `shown` are the files of what was asked for, by their names in its folder; `local` those of
    the directory that is to be completed, by their names in the repository.
    """
    files = repository.files
    code = bool(spec and spec.runs_remote_code)
    names = tuple(repository.prefix + name for name in fetched(shown, checkpoint, code=code))
    fetches = tuple(fetches_of(names, repository, local))
    weights = [name for name in names if is_weight(name)]
    target = local_dir or repository.cache_dir
    missing = tuple(each.name for each in fetches if not each.is_here)
    revision = None if origin.revision in (None, MAIN) else origin.revision
    return Preflight(
        repo_id=repository.repo_id,
        revision=origin.revision or MAIN,
        commit=origin.commit,
        gated=repository.gated,
        private=repository.private,
        may_read=may_read,
        license=repository.license,
        is_listed=repository.is_listed,
        formats=formats_of(files),
        files=fetches,
        left_out=left_out(files, names),
        vllm_bytes=other_bytes(files, weights) if not repository.prefix else None,
        target=target,
        free_bytes=free_bytes(Path(target)),
        host_mapped_bytes=sum(files[name] or 0 for name in weights),
        host_converted_bytes=converted_bytes(checkpoint, spec) if checkpoint and spec else None,
        command=download_command(repository, revision, missing or names, local_dir),
    )


def converted_bytes(checkpoint: Checkpoint, spec: ModelSpec) -> int | None:
    """
    What from_pretrained makes of weights that are stored in another dtype than config.json names: elements × that dtype's bytes.

    None where no header was read. Packed weights are loaded as they are.
    """
    groups = [group for part in checkpoint.parts() for group in part.groups]
    if not groups:
        return None
    if spec.dtype not in FLOATS or spec.quantization:
        return 0
    width = FLOATS[spec.dtype]
    return sum(group.num_elements * width for group in groups if group.dtype in FLOATS and group.dtype != spec.dtype)


def fetches_of(names: Iterable[str], found: Repository, local: Mapping[str, int | None] | None) -> Iterator[Fetch]:
    """Each file, and whether it is in the cache, or in the directory that is to be completed."""
    for name in names:
        is_here = name in found.downloaded if local is None else is_same(local, found.files, name)
        yield Fetch(name=name, num_bytes=found.files[name], is_here=is_here)


def is_same(local: Mapping[str, int | None], files: Mapping[str, int | None], name: str) -> bool:
    """Whether a file is there whole, as far as its size tells."""
    return name in local and files[name] in (None, local[name])


def left_out(files: Mapping[str, int | None], names: tuple[str, ...]) -> dict[str, int]:
    """Bytes that are not fetched, by the ending of their files, the most first."""
    sizes: Counter[str] = Counter()
    wanted = set(names)
    for name, size in files.items():
        if name not in wanted and is_weight(name):
            sizes[name[name.rindex(".") :]] += size or 0
    return dict(sizes.most_common())


def other_bytes(files: Mapping[str, int | None], weights: list[str]) -> int | None:
    others = vllm_weights(files, weights)
    return None if set(others) == set(weights) else sum(files[name] or 0 for name in others)


def free_bytes(place: Path) -> int | None:
    """What is free on the disk where the place is or will be."""
    for parent in (place, *place.parents):
        try:
            return shutil.disk_usage(parent).free
        except OSError:
            continue
    return None


def room_findings(found: Preflight) -> Iterator[Finding]:
    """A disk that is too small for what is still missing."""
    if found.has_room is False:
        yield Finding(
            severity="suspicious",
            code="disk-full",
            message=f"the disk of {found.target} has no room for what is missing",
            found=f"{found.free_bytes:,} bytes free",
            expected=f"{found.missing_bytes:,}",
            hint="free some, or choose a directory on a larger disk",
        )


def missing_findings(found: Preflight, local: Mapping[str, int | None]) -> Iterator[Finding]:
    """What a local copy lacks of a repository, and what of it has another size."""
    for each in found.missing:
        if each.name not in local:
            message = f"{each.name} is not there, the repository has it"
            yield Finding(severity="broken", code="not-downloaded", message=message, file=each.name, hint=found.command)
        else:
            yield Finding(
                severity="broken",
                code="size-differs",
                message=f"{each.name} has another size than the Hub's",
                file=each.name,
                found=f"{local[each.name]} bytes",
                expected=f"{each.num_bytes}",
                hint=found.command,
            )
