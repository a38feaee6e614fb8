"""The answer for a training step: phases of items, three totals, and what each single change would save."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from hfmem.errors import ConfigError, HfmemError
from hfmem.memory.estimate import Estimate, Item, Lever, Note, Phase
from hfmem.memory.inference import RUNTIME_BYTES, RUNTIME_HIGH, RUNTIME_LOW
from hfmem.memory.subject import Model
from hfmem.memory.training.matrices import tensors_of
from hfmem.memory.training.phases import Dynamic, dynamic_state, has_traits, moments
from hfmem.memory.training.sharding import Sharded, shard
from hfmem.memory.training.static import Static, static_state
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import DEFAULT_CONTEXT
from hfmem.model.spec import ModelSpec
from hfmem.units import GIB, MIB

WORKSPACE_BYTES = 17 * MIB  # two cuBLAS workspaces of 8.125 MiB, inside the allocator
# Reserved over allocated, from pairs of readings of the same runs: one device, several devices.
FRAGMENTATION = {False: (100, 108, 125), True: (105, 130, 160)}
NCCL_BYTES, NCCL_LOW, NCCL_HIGH = GIB, GIB // 2, 3 * GIB
SPREAD_KNOWN, SPREAD_UNKNOWN = 5, 30  # percent around modelled activations, by whether the modules were read
MODELLED = ("checkpoints", "activations", "logits")
LEVERS: tuple[tuple[str, Mapping[str, object]], ...] = (
    ("--checkpointing full", {"checkpointing": "full"}),
    ("--loss fused", {"loss": "fused"}),
    ("--optimizer adamw_8bit", {"optimizer": "adamw_8bit"}),
    ("--method lora", {"method": "lora"}),
    ("--method qlora", {"method": "qlora"}),
)


def estimate_training(model: Model, workload: Training) -> Estimate:
    """The memory of one optimizer step on one device; a part without a formula is a named unknown."""
    found = without_levers(model, workload)
    return replace(found, levers=tuple(levers(model, found))) if found.complete else found


def without_levers(model: Model, workload: Training) -> Estimate:
    spec, context = model.spec, context_of(model.spec, workload)
    tensors = tensors_of(spec, model.weights)
    static = static_state(tensors, workload)
    share = shard(static, tensors, workload, spec.num_layers or 1)
    dynamic, unknown = attempt(spec, static, model, workload, context)
    found = tuple(phases(share, dynamic, unknown, workload, has_traits(spec)))
    notes = (Note(code=unknown.code, message=unknown.message, hint=unknown.hint),) if unknown else ()
    return Estimate(
        origin=model.origin,
        model=spec,
        weights=model.weights,
        stored_bytes=model.checkpoint.stored_bytes,
        workload=workload,
        phases=found,
        notes=(*model.notes, *notes),
        resolved=resolved(workload, context),
        totals=totals(found),
    )


def context_of(spec: ModelSpec, workload: Training) -> int:
    return workload.context or min(DEFAULT_CONTEXT, spec.max_position_embeddings or DEFAULT_CONTEXT)


def attempt(
    spec: ModelSpec, static: Static, model: Model, workload: Training, context: int
) -> tuple[Dynamic | None, HfmemError | None]:
    """The activations, or why there is no formula for them."""
    if spec.decoder is None or not spec.writes_tokens or any(stack.role == "encoder" for stack in spec.stacks):
        return None, ConfigError("activations of this architecture in training are not modelled yet", code="not-modelled")
    try:
        return dynamic_state(spec, static, tensors_of(spec, model.weights), workload, context), None
    except ConfigError as error:
        return None, error


def phases(
    share: Sharded, dynamic: Dynamic | None, unknown: HfmemError | None, workload: Training, is_known: bool
) -> Iterator[Phase]:
    """Every phase with what is always alive and its own items."""
    held = tuple(static_items(share, workload))
    if dynamic is None:
        missing = Item(name="activations", num_bytes=None, basis="modelled", note=f"unknown: {unknown}")
        step = item("gradients", share.static.gradients, is_known)
        yield Phase(name="backward", items=(*held, missing, step, *tail(held, workload)))
        return
    for name, own in moments(share.static, dynamic, workload):
        items = (*held, *(item(key, size, is_known) for key, size in own.items() if size))
        yield Phase(name=name, items=(*items, *tail(items, workload)))


def static_items(share: Sharded, workload: Training) -> Iterator[Item]:
    static, where = share.static, f" on each of {workload.gpus}" if workload.gpus > 1 else ""
    yield Item(name="weights", num_bytes=static.weights, basis="derived", note=f"{weights_note(workload)}{where}")
    if static.adapters:
        count = f"{static.trained_elements:,} parameters in float32"
        yield Item(name="adapters", num_bytes=static.adapters, basis="derived", formula=count, note=count)
    if static.optimizer:
        yield Item(name="optimizer", num_bytes=static.optimizer, basis="derived", note=f"{workload.optimizer} states{where}")
    if share.gathered:
        note = f"what {workload.shard} holds unsharded for a while"
        yield Item(name="gathered", num_bytes=share.gathered, basis="modelled", note=note)


def weights_note(workload: Training) -> str:
    if workload.method != "qlora":
        return workload.precision
    double = ", double quantisation" if workload.double_quantization and workload.quantization != "int8" else ""
    return f"{workload.quantization}{double}; embeddings, head and norms in 16 bits"


def item(name: str, num_bytes: int, is_known: bool) -> Item:
    if name not in MODELLED:
        return Item(name=name, num_bytes=num_bytes, basis="derived")
    spread = SPREAD_KNOWN if is_known else SPREAD_UNKNOWN
    low, high = num_bytes * (100 - spread) // 100, num_bytes * (100 + spread) // 100
    note = "" if is_known else "built as Llama is; this architecture's modules were not read"
    return Item(name=name, num_bytes=num_bytes, basis="modelled", low_bytes=low, high_bytes=high, note=note)


def tail(items: tuple[Item, ...], workload: Training) -> Iterator[Item]:
    """Workspaces, what the allocator reserves beyond what is used, and what is outside it."""
    allocated = sum(found.num_bytes or 0 for found in items) + WORKSPACE_BYTES
    low, nominal, high = (allocated * (factor - 100) // 100 for factor in FRAGMENTATION[workload.gpus > 1])
    yield Item(name="workspaces", num_bytes=WORKSPACE_BYTES, basis="assumed", note="cuBLAS, inside the allocator")
    note = "reserved by the allocator beyond what is allocated"
    yield Item(name="fragmentation", num_bytes=nominal, low_bytes=low, high_bytes=high, basis="modelled", note=note)
    network = (NCCL_BYTES, NCCL_LOW, NCCL_HIGH) if workload.gpus > 1 else (0, 0, 0)
    yield Item(
        name="runtime",
        num_bytes=RUNTIME_BYTES + network[0],
        low_bytes=RUNTIME_LOW + network[1],
        high_bytes=RUNTIME_HIGH + network[2],
        basis="assumed",
        note="CUDA context" + (" and NCCL" if workload.gpus > 1 else ""),
    )


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
    }


def levers(model: Model, found: Estimate) -> Iterator[Lever]:
    """Each single change estimated again, the largest saving first; what saves nothing is left out."""
    workload, context = found.workload, context_of(model.spec, found.workload)  # type: ignore[arg-type]
    assert isinstance(workload, Training)
    changes = [
        *LEVERS,
        (f"--context {context // 2}", {"context": context // 2}),
        (f"--batch {workload.batch // 2}", {"batch": workload.batch // 2}),
    ]
    saved = []
    for name, change in changes:
        if 0 in change.values() or all(getattr(workload, key) == value for key, value in change.items()):
            continue
        other = without_levers(model, replace(workload, **change))  # type: ignore[arg-type]
        saved.append(Lever(name=name, saves_bytes=found.total_bytes - other.total_bytes))
    yield from sorted((lever for lever in saved if lever.saves_bytes > 0), key=lambda lever: -lever.saves_bytes)


def resolved(workload: Training, context: int) -> dict[str, object]:
    """Every option with the value it was given or took."""
    names = ("batch", "method", "precision", "optimizer", "checkpointing", "attention", "loss", "shard", "gpus", "grad_accum")
    options: dict[str, object] = {"mode": "training", "context": context}
    options.update({name: getattr(workload, name) for name in names})
    if workload.method != "full":
        options.update(lora_rank=workload.lora_rank, lora_targets=workload.lora_targets)
    return options
