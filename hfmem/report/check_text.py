"""What the doctor says, as people read it: in a terminal, and as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator

from hfmem.doctor.values import Checkup, Finding
from hfmem.report.device_lines import device_rows, device_table
from hfmem.report.escape import markdown, terminal
from hfmem.report.preflight_lines import facts, preflight_lines
from hfmem.units import disk

SIGNS = {"broken": "✗", "suspicious": "?", "note": "·"}


def render_checkup(found: Checkup) -> str:
    """The whole report, without a trailing newline."""
    lines = [terminal(heading(found)), ""]
    if found.preflight:
        lines += [*preflight_lines(found.preflight), ""]
    if found.devices:
        lines += [*device_table(list(found.devices)), ""]
    for each in found.findings:
        lines += finding_lines(each)
    return "\n".join([*lines, *([""] if found.findings else []), f"{found.verdict}: {summary(found)}"])


def heading(found: Checkup) -> str:
    size = f" · {disk(found.stored_bytes)} of weights" if found.stored_bytes is not None else ""
    counts = [f"{number:,} {word}" + ("" if number == 1 else "s") for number, word in counted(found)]
    return " · ".join([found.origin.reference, *counts]) + size


def counted(found: Checkup) -> tuple[tuple[int, str], ...]:
    return (found.num_files, "file"), (found.num_tensors, "tensor")


def finding_lines(each: Finding) -> Iterator[str]:
    yield f"{SIGNS[each.severity]} {each.severity:<10}  {terminal(f'{each.message}{differing(each)}')} [{each.code}]"
    if each.hint:
        yield f"  {'':<10}  {terminal(each.hint)}"


def differing(each: Finding) -> str:
    """What was found and what was expected, where the message does not say them already."""
    return f": found {each.found}, expected {each.expected}" if each.found and each.expected else ""


def summary(found: Checkup) -> str:
    counts = {severity: sum(each.severity == severity for each in found.findings) for severity in SIGNS}
    return ", ".join(f"{count} {severity}" for severity, count in counts.items() if count) or "nothing found"


def render_checkup_markdown(found: Checkup) -> str:
    rows = [
        f"| {each.severity} | {each.code} | {markdown(each.file or '')} | {markdown(each.message + differing(each))} |"
        f" {markdown(each.hint or '')} |"
        for each in found.findings
    ]
    table = ["", "| severity | code | file | finding | hint |", "|---|---|---|---|---|", *rows] if rows else []
    lines = [f"### {markdown(heading(found))}", "", f"**{found.verdict}**: {summary(found)}", *table]
    if found.preflight:
        lines += ["", *(f"- **{name}**: {markdown(text)}" for name, text in facts(found.preflight))]
        fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", found.preflight.command)), default=0))
        lines += ["", f"{fence}sh", terminal(found.preflight.command), fence]  # the command itself is never changed
    return "\n".join([*lines, *(["", *device_rows(list(found.devices))] if found.devices else [])])
