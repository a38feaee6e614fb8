"""What each pipeline stage of vLLM holds on each of its ranks, without its pool."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from hfmem.checkpoint.tensors import DTYPE_BITS
from hfmem.errors import CannotTell
from hfmem.memory.engines.extras import loaded_extras
from hfmem.memory.engines.pages import Page, pages_of
from hfmem.memory.engines.plan import Plan, plan
from hfmem.memory.engines.profile import profile_bytes, stage_bytes
from hfmem.memory.engines.shards import Split, Stage, rank_bytes, stages
from hfmem.memory.engines.vllm_setting import Frame, VllmSetting
from hfmem.memory.subject import Model
from hfmem.tables.engines import (
    CONTEXT_BYTES,
    CONTEXT_BYTES_SEVERAL,
    Release,
)
from hfmem.units import MIB


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
    spec, split, release = model.spec, frame.split, frame.release
    weights = stage_weights(model, split, stage, frame.weights_dtype, frame.model_dtype, frame.capability, frame.version)
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


@lru_cache(maxsize=256)  # what tokens and sequences do not change
def stage_weights(
    model: Model,
    split: Split,
    stage: Stage,
    weights_dtype: str | None,
    model_dtype: str,
    capability: str | None,
    version: tuple[int, ...],
) -> int | None:
    """Bytes of the weights on one rank of a stage; None where no header was read."""
    if model.weights is None:
        return None
    size = rank_bytes(model.weights, model.spec, split, stage, weights_dtype, model_dtype)
    return size + loaded_extras(model, split, stage, DTYPE_BITS[model_dtype] // 8, capability, version)


def worst(found: tuple[Rank, ...], setting: VllmSetting) -> Rank:
    """The stage that needs most of one device."""
    return max(found, key=lambda one: (one.weights or 0) + one.activations + kv_bytes(one, setting))


def kv_bytes(one: Rank, setting: VllmSetting) -> int:
    return one.plan.bytes_per_block * one.plan.blocks_per_request(setting.request) * setting.replica_batch


def other_bytes(release: Release, split: Split) -> int:
    """Memory outside torch by the ranks that talk to each other; stages alone hardly talk."""
    if split.tp == 1 and split.pp > 1:
        return 70 * MIB
    return next(size for count, size in reversed(release.other_bytes) if count <= split.tp) * MIB


def context_bytes(split: Split) -> int:
    return CONTEXT_BYTES if split.num_devices == 1 else CONTEXT_BYTES_SEVERAL
