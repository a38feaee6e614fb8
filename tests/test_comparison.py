"""What a comparison counts as right, and the tables it is printed as."""

import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import compare_judge
import compare_tables

GIB = 2**30

# what a case is about, the answer, the numbers that are right, the verdict
CASES = [
    ("the measured bytes", 100 * GIB, (100 * GIB,), "right"),
    ("one per cent more", 101 * GIB, (100 * GIB,), "right"),
    ("two per cent more", 102 * GIB, (100 * GIB,), "over"),
    ("two per cent less", 98 * GIB, (100 * GIB,), "under"),
    ("the cache without recurrent states", 40, (100, 40), "right"),
    ("four times the cache of a model whose states are most", 160, (1000, 40), "over"),
    ("half of the cache of such a model", 20, (1000, 40), "under"),
    ("nothing", 0, (100,), "zero"),
    ("nothing where there are states alone", 0, (100, 0), "right"),
    ("something where there is nothing", 8, (0,), "over"),
    ("no answer", None, (100,), "refused"),
]


@pytest.mark.parametrize(("answer", "accepted", "verdict"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_an_answer_is_judged(answer: float | None, accepted: tuple[int, ...], verdict: str) -> None:
    assert compare_judge.judge(answer, accepted) == verdict


def test_refusals_that_differ_in_names_and_numbers_alone_are_counted_together() -> None:
    answers: list[dict[str, Any]] = [
        {"id": "a", "bytes": 100.0},
        {"id": "b", "refused": "ValueError: 'defaults/one-default' has 1,024 heads"},
        {"id": "c", "refused": "ValueError: 'variants/two-heads' has 7 heads"},
        {"id": "d", "bytes": 300, "by_hand": True},
    ]
    found = compare_judge.tally(answers, dict.fromkeys("abcd", (100,)))
    assert {verdict: found[verdict] for verdict in compare_judge.VERDICTS} == {
        "right": 1, "over": 1, "under": 0, "zero": 0, "refused": 2,
    }  # fmt: skip
    assert found["reasons"] == [[2, "ValueError: … has … heads"]]
    assert found["by_hand"] == 1


def test_errors_are_summed_up_without_their_signs() -> None:
    assert compare_judge.spread([-1.0, 2.0, -3.0]) == {"points": 3, "median": 2.0, "p90": 3.0}
    assert compare_judge.spread([]) is None


def test_every_tool_was_asked_the_same() -> None:
    found = compare_tables.results()
    ours = found[compare_tables.OURS]
    asked = {subject: compare_tables.sum_of(ours["cache"][subject]) for subject in compare_tables.SUBJECTS}
    assert (asked["defaults"], asked["variants"]) == (328, 301)
    for peer in found.values():
        assert peer["cache"] is None or {subject: compare_tables.sum_of(peer["cache"][subject]) for subject in asked} == asked
        assert peer["training"] is None or peer["training"]["asked"] == ours["training"]["asked"]
        assert peer["cost"]["exit_code"] == 0


def test_tables_have_a_line_a_tool_and_as_many_cells_as_columns() -> None:
    for text, tables in ((compare_tables.table(), 3), (compare_tables.short_table(), 1)):
        lines = [line for line in text.splitlines() if line.startswith("|")]
        assert len(lines) == tables * (len(compare_tables.results()) + 2)
        groups = [lines[start : start + len(lines) // tables] for start in range(0, len(lines), len(lines) // tables)]
        assert all(len({line.count("|") for line in group}) == 1 for group in groups)


TOOL: dict[str, Any] = {"version": "1", "command": "tool ID", "note": ""}
COST = {"cpu_seconds": 2.0, "peak_mib": 40.0, "requests": 3, "kilobytes": 9.0}


def test_a_tool_without_an_answer_says_so() -> None:
    counts = {"right": 3, "over": 0, "under": 1, "zero": 1, "refused": 2, "by_hand": 0}
    caches = dict.fromkeys(compare_tables.SUBJECTS, counts)
    ours = TOOL | {"cache": caches, "training": None, "cost": COST}
    silent = TOOL | {"cache": None, "training": None, "cost": COST | {"cpu_seconds": 5.0}}
    assert compare_tables.short_table({"hfmem-cli": ours, "silent": silent}).splitlines()[2:] == [
        "| hfmem 1 | 6 of 14 | 4 | 4 | — | 2.00 s (1.0 ×) | 40 MiB (1.0 ×) | 3 |",
        "| silent 1 | — | — | 14 | — | 5.00 s (2.5 ×) | 40 MiB (1.0 ×) | 3 |",
    ]
    assert "| hfmem 1 | 3 · 0 · 2 (1) · 2 |" in compare_tables.table({"hfmem-cli": ours, "silent": silent})
