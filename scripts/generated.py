"""The command line of the scripts that generate a table: write it, or say whether it is up to date."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable
from pathlib import Path


def write_or_check(table: Path, script: str, description: str, make: Callable[[], str]) -> int:
    """Write what `make` gives to `table`, or with --check compare it with what is there; 1 where that differs."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    arguments = parser.parse_args()
    logging.disable(logging.CRITICAL)
    text = make()
    if arguments.check:
        current = table.read_text() == text
        print(f"{table.name} is up to date" if current else f"{table.name} differs: run scripts/{script}")
        return 0 if current else 1
    table.write_text(text)
    print(f"{table.name}: {len(text):,} bytes")
    return 0
