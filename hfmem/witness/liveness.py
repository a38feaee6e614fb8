"""
Watch storages live and die: a log of every allocation and release, read afterwards.

A storage counts from the operator that makes it until nothing refers to it, once however many views it has, in whole
blocks of 512 bytes as CUDA's caching allocator hands them out. Memory a kernel takes inside itself is not seen.
"""

from __future__ import annotations

import weakref
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

BLOCK = 512  # bytes; c10/cuda/CUDACachingAllocator.cpp, kMinBlockSize
SOLE_TENSOR, SOLE_STORAGE = 4, 2  # use counts seen from inside the mode when autograd holds the last reference


@dataclass(slots=True)
class Storage:
    """One storage: its bytes, the phase it was made in, and what it is for, once that is known."""

    num_bytes: int
    phase: str
    category: str = ""


@dataclass(slots=True)
class Peak:
    """The most bytes alive at once in one phase, and what they were for."""

    total_bytes: int = 0
    at: str = ""
    by_category: dict[str, int] = field(default_factory=dict)


def is_accumulated(old: Any, new: Any = None, *_: Any) -> bool:
    """
    Whether autograd would have added one gradient to another in place, had no mode been watching.

    It does where it holds the last reference to the first (torch/csrc/autograd/input_buffer.cpp, can_accumulate_inplace); under
    a mode it makes a third tensor instead.
    """
    if torch.is_grad_enabled() or not (isinstance(old, torch.Tensor) and isinstance(new, torch.Tensor)):
        return False
    is_alike = old.shape == new.shape and old.dtype == new.dtype and old.untyped_storage().nbytes() == old.nbytes
    storage, tensor = old.untyped_storage(), cast(Any, old)
    return is_alike and tensor._use_count() == SOLE_TENSOR and torch._C._storage_Use_Count(storage._cdata) == SOLE_STORAGE


class Liveness(TorchDispatchMode):
    """Counts storages while it is entered; `phase` and `module` say where the run is."""

    def __init__(self, block: int = BLOCK) -> None:
        super().__init__()
        self.block = block
        self.storages: list[Storage] = []
        self.numbers: dict[int, int] = {}  # a live storage's address → its place in `storages`
        self.sharing: dict[int, int] = {}  # place → storages that stand for it, where a result was written in place
        self.log: list[tuple[int, bool, str, str]] = []  # place, made or released, phase, module
        self.phase, self.module = "before", ""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        in_place = func is torch.ops.aten.add.Tensor and is_accumulated(*args)
        out = func(*args, **(kwargs or {}))
        if in_place:
            self.reuse(args[0], out)
            return out
        for tensor in tree_leaves(out):
            if isinstance(tensor, torch.Tensor):
                self.note(tensor)
        return out

    def reuse(self, old: Any, out: Any) -> None:
        """The result takes the place of a tensor nobody will read again."""
        place = self.numbers[old.untyped_storage()._cdata]
        self.numbers[out.untyped_storage()._cdata] = place
        self.sharing[place] = self.sharing.get(place, 1) + 1
        weakref.finalize(out.untyped_storage(), self.release, out.untyped_storage()._cdata)

    def note(self, tensor: Any, category: str = "") -> None:
        """Count a tensor's storage if it is new; say what it is for where that is known."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.numbers:
            self.numbers[key] = len(self.storages)
            self.storages.append(Storage(num_bytes=-(-storage.nbytes() // self.block) * self.block, phase=self.phase))
            self.log.append((self.numbers[key], True, self.phase, self.module))
            weakref.finalize(storage, self.release, key)
        if category:
            self.storages[self.numbers[key]].category = category

    def note_all(self, tensors: Iterable[Any], category: str) -> None:
        for tensor in tensors:
            self.note(tensor, category)

    def release(self, key: int) -> None:
        place = self.numbers.pop(key)
        self.sharing[place] = self.sharing.get(place, 1) - 1
        if not self.sharing[place]:
            self.log.append((place, False, self.phase, self.module))

    def alive_bytes(self) -> int:
        """Bytes of what is alive and has no name: everything the run itself made."""
        return sum(self.storages[place].num_bytes for place in set(self.numbers.values()) if not self.storages[place].category)

    def name_alive(self, phase: str, category: str) -> None:
        """What was made in a phase, is still alive and has no name yet."""
        for place in self.numbers.values():
            storage = self.storages[place]
            if storage.phase == phase and not storage.category:
                storage.category = category

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        before, self.phase = self.phase, phase
        try:
            yield
        finally:
            self.phase = before

    def peaks(self) -> dict[str, Peak]:
        """The peak of every phase, by replaying the log once every storage has its name."""
        found: dict[str, Peak] = defaultdict(Peak)
        live: dict[str, int] = defaultdict(int)
        total = 0
        for place, is_made, phase, module in self.log:
            storage = self.storages[place]
            change = storage.num_bytes if is_made else -storage.num_bytes
            total += change
            live[storage.category or "temporaries"] += change
            if total > found[phase].total_bytes:
                found[phase] = Peak(total, module, {name: size for name, size in live.items() if size})
        return dict(found)

    def timeline(self) -> list[tuple[str, int]]:
        """Bytes alive when each module was done, in the order of the run."""
        found, total, last = [], 0, ""
        for place, is_made, _, module in self.log:
            if module != last:
                found.append((last, total))
                last = module
            total += self.storages[place].num_bytes * (1 if is_made else -1)
        return [*found, (last, total)]
