"""What a row of the fixture table says: a class, its geometry, and how the published file differs from the class."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fixture_classes import Built, Change, Tensor, Tensors
from fixture_packing import Packing


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """
    Totals somebody published for this checkpoint, and how they counted.

    `ignores` names the tensors they left out; `unpacks` says that they count the values in packed tensors,
    `counts_ties` that they count a tied head although the file does not have it.
    """

    params_total: int | None = None
    bytes_total: int | None = None
    source: str
    grade: str
    ignores: str | None = None
    unpacks: bool = False
    counts_ties: bool = False


def hub_total(
    total: int, *, of: str = "", ignores: str | None = None, unpacks: bool = False, counts_ties: bool = False
) -> Published:
    """What the Hub's API said, by its counting of the day, as model lists copied it; `of` names a sister repository."""
    return Published(
        params_total=total,
        source="Hub API safetensors.total in the model lists of llmfit and its forks" + (f", for {of}" if of else ""),
        grade="hub_total_scraped",
        ignores=ignores,
        unpacks=unpacks,
        counts_ties=counts_ties,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """
    One checkpoint.

    `files_from` is the class that wrote it, where config.json names another; `plain_config` keeps config.json to what
    the row says, as Hub files do that leave out what equals the default of the class.
    """

    model_type: str
    architecture: str
    config: Mapping[str, Any] = field(default_factory=dict)
    dtype: str = "bfloat16"
    plain_config: bool = False
    files_from: str | None = None
    renames: tuple[tuple[str, str], ...] = ()
    casts: Mapping[str, str] = field(default_factory=dict)
    drops: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    extras: Mapping[str, Mapping[str, tuple[str, tuple[int, ...]]]] = field(default_factory=dict)
    stores_tied_head: bool = False
    packing: Packing | None = None
    shard_bytes: int = 5_000_000_000
    published: Published | None = None


def each(template: str, numbers: Iterable[int], dtype: str, *shape: int) -> dict[str, tuple[str, tuple[int, ...]]]:
    """The same tensor in several layers; `{}` in the template is the layer."""
    return {template.format(number): (dtype, shape) for number in numbers}


def stored(row: Row, built: Built) -> tuple[Tensors, list[Change]]:
    """The tensors of the file, and each step from the parameters of the class to them."""
    tensors = {rename(row, name): tensor for name, tensor in built.stored.items()}
    changes = [Change("persistent buffers of the class", {}, dict(built.buffers))] if built.buffers else []
    for step in (casts, copies, extras, tied_head, drops, packed):
        for change in step(row, tensors):
            for name in change.removed:
                del tensors[name]
            tensors.update(change.added)
            changes.append(change)
    return tensors, changes


def rename(row: Row, name: str) -> str:
    for pattern, replacement in row.renames:
        name = re.sub(pattern, replacement, name)
    return name


def matching(tensors: Tensors, pattern: str) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if re.search(pattern, name)}


def casts(row: Row, tensors: Tensors) -> Iterator[Change]:
    for pattern, dtype in row.casts.items():
        found = matching(tensors, pattern)
        yield Change(f"stored as {dtype}", found, {name: Tensor(dtype, tensor.shape) for name, tensor in found.items()})


def copies(row: Row, tensors: Tensors) -> Iterator[Change]:
    for reason, (prefix, target) in row.copies.items():
        found = matching(tensors, "^" + re.escape(prefix))
        yield Change(reason, {}, {target + name.removeprefix(prefix): tensor for name, tensor in found.items()})


def extras(row: Row, tensors: Tensors) -> Iterator[Change]:
    for reason, named in row.extras.items():
        yield Change(reason, {}, {name: Tensor(*value) for name, value in named.items()})


def tied_head(row: Row, tensors: Tensors) -> Iterator[Change]:
    if row.stores_tied_head:
        embeddings = matching(tensors, r"(embed_tokens|word_embeddings)\.weight$")
        yield Change("tied head stored twice", {}, {"lm_head.weight": next(iter(embeddings.values()))})


def drops(row: Row, tensors: Tensors) -> Iterator[Change]:
    for reason, pattern in row.drops.items():
        yield Change(reason, matching(tensors, pattern), {})


def packed(row: Row, tensors: Tensors) -> Iterator[Change]:
    if row.packing is not None:
        yield from row.packing.changes(tensors)
