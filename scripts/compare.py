"""
Ask hfmem and its peers the same questions and write fixtures/comparison.json.

    scripts/compare [--only NAME ...] [--runs N]

Caches of every measured configuration, caches of real checkpoints and configurations at a long context, measured training
runs, and the cost of one command; everything from one Hub on the loopback. --only keeps the other tools' results as they are.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "scripts")]

import bench
from bench_hub import Loopback
from compare_hub import environment, hub_of
from compare_inputs import Case, checkpoint_cases, config_cases, configurations, measured_cases
from compare_judge import spread, tally
from compare_peers import FOLDER, MODEL, PEERS, Peer, ask, class_shapes, version, whole
from compare_tables import RESULTS, short_table, table
from compare_training import percent_errors, training_questions
from hub_repos import Content

SUBJECTS = ("defaults", "variants", "checkpoints", "configs")


def main() -> int:
    """Ask, write, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", default=[peer.name for peer in PEERS], help="package names of the tools to ask")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each command")
    arguments = parser.parse_args()
    found = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        compare(Path(folder), found, arguments.only, arguments.runs)
    ordered = {peer.name: found[peer.name] for peer in PEERS if peer.name in found}
    RESULTS.write_text(json.dumps(ordered, indent=1, ensure_ascii=False) + "\n")
    print(f"{table()}\n{short_table()}")
    return 0


def compare(folder: Path, found: dict[str, Any], names: Sequence[str], runs: int) -> None:
    """Put in what each tool answers, from one Hub, and what all of them cost."""
    shapes = class_shapes(configurations())
    cases = [*measured_cases(shapes), *config_cases(shapes), *checkpoint_cases(folder)]
    steps = training_questions()
    with hub_of(folder, {**published(cases), **geometries(steps)}, counted(cases)) as hub:
        for peer in PEERS:
            if peer.name in names:
                found[peer.name] = asked(peer, hub, folder, cases, steps)
                print(f"{peer.name} {found[peer.name]['version']} asked", file=sys.stderr)
        for peer, spent in costs([peer for peer in PEERS if peer.name in found], hub, folder, runs):
            found[peer.name]["cost"] = spent


def published(cases: Sequence[Case]) -> dict[str, dict[str, Content]]:
    return {case.repo: dict(case.files) for case in cases}


def counted(cases: Sequence[Case]) -> set[str]:
    """Where headers are whole the Hub says how many parameters there are."""
    return {case.repo for case in cases if case.subject == "checkpoints"}


def geometries(questions: Sequence[dict[str, Any]]) -> dict[str, dict[str, Content]]:
    return {question["repo"]: {"config.json": json.dumps(question["config"]).encode()} for question in questions}


def asked(peer: Peer, hub: Loopback, folder: Path, cases: Sequence[Case], runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Everything a tool has a word for."""
    variables = environment(hub, folder / f"{peer.name}-home", needs_https=peer.needs_https)
    result: dict[str, Any] = {"version": version(peer), "command": peer.shown, "note": peer.note, "cache": None, "training": None}
    if "cache" in peer.jobs:
        answers = ask(peer, "cache", [case.question for case in cases], variables)
        result["cache"] = {subject: judged(answers, cases, subject) for subject in SUBJECTS}
        keep(folder, peer, answers)
    if "training" in peer.jobs:
        result["training"] = trained(ask(peer, "training", runs, variables), runs)
    if peer.name == PEERS[0].name:
        own = [(run["hfmem"], run["hfmem"], run["fused"]) for run in runs]
        result["training"] = errors_of(own, len(runs))
    return result


def keep(folder: Path, peer: Peer, answers: Sequence[dict[str, Any]]) -> None:
    """Answers to look into, where a folder for them was made."""
    place = FOLDER / "answers"
    if place.is_dir():
        (place / f"{peer.name}.json").write_text(json.dumps(answers, indent=0))


def judged(answers: Sequence[dict[str, Any]], cases: Sequence[Case], subject: str) -> dict[str, Any]:
    accepted = {case.repo: case.accepted for case in cases if case.subject == subject}
    return tally((answer for answer in answers if answer["id"] in accepted), accepted)


def trained(answers: Sequence[dict[str, Any]], runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return errors_of(percent_errors(answers, runs), len(runs)) | {
        "reasons": tally(answers, {run["id"]: (1,) for run in runs})["reasons"]
    }


def errors_of(errors: Sequence[tuple[float, float, bool]], asked: int) -> dict[str, Any]:
    """The peer's error and ours on the runs it answers for, and on those of them with the ordinary loss."""
    plain = [error for error in errors if not error[2]]
    return {
        "asked": asked,
        "error": spread([error[0] for error in errors]),
        "hfmem": spread([error[1] for error in errors]),
        "plain_error": spread([error[0] for error in plain]),
        "plain_hfmem": spread([error[1] for error in plain]),
    }


def costs(peers: Sequence[Peer], hub: Loopback, folder: Path, runs: int) -> Iterator[tuple[Peer, dict[str, Any]]]:
    """Medians of whole processes run in turn with nothing cached; the first round, which compiles modules, is not counted."""
    rounds = [[spent(peer, hub, folder / f"{peer.name}-cold{number}") for peer in peers] for number in range(runs + 1)][1:]
    for index, peer in enumerate(peers):
        mine = [found[index] for found in rounds]
        middle = bench.median([cost for cost, _, _ in mine])
        yield (
            peer,
            {
                "model": MODEL,
                "cpu_seconds": round(middle.cpu_seconds, 3),
                "wall_seconds": round(middle.wall_seconds, 3),
                "peak_mib": round(middle.peak_mib, 1),
                "requests": statistics.median(requests for _, requests, _ in mine),
                "kilobytes": round(statistics.median(sent for _, _, sent in mine) / 1000, 1),
                "exit_code": middle.exit_code,
            },
        )


def spent(peer: Peer, hub: Loopback, home: Path) -> tuple[bench.Cost, int, int]:
    """One process, its requests and the bytes sent to it."""
    requests, sent = hub.totals()
    found = bench.run(whole(peer), environment(hub, home, needs_https=peer.needs_https))
    after, after_sent = hub.totals()
    return found, after - requests, after_sent - sent


if __name__ == "__main__":
    sys.exit(main())
