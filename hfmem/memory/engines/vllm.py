"""
Serving with vLLM: what one rank holds, and what `gpu_memory_utilization` leaves for its pool of blocks.

    pool = utilization × total − weights − outside torch − peak of the profile run (− CUDA graphs, from 0.21 on)
"""

from __future__ import annotations

from hfmem.memory.engines.lines import fixed, unknown_line, weights_line
from hfmem.memory.engines.profile import graph_bytes
from hfmem.memory.engines.values import Capacity
from hfmem.memory.engines.vllm_ranks import Rank, context_bytes, kv_bytes, other_bytes, ranks, worst
from hfmem.memory.engines.vllm_setting import VllmSetting, settle_vllm
from hfmem.memory.estimate import Item, Phase
from hfmem.memory.subject import Model
from hfmem.model.spec import ModelSpec

__all__ = ["settle_vllm", "vllm_capacity", "vllm_phases"]


def vllm_phases(model: Model, setting: VllmSetting) -> tuple[Phase, ...]:
    """load and serve, as the worst rank has them."""
    found = ranks(model, setting.frame)
    one = worst(found, setting)
    where = f"; stage {found.index(one) + 1} of {len(found)}" if len(found) > 1 else ""
    weights = weights_item(model, one, setting, where)
    runtime = fixed("runtime", context_bytes(setting.split), "CUDA context, before the engine counts")
    other = fixed("non_torch", other_bytes(setting.release, setting.split), "NCCL and buffers outside torch")
    load = Phase(name="load", items=(weights, other, runtime))
    serve = Phase(
        name="serve",
        items=(weights, kv_item(one, setting), activation_item(one, setting), graph_item(model.spec, setting), other, runtime),
    )
    return (load, serve)


def weights_item(model: Model, one: Rank, setting: VllmSetting, where: str) -> Item:
    split = setting.split
    of = f"rank of {split.tp} × {split.pp}" if split.tp * split.pp > 1 else "one rank"
    note = f"{of}{where}: split, copied and padded as vLLM does, rotary tables included"
    return weights_line(model, one.weights, split.tp * split.pp, setting.base, note)


def kv_item(one: Rank, setting: VllmSetting) -> Item:
    if one.unknown:
        return unknown_line("kv_cache", one.unknown)
    blocks, size = one.plan.blocks_per_request(setting.request), one.plan.bytes_per_block
    groups = len(one.plan.groups)
    note = f"{groups} group{'s' if groups != 1 else ''} of layers, blocks of {one.plan.block_size} tokens; " if groups else ""
    return Item(
        name="kv_cache",
        num_bytes=kv_bytes(one, setting),
        basis="derived",
        formula=f"{blocks:,} blocks × {size:,} B × {setting.replica_batch}",
        note=f"{note}{setting.base.kv_bits:g} bits ({setting.base.kv_reason})",
    )


def activation_item(one: Rank, setting: VllmSetting) -> Item:
    size = one.activations
    return Item(
        name="activations",
        num_bytes=size,
        low_bytes=int(size * 0.85),
        high_bytes=int(size * 1.3),
        basis="modelled",
        formula=f"profile run of {setting.tokens:,} tokens, {setting.sequences:,} sequences sampled",
        note=f"max_num_batched_tokens {setting.tokens:,}, max_num_seqs {setting.sequences:,}",
    )


def graph_item(model: ModelSpec, setting: VllmSetting) -> Item:
    size = graph_bytes(model, setting.sequences, setting.eager)
    note = "enforce_eager" if setting.eager else "in the budget" if setting.release.graphs_in_budget else "on top of the budget"
    formula = "captured batch sizes × layers × 0.43 MiB"
    low, high = size // 2, 2 * size
    return Item(name="cuda_graphs", num_bytes=size, low_bytes=low, high_bytes=high, basis="modelled", formula=formula, note=note)


def vllm_capacity(model: Model, setting: VllmSetting) -> Capacity | None:
    """The pool as it is printed, and the blocks of the stage with the fewest, which all take; None for an unknown cache."""
    if any(one.unknown for one in ranks(model, setting.frame)):
        return None
    budget = -int(-setting.card.total_bytes * setting.utilization // 1)
    other = other_bytes(setting.release, setting.split)
    graphs = graph_bytes(model.spec, setting.sequences, setting.eager)
    pools = [
        one.plan.pool(budget - one.held(setting, other, graphs), setting.request, setting.release)
        for one in ranks(model, setting.frame)
    ]
    least = min(pools, key=lambda pool: (pool.max_concurrency, pool.num_bytes))
    limit = setting.sequences * setting.split.dp
    concurrency = least.max_concurrency * setting.split.dp if least.bytes_per_block else float(limit)
    shortage = "" if least.starts else f"one request of {setting.base.context:,} tokens needs more than the pool"
    return Capacity(
        kv_cache_bytes=pools[0].num_bytes,  # the first stage's, which is the one vLLM prints
        kv_cache_tokens=least.tokens,
        max_concurrency=concurrency,
        budget_bytes=budget,
        starts=least.starts and bool(least.num_bytes),
        shortage=shortage,
        max_sequences=limit,
        bytes_per_token=ranks(model, setting.frame)[0].plan.bytes_per_token(setting.request),
    )
