"""The answer for a training step: phases of items, three totals, and what each single change would save."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import partial

from hfmem.errors import ConfigError, HfmemError
from hfmem.memory.estimate import Estimate, Item, Note, Phase
from hfmem.memory.subject import Model
from hfmem.memory.training.dynamic import Dynamic, dynamic_state, is_read
from hfmem.memory.training.items import Confidence, modelled, static_items, tail, unknown_item
from hfmem.memory.training.levers import levers
from hfmem.memory.training.matrices import Tensors, for_task, tensors_of
from hfmem.memory.training.packed import packed_bytes
from hfmem.memory.training.phases import moments
from hfmem.memory.training.remarks import remarks
from hfmem.memory.training.sharding import Sharded, shard
from hfmem.memory.training.static import static_state
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import DEFAULT_CONTEXT
from hfmem.model.spec import ModelSpec


def estimate_training(model: Model, workload: Training) -> Estimate:
    """
    The memory of one optimizer step on one device; a part without a formula is a named unknown.

    An adapter trains on with its base: the base model is what is sized.
    """
    subject = replace(model.base, notes=(*model.notes, *model.base.notes)) if model.base else model
    answer = partial(sized, subject, tensors_of(subject.spec, subject.weights))
    found = answer(workload)
    return replace(found, levers=tuple(levers(found, answer))) if found.complete else found


def sized(model: Model, every: Sequence[Tensors], workload: Training) -> Estimate:
    """The answer without levers; `every` are the model's tensors, whatever the task."""
    labels = None if workload.task == "causal-lm" else workload.num_labels
    tensors, packed = for_task(every, labels), packed_bytes(model, every, workload)
    context = context_of(model.spec, workload)
    if not tensors:
        return estimate_of(model, workload, context, (unreadable(workload),), ())
    layers = model.spec.num_layers or 1
    share = shard(static_state(tensors, workload, packed), tensors, workload, layers, packed is not None)
    dynamic, missing = attempt(model, tensors, workload, context, packed is not None)
    sure = Confidence.of(workload, is_read(model.spec))
    found = tuple(phases(share, dynamic, missing, workload, sure, packed is not None))
    return estimate_of(model, workload, context, found, tuple(remarks(model, tensors, packed, workload, missing)))


def estimate_of(model: Model, workload: Training, context: int, found: tuple[Phase, ...], notes: tuple[Note, ...]) -> Estimate:
    return Estimate(
        origin=model.origin,
        model=model.spec,
        weights=model.weights,
        stored_bytes=model.checkpoint.stored_bytes,
        workload=workload,
        phases=found,
        format=model.checkpoint.format,
        notes=(*model.notes, *notes),
        resolved=resolved(workload, context),
        totals=totals(found),
    )


def context_of(spec: ModelSpec, workload: Training) -> int:
    return workload.context or min(DEFAULT_CONTEXT, spec.max_position_embeddings or DEFAULT_CONTEXT)


def unreadable(workload: Training) -> Phase:
    """No shapes and no geometry: nothing can be counted."""
    what = "unknown: neither tensor shapes nor a geometry could be read"
    missing = Item(name="weights", num_bytes=None, basis="derived", note=what)
    return Phase(name="optimizer step", items=(missing, *tail((), workload)))


def attempt(
    model: Model, tensors: Sequence[Tensors], workload: Training, context: int, packed: bool
) -> tuple[Dynamic | None, HfmemError | None]:
    """The activations, or why there is no formula for them."""
    if not any(stack.layers for stack in model.spec.stacks):
        return None, ConfigError("activations in training need layers, and none could be read", code="not-modelled")
    try:
        return dynamic_state(model.spec, tensors, workload, context, packed), None
    except ConfigError as error:
        return None, error


def phases(
    share: Sharded, dynamic: Dynamic | None, missing: HfmemError | None, workload: Training, sure: Confidence, packed: bool
) -> Iterator[Phase]:
    """Every phase with what is always alive and its own items."""
    held = tuple(static_items(share.static, workload, packed))
    if dynamic is None:
        step = modelled("gradients", share.static.gradients, sure)
        yield Phase(name="backward", items=(*held, unknown_item(missing), step, *tail((*held, step), workload)))
        return
    for moment in moments(share, dynamic, workload):
        named = {**dynamic.formulas, "gradients": f"{share.static.trained_elements:,} trained elements"}
        own = (modelled(name, size, sure, named.get(name, "")) for name, size in moment.items.items() if size)
        items = (*held, *own)
        yield Phase(name=moment.name, items=(*items, *tail(items, workload)))


def totals(found: tuple[Phase, ...]) -> dict[str, int]:
    """The peak as three readings: torch's allocated and reserved bytes, and what the device has to have."""
    peak = max(found, key=lambda phase: phase.total_bytes)
    by_name = {part.name: part for part in peak.items}
    runtime, slack = by_name["runtime"], by_name["fragmentation"]
    reserved = peak.total_bytes - (runtime.num_bytes or 0)
    return {
        "allocated_bytes": reserved - (slack.num_bytes or 0),
        "reserved_bytes": reserved,
        "reserved_low_bytes": peak.low_bytes - runtime.low,
        "reserved_high_bytes": peak.high_bytes - runtime.high,
        "device_bytes": peak.total_bytes,
        "device_low_bytes": peak.low_bytes,
        "device_high_bytes": peak.high_bytes,
    }


def resolved(workload: Training, context: int) -> dict[str, object]:
    """Every option with the value it was given or took."""
    taken = {"autocast": workload.autocasts, "master_weights": workload.keeps_master, "reentrant": workload.is_reentrant}
    options = {field.name: getattr(workload, field.name) for field in fields(workload)}
    version = ".".join(str(number) for number in workload.transformers)
    return {"mode": "training", **options, **taken, "context": context, "transformers": version}
