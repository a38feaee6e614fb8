"""The tables of fixtures/comparison.json: `table` for docs/method.md, `short_table` for README.md."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent.parent / "fixtures" / "comparison.json"
OURS = "hfmem-cli"
SUBJECTS = {
    "defaults": "types by default",
    "variants": "variants",
    "checkpoints": "bundled checkpoints",
    "configs": "published configurations",
}
VERDICTS = ("right", "over", "under", "zero", "refused")
MEASURED = ("defaults", "variants")
NOTHING = "—"

Results = Mapping[str, Mapping[str, Any]]


def results() -> Results:
    found: Results = json.loads(RESULTS.read_text())
    return found


CAPTIONS = (
    "Caches: right · too much · too little (of which zero) · no answer. Right is within 1 %, with or without recurrent states\n"
    "and what is cached of an encoder. The first two columns are measured on transformers' own cache classes at a few tokens,\n"
    "where hardly a default window bites; the last two count agreement with hfmem at 32,768 tokens or the model's maximum.",
    "Training: absolute errors on measured peaks (grade A, one device) that a tool answers for, and hfmem's on the same runs.\n"
    "hfmem was developed with these runs at hand, its peers were not. No peer has an option for the fused losses that most of\n"
    "the runs use, so runs with the ordinary loss also stand alone, on the right.",
    "Cost: one estimate of a Llama 3.1 8B in four shards from a Hub on the loopback, nothing cached; medians of whole processes.",
    "Commands and versions:",
)


def table(found: Results | None = None) -> str:
    """Every number: caches by kind of input, training, cost, and how each tool was asked."""
    rows = found or results()
    parts = (cache_table(rows), training_table(rows), cost_table(rows), [*commands(rows)])
    return "\n\n".join(f"{caption}\n\n{chr(10).join(part)}" for caption, part in zip(CAPTIONS, parts, strict=True)) + "\n"


def short_table(found: Results | None = None) -> str:
    """One line a tool."""
    rows = found or results()
    head = ["", "caches right", "wrong", "no answer", "training: median error", "CPU", "peak memory", "requests"]
    return "\n".join(markdown(head, [short_line(name, rows) for name in rows])) + "\n"


def short_line(name: str, rows: Results) -> list[str]:
    peer, ours = rows[name], rows[OURS]
    asked = sum(sum_of(ours["cache"][subject]) for subject in MEASURED)
    right, refused = (measured_sum(peer["cache"], verdict) for verdict in ("right", "refused"))
    caches = (
        [f"{right} of {asked}", str(asked - right - refused), str(refused)] if peer["cache"] else [NOTHING, NOTHING, str(asked)]
    )
    return [titled(name, peer), *caches, short_error(peer), *cost_cells(peer["cost"], ours["cost"])]


def measured_sum(cache: Mapping[str, Any] | None, verdict: str) -> int:
    return sum(cache[subject][verdict] for subject in MEASURED) if cache else 0


def cache_table(rows: Results) -> list[str]:
    """Verdicts of each tool on each kind of input."""
    head = ["caches", *(f"{sum_of(rows[OURS]['cache'][subject])} {words}" for subject, words in SUBJECTS.items())]
    return markdown(head, [[titled(name, peer), *verdict_cells(name, peer["cache"])] for name, peer in rows.items()])


def sum_of(counts: Mapping[str, Any]) -> int:
    return sum(counts[verdict] for verdict in VERDICTS)


def verdict_cells(name: str, cache: Mapping[str, Any] | None) -> list[str]:
    if not cache:
        return ["none"] * len(SUBJECTS)
    return ["the reference" if name == OURS and subject not in MEASURED else verdicts(cache[subject]) for subject in SUBJECTS]


def verdicts(counts: Mapping[str, Any]) -> str:
    """Four counts; zeros are too little."""
    zeros = f" ({counts['zero']})" if counts["zero"] else ""
    return f"{counts['right']} · {counts['over']} · {counts['under'] + counts['zero']}{zeros} · {counts['refused']}"


def training_table(rows: Results) -> list[str]:
    """Absolute errors on the runs a tool answers for, beside ours on the same runs."""
    head = ["training", "answers for", "median", "p90", "hfmem there", "ordinary loss: runs", "median", "p90", "hfmem there"]
    return markdown(head, [[titled(name, peer), *training_cells(peer["training"])] for name, peer in rows.items()])


def training_cells(training: Mapping[str, Any] | None) -> list[str]:
    if not training or not training["error"]:
        return ["none", *[NOTHING] * 7]
    return [f"{training['error']['points']} of {training['asked']}", *errors(training, "")[1:], *errors(training, "plain_")]


def errors(training: Mapping[str, Any], prefix: str) -> list[str]:
    """Runs, median, ninetieth percentile, and our median and ninetieth percentile."""
    theirs, ours = training[f"{prefix}error"], training[f"{prefix}hfmem"]
    if not theirs:
        return ["0", *[NOTHING] * 3]
    shown = f"{ours['median']:.1f} %, p90 {ours['p90']:.1f} %"
    return [str(theirs["points"]), f"{theirs['median']:.1f} %", f"{theirs['p90']:.1f} %", shown]


def short_error(peer: Mapping[str, Any]) -> str:
    training = peer["training"]
    if not training or not training["error"]:
        return NOTHING
    return f"{training['error']['median']:.1f} % on {training['error']['points']} of {training['asked']}"


def cost_table(rows: Results) -> list[str]:
    """One estimate of one model of four shards, nothing cached."""
    head = ["one estimate, cold", "CPU", "peak memory", "requests", "received"]
    ours = rows[OURS]["cost"]
    lines = [
        [titled(name, peer), *cost_cells(peer["cost"], ours), f"{peer['cost']['kilobytes']:,.0f} kB"]
        for name, peer in rows.items()
    ]
    return markdown(head, lines)


def cost_cells(cost: Mapping[str, Any], ours: Mapping[str, Any]) -> list[str]:
    processor = f"{cost['cpu_seconds']:.2f} s ({cost['cpu_seconds'] / ours['cpu_seconds']:.1f} ×)"
    return [processor, f"{cost['peak_mib']:.0f} MiB ({cost['peak_mib'] / ours['peak_mib']:.1f} ×)", f"{cost['requests']:.0f}"]


def commands(rows: Results) -> Iterator[str]:
    """How each was asked, and what to know of it."""
    for name, peer in rows.items():
        by_hand = sum(peer["cache"][subject]["by_hand"] for subject in SUBJECTS) if peer["cache"] else 0
        written = f" ({by_hand} answers)" if by_hand else ""
        yield f"- {titled(name, peer)}: `{peer['command']}`" + (f" — {peer['note']}{written}" if peer["note"] else "")


def titled(name: str, peer: Mapping[str, Any]) -> str:
    return f"{name.removesuffix('-cli') if name == OURS else name} {peer['version']}"


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    """A table whose first column is words and whose others are numbers."""
    rule = f"|---|{'--:|' * (len(head) - 1)}"
    return [f"| {' | '.join(head)} |", rule, *(f"| {' | '.join(line)} |" for line in lines)]
