"""A GPU, and some of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hfmem.hardware.capability import runs, runs_weight_only

MEMORY_SOURCES = ("driver", "spec", "stated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """
    One GPU as its driver shows it, or a plain size, whose vendor is None.

    A card of two chips that the driver shows as two devices (MI250X, K80) is two of these.
    """

    name: str
    vendor: str | None
    family: str
    memory_bytes: int  # what the driver reports as total: nvidia-smi, rocm-smi
    usable_bytes: int  # what a process sees as total: cudaMemGetInfo
    memory_source: str  # driver: reported in logs; spec: marketing size less a deduction; stated: by the user
    source: str
    marketing_gb: float | None = None
    compute_capability: str | None = None
    unified: bool = False
    aliases: tuple[str, ...] = ()
    free_bytes: int | None = None  # known of this machine's devices alone

    def __post_init__(self) -> None:
        if not 0 < self.usable_bytes <= self.memory_bytes:
            raise ValueError(f"{self.name}: {self.usable_bytes} usable of {self.memory_bytes} bytes")
        if self.free_bytes is not None and not 0 <= self.free_bytes <= self.memory_bytes:
            raise ValueError(f"{self.name}: {self.free_bytes} free of {self.memory_bytes} bytes")
        if self.memory_source not in MEMORY_SOURCES:
            raise ValueError(f"{self.name}: {self.memory_source!r} is none of {', '.join(MEMORY_SOURCES)}")

    def runs(self, dtype: str) -> bool:
        """Whether its units compute in this dtype; a plain size is not known to lack any."""
        return self.vendor is None or runs(self.vendor, self.family, self.compute_capability, dtype)

    def runs_weight_only(self, dtype: str) -> bool:
        """Whether engines keep weights in this dtype and compute in 16 bits where the units cannot (vLLM's Marlin)."""
        return self.runs(dtype) or runs_weight_only(self.vendor, self.compute_capability, dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Equal devices a model is to be put on."""

    device: Device
    count: int
    text: str  # what the user typed

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"{self.count} devices")

    def times(self, count: int) -> Target:
        """So many of these."""
        return replace(self, count=self.count * count)
