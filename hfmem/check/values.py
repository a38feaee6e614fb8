"""What the doctor says: findings, and the whole of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hfmem.errors import HfmemError
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
class Checkup:
    """All findings of one checkpoint, the worst first; counts are of what could be read."""

    origin: Origin
    findings: tuple[Finding, ...]
    num_files: int
    num_tensors: int
    stored_bytes: int | None

    @property
    def verdict(self) -> str:
        """The severity of the worst finding; "healthy" where there are notes at most."""
        worst = next((severity for severity in SEVERITIES if any(f.severity == severity for f in self.findings)), "note")
        return "healthy" if worst == "note" else worst


def failed(error: HfmemError, file: str | None = None, severity: Severity = "broken") -> Finding:
    """An error as a finding."""
    return Finding(severity=severity, code=error.code, message=error.message, file=file, hint=error.hint)
