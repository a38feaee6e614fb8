"""What people call a GPU, reduced to what tells one from another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

IGNORED = re.compile(r"""[\s\-_'"“”’()\[\],/+®™]""")
NOISE = re.compile(r"nvidia|geforce|tesla|amd|radeon|instinct|intel|apple|graphics|generation|edition|gpu")
SIZED = "gb", "gib", "g"
PREFIX = re.compile(r"(?:rtx|gtx|rx)(?=\d{4})")
KNOWN_BY_NUMBER = "geforce", "radeon"  # families; in others a bare 6000 may be three cards, or a size


def key(text: str) -> str:
    """Case, spaces, hyphens, underscores and makers' words do not tell GPUs apart."""
    plain = text.casefold().replace("(r)", "").replace("(tm)", "")
    return NOISE.sub("", IGNORED.sub("", plain))


def plain_keys(row: dict[str, Any]) -> Iterator[str]:
    """The names of a row without a size, which rows of other sizes may have too."""
    for name in row["names"]:
        yield from spellings(key(name), row["family"])


def sized_keys(row: dict[str, Any]) -> Iterator[str]:
    """The names of a row with its size: 80GB, 80GiB, 80G; 80 alone where it is the size that tells rows apart."""
    for name in {*plain_keys(row), *map(key, row["names"])}:
        alone = key(row["name"]).endswith("gb") and not name.isdecimal()
        for unit in (*SIZED, "") if alone else SIZED:
            yield f"{name}{row['gb']:g}{unit}"
    yield from map(key, (row["name"], *row.get("exact", ())))


def spellings(name: str, family: str) -> Iterator[str]:
    """RTX 4070 Ti SUPER Laptop is also 4070tislaptop, 4070tismobile and 4070tismaxq."""
    for short in dict.fromkeys((name, PREFIX.sub("", name) if family.startswith(KNOWN_BY_NUMBER) else name)):
        for super_ in dict.fromkeys((short, short.replace("super", "s"))):
            yield super_
            if "laptop" in super_:
                yield from (super_.replace("laptop", word) for word in ("mobile", "maxq"))
