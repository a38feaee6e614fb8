"""One model as it was loaded: where from, what it is, what it weighs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hfmem.checkpoint.tensors import Checkpoint
from hfmem.memory.estimate import Note
from hfmem.memory.weights import Weights, weigh
from hfmem.model.agreement import disagreements
from hfmem.model.spec import ModelSpec
from hfmem.sources.base import Origin


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # itself alone, so that answers about it can be remembered
class Model:
    """A loaded model. `base` is the model an adapter was trained on, None where there is none or it cannot be reached."""

    origin: Origin
    spec: ModelSpec
    checkpoint: Checkpoint
    weights: Weights | None
    base: Model | None = None
    notes: tuple[Note, ...] = ()


def describe(origin: Origin, spec: ModelSpec, checkpoint: Checkpoint, notes: tuple[Note, ...] = ()) -> Model:
    """Join what was read of one model, and let headers and configuration check each other."""
    remarks = [*(r for part in checkpoint.parts() for r in part.remarks), *disagreements(spec, checkpoint)]
    found = (*notes, *(Note(code=r.code, message=r.message, hint=r.hint) for r in remarks), *spec_notes(spec))
    return Model(origin=origin, spec=spec, checkpoint=checkpoint, weights=weigh(checkpoint, spec), notes=found)


def spec_notes(spec: ModelSpec) -> Iterator[Note]:
    if not spec.is_native and spec.model_type:
        how = f"as {spec.read_as}" if spec.read_as else "from its fields alone"
        yield Note(code="not-in-transformers", message=f"transformers has no model type {spec.model_type!r}: read {how}")
    if spec.runs_remote_code:
        yield Note(code="custom-code", message="config.json names custom code (auto_map); it was not run")
    for unknown in spec.unknowns:
        yield Note(code=unknown.code, message=f"{unknown.part} is unknown: {unknown.message}", hint=unknown.hint)
