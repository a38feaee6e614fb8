"""
Serving with vLLM: what one rank holds, and what `gpu_memory_utilization` leaves for its pool of blocks.

    pool = utilization × total − weights − outside torch − peak of the profile run (− CUDA graphs, from 0.21 on)
"""

from __future__ import annotations

from dataclasses import dataclass

from hfmem.checkpoint.tensors import DTYPE_BITS
from hfmem.errors import CannotTell
from hfmem.memory.engines.extras import loaded_extras
from hfmem.memory.engines.pages import Page, Paging, pages_of
from hfmem.memory.engines.plan import Plan, plan
from hfmem.memory.engines.profile import graph_bytes, profile_bytes, stage_bytes
from hfmem.memory.engines.shards import Split, Stage, rank_bytes, stages
from hfmem.memory.engines.split import split_of
from hfmem.memory.engines.values import Capacity, Card, Request
from hfmem.memory.estimate import Item, Phase
from hfmem.memory.inference import Setting, settle
from hfmem.memory.subject import Model
from hfmem.memory.workload import Inference
from hfmem.model.spec import ModelSpec
from hfmem.tables.engines import (
    CONTEXT_BYTES,
    CONTEXT_BYTES_SEVERAL,
    HUGE_CARD,
    LARGE_CARD,
    NEWEST,
    Release,
    release_of,
)
from hfmem.units import MIB

ASSUMED_CARD = Card(name="80 GB class", total_bytes=int(79.19 * 2**30))


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmSetting:
    """A workload with vLLM's defaults filled in."""

    base: Setting
    release: Release
    version: tuple[int, ...]
    split: Split
    sequences: int
    tokens: int
    utilization: float
    eager: bool
    card: Card

    @property
    def request(self) -> Request:
        in_flight = self.tokens * (self.release.in_flight_batches if self.split.pp == 1 else self.split.pp)
        return Request(
            context=self.base.context,
            in_flight=in_flight,
            encoder_tokens=self.base.encoder_tokens,
            state_blocks=self.release.state_blocks,
        )

    @property
    def element(self) -> int:
        return DTYPE_BITS[self.base.model_dtype] // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """What one pipeline stage holds on each of its ranks, without its pool."""

    stage: Stage
    weights: int | None
    activations: int
    plan: Plan

    def held(self, setting: VllmSetting, other: int, graphs: int) -> int:
        return (self.weights or 0) + self.activations + other + (graphs if setting.release.graphs_in_budget else 0)


def settle_vllm(model: Model, workload: Inference, card: Card | None) -> VllmSetting:
    """vLLM's defaults for a model and a card."""
    version = workload.engine_version or NEWEST
    release, found = release_of(version), card or ASSUMED_CARD
    base = settle(model.spec, model.weights, workload)
    large = found.total_bytes >= LARGE_CARD and found.reads_long_batches and release.large_batches
    tokens = 16384 if found.total_bytes >= HUGE_CARD and large and version >= (0, 24) else 8192 if large else 2048
    if not release.chunks_prompts:
        tokens = max(base.context, 2048)
    sequences = workload.max_num_seqs or (1024 if large else 256)
    return VllmSetting(
        base=base,
        release=release,
        version=version,
        split=split_of(model.spec, workload),
        sequences=sequences,
        tokens=workload.max_num_batched_tokens or max(tokens, sequences),
        utilization=workload.gpu_memory_utilization or release.utilization,
        eager=workload.enforce_eager,
        card=found,
    )


def ranks(model: Model, setting: VllmSetting) -> tuple[Rank, ...]:
    """Every stage; where layers cannot be read there is one without a pool."""
    spec = model.spec
    if spec.decoder is None:
        raise CannotTell("config.json describes no layers to serve", code="no-layers", hint="--engine transformers --partial")
    paging = paging_of(setting)
    layers = pages_of(spec, spec.decoder.layers, paging)
    return tuple(
        rank(model, setting, stage, [page for pages in layers[stage.start : stage.end] for page in pages])
        for stage in stages(len(layers), setting.split.pp)
    )


def paging_of(setting: VllmSetting) -> Paging:
    return Paging(
        kv_bits=int(setting.base.kv_bits),
        model_bytes=setting.element,
        tp=setting.split.tp,
        windows=setting.release.groups_kinds,
    )


def rank(model: Model, setting: VllmSetting, stage: Stage, pages: list[Page]) -> Rank:
    spec, split, release = model.spec, setting.split, setting.release
    weights = None
    if model.weights:
        dtype = setting.base.weights_dtype
        weights = rank_bytes(model.weights, spec, split, stage, dtype, setting.base.model_dtype)
        weights += loaded_extras(model, split, stage, setting.element, setting.card, setting.version)
    peak = (
        profile_bytes(spec, release, split, setting.tokens, setting.sequences, setting.element)
        if stage.is_last
        else stage_bytes(spec, release, split, setting.tokens, setting.element)
    )
    return Rank(stage=stage, weights=weights, activations=peak, plan=plan(pages, release))


def other_bytes(release: Release, split: Split) -> int:
    """Memory outside torch by the ranks that talk to each other; stages alone hardly talk."""
    if split.tp == 1 and split.pp > 1:
        return 70 * MIB
    return next(size for count, size in reversed(release.other_bytes) if count <= split.tp) * MIB


def context_bytes(split: Split) -> int:
    return CONTEXT_BYTES if split.num_devices == 1 else CONTEXT_BYTES_SEVERAL


def worst(found: tuple[Rank, ...], setting: VllmSetting) -> Rank:
    """The stage that needs most of one device."""
    return max(found, key=lambda one: (one.weights or 0) + one.activations + kv_bytes(one, setting))


def kv_bytes(one: Rank, setting: VllmSetting) -> int:
    return one.plan.bytes_per_block * one.plan.blocks_per_request(setting.request) * setting.base.batch


def vllm_phases(model: Model, setting: VllmSetting) -> tuple[Phase, ...]:
    """load and serve, as the worst rank has them."""
    found = ranks(model, setting)
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
    if one.weights is None:
        size = model.checkpoint.stored_bytes
        share = None if size is None else size // (split.tp * split.pp)
        return Item(name="weights", num_bytes=share, basis="modelled" if share else "measured", note="files over the ranks")
    of = f"rank of {split.tp} × {split.pp}" if split.tp * split.pp > 1 else "one rank"
    basis = "derived" if model.checkpoint.format == "class" or setting.base.weights_dtype else "measured"
    note = f"{of}{where}: split, copied and padded as vLLM does, rotary tables included"
    return Item(name="weights", num_bytes=one.weights, basis=basis, formula=f"{one.weights:,} B", note=note)


def kv_item(one: Rank, setting: VllmSetting) -> Item:
    blocks, size = one.plan.blocks_per_request(setting.request), one.plan.bytes_per_block
    groups = len(one.plan.groups)
    note = f"{groups} group{'s' if groups != 1 else ''} of layers, blocks of {one.plan.block_size} tokens; " if groups else ""
    return Item(
        name="kv_cache",
        num_bytes=kv_bytes(one, setting),
        basis="derived",
        formula=f"{blocks:,} blocks × {size:,} B × {setting.base.batch}",
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


def fixed(name: str, size: int, note: str) -> Item:
    return Item(
        name=name, num_bytes=size, low_bytes=size // 2, high_bytes=2 * size, basis="assumed", formula=f"{size:,} B", note=note
    )


def vllm_capacity(model: Model, setting: VllmSetting) -> Capacity:
    """The pool every rank gets: that of the stage with the fewest blocks."""
    budget = -int(-setting.card.total_bytes * setting.utilization // 1)
    other = other_bytes(setting.release, setting.split)
    graphs = graph_bytes(model.spec, setting.sequences, setting.eager)
    pools = [
        one.plan.pool(budget - one.held(setting, other, graphs), setting.request, setting.release)
        for one in ranks(model, setting)
    ]
    least = min(pools, key=lambda pool: (pool.max_concurrency, pool.num_bytes))
    shortage = "" if least.starts else f"one request of {setting.base.context:,} tokens needs more than the pool"
    return Capacity(
        kv_cache_bytes=least.num_bytes,
        kv_cache_tokens=least.tokens,
        max_concurrency=least.max_concurrency,
        budget_bytes=budget,
        starts=least.starts and bool(least.num_bytes),
        shortage=shortage,
    )
