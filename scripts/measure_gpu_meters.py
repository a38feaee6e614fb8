"""Where peaks are read: torch's own counters of a CUDA device, or for tests the process's own memory."""

from __future__ import annotations

import gc
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import nvidia_smi
import torch


class Cuda:
    """The first visible device. Made before anything is on it, so that nvidia-smi can tell what was there before."""

    def __init__(self) -> None:
        self.phases: dict[str, dict[str, int]] = {}
        self.static = 0
        self.before = nvidia_smi.used_by_device()

    @staticmethod
    def facts() -> dict[str, Any]:
        if not torch.cuda.is_available():
            return {"status": "failed", "message": f"there is no CUDA device that torch {torch.__version__} can use"}
        free, total = torch.cuda.mem_get_info()
        name = torch.cuda.get_device_properties(0).name
        cuda = torch.version.cuda
        return {"gpu": name, "driver": nvidia_smi.driver(), "cuda": cuda, "total_bytes": total, "free_bytes": free}

    def settle(self) -> None:
        """Give back what only building the model took."""
        gc.collect()
        torch.cuda.synchronize()
        torch.cuda.empty_cache()

    def note_static(self) -> None:
        """What is allocated before the step: weights, adapters, states, workspaces."""
        torch.cuda.synchronize()
        self.static = torch.cuda.memory_allocated()

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        """The peaks of a phase; a phase that comes again is read again."""
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        yield
        torch.cuda.synchronize()
        self.phases[phase] = {"allocated": torch.cuda.max_memory_allocated(), "reserved": torch.cuda.max_memory_reserved()}

    def report(self) -> dict[str, Any]:
        uuid = str(torch.cuda.get_device_properties(0).uuid)
        device_bytes, reading = nvidia_smi.process_bytes(os.getpid(), uuid, self.before)
        retries = torch.cuda.memory_stats().get("num_alloc_retries", 0)
        return {**peaks(self), "device_bytes": device_bytes, "device_reading": reading, "retries": retries}


class Resident:
    """The process's resident peak in the place of every counter, so that the rest can be tested without a device."""

    def __init__(self) -> None:
        self.phases: dict[str, dict[str, int]] = {}
        self.static = 0

    @staticmethod
    def facts() -> dict[str, Any]:
        page = os.sysconf("SC_PAGE_SIZE")
        total, free = (page * os.sysconf(name) for name in ("SC_PHYS_PAGES", "SC_AVPHYS_PAGES"))
        return {"gpu": "cpu", "driver": None, "cuda": None, "total_bytes": total, "free_bytes": free}

    def settle(self) -> None:
        gc.collect()

    def note_static(self) -> None:
        self.static = resident()

    @contextmanager
    def during(self, phase: str) -> Iterator[None]:
        yield
        self.phases[phase] = {"allocated": resident(), "reserved": resident()}

    def report(self) -> dict[str, Any]:
        return {**peaks(self), "device_bytes": None, "device_reading": None, "retries": 0}


METERS: dict[str, type[Cuda] | type[Resident]] = {"cuda": Cuda, "cpu": Resident}


def resident() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def peaks(meter: Any) -> dict[str, Any]:
    """The largest of all phases, and each; segments the allocator holds outlive a phase, so the last reserved is the run's."""
    phases = meter.phases.values()
    return {
        "static": meter.static,
        "max_memory_allocated": max(phase["allocated"] for phase in phases),
        "max_memory_reserved": max(phase["reserved"] for phase in phases),
        "phases": meter.phases,
    }
