"""What witnesses say as Markdown tables."""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.report.escape import markdown
from hfmem.report.verify_text import amount, difference, verdict, why
from hfmem.units import memory
from hfmem.witness.values import Verification


def render_verification_markdown(found: Verification) -> str:
    return "\n".join([*rows(found), *rules(found), *remarks(found)])


def rows(found: Verification) -> Iterator[str]:
    yield f"### {markdown(found.estimate.origin.reference)}"
    yield ""
    yield "| witness | quantity | counted | ours | difference | reason |"
    yield "|---|---|--:|--:|--:|---|"
    for row in found.rows:
        cells = (row.witness, row.quantity, amount(row, row.counted), amount(row, row.ours), difference(row), "; ".join(why(row)))
        yield "| " + " | ".join(markdown(cell) for cell in cells) + " |"


def rules(found: Verification) -> Iterator[str]:
    if found.rules:
        yield from ("", "| rule of thumb | says | ours | ratio | of | formula and source |", "|---|--:|--:|--:|---|---|")
    for rule in found.rules:
        cells = (rule.name, memory(rule.num_bytes), memory(rule.ours), f"{rule.ratio:.2f}", rule.against)
        yield "| " + " | ".join(cells) + f" | {markdown(f'{rule.formula} ({rule.source})')} |"


def remarks(found: Verification) -> Iterator[str]:
    yield from ("", markdown(verdict(found)))
    yield from (f"\n- {markdown(note.message)}" for note in found.notes)
