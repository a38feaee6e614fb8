"""Text and sizes as HTML shows them: what came from a repository is escaped here, once."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from hfmem.report.markup import markup
from hfmem.units import memory


@lru_cache(maxsize=4096)  # thousands of rows share their labels, formulas and notes
def safe(text: str) -> str:
    """The same as `markup`, remembered."""
    return markup(text)


def joined(*parts: Any) -> str:
    """What is there of them, in one line."""
    return " · ".join(safe(str(part)) for part in parts if part not in (None, ""))


def size(num_bytes: int | None) -> str:
    return "unknown" if num_bytes is None else memory(num_bytes)


def sortable(number: int | None) -> str:
    """The attribute that a column is sorted by; an unknown has none, and the script puts it last."""
    return "" if number is None else f" data-v={number:d}"
