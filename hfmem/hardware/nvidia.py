"""NVIDIA's GPUs in this machine, by NVML where its Python module is installed, else by nvidia-smi."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterator
from typing import Any

from hfmem.hardware.detected import detected
from hfmem.hardware.probes import Roots, Run, system_memory, whole_number
from hfmem.hardware.values import Device
from hfmem.units import MIB

Library = Callable[[], Any]  # → the module pynvml, None where it is not installed
Seen = tuple[str, int | None, int | None, str | None]  # name, total and free bytes, compute capability

QUERY = ("nvidia-smi", "--query-gpu=name,memory.total,memory.free,compute_cap", "--format=csv,noheader,nounits")
CAPABILITY = re.compile(r"\d{1,2}\.\d", re.ASCII)
# boards whose GPU has no memory of its own: the driver says [N/A], the kernel knows
UNIFIED = re.compile(r"gb10|orin|thor|xavier|tegra|jetson", re.IGNORECASE)


def nvidia_devices(run: Run, library: Library, roots: Roots) -> tuple[Device, ...]:
    """What NVML says, and nvidia-smi where NVML says nothing."""
    for source, seen in (("NVML", by_library(library())), ("nvidia-smi", by_command(run))):
        found = tuple(device for each in seen if (device := described(each, source, roots)))
        if found:
            return found
    return ()


def described(seen: Seen, source: str, roots: Roots) -> Device | None:
    name, total, free, capability = seen
    unified = not total and bool(UNIFIED.search(name))
    if unified:
        (total, free), source = system_memory(roots), f"{source} and /proc/meminfo"
    if not total or not name:
        return None
    rule = "board" if unified else "gddr"
    return detected(
        name, vendor="nvidia", rule=rule, total=total, free=free, source=source, capability=capability, unified=unified
    )


def import_library() -> Any:
    """The module pynvml of nvidia-ml-py, which is optional."""
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None


def by_library(nvml: Any) -> Iterator[Seen]:
    """Nothing where the module is missing or the driver does not answer it: nvidia-smi may."""
    if nvml is None:
        return
    try:
        nvml.nvmlInit()
        yield from [by_handle(nvml, index) for index in range(nvml.nvmlDeviceGetCount())]
        nvml.nvmlShutdown()
    except nvml.NVMLError:
        return


def by_handle(nvml: Any, index: int) -> Seen:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    name, capability = nvml.nvmlDeviceGetName(handle), nvml.nvmlDeviceGetCudaComputeCapability(handle)
    total, free = library_memory(nvml, handle)
    word = name.decode(errors="replace") if isinstance(name, bytes) else str(name)
    return word, total, free, ".".join(map(str, capability))


def library_memory(nvml: Any, handle: Any) -> tuple[int | None, int | None]:
    """Boards with unified memory answer that they do not support the question."""
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    except nvml.NVMLError:
        return None, None
    return whole_number(str(memory.total)), whole_number(str(memory.free))


def by_command(run: Run) -> Iterator[Seen]:
    """The lines of nvidia-smi; one that has not four fields says nothing."""
    for line in (run(QUERY) or "").splitlines():
        name, *numbers = (field.strip() for field in line.rsplit(",", 3))
        if len(numbers) == 3:
            total, free = (whole_number(each) for each in numbers[:2])
            capability = numbers[2] if CAPABILITY.fullmatch(numbers[2]) else None
            yield name, total and total * MIB, free and free * MIB, capability
