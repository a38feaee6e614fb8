"""
The moments of a training step at which memory peaks, each with everything alive in it; the largest is the answer.

    forward+loss             checkpoints or saved activations of all layers, logits and their gradients
    backward (last layer)    the same without logits, one layer being recomputed, the head's gradient
    backward (first layer)   all gradients but those of the embeddings and of this layer's open parts, one layer
    backward (embeddings)    all gradients, both of a tied table, and the input's
    optimizer step           all gradients, what the optimizer makes for a moment; no activations

Gradients do not exist before the first backward pass (set_to_none), but for the head's where the loss goes chunk by chunk;
with accumulation they do. FSDP1 over frozen weights with reentrant checkpointing lets go of neither the layers' inputs nor
their gradients before the pass ends: its hooks wait on them (`_register_post_backward_reshard_only_hook`), and measured
slopes are these to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hfmem.memory.training.arriving import arriving
from hfmem.memory.training.dynamic import Dynamic
from hfmem.memory.training.sharding import Sharded
from hfmem.memory.training.workload import Training

MAKES_HEAD_GRADIENT = ("chunked", "fused")  # losses whose gradients are made while other chunks still wait


class Moment(NamedTuple):
    """A phase's name and what is alive in it beside the static state: item → bytes."""

    name: str
    items: dict[str, int]


def moments(share: Sharded, dynamic: Dynamic, workload: Training) -> Iterator[Moment]:
    """The phases in the order they happen."""
    static, gathered, made = share.static, share.gathered, arriving(share.static, dynamic, workload)
    held = static.gradients if workload.grad_accum > 1 else 0
    saved = {"checkpoints": dynamic.checkpoints, "activations": dynamic.activations}
    early = made.head if workload.loss in MAKES_HEAD_GRADIENT else held
    copies = {"autocast_copies": static.autocast_copies}
    loss = {"logits": dynamic.logits, "gradients": early, "gathered": gathered.loss}
    yield Moment(name="forward+loss", items={**saved, **copies, **loss})
    head = held if gathered.last else made.head
    kept = dynamic.activations - dynamic.saved
    last = {"activations": kept + dynamic.layer, "gradients": head, "gathered": gathered.last}
    yield Moment(name="backward (last layer)", items={**saved, **last, **({} if workload.recomputes else copies)})
    left = dynamic.checkpoints + dynamic.waiting_gradients if leaks(workload) else dynamic.input * workload.recomputes
    at = max(((dynamic.at_block, made.at_block), (dynamic.at_mixer, made.at_mixer)), key=sum)
    first = {"checkpoints": left, "activations": at[0], "gradients": at[1], "gathered": gathered.first}
    yield Moment(name="backward (first layer)", items=first)
    if not workload.trains_adapters:
        end = {"activations": dynamic.input, "gradients": static.gradients, "tied_gradients": made.tied}
        yield Moment(name="backward (embeddings)", items={**end, "gathered": gathered.first})
    step = {"gradients": static.gradients, "optimizer_temporary": static.step_temporary, "gathered": gathered.step}
    yield Moment(name="optimizer step", items=step)


def leaks(workload: Training) -> bool:
    is_one = workload.shard == "fsdp1" and workload.replicas > 1
    return is_one and workload.trains_adapters and workload.is_reentrant and workload.recomputes
