"""
Serving with vLLM: what one rank holds, and what `gpu_memory_utilization` leaves for its pool of blocks.

    pool = utilization × total − weights − outside torch − peak of the profile run (− CUDA graphs, from 0.21 on)
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hfmem.checkpoint.tensors import DTYPE_BITS
from hfmem.errors import CannotTell
from hfmem.memory.engines.extras import loaded_extras
from hfmem.memory.engines.lines import ASSUMED_CARD, fixed, in_16_bits, unknown_line, weights_line
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The part of a setting that requests do not change."""

    split: Split
    release: Release
    version: tuple[int, ...]
    weights_dtype: str | None
    model_dtype: str
    kv_bits: int
    sequences: int
    tokens: int
    capability: str | None

    @property
    def element(self) -> int:
        return DTYPE_BITS[self.model_dtype] // 8

    @property
    def paging(self) -> Paging:
        windows = self.release.groups_kinds
        return Paging(kv_bits=self.kv_bits, model_bytes=self.element, tp=self.split.tp, windows=windows)


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
    def frame(self) -> Frame:
        """What a rank's weights and groups depend on, whatever the requests."""
        return Frame(
            split=self.split,
            release=self.release,
            version=self.version,
            weights_dtype=self.base.weights_dtype,
            model_dtype=self.base.model_dtype,
            kv_bits=int(self.base.kv_bits),
            sequences=self.sequences,
            tokens=self.tokens,
            capability=self.card.compute_capability,
        )

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
    def options(self) -> dict[str, object]:
        """What the report says was settled."""
        split = self.split
        return {
            "engine_version": ".".join(str(part) for part in self.version),
            "tp": split.tp,
            "pp": split.pp,
            "dp": split.dp,
            "ep": split.expert,
            "max_num_seqs": self.sequences,
            "max_num_batched_tokens": self.tokens,
            "gpu_memory_utilization": self.utilization,
            "enforce_eager": self.eager,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """What one pipeline stage holds on each of its ranks, without its pool."""

    stage: Stage
    weights: int | None
    activations: int
    plan: Plan
    unknown: str = ""  # why the cache cannot be sized

    def held(self, setting: VllmSetting, other: int, graphs: int) -> int:
        return (self.weights or 0) + self.activations + other + (graphs if setting.release.graphs_in_budget else 0)


def settle_vllm(model: Model, workload: Inference, card: Card | None) -> VllmSetting:
    """vLLM's defaults for a model and a card."""
    version = workload.engine_version or NEWEST
    release, found = release_of(version), card or ASSUMED_CARD
    base = in_16_bits(settle(model.spec, model.weights, workload))
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


@lru_cache(maxsize=256)  # a fit asks thousands of times for one model
def ranks(model: Model, frame: Frame) -> tuple[Rank, ...]:
    """Every stage; what cannot be paged, or a configuration without layers, is said in each."""
    decoder, unknown = model.spec.decoder, ""
    layers: tuple[tuple[Page, ...], ...] = ((),)
    try:
        layers = pages_of(model.spec, decoder.layers, frame.paging) if decoder else layers
    except CannotTell as error:
        layers, unknown = ((),) * (model.spec.num_layers or 1), error.message
    unknown = unknown if model.spec.stacks else "config.json describes no layers"
    return tuple(rank(model, frame, stage, layers, unknown) for stage in stages(len(layers), frame.split.pp))


def rank(model: Model, frame: Frame, stage: Stage, layers: tuple[tuple[Page, ...], ...], unknown: str) -> Rank:
    spec, split, release, weights = model.spec, frame.split, frame.release, None
    if model.weights:
        weights = rank_bytes(model.weights, spec, split, stage, frame.weights_dtype, frame.model_dtype)
        weights += loaded_extras(model, split, stage, frame.element, frame.capability, frame.version)
    peak = (
        profile_bytes(spec, release, split, frame.tokens, frame.sequences, frame.element)
        if stage.is_last
        else stage_bytes(spec, release, split, frame.tokens, frame.element)
    )
    try:
        found = plan([page for pages in layers[stage.start : stage.end] for page in pages], release)
    except CannotTell as error:
        found, unknown = plan([], release), error.message
    return Rank(stage=stage, weights=weights, activations=peak, plan=found, unknown=unknown)


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
    shortage = "" if least.starts else f"one request of {setting.base.context:,} tokens needs more than the pool"
    return Capacity(
        kv_cache_bytes=pools[0].num_bytes,  # the first stage's, which is the one vLLM prints
        kv_cache_tokens=least.tokens,
        max_concurrency=least.max_concurrency,
        budget_bytes=budget,
        starts=least.starts and bool(least.num_bytes),
        shortage=shortage,
    )
