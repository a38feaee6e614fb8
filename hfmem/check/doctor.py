"""One checkpoint examined from its files to their meaning; nothing stops at the first fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from hfmem.check.contents import config_findings, meaning_findings
from hfmem.check.shards import folders, weight_findings
from hfmem.check.tree import file_findings
from hfmem.check.values import SEVERITIES, Checkup, Finding, Severity, failed
from hfmem.checkpoint.read import read_checkpoint
from hfmem.checkpoint.tensors import Checkpoint
from hfmem.errors import BrokenCheckpoint, CannotTell, NotFound
from hfmem.model.spec import ModelSpec
from hfmem.sources.base import Source

MOST_ALIKE = 20  # findings of one code and file; a swapped pair of shards has thousands


def examine(source: Source, spec_of: Callable[[Checkpoint], ModelSpec]) -> Checkup:
    """
    Everything found in a tree of files; `spec_of` reads the model its configuration describes.

    Raises `NotFound` where there is no model, and the access and network errors of the source.
    """
    is_local = source.origin.source != "hub"  # there a request a file, and the Hub has read the headers itself
    found = [*file_findings(source)] if is_local else []
    for folder in folders(source) if is_local else ():
        found += weight_findings(folder)
    checkpoint: Checkpoint | None = None
    try:
        checkpoint = read_checkpoint(source)
    except NotFound:
        if not found:
            raise
    except (BrokenCheckpoint, CannotTell) as error:
        severity: Severity = "suspicious" if isinstance(error, CannotTell) else "broken"
        if not any(each.severity == "broken" for each in found):
            found.append(failed(error, severity=severity))
    found += config_findings(source)
    if checkpoint is not None:
        told = {each.code for each in found}
        found += (each for each in meaning_findings(source, spec_of(checkpoint), checkpoint) if each.code not in told)
    return Checkup(
        origin=source.origin,
        findings=tuple(sorted(few(found), key=lambda each: SEVERITIES.index(each.severity))),
        num_files=len(source.files()),
        num_tensors=checkpoint.num_tensors if checkpoint else 0,
        stored_bytes=checkpoint.stored_bytes if checkpoint else None,
    )


def few(found: list[Finding]) -> Iterator[Finding]:
    """Each finding once, the first of many that are alike, and how many more there are."""
    seen: Counter[tuple[str, str | None]] = Counter()
    for each in dict.fromkeys(found):
        seen[each.code, each.file] += 1
        if seen[each.code, each.file] <= MOST_ALIKE:
            yield each
    for (code, file), count in seen.items():
        if count > MOST_ALIKE:
            message = f"{count - MOST_ALIKE:,} more of {code} in {file or 'this checkpoint'}"
            yield Finding(severity="note", code="more", message=message, file=file)
