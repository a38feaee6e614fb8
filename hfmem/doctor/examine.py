"""One checkpoint examined from its files to their meaning; nothing stops at the first fault."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from hfmem.checkpoint.read import read_checkpoint
from hfmem.checkpoint.tensors import Checkpoint
from hfmem.doctor.contents import beside_findings, config_findings, meaning_findings
from hfmem.doctor.preflight import missing_findings, preflight, room_findings
from hfmem.doctor.published import size_findings
from hfmem.doctor.shards import folders, weight_findings
from hfmem.doctor.tree import file_findings
from hfmem.doctor.values import SEVERITIES, Checkup, Finding, Preflight, Severity, failed
from hfmem.errors import AccessDenied, BrokenCheckpoint, CannotTell, NotFound
from hfmem.model.spec import ModelSpec
from hfmem.sources.base import Published, Source

MOST_ALIKE = 20  # findings of one code and file; a swapped pair of shards has thousands
SpecOf = Callable[[Source, Checkpoint], ModelSpec]


@dataclass(slots=True)
class Examination:
    """What is known so far of one tree of files."""

    source: Source
    findings: list[Finding] = field(default_factory=list)
    checkpoint: Checkpoint | None = None
    spec: ModelSpec | None = None
    preflight: Preflight | None = None
    may_read: bool | None = True

    def checkup(self) -> Checkup:
        checkpoint = self.checkpoint
        return Checkup(
            origin=self.source.origin,
            findings=tuple(sorted(few(self.findings), key=lambda each: SEVERITIES.index(each.severity))),
            num_files=len(self.source.files()),
            num_tensors=checkpoint.num_tensors if checkpoint else 0,
            stored_bytes=checkpoint.stored_bytes if checkpoint else None,
            preflight=self.preflight,
        )


def examine(source: Source, spec_of: SpecOf) -> Examination:
    """
    Everything found in a tree of files; `spec_of` reads the model its configuration describes.

    Raises `NotFound` where there is no model, and the network errors of the source; a repository that may not be read has
    that as a finding.
    """
    found = Examination(source)
    try:
        look(found, spec_of)
    except AccessDenied as error:
        found.may_read = False
        found.findings.append(failed(error, severity="suspicious"))
    return found


def look(found: Examination, spec_of: SpecOf) -> None:
    source = found.source
    if not isinstance(source, Published):  # there a request a file, and the Hub has read the headers itself
        found.findings += file_findings(source)
        for folder in folders(source):
            found.findings += weight_findings(folder)
    found.checkpoint = checkpoint_of(source, found.findings)
    if isinstance(source, Published) and found.checkpoint is not None:
        found.findings += size_findings(source)
    found.findings += config_findings(source)
    found.findings += beside_findings(source)
    if found.checkpoint is not None:
        told = {each.code for each in found.findings}
        found.spec = spec_of(source, found.checkpoint)
        found.findings += (each for each in meaning_findings(source, found.spec, found.checkpoint) if each.code not in told)


def checkpoint_of(source: Source, found: list[Finding]) -> Checkpoint | None:
    """What the loader of every other command makes of it; its fault is told where the look at the files found none."""
    try:
        return read_checkpoint(source)
    except NotFound:
        if not found:
            raise
    except (BrokenCheckpoint, CannotTell) as error:
        severity: Severity = "suspicious" if isinstance(error, CannotTell) else "broken"
        if not any(each.severity == "broken" for each in found):
            found.append(failed(error, severity=severity))
    return None


def compare(found: Examination, repository: Published, *, whole: Examination | None = None, local_dir: str | None = None) -> None:
    """What a download would bring; for a directory that is to be completed, `whole` is the repository's examination."""
    of = whole or found
    about = repository.repository()
    local = {about.prefix + name: size for name, size in found.source.files().items()} if whole else None
    if of.may_read and (about.gated or about.private):
        of.may_read = repository.may_read()
    found.preflight = preflight(
        of.source.origin,
        about,
        of.source.files(),
        of.checkpoint,
        of.spec,
        may_read=of.may_read,
        local=local,
        local_dir=local_dir,
    )
    found.findings += room_findings(found.preflight)
    if local is not None:
        found.findings += missing_findings(found.preflight, local)


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
