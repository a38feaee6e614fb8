"""What an answer is worth: right, wrong in which way, or no answer; and how far a set of estimates is off."""

from __future__ import annotations

import math
import re
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

VERDICTS = ("right", "over", "under", "zero", "refused")
TOLERANCE = 0.01
MOST_REASONS = 6


def judge(answer: float | None, accepted: Sequence[int]) -> str:
    """
    One of `VERDICTS`, against every number that counts as right; too much or too little against the nearest of them.

    A cache of no bytes is only met by zero, and None is no answer.
    """
    if answer is None:
        return "refused"
    if any(abs(answer - size) <= TOLERANCE * size for size in accepted):
        return "right"
    if answer == 0:
        return "zero"
    nearest = min((size for size in accepted if size), key=lambda size: abs(math.log(answer / size)), default=0)
    return "over" if answer > nearest else "under"


def tally(answers: Iterable[Mapping[str, Any]], accepted: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """Counts of each verdict, the commonest refusals in the peer's words, and answers that needed a hand-written input."""
    verdicts: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    by_hand = 0
    for answer in answers:
        verdicts[judge(answer.get("bytes"), accepted[answer["id"]])] += 1
        by_hand += bool(answer.get("by_hand"))
        if "refused" in answer:
            reasons[general(answer["refused"])] += 1
    counts = {verdict: verdicts[verdict] for verdict in VERDICTS}
    return {**counts, "by_hand": by_hand, "reasons": [[count, text] for text, count in reasons.most_common(MOST_REASONS)]}


def general(reason: str) -> str:
    """A refusal without the names and numbers of its model, so that like ones are counted together."""
    unnamed = re.sub(r"'?\b(defaults|variants|configs|training)/[\w.\-]+'?", "…", reason)
    return re.sub(r"[+-]?\d[\d,.]*%?|[\[{].*", "…", unnamed)[:160]


def spread(errors: Sequence[float]) -> dict[str, float] | None:
    """Median and ninetieth percentile of absolute errors in per cent; None without any."""
    sizes = sorted(abs(error) for error in errors)
    if not sizes:
        return None
    tenth = sizes[min(len(sizes) - 1, len(sizes) * 9 // 10)]
    return {"points": len(sizes), "median": round(statistics.median(sizes), 2), "p90": round(tenth, 2)}
