"""Data alone: what other rooms look up."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def read_table(name: str) -> dict[str, Any]:
    """A generated table of this folder, by its file name."""
    table: dict[str, Any] = json.loads((Path(__file__).parent / name).read_bytes())
    return table
