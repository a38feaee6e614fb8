"""An estimate beside its witnesses: the class on the meta device, a dry run of its code, the rules of thumb."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hfmem.errors import CannotTell
from hfmem.memory.estimate import Estimate, Note
from hfmem.memory.subject import Model
from hfmem.witness.ask import Limits, installed
from hfmem.witness.class_count import class_rows, count_class
from hfmem.witness.textbook import rules
from hfmem.witness.values import Row, Verification

Found = TypeVar("Found")


def verify(model: Model, estimate: Estimate, *, textbook: bool = False, limits: Limits | None = None) -> Verification:
    """
    What each witness says of one estimate. A class that refuses the configuration is a note in its own words, not an error;
    a missing extra raises `CannotTell`.
    """
    versions = installed()
    notes: list[Note] = []
    rows: list[Row] = []
    subject = model.base or model
    counted = attempt(lambda: count_class(subject, limits), notes)
    if counted:
        rows += class_rows(subject, counted)
    return Verification(
        estimate=estimate,
        rows=tuple(rows),
        counted=counted,
        rules=tuple(rules(estimate)) if textbook else (),
        notes=tuple(notes),
        versions=versions,
    )


def attempt(witness: Callable[[], Found], notes: list[Note]) -> Found | None:
    """What a witness says, or a note why it says nothing."""
    try:
        return witness()
    except CannotTell as error:
        notes.append(Note(code=error.code, message=error.message, hint=error.hint))
        return None
