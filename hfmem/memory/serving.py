"""The answer for serving: phases of items, and a base model with its adapter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hfmem.memory.engines.values import Capacity, Card
from hfmem.memory.estimate import Estimate, Item, Note, Phase, VariantTotal
from hfmem.memory.inference import Setting, phases, setting_notes, settle
from hfmem.memory.subject import Model
from hfmem.memory.workload import Inference, check_dtypes
from hfmem.tables.engines import NEWEST


def estimate_inference(model: Model, workload: Inference, card: Card | None = None) -> Estimate:
    """
    The memory serving takes on one device, the peak the largest phase.

    `card` is what a serving engine would run on: it sets the engine's defaults and what its cache has room for.
    """
    workload, subject = engine_for(model, workload), model.base or model
    setting, found, options, capacity = answer(subject, workload, card)
    if model.checkpoint.format == "adapter":
        found = tuple(with_adapter(phase, model) for phase in found)
    notes = (*model.notes, *setting_notes(subject.spec, subject.weights, setting), *engine_notes(model, workload))
    return Estimate(
        origin=model.origin,
        model=subject.spec,
        weights=model.weights if model.base is None else subject.weights,
        stored_bytes=total_stored(model),
        workload=workload,
        phases=found,
        format=model.checkpoint.format,
        notes=notes,
        resolved=resolved(workload, setting) | options,
        capacity=capacity,
        variants=tuple(variant_totals(model, found)),
    )


def engine_for(model: Model, workload: Inference) -> Inference:
    """GGUF files are llama.cpp's: transformers would unpack them to 16 or 32 bits. Raises `UsageError` for a dtype it has not."""
    if model.checkpoint.format == "gguf" and workload.engine_name == "transformers":
        workload = replace(workload, engine="llama.cpp")
    check_dtypes(workload)
    return workload


def engine_notes(model: Model, workload: Inference) -> Iterator[Note]:
    if model.checkpoint.format == "gguf" and workload.engine_name == "llama.cpp":
        yield Note(code="engine-by-format", message="GGUF files are sized as llama.cpp serves them")
    if model.checkpoint.format == "gguf" and workload.engine_name in ("vllm", "sglang"):
        message = f"{workload.engine_name} reads GGUF files in some versions only; the newest known has no loader for them"
        yield Note(code="engine-without-format", message=message, hint="--engine llama.cpp")
    if workload.engine_version and workload.engine_version > NEWEST:
        newest = ".".join(str(part) for part in NEWEST)
        yield Note(code="engine-version", message=f"{workload.engine} is sized as {newest}, the newest version known")


def variant_totals(model: Model, found: tuple[Phase, ...]) -> Iterator[VariantTotal]:
    """Each file of a GGUF repository: as much of it lies on the device as of the one that was read."""
    peak = max(found, key=lambda phase: phase.total_bytes)
    weights = next((item.num_bytes for item in peak.items if item.name == "weights"), None)
    read, checkpoint = model.checkpoint.own_bytes, model.checkpoint
    for variant in checkpoint.variants if read and weights else ():
        tensors = max(0, (variant.num_bytes or 0) - (checkpoint.header_bytes or 0))
        total = peak.total_bytes - (weights or 0) + tensors * (weights or 0) // (read or 1)
        yield VariantTotal(name=variant.name, num_bytes=variant.num_bytes or 0, total_bytes=total)


def answer(
    model: Model, workload: Inference, card: Card | None
) -> tuple[Setting, tuple[Phase, ...], dict[str, object], Capacity | None]:
    """The engine's own words; transformers has no pool and no settings of a server."""
    if workload.engine_name != "transformers":
        from hfmem.memory.engines.dispatch import serve

        served = serve(model, workload, card)
        return served.setting, served.phases, served.options, served.capacity
    setting = settle(model.spec, model.weights, workload)
    return setting, phases(model.spec, model.checkpoint, model.weights, setting), {}, None


def with_adapter(phase: Phase, model: Model) -> Phase:
    """The adapter's weights beside its base's; without a base, the base is the named unknown."""
    size = model.checkpoint.stored_bytes
    adapter = Item(name="adapters", num_bytes=size, basis="measured", note="adapter weights, not merged")
    if model.base is not None:
        return Phase(name=phase.name, items=(phase.items[0], adapter, *phase.items[1:]))
    missing = f"unknown: the base model {model.checkpoint.adapter_base or 'it was trained on'} was not read"
    base = Item(name="weights", num_bytes=None, basis="measured", note=missing)
    return Phase(name=phase.name, items=(base, adapter, *phase.items[1:]))


def total_stored(model: Model) -> int | None:
    sizes = [part.checkpoint.stored_bytes for part in (model, model.base) if part is not None]
    return sum(size for size in sizes if size is not None) if any(size is not None for size in sizes) else None


def resolved(workload: Inference, setting: Setting) -> dict[str, object]:
    """Every option with the value it was given or took."""
    return {
        "mode": "inference",
        "engine": workload.engine,
        "context": setting.context,
        "batch": setting.batch,
        "weights_dtype": setting.weights_dtype or "stored",
        "kv_dtype_bits": setting.kv_bits,
        "kv_dtype_reason": setting.kv_reason,
        "model_dtype": setting.model_dtype,
        "encoder_tokens": setting.encoder_tokens,
    }
