"""Modules a quantization_config leaves unpacked: names, globs and simple expressions, as one test."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hfmem.model.quantization import section_of

KEYS = ("modules_to_not_convert", "ignore", "exclude_modules", "llm_int8_skip_modules", "ignored_layers", "exclude")
MOST_NAMES, LONGEST = 20_000, 300
# Expressions come from a file anybody may write: only those without nested repetition are tried.
SIMPLE = re.compile(r"[\w.*\\|()^$\-]*")
NESTED = re.compile(r"\)[*+{]|[*+][*+]")


@dataclass(frozen=True, slots=True)
class Exclusions:
    """`holds(module)` is whether a module, or one it is part of, stays as it is."""

    names: frozenset[str]
    pattern: re.Pattern[str] | None

    def holds(self, module: str) -> bool:
        name = from_layers(module)
        parts = name.split(".")
        whole = (".".join(parts[start:end]) for start in range(len(parts)) for end in range(start + 1, len(parts) + 1))
        return any(part in self.names for part in whole) or bool(self.pattern and self.pattern.search(name))


def exclusions(raw: Mapping[str, Any]) -> Exclusions:
    """What a configuration's packing section leaves out."""
    section = section_of(raw)
    section = (
        section if section is not None else section_of(text) if isinstance(text := raw.get("text_config"), Mapping) else None
    )
    said = [name for name in listed(section or {}) if len(name) <= LONGEST][:MOST_NAMES]
    plain = frozenset(from_layers(name) for name in said if "*" not in name and not name.startswith("re:"))
    wild = [expression for name in said if (expression := as_expression(name))]
    return Exclusions(names=plain, pattern=re.compile("|".join(wild)) if wild else None)


def listed(section: Mapping[str, Any]) -> Iterator[str]:
    for key in KEYS:
        value = section.get(key)
        yield from (name for name in value if isinstance(name, str)) if isinstance(value, list) else ()


def as_expression(name: str) -> str | None:
    """A glob, or an expression behind `re:`, as a regular expression; None for plain names and for unsafe ones."""
    if name.startswith("re:"):
        text = name.removeprefix("re:")
        return f"(?:{text})" if SIMPLE.fullmatch(text) and not NESTED.search(text) and compiles(text) else None
    if "*" not in name:
        return None
    return r"(?:(?:^|\.)" + re.escape(from_layers(name)).replace(r"\*", ".*") + r"(?:\.|$))"


def compiles(text: str) -> bool:
    try:
        re.compile(text)
    except re.error:
        return False
    return True


def from_layers(name: str) -> str:
    """A name from `layers.` on: files and classes put different words before it."""
    at = name.find("layers.")
    return name[at:] if at >= 0 else name
