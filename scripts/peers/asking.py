"""
The loop around every peer: questions as a JSON list on stdin, answers as a JSON list on stdout.

Runs in the peer's own environment, so it needs the standard library alone. What a peer prints goes to stderr; what it raises
is its refusal, quoted.
"""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any

Question = dict[str, Any]
Answer = dict[str, Any]


class Refused(Exception):
    """The peer has no way to be asked this."""


def main(jobs: dict[str, Callable[[Question], Answer]]) -> None:
    """Answer every question on stdin with the job named on the command line."""
    job = jobs[sys.argv[1]]
    with contextlib.redirect_stdout(sys.stderr):
        answers = [{"id": question["id"], **ask(job, question)} for question in json.load(sys.stdin)]
    json.dump(answers, sys.stdout)


def ask(job: Callable[[Question], Answer], question: Question) -> Answer:
    """One answer, `bytes` or `refused`; a peer that exits or raises has refused."""
    try:
        return job(question)
    except (Exception, SystemExit) as error:
        return {"refused": f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]}
