"""An estimate as a Markdown table, for issues, pull requests and step summaries."""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.memory.estimate import Estimate
from hfmem.report.device_lines import device_rows
from hfmem.report.escape import markdown
from hfmem.report.text import LABELS, MOST_VARIANTS, asked, further_variants
from hfmem.units import disk, memory


def render_markdown(estimate: Estimate, *, explain: bool = False) -> str:
    """Heading, phases of a training step, table of the peak phase, remarks."""
    return "\n".join(
        [
            *heading(estimate),
            *phases(estimate),
            *rows(estimate, explain),
            *levers(estimate),
            *variants(estimate),
            *devices(estimate),
            *remarks(estimate),
        ]
    )


def heading(estimate: Estimate) -> Iterator[str]:
    yield f"### {markdown(estimate.origin.reference)}"
    yield ""
    yield f"{markdown(asked(estimate))}; the peak is {estimate.peak.name}."
    yield ""


def phases(estimate: Estimate) -> Iterator[str]:
    """A training step's phases, and the readings its peak would give."""
    if estimate.resolved["mode"] != "training" or not estimate.complete:
        return
    yield from ("| phase | size |", "|---|--:|")
    yield from (f"| {phase.name} | {memory(phase.total_bytes)} |" for phase in estimate.phases)
    total = estimate.totals
    low, high = memory(total["reserved_low_bytes"]), memory(total["reserved_high_bytes"])
    reserved = f"reserved {memory(total['reserved_bytes'])} ({low} – {high})"
    yield from ("", f"allocated {memory(total['allocated_bytes'])}, {reserved}, device {memory(total['device_bytes'])}", "")


def levers(estimate: Estimate) -> Iterator[str]:
    """What each single change would save."""
    if estimate.levers:
        yield from ("", "| change | saves |", "|---|--:|")
        yield from (f"| `{lever.name}` | {memory(lever.saves_bytes)} |" for lever in estimate.levers)


def variants(estimate: Estimate) -> Iterator[str]:
    """A row a file, where a repository has several of the same model."""
    if len(estimate.variants) > 1:
        yield from ("", "| file | size | total |", "|---|--:|--:|")
        for variant in estimate.variants[:MOST_VARIANTS]:
            yield f"| {markdown(variant.name)} | {disk(variant.num_bytes)} | {memory(variant.total_bytes)} |"
        if more := further_variants(estimate):
            yield f"| {more} | | |"


def devices(estimate: Estimate) -> Iterator[str]:
    """How the devices asked for take it."""
    if estimate.devices:
        yield ""
        yield from device_rows(list(estimate.devices))


def rows(estimate: Estimate, explain: bool) -> Iterator[str]:
    yield "| component | size | range | known by |" + (" formula |" if explain else "")
    yield "|---|--:|---|---|" + ("---|" if explain else "")
    for item in estimate.peak.items:
        size = "unknown" if item.num_bytes is None else memory(item.num_bytes)
        spread = f"{memory(item.low)} – {memory(item.high)}" if item.low != item.high else ""
        line = f"| {LABELS.get(item.name, item.name)} | {size} | {spread} | {item.basis}: {markdown(item.note)} |"
        yield line + (f" {markdown(item.formula)} |" if explain else "")
    peak = estimate.peak
    known = "" if estimate.complete else " (a part is unknown)"
    line = f"| **total** | **{memory(peak.total_bytes)}**{known} | {memory(peak.low_bytes)} – {memory(peak.high_bytes)} | |"
    yield line + (" |" if explain else "")


def remarks(estimate: Estimate) -> Iterator[str]:
    for note in estimate.notes:
        yield f"\n- {markdown(note.message)}"
