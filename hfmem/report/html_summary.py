"""What an HTML report says before its table: counts, the workload, the devices, and the controls a script brings to life."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hfmem.memory.estimate import VERDICTS
from hfmem.report.device_lines import SIGNS, device_name
from hfmem.report.html_survey import GROUPS, REST, DeviceKey, Survey
from hfmem.report.html_text import joined, safe
from hfmem.units import disk, memory

FIT_WORDS = {"fits": "fits on", "tight": "is tight on", "no": "does not fit on", "unknown": "is unknown on"}
MOST_PRINTED = 100  # with more models than these, paper has the details of those that were opened


def workload(found: Survey) -> str:
    """What every model was asked for; a range where models differ, such as in the context they can take."""
    names = [f"{method} {mode}".strip() + (f" with {engine}" if engine else "") for mode, engine, method in found.workloads]
    return joined(*names, between("batch", found.batches), between("context", found.contexts))


def between(name: str, numbers: Counter[int]) -> str:
    if not numbers:
        return ""
    low, high = min(numbers), max(numbers)
    return f"{name} {high:,}" if low == high else f"{name} {low:,} to {high:,}"


def tiles(found: Survey) -> Iterator[str]:
    yield "<dl class=tiles>"
    for name, value, remark in figures(found):
        yield f"<div><dt>{name}<dd>{value}<dd class=sub>{remark}</div>"
    yield "</dl>\n"


def figures(found: Survey) -> Iterator[tuple[str, str, str]]:
    """A name, a number, and what stands under it."""
    failed = dict(found.failures())
    partial = found.statuses["partial"]
    known = f"{partial:,} of them with an unknown part" if partial else "with every part known"
    reasons = joined(*(f"{count:,} {status}" for status, count in failed.items()))
    yield "Models", f"{found.num_models:,}", "in the list"
    yield "Estimated", f"{found.num_models - sum(failed.values()):,}", known
    yield "Not estimated", f"{sum(failed.values()):,}", reasons or "none"
    yield "Download", disk(found.stored_bytes), "all weights together"
    if found.largest_bytes:
        yield "Largest", memory(found.largest_bytes), f"<span class=r>{safe(found.largest_reference)}</span>"


def device_counts(found: Survey) -> Iterator[str]:
    """How many of the estimated models each device holds."""
    if not found.devices:
        return
    columns = "".join(f"<th scope=col>{SIGNS[verdict]} {verdict}" for verdict in VERDICTS)
    yield "<table class=fits><caption>Models a device holds</caption>"
    yield f"<thead><tr><th scope=col>Device<th scope=col>Usable{columns}<tbody>"
    for key, usable in found.usable_bytes.items():
        counts = "".join(f"<td{'' if number else ' class=z'}>{number:,}" for number in counts_of(found, key))
        yield f"<tr><th scope=row>{safe(device_name(*key))}<td>{memory(usable)}{' each' if key[1] > 1 else ''}{counts}"
    yield "</table>\n"


def counts_of(found: Survey, key: DeviceKey) -> Iterator[int]:
    return (found.verdicts[key, verdict] for verdict in VERDICTS)


def controls(found: Survey) -> str:
    """What needs the script stays hidden without it."""
    statuses = "".join(f'<option value="{safe(name)}">{safe(name)} ({count:,})' for name, count in found.statuses.most_common())
    printed = " checked" if found.num_models <= MOST_PRINTED else ""
    return f"""<div class=controls id=controls role=search aria-label="Models of the table" hidden>
<div><label for=find>Search</label>
<input type=search id=find placeholder="name, architecture, status" autocomplete=off spellcheck=false></div>
<div><label for=status>Status</label><select id=status><option value="">all{statuses}</select></div>
<div><label for=fits>Device</label><select id=fits><option value="">any{"".join(device_options(found))}</select></div>
<button type=button id=clear>Clear</button>
<output id=count aria-live=polite for="find status fits"></output>
<div class=more><button type=button id=open>Open details</button>
<label><input type=checkbox id=paper{printed}> Print with details</label></div>
</div>
"""


def device_options(found: Survey) -> Iterator[str]:
    """An option a device and verdict that occurs; its value is the column and the verdict's letter."""
    for number, key in enumerate(found.devices):
        name = safe(device_name(*key))
        yield f'<optgroup label="{name}">'
        for verdict, count in zip(VERDICTS, counts_of(found, key), strict=True):
            if count:
                yield f"<option value={number}{verdict[0]}>{FIT_WORDS[verdict]} {name} ({count:,})"
        yield "</optgroup>"


def legend(found: Survey) -> str:
    """The bars' patterns by name, and the switch between sizes and shares, which is the style sheet's."""
    names = [name for name in (*GROUPS, REST) if name in found.groups]
    swatch = "<svg class=k aria-hidden=true><rect class={} width=100% height=100% /></svg>"
    entries = "".join(f"<li>{swatch.format(name[0])}{name}" for name in names)
    switch = "<label><input type=checkbox id=scale> Bars to one scale</label>"
    return f"<div class=legend><ul aria-label='What bars are made of'>{entries}</ul>{switch}</div>\n" if entries else ""
