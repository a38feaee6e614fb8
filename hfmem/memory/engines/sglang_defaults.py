"""SGLang's answers to what was not asked: prefill chunk, captured batches, `mem_fraction_static`, page size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hfmem.memory.engines.shards import Split
from hfmem.memory.engines.values import Card
from hfmem.model.kinds import Attention, CompressedAttention, IndexerKeys, LatentAttention, Mixer
from hfmem.model.spec import ModelSpec
from hfmem.tables.sglang import (
    BLACKWELL,
    BLACKWELL_PAGE,
    CARDS,
    COMPRESSED_PAGE,
    LARGE_CARD_MIB,
    LARGE_GRAPH_BATCH,
    LATENT_PREFILL_LIMIT,
    LEAST_ACTIVE_TOKENS,
    PAGE,
    PREFILL_SIZES,
    RESERVED,
    RESERVED_GRAPH_BATCH,
    RESERVED_LARGE_CARD,
    RESERVED_PREFILL_GRAPH,
    RESERVED_PREFILL_LATENT,
    RESERVED_RANK,
    RESERVED_REPLICA_BATCH,
    RESERVED_REPLICA_LARGE,
    RESERVED_TOKEN,
    SPARSE_PAGE,
    TOWER_FACTOR,
    TOWER_HIDDEN,
    TOWER_HIGH,
    TOWER_LAYERS,
    TOWER_LOW,
    TOWER_STEP,
    WIDE_RANKS,
    CardRow,
)
from hfmem.units import MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Graphs:
    """What is captured: decode batches up to `batch`, and `prefills` batches of prompt tokens."""

    batch: int  # 0 where nothing is captured
    prefills: int
    is_latent: bool  # a latent's prefill graphs have a price of their own

    def reserved_mib(self, replicas: int) -> float:
        """`reserve_for_graph_mb`, an even share for each data-parallel replica of attention added."""
        found = RESERVED_GRAPH_BATCH * self.batch
        if replicas > 1:
            each = RESERVED_REPLICA_LARGE if self.batch > LARGE_GRAPH_BATCH else RESERVED_REPLICA_BATCH
            found += self.batch * replicas * each
        if self.prefills:
            found += RESERVED_PREFILL_LATENT if self.is_latent else self.prefills * RESERVED_PREFILL_GRAPH
        return found


def card_row(total_bytes: int) -> CardRow:
    return next(row for row in CARDS if total_bytes / MIB < row.below_mib)


def chunk_size(total_bytes: int) -> int:
    """`--chunked-prefill-size` without being asked; data-parallel attention divides it by its replicas afterwards."""
    return card_row(total_bytes).chunk


def graphs_of(model: ModelSpec, total_bytes: int, split: Split, chunk: int, requests: int | None, eager: bool) -> Graphs:
    """
    The captured batches (`handle_gpu_memory_settings`, `disable_breakable_cudagraph_if_incompatible`).

    Prefill is not captured over stages, beside a tower, and for DeepSeek-V4.
    """
    row, latent = card_row(total_bytes), is_kind(model, LatentAttention)
    batch = row.graph_batch_wide if split.tp * split.dp >= WIDE_RANKS else row.graph_batch
    limit = min(chunk, LATENT_PREFILL_LIMIT) if latent else chunk
    is_captured = not (eager or split.pp > 1 or is_multimodal(model) or is_kind(model, CompressedAttention))
    prefills = sum(size <= limit for size in PREFILL_SIZES) if is_captured else 0
    return Graphs(batch=0 if eager else min(batch, requests or batch), prefills=prefills, is_latent=latent)


def default_fraction(model: ModelSpec, total_bytes: int, split: Split, chunk: int, graphs: Graphs) -> float:
    """
    `mem_fraction_static` = (memory − reserve) / memory, to three places (`handle_gpu_memory_settings`).

    The reserve: 512 MiB, 1.5 MiB a token of a chunk, 128 MiB a rank, graphs; at least 10 GiB on cards above 60 GiB.
    """
    memory = total_bytes / MIB
    reserved = RESERVED + RESERVED_TOKEN * max(chunk, LEAST_ACTIVE_TOKENS)
    reserved += RESERVED_RANK * split.tp * split.dp * split.pp + graphs.reserved_mib(split.dp)
    if memory > LARGE_CARD_MIB:
        reserved = max(reserved, RESERVED_LARGE_CARD)
    fraction = max(0.0, round((memory - reserved) / memory, 3))
    return fraction * tower_factor(model)


def tower_factor(model: ModelSpec) -> float:
    """
    `adjust_mem_fraction_for_vlm`: a tower is measured by layers × width², against ViT-L/14.

    It reads `num_hidden_layers` and `hidden_size`, whatever the tower calls its own: 24 layers where it says `depth`.
    """
    tower = next((stack for stack in model.stacks if stack.role == "vision"), None)
    config = model.raw.get("vision_config")
    if tower is None or not isinstance(config, Mapping):
        return 1.0
    layers = config.get("num_hidden_layers") or (TOWER_LAYERS if "depth" in config else len(tower.layers))
    ratio = layers * (config.get("hidden_size") or tower.hidden_size) ** 2 / (TOWER_LAYERS * TOWER_HIDDEN**2)
    return TOWER_FACTOR * max(TOWER_LOW, min(TOWER_HIGH, 1 - TOWER_STEP * (ratio - 1)))


def is_multimodal(model: ModelSpec) -> bool:
    return any(stack.role in ("vision", "audio") for stack in model.stacks)


def page_size(model: ModelSpec, card: Card) -> int:
    """Tokens of a page as the default kernels ask for (`_page_size_default`, `_mla_backend_page_constraints`)."""
    if is_kind(model, CompressedAttention):
        return COMPRESSED_PAGE
    if is_kind(model, IndexerKeys):
        return SPARSE_PAGE
    return BLACKWELL_PAGE if is_blackwell(card) and is_kind(model, Attention) else PAGE


def is_blackwell(card: Card) -> bool:
    return (card.compute_capability or "").startswith(BLACKWELL)


def is_kind(model: ModelSpec, kind: type[Mixer]) -> bool:
    """Whether any layer of the decoder keeps a kind of memory."""
    layers = model.decoder.layers if model.decoder else ()
    return any(isinstance(mixer, kind) for layer in layers for mixer in layer.mixers)
