"""Which splits of a model are legal; an illegal one is refused with those that are."""

from __future__ import annotations

from dataclasses import replace

from hfmem.errors import UsageError
from hfmem.memory.engines.shards import Split, num_experts
from hfmem.memory.workload import Inference
from hfmem.model.spec import Dense, Experts, ModelSpec

MOST_RANKS = 64


def split_of(model: ModelSpec, workload: Inference) -> Split:
    """The split asked for. Raises `UsageError` where heads, stages or experts do not divide."""
    split = Split(tp=workload.tp, pp=workload.pp, dp=workload.dp, expert=workload.ep)
    if not is_legal(model, split.tp):
        legal = [str(count) for count in range(1, MOST_RANKS + 1) if is_legal(model, count)]
        message = f"--tp {split.tp} does not divide {heads_in_words(model)}"
        raise UsageError(message, code="illegal-split", hint=f"--tp may be {', '.join(legal)}")
    check_blocks(model, split)
    layers = model.num_layers or 1
    if split.pp > layers:
        raise UsageError(f"--pp {split.pp} is more than the {layers} layers", code="illegal-split", hint=f"--pp up to {layers}")
    if split.expert and not next(num_experts(model), 0):
        raise UsageError("--ep is for mixtures of experts; this model has none", code="illegal-split", hint="leave --ep out")
    return split


def check_blocks(model: ModelSpec, split: Split) -> None:
    """Weights in 8-bit blocks are cut between blocks alone (vLLM's `validate_fp8_block_shape`)."""
    side = block_side(model)
    if split.tp == 1 or not side or cuts_evenly(model, split, side):
        return
    counts = [count for count in range(1, MOST_RANKS + 1) if is_legal(model, count)]
    legal = [str(count) for count in counts if count == 1 or cuts_evenly(model, replace(split, tp=count), side)]
    message = f"--tp {split.tp} cuts matrices within their blocks of {side}"
    raise UsageError(message, code="illegal-split", hint=f"--tp may be {', '.join(legal)}")


def block_side(model: ModelSpec) -> int:
    section = model.raw.get("quantization_config")
    size = section.get("weight_block_size") if isinstance(section, dict) else None
    return size[0] if isinstance(size, list) and size and isinstance(size[0], int) and 0 < size[0] <= 65_536 else 0


def cuts_evenly(model: ModelSpec, split: Split, side: int) -> bool:
    """Whether every rank's slice of the blocks behind attention is whole blocks."""
    sizes = {size for layer in model.decoder.layers for size in inner_sizes(layer.ffn, split)} if model.decoder else set()
    return all(size % (split.tp * side) == 0 for size in sizes)


def inner_sizes(block: Dense | Experts | None, split: Split) -> tuple[int, ...]:
    if isinstance(block, Dense):
        return (block.intermediate_size,)
    if not isinstance(block, Experts):
        return ()
    shared = (block.shared_intermediate_size,) if block.shared_intermediate_size else ()
    return shared if split.expert else (block.intermediate_size, *shared)


def is_legal(model: ModelSpec, tp: int) -> bool:
    """Heads must divide; key-value heads must divide too, or be copied a whole number of times."""
    heads, kv_heads = model.num_attention_heads, model.num_key_value_heads
    if tp == 1 or not heads:
        return True
    return heads % tp == 0 and (not kv_heads or kv_heads % tp == 0 or tp % kv_heads == 0)


def heads_in_words(model: ModelSpec) -> str:
    kv_heads = model.num_key_value_heads
    more = f" and {kv_heads} key-value heads" if kv_heads and kv_heads != model.num_attention_heads else ""
    return f"{model.num_attention_heads} attention heads{more}"
