"""An estimate beside its witnesses: the class on the meta device, a dry run of its code, the rules of thumb."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from hfmem.errors import CannotTell
from hfmem.memory.estimate import Estimate, Note
from hfmem.memory.subject import Model
from hfmem.witness.ask import Limits, installed
from hfmem.witness.class_count import class_rows, count_class, with_class_weights
from hfmem.witness.dry_rows import dry_run
from hfmem.witness.textbook import rules
from hfmem.witness.values import Counted, Row, Verification

Found = TypeVar("Found")


def verify(
    model: Model,
    estimate: Estimate,
    *,
    runs: bool = False,
    timeline: bool = False,
    textbook: bool = False,
    limits: Limits | None = None,
) -> Verification:
    """
    What each witness says of one estimate. A class that refuses the configuration is a note in its own words, not an error;
    a missing extra raises `CannotTell`. `runs` adds the dry run, `timeline` what was alive after every module of it.
    """
    versions = installed()
    notes: list[Note] = []
    rows: list[Row] = []
    subject = model.base or model
    counted = attempt(lambda: count_class(subject, limits), notes)
    if counted:
        rows += class_rows(subject, counted)
    found = attempt(lambda: dry_run(subject, estimate, limits, timeline), notes) if runs else None
    if found:
        rows += found[0]
    return Verification(
        estimate=estimate,
        rows=tuple(rows),
        counted=counted,
        rules=tuple(rules(estimate)) if textbook else (),
        timeline=tuple(found[1]) if found else (),
        notes=tuple(notes),
        versions=versions,
    )


def count_too(model: Model, *, asked: bool) -> Model:
    """The model with what its class holds as a note, or as its weights where there are no files; or with a note why not."""
    notes: list[Note] = []
    is_weighed = model.checkpoint.format == "config-only"
    counted = attempt(lambda: count_class(model), notes) if asked or is_weighed else None
    if counted is None:
        return replace(model, notes=(*model.notes, *(replace(note, hint=None) for note in notes)))
    ours = model.weights.num_parameters if model.weights else None
    found = with_class_weights(model, counted) if is_weighed else model
    told = (*model.notes, class_note(counted, ours)) if asked else model.notes
    return replace(found, notes=told)


def class_note(counted: Counted, ours: int | None) -> Note:
    differs = ours not in (None, counted.parameters)
    beside = "" if ours is None else f", the headers {ours:,}" if differs else ", as the headers have"
    message = f"the class {counted.architecture} on the meta device has {counted.parameters:,} parameters{beside}"
    return Note(code="class-count", message=message, hint="hfmem verify says why" if differs else None)


def attempt(witness: Callable[[], Found], notes: list[Note]) -> Found | None:
    """What a witness says, or a note why it says nothing."""
    try:
        return witness()
    except CannotTell as error:
        notes.append(Note(code=error.code, message=error.message, hint=error.hint))
        return None
