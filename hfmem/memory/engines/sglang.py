"""
Serving with SGLang: what one rank holds, and what `mem_fraction_static` leaves for its pools.

    pool = free after loading − free before loading × (1 − mem_fraction_static)

Source: SGLang 0.5.23, `KVCacheConfigurator._profile_available_bytes`. No batch is run first: what a step and its graphs
need comes from the part that the fraction leaves. `dp` is data-parallel attention: replicas within the `tp` ranks.
"""

from __future__ import annotations

from hfmem.checkpoint.tensors import DTYPE_BITS
from hfmem.memory.engines.lines import fixed, weights_line
from hfmem.memory.engines.profile import stage_bytes
from hfmem.memory.engines.sglang_defaults import is_multimodal
from hfmem.memory.engines.sglang_pool import Cell
from hfmem.memory.engines.sglang_setting import Rank, SglangSetting, ranks, settle_sglang
from hfmem.memory.engines.shards import Split
from hfmem.memory.engines.values import Capacity
from hfmem.memory.estimate import Item, Phase
from hfmem.memory.subject import Model
from hfmem.model.spec import ModelSpec
from hfmem.tables.engines import CONTEXT_BYTES, NEWEST, release_of
from hfmem.tables.sglang import LEAST_REQUESTS, MOST_REQUESTS, REQUESTS_PER_CONTEXT, TOWER_CACHE_BYTES
from hfmem.units import MIB

__all__ = ["SglangSetting", "settle_sglang", "sglang_capacity", "sglang_phases"]

SAMPLED_BYTES = 8  # of one logit: float32, and its probability


def sglang_phases(model: Model, setting: SglangSetting) -> tuple[Phase, ...]:
    """load and serve, as the stage that needs most has them."""
    found = ranks(model, setting)
    one = max(found, key=lambda rank: (rank.weights or 0) + request_bytes(rank, setting) + state_bytes(rank, setting))
    where = f"; stage {found.index(one) + 1} of {len(found)}" if len(found) > 1 else ""
    weights = weights_item(model, one, setting, where)
    runtime = fixed("runtime", CONTEXT_BYTES, "CUDA context, before the engine counts")
    other = fixed("non_torch", setting.distributed_bytes, "NCCL and buffers outside torch")
    states = (state_item(one, setting),) if one.cell.state_bytes else ()
    steps = (activation_item(model.spec, setting), graph_item(setting))
    return (
        Phase(name="load", items=(weights, other, runtime)),
        Phase(name="serve", items=(weights, kv_item(one, setting), *states, *steps, other, runtime)),
    )


def request_bytes(one: Rank, setting: SglangSetting) -> int:
    return one.cell.pool_bytes(setting.batch * one.cell.request_tokens(setting.request_context))


def state_bytes(one: Rank, setting: SglangSetting) -> int:
    """Slots of every running sequence, and the padding slot."""
    return (setting.batch * one.cell.state_slots + 1) * one.cell.state_bytes if one.cell.state_bytes else 0


def weights_item(model: Model, one: Rank, setting: SglangSetting, where: str) -> Item:
    count = setting.ranks * setting.split.pp
    of = f"rank of {setting.ranks} × {setting.split.pp}" if count > 1 else "one rank"
    note = f"{of}{where}: whole segments of torch's allocator, rotary tables included"
    return weights_line(model, one.weights, count, setting.base, note)


def kv_item(one: Rank, setting: SglangSetting) -> Item:
    cell, tokens = one.cell, one.cell.request_tokens(setting.request_context)
    windows = f"; windowed layers have {cell.window_share:g} × the tokens" if cell.window_bytes else ""
    return Item(
        name="kv_cache",
        num_bytes=request_bytes(one, setting),
        basis="derived",
        formula=f"{setting.batch} × {tokens:,} tokens × {cell.num_bytes:,.10g} B",
        note=f"pages of {setting.page}{windows}; {setting.base.kv_bits:g} bits ({setting.base.kv_reason})",
    )


def state_item(one: Rank, setting: SglangSetting) -> Item:
    cell = one.cell
    return Item(
        name="recurrent_state",
        num_bytes=state_bytes(one, setting),
        basis="derived",
        formula=f"({setting.batch} × {cell.state_slots} + 1) slots × {cell.state_bytes:,} B",
        note=f"{cell.state_slots} slots a sequence for the radix cache",
    )


def activation_item(model: ModelSpec, setting: SglangSetting) -> Item:
    """A chunk of a prompt through the widest layer, and the scores of one token of every sequence."""
    tokens = min(setting.chunk, setting.batch * setting.base.context)
    wide = Split(tp=setting.ranks, pp=setting.split.pp, expert=setting.split.expert)
    size = stage_bytes(model, release_of(NEWEST), wide, tokens, DTYPE_BITS[setting.base.model_dtype] // 8)
    size += min(setting.batch, tokens) * (model.vocab_size or 0) * SAMPLED_BYTES
    return Item(
        name="activations",
        num_bytes=size,
        low_bytes=size // 2,
        high_bytes=2 * size,
        basis="modelled",
        formula=f"prefill of {tokens:,} tokens, {setting.batch:,} sequences sampled",
        note=f"chunked_prefill_size {setting.chunk:,}; outside mem_fraction_static",
    )


def graph_item(setting: SglangSetting) -> Item:
    graphs, size = setting.graphs, int(setting.graphs.reserved_mib(1) * MIB)
    note = f"decode to {graphs.batch}, {graphs.prefills} prefill sizes; SGLang's own reserve" if graphs.batch else "enforce_eager"
    return Item(
        name="cuda_graphs",
        num_bytes=size,
        low_bytes=size // 3,
        high_bytes=4 * size,
        basis="modelled",
        formula="2 MiB × decode batch + 8 MiB × prefill sizes",
        note=note,
    )


def sglang_capacity(model: Model, setting: SglangSetting) -> Capacity:
    """The pool every rank gets, and how many requests of the context it holds on all replicas."""
    found = ranks(model, setting)
    budget = pool_budget(model.spec, found, setting)
    tokens, cell = least(found, budget)
    requests = request_limit(found, budget, tokens, setting)
    fits = tokens / cell.request_tokens(setting.request_context) if cell.num_bytes else requests
    concurrency = min(fits, float(requests))
    shortage = f"one request of {setting.base.context:,} tokens needs more than the pool"
    return Capacity(
        kv_cache_bytes=cell.pool_bytes(tokens),
        kv_cache_tokens=tokens,
        max_concurrency=concurrency * setting.split.dp,
        budget_bytes=int(setting.free_bytes * setting.fraction),
        starts=concurrency >= 1,
        shortage="" if concurrency >= 1 else shortage,
        max_sequences=setting.requests,
        bytes_per_token=cell.num_bytes,
    )


def pool_budget(model: ModelSpec, found: tuple[Rank, ...], setting: SglangSetting) -> int:
    """
    What is left for states and keys on the rank with the least free memory, less the part kept free.

    `mm_runtime_reservation_gb`: a model with a tower keeps 100 MiB more for what it has embedded.
    """
    after = setting.free_bytes - max(rank.weights or 0 for rank in found)
    slack = setting.free_bytes * (1 - setting.fraction)
    return max(0, int(after - slack) - (TOWER_CACHE_BYTES if is_multimodal(model) else 0))


def least(found: tuple[Rank, ...], budget: int) -> tuple[int, Cell]:
    """Tokens of the stage that holds fewest, which all stages take over (`_apply_token_constraints`)."""
    sized = [(rank.cell.tokens(budget), rank.cell) for rank in found if rank.cell.num_bytes]
    return min(sized, key=lambda pair: pair[0]) if sized else (0, found[0].cell)


def request_limit(found: tuple[Rank, ...], budget: int, tokens: int, setting: SglangSetting) -> int:
    """Requests that may run at a time (`resolve_max_num_reqs`): asked, else by tokens; never more than states there are."""
    by_tokens = max(LEAST_REQUESTS, min(MOST_REQUESTS, tokens * REQUESTS_PER_CONTEXT // setting.base.context))
    asked = max(1, setting.requests // setting.split.dp) if setting.requests else by_tokens
    limits = [rank.cell.states(budget) // rank.cell.state_slots for rank in found if rank.cell.state_bytes]
    kept = [tokens // 2] if any(rank.cell.num_bytes for rank in found) else []
    return min(asked, *limits, *kept, MOST_REQUESTS)
