"""What the doctor says: findings, and the whole of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from hfmem.errors import HfmemError
from hfmem.memory.estimate import DeviceFit
from hfmem.sources.base import Origin

Severity = Literal["broken", "suspicious", "note"]
SEVERITIES: tuple[Severity, ...] = ("broken", "suspicious", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing: `broken` will not load or loads wrong, `suspicious` may, a `note` is worth knowing."""

    severity: Severity
    code: str
    message: str
    file: str | None = None
    tensor: str | None = None
    found: str | None = None
    expected: str | None = None
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetch:
    """One file a loader fetches, and whether it is on this machine already."""

    name: str
    num_bytes: int | None
    is_here: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Preflight:
    """
    What a download would bring, before it begins.

    The `host_…` bytes are of main memory while from_pretrained loads: files are mapped, and what is mapped the system may drop
    again; of its own it takes only what it converts to another dtype (measured: docs/method.md, "Before a download").
    """

    repo_id: str
    revision: str
    commit: str | None
    gated: bool
    private: bool
    may_read: bool | None  # None where it was not asked
    license: str | None
    is_listed: bool  # False where the Hub was not asked: what is not here is not known
    formats: tuple[str, ...]
    files: tuple[Fetch, ...]  # what from_pretrained gets
    left_out: Mapping[str, int]  # ending of files that are not fetched → their bytes
    vllm_bytes: int | None  # of weights, where vLLM fetches others
    target: str  # the cache, or the directory that was named
    free_bytes: int | None
    host_mapped_bytes: int
    host_converted_bytes: int | None
    command: str

    @property
    def num_bytes(self) -> int:
        """All that is fetched; files the Hub gives no size of count nothing."""
        return sum(each.num_bytes or 0 for each in self.files)

    @property
    def missing(self) -> tuple[Fetch, ...]:
        """What is still to be downloaded."""
        return tuple(each for each in self.files if not each.is_here)

    @property
    def missing_bytes(self) -> int:
        return sum(each.num_bytes or 0 for each in self.missing)

    @property
    def has_room(self) -> bool | None:
        return None if self.free_bytes is None else self.missing_bytes <= self.free_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkup:
    """All findings of one checkpoint, the worst first; counts are of what could be read."""

    origin: Origin
    findings: tuple[Finding, ...]
    num_files: int
    num_tensors: int
    stored_bytes: int | None
    preflight: Preflight | None = None  # of a Hub repository
    devices: tuple[DeviceFit, ...] = ()

    @property
    def verdict(self) -> str:
        """The severity of the worst finding; "healthy" where there are notes at most."""
        worst = next((severity for severity in SEVERITIES if any(f.severity == severity for f in self.findings)), "note")
        return "healthy" if worst == "note" else worst


def failed(error: HfmemError, file: str | None = None, severity: Severity = "broken") -> Finding:
    """An error as a finding."""
    return Finding(severity=severity, code=error.code, message=error.message, file=file, hint=error.hint)
