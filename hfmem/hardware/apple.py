"""The GPU of a Mac, which shares the machine's memory; an Intel Mac's is not one that models run on."""

from __future__ import annotations

from dataclasses import replace

from hfmem.hardware.detected import detected
from hfmem.hardware.probes import Run, whole_number
from hfmem.hardware.values import Device
from hfmem.units import GIB, MIB


def apple_devices(run: Run) -> tuple[Device, ...]:
    """One device: the machine's memory, of which the GPU gets the limit that is set, else macOS's own."""
    name, ram = sysctl(run, "machdep.cpu.brand_string"), whole_number(sysctl(run, "hw.memsize"))
    if not name.startswith("Apple") or not ram:
        return ()
    device = detected(f"{name} {ram // GIB}GB", vendor="apple", rule="apple", total=ram, free=None, source="sysctl", unified=True)
    limit = (whole_number(sysctl(run, "iogpu.wired_limit_mb")) or 0) * MIB
    return (replace(device, usable_bytes=min(limit, ram)) if limit else device,)


def sysctl(run: Run, name: str) -> str:
    """One value, asked for alone: a missing name fails the whole command."""
    return (run(("sysctl", "-n", name)) or "").strip()
