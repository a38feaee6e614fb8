"""A workload with SGLang's defaults filled in, and what each of its ranks holds without a pool."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from hfmem.errors import CannotTell, UsageError
from hfmem.memory.engines.lines import ASSUMED_CARD, MODEL_REASON, in_16_bits
from hfmem.memory.engines.sglang_defaults import (
    Graphs,
    chunk_size,
    default_fraction,
    graphs_of,
    is_blackwell,
    is_kind,
    page_size,
)
from hfmem.memory.engines.sglang_pool import Cell, Layout, cell_of, slot_of
from hfmem.memory.engines.sglang_weights import loaded_bytes
from hfmem.memory.engines.shards import Split, Stage
from hfmem.memory.engines.split import split_of
from hfmem.memory.engines.values import Card, cdiv
from hfmem.memory.inference import Setting, settle
from hfmem.memory.subject import Model
from hfmem.memory.workload import Inference
from hfmem.model.kinds import CompressedAttention, IndexerKeys
from hfmem.model.spec import ModelSpec
from hfmem.tables.engines import CONTEXT_BYTES
from hfmem.tables.sglang import DISTRIBUTED
from hfmem.units import MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class SglangSetting:
    """A workload with SGLang's defaults filled in. `split.tp` is attention's share of the ranks, `split.dp` its replicas."""

    base: Setting
    split: Split
    chunk: int
    graphs: Graphs
    fraction: float
    requests: int | None
    page: int
    card: Card

    @property
    def ranks(self) -> int:
        """Tensor-parallel ranks in SGLang's words: all replicas of attention together."""
        return self.split.tp * self.split.dp

    @property
    def batch(self) -> int:
        """Sequences of one replica."""
        return cdiv(self.base.batch, self.split.dp)

    @property
    def request_context(self) -> int:
        """Tokens one request takes of the pool: an encoder's come before its own (`pad_input_ids` of whisper and mllama)."""
        return self.base.context + self.base.encoder_tokens

    @property
    def free_bytes(self) -> int:
        """Free memory before loading, as SGLang measures it: after its context and its communicators."""
        return self.card.total_bytes - CONTEXT_BYTES - self.distributed_bytes

    @property
    def distributed_bytes(self) -> int:
        """Memory of NCCL and the all-reduce buffers, by the number of ranks."""
        return next(size for most, size in reversed(DISTRIBUTED) if most <= self.ranks * self.split.pp) * MIB

    @property
    def options(self) -> dict[str, object]:
        """What the report says was settled."""
        return {
            "tp": self.ranks,
            "pp": self.split.pp,
            "dp": self.split.dp,
            "ep": self.split.expert,
            "max_num_seqs": self.requests,
            "max_num_batched_tokens": self.chunk,
            "gpu_memory_utilization": self.fraction,
            "enforce_eager": self.graphs.batch == 0,
            "page_size": self.page,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rank:
    """One pipeline stage on each of its ranks, without its pool."""

    stage: Stage
    weights: int | None
    cell: Cell


def settle_sglang(model: Model, workload: Inference, card: Card | None) -> SglangSetting:
    """SGLang's defaults for a model and a card."""
    spec, found = model.spec, card or ASSUMED_CARD
    split = attention_split(spec, workload)
    chunk = workload.max_num_batched_tokens or chunk_size(found.total_bytes)
    graphs = graphs_of(spec, found.total_bytes, split, chunk, workload.max_num_seqs, workload.enforce_eager)
    return SglangSetting(
        base=sparse_default(spec, in_16_bits(settle(spec, model.weights, workload)), found),
        split=split,
        chunk=max(1, chunk // split.dp),
        graphs=graphs,
        fraction=workload.gpu_memory_utilization or default_fraction(spec, found.total_bytes, split, chunk, graphs),
        requests=workload.max_num_seqs,
        page=page_size(spec, found),
        card=found,
    )


def attention_split(model: ModelSpec, workload: Inference) -> Split:
    """The ranks of one replica of attention, and the replicas. Raises `UsageError` where they do not divide."""
    if workload.tp % workload.dp:
        message = f"--dp {workload.dp} does not divide --tp {workload.tp}"
        raise UsageError(message, code="illegal-split", hint="SGLang's replicas of attention share its --tp ranks")
    return split_of(model, replace(workload, tp=workload.tp // workload.dp))


def sparse_default(model: ModelSpec, base: Setting, card: Card) -> Setting:
    """Sparse latents are cached in 8 bits on Blackwell unless said otherwise (`_dsa_kv_cache_dtype_default`)."""
    if base.kv_reason != MODEL_REASON or not (is_blackwell(card) and is_kind(model, IndexerKeys)):
        return base
    return replace(base, kv_bits=8, kv_reason="SGLang's default for sparse attention on Blackwell")


def layout_of(model: ModelSpec, setting: SglangSetting) -> Layout:
    layers = model.decoder.layers if model.decoder else ()
    compressed = (mixer for layer in layers for mixer in layer.mixers if isinstance(mixer, CompressedAttention))
    return Layout(
        kv_bits=setting.base.kv_bits,
        tp=setting.split.tp,
        page=setting.page,
        scaled_latents=is_kind(model, IndexerKeys) and not is_blackwell(setting.card),
        slot_bytes=next((slot_of(mixer) for mixer in compressed), 0),
    )


def ranks(model: Model, setting: SglangSetting) -> tuple[Rank, ...]:
    """Every stage with its weights and its cell. Raises `CannotTell` where config.json describes no layers."""
    base, layout = setting.base, layout_of(model.spec, setting)
    return held(model, setting.split, setting.card.compute_capability, base.weights_dtype, base.model_dtype, layout)


@lru_cache(maxsize=256)  # a fit asks thousands of times for one model; requests change none of this
def held(
    model: Model, split: Split, capability: str | None, weights_dtype: str | None, model_dtype: str, layout: Layout
) -> tuple[Rank, ...]:
    decoder = model.spec.decoder
    if decoder is None:
        raise CannotTell("config.json describes no layers to serve", code="no-layers", hint="--engine transformers --partial")
    return tuple(
        Rank(
            stage=stage,
            weights=loaded_bytes(model, split, stage, capability, weights_dtype, model_dtype),
            cell=cell_of(model.spec, decoder.layers[stage.start : stage.end], layout),
        )
        for stage in stages_of(len(decoder.layers), split.pp)
    )


def stages_of(num_layers: int, pp: int) -> Iterator[Stage]:
    """Equal runs of layers; the last stages have one more where they do not divide (SGLang's `get_pp_indices`)."""
    start = 0
    for index in range(pp):
        end = start + num_layers // pp + (index >= pp - num_layers % pp)
        yield Stage(start=start, end=end, is_first=index == 0, is_last=index == pp - 1)
        start = end
