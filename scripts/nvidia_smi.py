"""What nvidia-smi says of devices and processes; None where it is missing or does not say."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping

MIB = 2**20


def driver() -> str | None:
    return next((row[0] for row in ask("--query-gpu=driver_version")), None)


def used_by_device() -> dict[str, int]:
    """UUID → bytes in use on each device."""
    return {uuid: size for uuid, size in map(sized, ask("--query-gpu=uuid,memory.used")) if size is not None}


def used_by_process(pid: int) -> int | None:
    """A process's bytes; None where pids are another namespace's, as in a container, or sizes are not told."""
    return dict(map(sized, ask("--query-compute-apps=pid,used_memory"))).get(str(pid))


def process_bytes(pid: int, uuid: str, before: Mapping[str, int]) -> tuple[int | None, str | None]:
    """A process's bytes on a device, and how they are known; `before` is what was used before the process came."""
    own = used_by_process(pid)
    if own is not None:
        return own, "process"
    after = used_by_device()
    name = next((name for name in after if name.endswith(uuid)), None)
    if name is None or name not in before:
        return None, None
    return after[name] - before[name], "device less before"


def sized(row: list[str]) -> tuple[str, int | None]:
    """A name and its MiB as bytes; `[N/A]` is no number."""
    return row[0], int(row[-1]) * MIB if row[-1].isdigit() else None


def ask(query: str) -> list[list[str]]:
    """The rows of a query; none where nvidia-smi cannot be asked."""
    command = ["nvidia-smi", query, "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return []
    return [[cell.strip() for cell in line.split(",")] for line in done.stdout.splitlines() if line.strip()]
