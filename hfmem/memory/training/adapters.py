"""Which parameters are trained: all of them, or LoRA matrices beside targeted modules and copies of saved ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from hfmem.errors import UsageError
from hfmem.memory.training.experts import is_taken, wrapped_adapters, wrapped_targets
from hfmem.memory.training.matrices import Tensors, elements
from hfmem.memory.training.workload import Training
from hfmem.tables.aliases import FUSED_MODULES

BYTES = {"bf16": 2, "fp16": 2, "fp32": 4, "mixed": 4}
HEADS = ("lm_head", "embed_out", "output_layer", "output")
ROUTERS = ("gate", "router")


class Trained(NamedTuple):
    """Tensors with gradients that share a dtype; `num_bytes` is that of an element."""

    tensors: tuple[Tensors, ...]
    num_bytes: int

    @property
    def elements(self) -> int:
        return elements(self.tensors)


def trained_groups(tensors: Sequence[Tensors], workload: Training) -> tuple[Trained, ...]:
    """Everything that gets a gradient. Raises `UsageError` where no module is a LoRA target or none is left to train."""
    if not workload.trains_adapters:
        return (Trained(tensors=tuple(unfrozen(tensors, workload)), num_bytes=BYTES[workload.precision]),)
    adapters = Trained(tensors=adapter_tensors(tensors, workload), num_bytes=adapter_bytes(workload))
    saved = tuple(named(tensors, workload.modules_to_save)) if workload.modules_to_save else ()
    return (adapters, Trained(tensors=saved, num_bytes=base_bytes(workload))) if saved else (adapters,)


def adapter_bytes(workload: Training) -> int:
    """PEFT keeps adapters in float32 (autocast_adapter_dtype); DeepSpeed holds 16 bits of them and a master copy."""
    return 2 if workload.adapter_dtype == "bf16" or workload.keeps_master else 4


def base_bytes(workload: Training) -> int:
    """An element of what the base model keeps unpacked, and of weights and gradients as they are computed with."""
    return 4 if workload.precision == "fp32" else 2


def unfrozen(tensors: Sequence[Tensors], workload: Training) -> list[Tensors]:
    frozen = words(workload.freeze)
    left = [tensor for tensor in tensors if tensor.role not in frozen and tensor.module not in frozen]
    unknown = frozen - {name for tensor in tensors for name in (tensor.role, tensor.module)}
    if unknown or not left:
        found = f"{min(unknown)}, which is no part of this model" if unknown else "everything"
        hint = f"its parts: {', '.join(sorted({tensor.role for tensor in tensors}))}"
        raise UsageError(f"--freeze {workload.freeze} names {found}", code="bad-workload", hint=hint)
    return left


def named(tensors: Sequence[Tensors], modules: str) -> list[Tensors]:
    """Tensors of the modules named, each of which has to exist."""
    known = {tensor.module for tensor in tensors}
    wanted = {tied_name(name, tensors) if name not in known else name for name in words(modules)}
    if wanted - known:
        hint = f"its modules: {', '.join(sorted(known))}"
        raise UsageError(f"no module of this model is named {min(wanted - known)}", code="bad-workload", hint=hint)
    return [tensor for tensor in tensors if tensor.module in wanted]


def tied_name(name: str, tensors: Sequence[Tensors]) -> str:
    """A head that is tied has no tensor of its own: its copy is one of the embeddings."""
    tables = [tensor for tensor in tensors if tensor.role == "embeddings" and tensor.cols > 1]
    return max(tables, key=lambda tensor: tensor.elements).module if name in HEADS and tables else name


def words(text: str) -> set[str]:
    return {name.strip() for name in text.split(",")} - {""}


def adapter_tensors(tensors: Sequence[Tensors], workload: Training) -> tuple[Tensors, ...]:
    """Two matrices of the rank for each targeted linear module: rank · (rows + columns); DoRA adds a vector of rows."""
    rank, chosen = workload.lora_rank, targeted(tensors, workload)
    parts = [(t, ((rank, t.cols, "lora_A"), (t.rows, rank, "lora_B"))) for t in chosen]
    found = [adapter(t, *shape) for t, shapes in parts for shape in shapes]
    magnitudes = [adapter(t, t.rows, 1, "lora_magnitude_vector") for t in chosen] if workload.dora else []
    return (*found, *magnitudes, *wrapped_adapters(tensors, workload))


def targeted(tensors: Sequence[Tensors], workload: Training) -> list[Tensors]:
    """
    Linear modules with adapters. `all-linear` takes every one but the head, as PEFT does.

    Experts that a class fuses into one parameter are no modules: all of them since transformers 5, and before it those
    of classes whose files hold them fused; `experts.py` has those that PEFT adapts all the same.
    """
    wanted = words(workload.lora_targets)
    linear = linear_modules(tensors, workload)
    chosen = [t for t in linear if "all-linear" in wanted or t.module in wanted]
    known = {tensor.module for tensor in linear}
    chosen += [fused for name in sorted(wanted - known) for fused in fused_modules(linear, name)]
    instead = wrapped_targets(tensors, workload)
    chosen = [t for t in chosen if not (instead and is_taken(t, tensors))]
    if not chosen and not instead:
        raise UsageError(
            f"no module of this model is a LoRA target: {workload.lora_targets}",
            code="bad-workload",
            hint=f"its linear modules: {', '.join(sorted({tensor.module for tensor in linear}))}",
        )
    return chosen


def linear_modules(tensors: Sequence[Tensors], workload: Training) -> list[Tensors]:
    """What the version of transformers that trains builds as linear modules."""
    fused = workload.fuses_experts
    return [t for t in tensors if t.is_linear and not (fused and (t.role == "experts" or t.module in ROUTERS))]


def fused_modules(linear: Sequence[Tensors], name: str) -> Iterator[Tensors]:
    """A module that computes what several of the geometry's do, such as c_attn: one input, all their outputs."""
    for members in FUSED_MODULES.get(name, ()):
        found = [tensor for tensor in linear if tensor.module in members]
        rows = sum(tensor.rows * tensor.count for tensor in found)
        if found:
            count = max(tensor.count for tensor in found) * len(found) // len({t.module for t in found})
            yield replace(found[0], module=name, rows=rows // count, count=count)


def adapter(tensor: Tensors, rows: int, cols: int, module: str) -> Tensors:
    return Tensors(module=f"{tensor.module}.{module}", rows=rows, cols=cols, count=tensor.count, role=tensor.role)
