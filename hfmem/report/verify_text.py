"""What witnesses say, as people read it in a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.report.escape import terminal
from hfmem.report.text import note_line, title
from hfmem.units import memory
from hfmem.witness.sizing import sizing
from hfmem.witness.values import Counted, Row, Rule, Verification

ROW = "{:<14}  {:<15}  {:>14}  {:>14}  {:>12}  {}"
SIZE = "{:<17}  {:>13}  {:>10}  {:>10}  {:>10}  {:>13}  {:>10}"
RULE = "{:<34}  {:>10}  {:>10}  {:>7}  {:<12}  {}"


def render_verification(found: Verification) -> str:
    """The whole report, without a trailing newline."""
    lines = [*title(found.estimate), "", *table(found)]
    if found.counted:
        lines += ["", *class_lines(found.counted)]
    if found.rules:
        lines += ["", *rules(found.rules)]
    lines += map(note_line, found.notes)
    return "\n".join([*lines, "", verdict(found)])


def table(found: Verification) -> Iterator[str]:
    """A row a thing counted twice, with the reasons for what differs."""
    yield ROW.format("WITNESS", "QUANTITY", "COUNTED", "OURS", "DIFFERENCE", "REASON")
    for row in found.rows:
        yield ROW.format(
            row.witness,
            row.quantity,
            amount(row, row.counted),
            amount(row, row.ours),
            difference(row),
            terminal("; ".join(why(row))),
        ).rstrip()


def amount(row: Row, number: int | None) -> str:
    if number is None:
        return "unknown"
    return memory(number) if row.unit == "bytes" else f"{number:,}"


def difference(row: Row) -> str:
    if row.difference is None:
        return ""
    if row.tolerance and row.counted:
        return f"{row.difference / row.counted:+.2%}"
    return signed(row, row.difference) if row.difference else "0"


def signed(row: Row, number: int) -> str:
    return memory(number) if row.unit == "bytes" else f"{number:+,}"


def why(row: Row) -> Iterator[str]:
    """Named reasons, what they leave, and what the witness adds."""
    for reason in row.reasons:
        yield f"{reason.reason} {signed(row, reason.num_bytes if row.unit == 'bytes' else reason.elements)}"
    if row.unexplained and not row.agrees and not row.is_account:
        yield f"UNEXPLAINED {signed(row, row.unexplained)}" if not row.tolerance else f"beyond {row.tolerance:.0%}"
    if row.note:
        yield row.note


def class_lines(counted: Counted) -> Iterator[str]:
    """accelerate's table, with the head and without it."""
    for how, sizes in (("with its head", counted.whole), ("without it, as accelerate estimate-memory", counted.without_head)):
        yield f"accelerate's sizing of {counted.architecture} {how}; the largest layer is {terminal(sizes.largest)}"
        yield SIZE.format("DTYPE", "LARGEST LAYER", "TOTAL", "MODEL", "GRADIENTS", "BACKWARD PASS", "ADAM STEP")
        for row in sizing(sizes):
            trained = (row.model, row.gradients, row.backward, row.step)
            cells = (memory(row.largest_layer), memory(row.total), *("" if size is None else memory(size) for size in trained))
            yield SIZE.format(row.dtype, *cells).rstrip()
        if counted.whole == counted.without_head:
            return


def rules(found: tuple[Rule, ...]) -> Iterator[str]:
    """What rules of thumb would say, and how far that is from the estimate."""
    yield RULE.format("RULE OF THUMB", "SAYS", "OURS", "RATIO", "OF", "FORMULA AND SOURCE")
    for rule in found:
        text = f"{rule.formula} ({rule.source})"
        yield RULE.format(rule.name, memory(rule.num_bytes), memory(rule.ours), f"{rule.ratio:.2f} ×", rule.against, text)


def verdict(found: Verification) -> str:
    """One line: whether anything is left unexplained."""
    known = found.compared
    versions = ", ".join(f"{name} {number}" for name, number in found.versions.items())
    if not known:
        return f"nothing was compared · {versions}"
    if found.agrees:
        what = f"all {len(known)} counts" if len(known) > 1 else "the count"
        return f"agrees: {what} explained · {versions}"
    return f"disagrees: {sum(not row.agrees for row in known)} of {len(known)} counts are not explained · {versions}"
