"""Sizes as people read and write them: GiB for memory, decimal GB for downloads; inside, always whole bytes."""

from __future__ import annotations

KIB, MIB, GIB = 2**10, 2**20, 2**30


def memory(num_bytes: int) -> str:
    """Bytes of memory in GiB, in MiB below one GiB, in KiB below one MiB."""
    if abs(num_bytes) >= GIB:
        return f"{num_bytes / GIB:,.2f} GiB"
    return f"{num_bytes / MIB:,.2f} MiB" if abs(num_bytes) >= MIB else f"{num_bytes / KIB:,.2f} KiB"


def disk(num_bytes: int) -> str:
    """Bytes of a download in decimal GB, in MB below one GB."""
    return f"{num_bytes / 10**9:,.2f} GB" if num_bytes >= 10**9 else f"{num_bytes / 10**6:,.2f} MB"


def count(number: int) -> str:
    """A number of parameters: 8.03 B, 494 M."""
    for factor, letter in ((10**12, "T"), (10**9, "B"), (10**6, "M")):
        if number >= factor:
            return f"{number / factor:,.2f} {letter}"
    return f"{number:,}"
