"""
What LoRA modules keep for the backward pass, in bytes a token; d the module's input, r the rank, a bytes of what they compute in.

    a module     a·d (its own copy of the input) + a·r, with dropout a mask of d bytes more
    fused        on packed weights: modules that read one input share it, 2d once; with dropout 2d a module
    DoRA         besides, both outputs it scales: (2 + a) an element of the output

`a` is 4 where adapters are float32, 2 under autocast or with 16-bit adapters. Sources: peft/tuners/lora/{layer,dora}.py,
unsloth/kernels/fast_lora.py; measured slopes of both at two batch sizes agree to the byte (docs/method.md).
"""

from __future__ import annotations

from collections.abc import Sequence

from hfmem.memory.training.adapters import targeted
from hfmem.memory.training.matrices import TOWERS, Tensors
from hfmem.memory.training.numerics import Numerics
from hfmem.memory.training.workload import Training
from hfmem.model.spec import Experts, Layer, Stack

BLOCK_ROLES = ("mlp", "experts")


def adapters_per_layer(tensors: Sequence[Tensors], stack: Stack, workload: Training, numerics: Numerics) -> tuple[int, int]:
    """Bytes a token of one layer, the mean over the stack: of the mixer's modules, and of the block's."""
    chosen = [tensor for tensor in targeted(tensors, workload) if tensor.role not in TOWERS]
    block = [tensor for tensor in chosen if tensor.role in BLOCK_ROLES]
    mixer = [tensor for tensor in chosen if tensor.role not in BLOCK_ROLES]
    return part_bytes(mixer, stack, workload, numerics), part_bytes(block, stack, workload, numerics)


def part_bytes(chosen: Sequence[Tensors], stack: Stack, workload: Training, numerics: Numerics) -> int:
    routed, layers = routed_share(stack.layers), max(1, len(stack.layers))
    met = [(tensor, tensor.count * (routed if tensor.role == "experts" else 1)) for tensor in chosen]
    own = round(sum(count * module_bytes(tensor, workload, numerics) for tensor, count in met) / layers)
    return own + (shared_inputs(chosen, stack.hidden_size, numerics) if fuses(numerics) else 0)


def fuses(numerics: Numerics) -> bool:
    return numerics.kernels.fused_adapters and numerics.packed


def shared_inputs(chosen: Sequence[Tensors], hidden: int, numerics: Numerics) -> int:
    """The output of a norm, once for the attention's modules and once for the block's that read it."""
    return numerics.compute * hidden * len({tensor.role for tensor in chosen if tensor.cols == hidden and reads_norm(tensor)})


def reads_norm(tensor: Tensors) -> bool:
    """Whether a module reads a norm: the one that closes a part reads that part's inside."""
    return tensor.module not in ("o_proj", "out_proj", "dense", "wo", "down_proj")


def module_bytes(tensor: Tensors, workload: Training, numerics: Numerics) -> int:
    each = numerics.adapter
    inputs, outputs = (tensor.rows, tensor.cols) if numerics.traits.transposed else (tensor.cols, tensor.rows)
    if fuses(numerics):
        return each * inputs if workload.lora_dropout else 0
    magnitudes = (2 + each) * outputs if workload.dora else 0
    return (each + workload.lora_dropout) * inputs + each * workload.lora_rank + magnitudes


def routed_share(layers: Sequence[Layer]) -> float:
    """The part of the experts a token meets."""
    found = next((layer.ffn for layer in layers if isinstance(layer.ffn, Experts)), None)
    return found.experts_per_token / found.num_experts if found else 1.0
