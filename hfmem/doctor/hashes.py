"""Findings about content: what files hash to, against what the Hub says they must."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

from hfmem.doctor.values import Finding, Severity, failed
from hfmem.errors import HfmemError
from hfmem.sources.base import Source

CHUNK = 8 * 2**20
SHA256_LENGTH = 64
Told = Callable[[int], None]


def hash_findings(source: Source, expected: Mapping[str, str], tell: Told) -> Iterator[Finding]:
    """Every file whose content is another than expected; `tell` hears of the bytes as they are read."""
    files = source.files()
    for name, digest in expected.items():
        if files.get(name) is not None:
            yield from one_file(source, name, files[name] or 0, digest, tell)
    unknown = sorted(name for name in files if name not in expected)
    if unknown:
        some = ", ".join(unknown[:3]) + (f" and {len(unknown) - 3:,} more" if len(unknown) > 3 else "")
        hint = "name the repository they are from: hfmem check ORG/NAME --local-dir DIR --hash"
        severity: Severity = "suspicious" if not expected else "note"
        yield Finding(severity=severity, code="digest-unknown", message=f"nothing says what {some} must hash to", hint=hint)


def one_file(source: Source, name: str, num_bytes: int, digest: str, tell: Told) -> Iterator[Finding]:
    try:
        found = digest_of(source, name, num_bytes, digest, tell)
    except HfmemError as error:
        yield failed(error, name)
        return
    if found != digest:
        message, hint = f"{name} has another content than the Hub's", "download it again: hf download --force-download"
        yield Finding(
            severity="broken", code="digest-mismatch", message=message, file=name, found=found, expected=digest, hint=hint
        )


def digest_of(source: Source, name: str, num_bytes: int, like: str, tell: Told) -> str:
    """The sha256, or where git's name is expected, sha1 of `blob <bytes>\\0` and the content, read piece by piece."""
    hashed = hashlib.sha256() if len(like) == SHA256_LENGTH else hashlib.sha1(b"blob %d\0" % num_bytes, usedforsecurity=False)
    for start in range(0, num_bytes, CHUNK):
        piece = source.read_range(name, start, CHUNK)
        hashed.update(piece)
        tell(len(piece))
    return hashed.hexdigest()


def bytes_to_hash(source: Source, expected: Mapping[str, str]) -> int:
    files = source.files()
    return sum(files.get(name) or 0 for name in expected)
