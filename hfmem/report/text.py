"""An estimate as people read it in a terminal: a row a component, a bar, remarks, the next step."""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.memory.estimate import Estimate, Item, Note
from hfmem.report.device_lines import device_table
from hfmem.report.escape import terminal
from hfmem.units import GIB, KIB, MIB, count, disk, memory

LABELS = {
    "weights": "weights", "kv_cache": "kv cache", "recurrent_state": "recurrent state", "activations": "activations",
    "logits": "logits", "runtime": "runtime", "adapters": "adapters", "prefill_cache": "prefill cache",
    "optimizer": "optimizer", "optimizer_temporary": "step temporary", "fragmentation": "fragmentation",
    "autocast_copies": "autocast copies", "master_weights": "master weights",
    "reference_model": "reference model", "cuda_graphs": "CUDA graphs", "non_torch": "outside torch", "projector": "projector",
}  # fmt: skip
SIGNS = {"measured": "=", "derived": "=", "modelled": "≈", "assumed": "~"}
ROW = "{:<17}  {:>10}  {:>6}  {:>19}  {}"
BAR = "█▓▒░▞▚·▖▘"
BAR_WIDTH = 60
MOST_VARIANTS = 40


def render_text(estimate: Estimate, *, explain: bool = False) -> str:
    """The whole report, without a trailing newline."""
    lines = [*title(estimate), "", *training_phases(estimate), *table(estimate), "", bar(estimate), *breakdown(estimate)]
    if explain:
        lines += ["", *explanation(estimate)]
    lines += variants(estimate)
    if estimate.devices:
        lines += ["", *device_table(list(estimate.devices))]
    lines += ["", *notes(estimate, explain)]
    return "\n".join(lines)


def variants(estimate: Estimate) -> Iterator[str]:
    """A row a file, where a repository has several of the same model."""
    if len(estimate.variants) > 1:
        yield ""
        yield f"{'FILE':<60}  {'SIZE':>10}  {'TOTAL':>11}"
        for variant in estimate.variants[:MOST_VARIANTS]:
            yield f"{terminal(variant.name):<60}  {disk(variant.num_bytes):>10}  {memory(variant.total_bytes):>11}"
        if more := further_variants(estimate):
            yield more


def further_variants(estimate: Estimate) -> str:
    """How many files are not in the table, for people; JSON has them all."""
    more = len(estimate.variants) - MOST_VARIANTS
    return f"… and {more} more" if more > 0 else ""


def title(estimate: Estimate) -> Iterator[str]:
    """What was asked of what."""
    origin, model = estimate.origin, estimate.model
    where = f" @ {origin.revision or 'main'} ({origin.commit[:7]})" if origin.commit else ""
    what = [f"{origin.reference}{where}", model.architecture or model.model_type or "unknown architecture"]
    if estimate.weights:
        what.append(f"{count(estimate.weights.num_parameters)} parameters")
    if model.quantization:
        what.append(model.quantization.method + (f" {model.quantization.bits}-bit" if model.quantization.bits else ""))
    yield terminal(" · ".join(what))
    yield terminal(asked(estimate))


def asked(estimate: Estimate) -> str:
    """The workload in one line."""
    setting = estimate.resolved
    size = f"batch {setting['batch']} · context {setting['context']:,}"
    if setting["mode"] == "inference":
        ranks = " · ".join(f"{name} {setting[name]}" for name in ("tp", "pp", "dp") if setting.get(name, 1) != 1)
        return f"inference with {setting['engine']} · {size}" + (f" · {ranks}" if ranks else "")
    words = [f"{setting['method']} training", str(setting["precision"]), str(setting["optimizer"]), size]
    words += [f"checkpointing {setting['checkpointing']}", f"{setting['attention']} attention", f"{setting['loss']} loss"]
    return " · ".join(words + ([f"{setting['shard']} on {setting['gpus']} devices"] if setting["gpus"] != 1 else []))


def table(estimate: Estimate) -> Iterator[str]:
    """The items of the peak phase; what an item is known by stands beside it."""
    peak = estimate.peak
    yield ROW.format("COMPONENT", "SIZE", "SHARE", "RANGE", "KNOWN BY")
    for item in peak.items:
        yield row(item, peak.total_bytes)
    total = ROW.format("total", memory(peak.total_bytes), "", spread(peak.low_bytes, peak.high_bytes), f"peak is {peak.name}")
    yield total if estimate.complete else f"{total}; a part is unknown, this is what is known"


def row(item: Item, total: int) -> str:
    label = f"{LABELS.get(item.name, item.name):<15} {SIGNS[item.basis] if item.num_bytes is not None else '?'}"
    if item.num_bytes is None:
        return ROW.format(label, "unknown", "", "", terminal(item.note.removeprefix("unknown: ")))
    share = f"{100 * item.num_bytes / total:.1f}%" if total else ""
    known_by = f"{item.basis} · {terminal(item.note)}" if item.note else item.basis
    return ROW.format(label, memory(item.num_bytes), share, spread(item.low, item.high), known_by)


def spread(low: int, high: int) -> str:
    """A range in one unit; nothing where there is none."""
    if low == high:
        return ""
    unit, name = (GIB, "GiB") if high >= GIB else (MIB, "MiB") if high >= MIB else (KIB, "KiB")
    return f"{low / unit:,.1f} – {high / unit:,.1f} {name}"


def training_phases(estimate: Estimate) -> Iterator[str]:
    """The phases of a training step, the peak marked, and the readings the peak would give."""
    if estimate.resolved["mode"] != "training" or not estimate.complete:
        return
    for phase in estimate.phases:
        mark = "  ← peak" if phase is estimate.peak else ""
        yield f"{phase.name:<24}{memory(phase.total_bytes):>12}{mark}"
    total = estimate.totals
    reserved = f"{memory(total['reserved_bytes'])} [{spread(total['reserved_low_bytes'], total['reserved_high_bytes'])}]"
    yield f"allocated {memory(total['allocated_bytes'])} · reserved {reserved} · device {memory(total['device_bytes'])}"
    yield ""


def levers(estimate: Estimate) -> Iterator[str]:
    """What each single change would save."""
    if estimate.levers:
        yield "levers: " + " · ".join(f"{lever.name} −{memory(lever.saves_bytes)}" for lever in estimate.levers)


def bar(estimate: Estimate) -> str:
    """One stretch an item, told apart by its sign as well as its place."""
    peak = estimate.peak
    known = [item.num_bytes or 0 for item in peak.items]
    cells = (BAR[i % len(BAR)] * round(BAR_WIDTH * size / max(1, sum(known))) for i, size in enumerate(known))
    return "".join(cells)


def breakdown(estimate: Estimate) -> Iterator[str]:
    """Where the weights lie, and why stored and loaded differ; for training, what would save most."""
    yield from levers(estimate)
    weights = estimate.weights
    if weights is None or estimate.resolved["mode"] == "training":
        return
    roles = sorted(weights.by_role.items(), key=lambda pair: -pair[1])
    yield "weights by role: " + ", ".join(f"{role} {memory(size)}" for role, size in roles if size)
    if weights.loaded_bytes != weights.stored_bytes:
        reasons = ", ".join(f"{row.reason} {memory(row.num_bytes)}" for row in weights.differences if row.num_bytes)
        yield f"stored {memory(weights.stored_bytes)}, loaded {memory(weights.loaded_bytes)}; not loaded: {reasons}"


def explanation(estimate: Estimate) -> Iterator[str]:
    """Every formula with the numbers in it, and the configuration keys they came from."""
    for phase in estimate.phases:
        yield f"{phase.name}: {memory(phase.total_bytes)}" + (" (peak)" if phase is estimate.peak else "")
        for item in phase.items:
            size = "unknown" if item.num_bytes is None else f"{item.num_bytes:,} B"
            yield f"  {item.name} = {item.formula or terminal(item.note)} = {size}  ({item.basis})"
    yield "read from:"
    for name, key in estimate.model.sources.items():
        yield f"  {name:<26} {terminal(key)}"
    for difference in estimate.weights.differences if estimate.weights else ():
        yield f"  {difference.reason}: {difference.elements:+,} elements, {difference.num_bytes:,} B not loaded"


def notes(estimate: Estimate, explain: bool) -> Iterator[str]:
    """Remarks with their next steps, then the next command."""
    yield from map(note_line, estimate.notes)
    if not explain:
        again = "the same" if estimate.resolved["mode"] == "training" else f"hfmem estimate {terminal(estimate.origin.reference)}"
        yield f"next: {again} --explain"


def note_line(note: Note) -> str:
    return f"note: {terminal(note.message)}" + (f" ({terminal(note.hint)})" if note.hint else "")
