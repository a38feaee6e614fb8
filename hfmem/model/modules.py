"""
Modules a quantization_config leaves unpacked, or names as packed: names, globs and the simple expressions people write.

The names come from a file anybody may write, so nothing of it becomes a regular expression: a pattern is pieces of text with
gaps between them, found one after the other, which takes no longer than the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hfmem.model.quantization import packing_section

KEYS = (
    "modules_to_not_convert", "ignore", "exclude_modules", "llm_int8_skip_modules", "ignored_layers", "exclude", "skip_modules",
)  # fmt: skip
MOST_NAMES, MOST_WILD, LONGEST = 20_000, 300, 300
ALTERNATIVES = re.compile(r"\((?:\?:)?([\w|]+)\)")  # (gate|up|down)
PLAIN = re.compile(r"[\w.*]*")


@dataclass(frozen=True, slots=True)
class Wild:
    """Pieces of text that follow each other in a name between dots; a bound end begins or ends with the dot."""

    pieces: tuple[str, ...]

    def holds(self, dotted: str) -> bool:
        at = 0
        for piece in self.pieces:
            found = dotted.find(piece, at)
            if found < 0:
                return False
            at = found + len(piece)
        return True


@dataclass(frozen=True, slots=True)
class Modules:
    """`holds(module)` is whether a module, or one it is part of, is meant."""

    names: frozenset[str]
    wild: tuple[Wild, ...]

    def holds(self, module: str) -> bool:
        name = from_layers(module)
        parts = name.split(".")
        whole = (".".join(parts[start:end]) for start in range(len(parts)) for end in range(start + 1, len(parts) + 1))
        return any(part in self.names for part in whole) or any(pattern.holds(f".{name}.") for pattern in self.wild)


def exclusions(raw: Mapping[str, Any]) -> Modules:
    """What a configuration's packing section leaves out."""
    section = packing_section(raw)
    return selection(name for key in KEYS for name in strings(section.get(key)))


def selection(said: Iterable[str]) -> Modules:
    """The modules of a list, as one test."""
    names = [name for _, name in zip(range(MOST_NAMES), said, strict=False) if len(name) <= LONGEST]
    plain = frozenset(from_layers(name) for name in names if "*" not in name and not name.startswith("re:"))
    wild = [pattern for name in names if "*" in name or name.startswith("re:") for pattern in patterns(name)]
    return Modules(names=plain, wild=tuple(wild[:MOST_WILD]))


def strings(value: Any) -> Iterator[str]:
    yield from (name for name in value if isinstance(name, str)) if isinstance(value, list) else ()


def patterns(name: str) -> Iterator[Wild]:
    """A glob names whole parts; of expressions those of plain text, gaps and one choice are known."""
    if not name.startswith("re:"):
        yield wild(f".{from_layers(name)}.")
        return
    text = name.removeprefix("re:").replace("\\.", ".")
    end = "." if text.endswith("$") else ""
    for choice in choices(text.removeprefix("^").removesuffix("$")):
        if PLAIN.fullmatch(choice):
            yield wild("." + from_layers(choice.replace(".*", "*")) + end)


def choices(text: str) -> Iterator[str]:
    """The texts an expression with one group of alternatives stands for."""
    group = ALTERNATIVES.search(text)
    words = group[1].split("|") if group else []
    for word in words if group else [""]:
        yield text[: group.start()] + word + text[group.end() :] if group else text


def wild(text: str) -> Wild:
    """A gap at the start frees it from the dot there."""
    return Wild(tuple(piece for piece in text.removeprefix(".*").split("*") if piece))


def from_layers(name: str) -> str:
    """A name from `layers.` on: files and classes put different words before it."""
    at = name.find("layers.")
    return name[at:] if at >= 0 else name
