"""
Write a bundled header-only fixture as a checkpoint directory whose weight files are sparse and take no room.

    python scripts/unpack_fixture.py NAME DIRECTORY
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import checkpoints

if __name__ == "__main__":
    name, directory = sys.argv[1:]
    checkpoints.write(name, Path(directory))
