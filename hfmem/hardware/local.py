"""The GPUs of this machine: NVIDIA's driver is asked first, then AMD's, then macOS; the first that answers is believed."""

from __future__ import annotations

from collections.abc import Iterable

from hfmem.errors import CannotTell
from hfmem.hardware.amd import amd_devices
from hfmem.hardware.apple import apple_devices
from hfmem.hardware.nvidia import Library, import_library, nvidia_devices
from hfmem.hardware.probes import Roots, Run, run_command
from hfmem.hardware.values import Device, Target

ROOTS = Roots()
TRIED = "NVML, nvidia-smi, /sys/class/drm (amdgpu) and sysctl (macOS)"


def local_targets(*, run: Run = run_command, library: Library = import_library, roots: Roots = ROOTS) -> tuple[Target, ...]:
    """One target for each kind of GPU, in the order in which they were found."""
    found = nvidia_devices(run, library, roots) or amd_devices(roots) or apple_devices(run)
    if not found:
        raise CannotTell(f"no GPU found; asked {TRIED}", code="no-local-device", hint='name one: --on "RTX 4090" or --on 24GiB')
    return grouped(found)


def grouped(found: Iterable[Device]) -> tuple[Target, ...]:
    """Devices equal in name and total are one target; the least that any has free is what each has."""
    groups: dict[tuple[str, int], list[Device]] = {}
    for each in found:
        groups.setdefault((each.name, each.memory_bytes), []).append(each)
    fullest = (
        min(group, key=lambda each: each.memory_bytes if each.free_bytes is None else each.free_bytes)
        for group in groups.values()
    )
    return tuple(
        Target(device=device, count=len(group), text="local") for device, group in zip(fullest, groups.values(), strict=True)
    )
