"""What this machine is asked: a command's output, or a file's text; None where there is no answer."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Run = Callable[[tuple[str, ...]], str | None]  # a command → its standard output

SECONDS = 5
MOST_BYTES = 16 * 2**40  # an answer beyond is garbage


@dataclass(frozen=True, slots=True, kw_only=True)
class Roots:
    """Where the kernel shows what it knows; tests show their own."""

    sys: Path = Path("/sys")
    proc: Path = Path("/proc")


def run_command(command: tuple[str, ...]) -> str | None:
    """The output, None where the command is missing, fails or hangs: each means that it cannot tell."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.decode(errors="replace")


def read_text(path: Path) -> str | None:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return None


def whole_number(text: str | None) -> int | None:
    """A count of bytes or MiB; None for `[N/A]`, `[Insufficient Permissions]`, nothing and garbage."""
    word = (text or "").strip()
    if not (word.isascii() and word.isdecimal()) or len(word) > len(str(MOST_BYTES)):
        return None
    return int(word) if int(word) <= MOST_BYTES else None


def system_memory(roots: Roots) -> tuple[int | None, int | None]:
    """MemTotal and MemAvailable in bytes."""
    lines = (read_text(roots.proc / "meminfo") or "").splitlines()
    found = {name: rest.split() for name, _, rest in (line.partition(":") for line in lines)}
    total, free = (whole_number(next(iter(found.get(name, ())), None)) for name in ("MemTotal", "MemAvailable"))
    return total and total * 1024, free and free * 1024
