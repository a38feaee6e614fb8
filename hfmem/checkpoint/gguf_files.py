"""
Which GGUF files of a tree are one model, which of several is read, and which lie beside it.

The choice is that of llama.cpp's `-hf` without a tag (common/download.cpp): Q4_K_M, else Q8_0, else the first by name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from hfmem.checkpoint.tensors import Variant
from hfmem.errors import ShardIndexError

ENDING = ".gguf"
NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<count>\d{5})\.gguf", re.DOTALL)
TAG = re.compile(r"[-.]([A-Za-z0-9_]+)$")
PREFERRED = tuple(re.compile(rf"{tag}[.-]", re.IGNORECASE) for tag in ("Q4_K_M", "Q8_0"))
PROJECTOR = "mmproj"
# What lies beside models: projectors, importance matrices, and models that only draft for another.
NO_MODELS = (PROJECTOR, "imatrix", "mtp-", "eagle3-", "dflash-", "dspark-")


@dataclass(frozen=True, slots=True, kw_only=True)
class GgufSet:
    """One model's files, in their order."""

    stem: str
    files: tuple[str, ...]

    @property
    def tag(self) -> str:
        """How it is quantised, as the end of its name says."""
        found = TAG.search(self.stem)
        return found[1].upper() if found else ""


def is_gguf(name: str) -> bool:
    return name.endswith(ENDING)


def is_model(name: str) -> bool:
    return is_gguf(name) and not any(word in name.rpartition("/")[2] for word in NO_MODELS)


def sets(names: Iterable[str]) -> list[GgufSet]:
    """Every model among the names; without one, whatever was named is read as one."""
    files = sorted(name for name in names if is_gguf(name))
    found: dict[tuple[str, str], list[str]] = {}
    for name in [name for name in files if is_model(name)] or files:
        part = NUMBERED.fullmatch(name)
        found.setdefault((part["stem"], part["count"]) if part else (name.removesuffix(ENDING), ""), []).append(name)
    return [GgufSet(stem=stem, files=tuple(files)) for (stem, _), files in found.items()]


def preferred(found: Sequence[GgufSet]) -> GgufSet:
    """The model that is read where nobody names one."""
    matching = (one for tag in PREFERRED for one in found if tag.search(one.files[0]))
    return next(matching, found[0])


def refuse_missing(files: Sequence[str]) -> None:
    """Every number of a numbered set must be there. Raises `ShardIndexError`."""
    parts = [part for name in files if (part := NUMBERED.fullmatch(name))]
    if not parts:
        return
    numbers, stem, count = {int(part["number"]) for part in parts}, parts[0]["stem"], int(parts[0]["count"])
    missing = list(islice((number for number in range(1, count + 1) if number not in numbers), 3))
    if missing or len(numbers) != count:
        names = ", ".join(f"{stem}-{number:05d}-of-{count:05d}{ENDING}" for number in missing)
        raise ShardIndexError(
            f"{len(numbers):,} of {count:,} shards are there, missing: {names or 'none, some are numbered past the last'}",
            code="missing-shard",
            hint="the download is incomplete: run `hf download` again",
        )


def projector(names: Iterable[str], model: GgufSet) -> str | None:
    """
    The vision or audio projector that goes with a model: in the nearest folder, and quantised most like it.

    Of equals, one in float16 is taken, which every backend computes in.
    """
    folder = model.files[0].split("/")[:-1]
    beside = [name for name in sorted(names) if is_gguf(name) and PROJECTOR in name.rpartition("/")[2]]
    near = [name for name in beside if folder[: name.count("/")] == name.split("/")[:-1]]
    bits = tag_bits(model.tag)

    def rank(name: str) -> tuple[int, int, bool]:
        tag = GgufSet(stem=name.removesuffix(ENDING), files=(name,)).tag
        return -name.count("/"), abs(tag_bits(tag) - bits), tag != "F16"

    return min(near, key=rank, default=None)


def tag_bits(tag: str) -> int:
    """Q4_0 → 4, BF16 → 16, UD-Q8_K_XL → 8; 0 where the name does not say."""
    digits = re.search(r"\d+", tag)
    return int(digits[0][:9]) if digits else 0


def variants(found: Sequence[GgufSet], chosen: GgufSet, sizes: Mapping[str, int | None]) -> tuple[Variant, ...]:
    """Every model of the tree with the size of its files, the one that was read first."""
    tags = [one.tag for one in found]
    are_distinct = all(tags) and len(set(tags)) == len(tags)
    ordered = [chosen, *(one for one in found if one is not chosen)]
    return tuple(
        Variant(name=one.tag if are_distinct else one.stem, files=one.files, num_bytes=total(sizes, one.files)) for one in ordered
    )


def total(sizes: Mapping[str, int | None], files: Iterable[str]) -> int | None:
    """Bytes of files together, None where one's is not known."""
    known = [sizes.get(file) for file in files]
    return sum(size for size in known if size is not None) if None not in known else None
