"""
The moments of a training step at which memory peaks, each with everything alive in it; the largest is the answer.

    forward+loss             checkpoints or saved activations of all layers, logits and their gradients
    backward (last layer)    the same without logits, one layer being recomputed, the head's gradient
    backward (first layer)   all gradients, one layer
    optimizer step           all gradients, what the optimizer makes for a moment; no activations

Gradients do not exist before the first backward pass (set_to_none), but for the head's where the loss goes chunk by chunk;
with accumulation they do. FSDP1 over frozen weights with reentrant checkpointing lets go of neither the layers' inputs nor
their gradients before the pass ends: its hooks wait on them (`_register_post_backward_reshard_only_hook`), and measured
slopes are these to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hfmem.memory.training.dynamic import Dynamic
from hfmem.memory.training.sharding import Sharded
from hfmem.memory.training.static import Static
from hfmem.memory.training.workload import Training

MAKES_HEAD_GRADIENT = ("chunked", "fused")  # losses whose gradients are made while other chunks still wait


class Moment(NamedTuple):
    """A phase's name and what is alive in it beside the static state: item → bytes."""

    name: str
    items: dict[str, int]


def moments(share: Sharded, dynamic: Dynamic, workload: Training) -> Iterator[Moment]:
    """The four phases in the order they happen."""
    static, gathered = share.static, share.gathered
    held = static.gradients if workload.grad_accum > 1 else 0
    saved = {"checkpoints": dynamic.checkpoints, "activations": dynamic.activations}
    head = held or (0 if gathered.last else head_gradient(static))
    early = head if workload.loss in MAKES_HEAD_GRADIENT else held
    copies = {"autocast_copies": static.autocast_copies}
    loss = {"logits": dynamic.logits, "gradients": early, "gathered": gathered.loss}
    yield Moment(name="forward+loss", items={**saved, **copies, **loss})
    last = {"activations": dynamic.activations + dynamic.layer, "gradients": head, "gathered": gathered.last}
    yield Moment(name="backward (last layer)", items={**saved, **last, **({} if workload.recomputes else copies)})
    first = {"activations": dynamic.first + dynamic.layer, "gradients": static.gradients, "gathered": gathered.first}
    left = dynamic.checkpoints + dynamic.waiting_gradients if leaks(workload) else dynamic.input
    yield Moment(name="backward (first layer)", items={"checkpoints": left, **first})
    step = {"gradients": static.gradients, "optimizer_temporary": static.step_temporary, "gathered": gathered.step}
    yield Moment(name="optimizer step", items=step)


def leaks(workload: Training) -> bool:
    is_one = workload.shard == "fsdp1" and workload.replicas > 1
    return is_one and workload.trains_adapters and workload.is_reentrant and workload.recomputes


def head_gradient(static: Static) -> int:
    """The gradient that exists when the last layer's backward pass begins."""
    total = static.trained_elements
    head = sum(tensor.total for group in static.trained for tensor in group.tensors if tensor.role == "head")
    return static.gradients * head // total if total else 0
