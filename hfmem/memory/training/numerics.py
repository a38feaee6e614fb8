"""Bytes of the elements a layer computes with, under the precision and kernels of a workload."""

from __future__ import annotations

from typing import NamedTuple

from hfmem.memory.training.workload import Training
from hfmem.tables.kernels import KERNELS, Kernels
from hfmem.tables.traits import Traits


class Numerics(NamedTuple):
    """
    `compute`: bytes of what matrices read and write; `stream`: of the residual stream between layers.

    `casts`: linear modules make their own 16-bit copy of a float32 input, as autocast does over float32 weights.
    `trains`: weights get gradients, so that their inputs are kept. `adapter`: bytes LoRA computes with; `packed`: the
    base model's weights are quantised; `groups_experts`: all experts run in one kernel; `trains_experts`: what experts multiply
    with gets a gradient though the weights are frozen, as adapters merged into them do.
    """

    compute: int
    stream: int
    casts: bool
    trains: bool
    adapter: int
    packed: bool
    groups_experts: bool
    kernels: Kernels
    traits: Traits
    trains_experts: bool = False


def numerics_of(workload: Training, traits: Traits, packed: bool = False, trains: bool | None = None) -> Numerics:
    """
    `trains` False: a stack whose weights are frozen though gradients pass through it.

    FSDP's mixed precision computes like 16-bit weights and casts every block's input to 16 bits; autocast over float32
    weights keeps a float32 stream. Under autocast a LayerNorm answers in float32, and 4-bit modules in the dtype they read.
    """
    is_packed = packed or workload.method == "qlora"
    widened = is_packed and workload.autocasts and traits.norm == "layer"
    casts = autocasts_weights(workload)
    prepared = workload.float32_residual and workload.trains_adapters and not workload.shards_weights
    return Numerics(
        compute=4 if workload.is_single or widened else 2,
        stream=4 if workload.is_single or casts or widened or prepared else 2,
        casts=casts,
        trains=not workload.trains_adapters if trains is None else trains,
        adapter=2 if workload.autocasts or workload.adapter_dtype == "bf16" else 4,
        packed=is_packed,
        groups_experts=workload.fuses_experts,
        kernels=KERNELS[workload.kernels],
        traits=traits,
    )


def autocasts_weights(workload: Training) -> bool:
    """Whether weights are float32 where they are used and autocast makes 16 bits of them."""
    if workload.trains_adapters or workload.shards_weights:
        return False
    return workload.precision == "mixed" or (workload.precision == "fp32" and workload.autocasts)
