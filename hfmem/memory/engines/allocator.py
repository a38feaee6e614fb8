"""
What torch's caching allocator counts for the tensors of a model, put down one after the other.

Source: `CUDACachingAllocator` (c10/cuda): tensors up to 1 MiB share segments and are rounded to 512 bytes; those below 10 MiB are
cut from segments of 20 MiB, larger ones have segments of whole 2 MiB; what is left of a block is cut off only above 1 MiB,
and counts as allocated otherwise.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable

from hfmem.memory.engines.values import cdiv
from hfmem.units import MIB

SMALL, LARGE, SHARED, SEGMENT, ROUNDING = MIB, 10 * MIB, 20 * MIB, 2 * MIB, 512


def allocated_bytes(sizes: Iterable[int]) -> int:
    """Bytes torch.cuda.memory_allocated would give after tensors of these sizes, in this order."""
    free: list[int] = []
    return sum(placed(cdiv(size, ROUNDING) * ROUNDING, free) for size in sizes)


def placed(size: int, free: list[int]) -> int:
    """What one tensor counts for; `free` are the cut-off ends of blocks, sorted."""
    if size <= SMALL:
        return size
    at = bisect_left(free, size)
    block = free.pop(at) if at < len(free) else SHARED if size < LARGE else cdiv(size, SEGMENT) * SEGMENT
    left = block - size
    if left > SMALL:
        insort(free, left)
        return size
    return block
