"""
Layers → pages of vLLM's paged cache, as one rank holds them.

A page is what one layer keeps of one block of tokens. Source: `get_kv_cache_spec` of vLLM 0.33's layers and its
`MambaStateShapeCalculator`; a Mamba block keeps its whole state in one page and one tap of the convolution less than
transformers does.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from hfmem.errors import CannotTell
from hfmem.memory.engines.values import Request, cdiv
from hfmem.model.kinds import (
    FLOAT32_BYTES,
    Attention,
    CompressedAttention,
    CrossAttention,
    IndexerKeys,
    LatentAttention,
    Mixer,
    RecurrentState,
)
from hfmem.model.spec import Layer, ModelSpec
from hfmem.tables.engines import EXPANDED_LATENT, INDEXER_SCALE_DIM, PROMOTED_CHUNKS, STATE_DTYPES

UNPAGED_BLOCK = 16
INDEXER_BLOCK = 64  # the block size of FlashMLA's sparse kernels
KINDS = ("full", "latent", "window", "chunk", "state", "cross")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One layer's page. `token_bytes` is one token's share; a state has `state_bytes` for the whole sequence instead."""

    kind: str
    block_size: int
    token_bytes: int = 0
    state_bytes: int = 0
    reach: int = 0  # tokens a window or a chunk looks back
    padded_bytes: int = 0

    @property
    def num_bytes(self) -> int:
        return self.padded_bytes or self.state_bytes or self.token_bytes * self.block_size

    def blocks(self, request: Request) -> int:
        """Blocks one request at the maximum length may hold at a time."""
        tokens = request.context
        if self.kind == "state":
            return request.state_blocks
        if self.kind == "window":
            return cdiv(min(self.reach - 1 + request.in_flight, tokens), self.block_size) + 1
        if self.kind == "chunk":
            return cdiv(min(self.reach + request.in_flight, tokens), self.block_size)
        return cdiv(request.encoder_tokens if self.kind == "cross" else tokens, self.block_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Paging:
    """How pages are cut: bits of a key, bytes of the model's dtype, tensor-parallel ranks, tokens of a block."""

    kv_bits: int
    model_bytes: int
    tp: int = 1
    block_size: int = UNPAGED_BLOCK
    windows: bool = True  # the hybrid manager, which frees what slid out of a window


def pages_of(model: ModelSpec, layers: tuple[Layer, ...], paging: Paging) -> tuple[tuple[Page, ...], ...]:
    """The pages of each layer, the recurrent ones' aligned with the attention layers'."""
    found = tuple(tuple(layer_pages(model, layer, paging)) for layer in layers)
    return align(found, paging) if any(page.kind == "state" for pages in found for page in pages) else found


def layer_pages(model: ModelSpec, layer: Layer, paging: Paging) -> Iterator[Page]:
    states = [mixer for mixer in layer.mixers if isinstance(mixer, RecurrentState)]
    for mixer in layer.mixers:
        if not isinstance(mixer, RecurrentState):
            yield from mixer_pages(model, layer, mixer, paging)
    for state in states:
        yield Page(kind="state", block_size=paging.block_size, state_bytes=state_bytes(model, state, paging))


def mixer_pages(model: ModelSpec, layer: Layer, mixer: Mixer, paging: Paging) -> Iterator[Page]:
    if isinstance(mixer, Attention) and not mixer.shares_cache:
        yield attention_page(model, layer, mixer, paging)
    elif isinstance(mixer, LatentAttention) and not mixer.shares_cache:
        yield latent_page(model, mixer, paging)
    elif isinstance(mixer, IndexerKeys):
        yield Page(kind="latent", block_size=paging.block_size, token_bytes=indexer_bytes(mixer))
    elif isinstance(mixer, CrossAttention):
        size = rank_heads(mixer.num_kv_heads, paging.tp) * (mixer.key_dim + mixer.value_dim) * paging.kv_bits // 8
        yield Page(kind="cross", block_size=paging.block_size, token_bytes=size)
    elif isinstance(mixer, CompressedAttention):
        message = f"the pages of {model.model_type}'s compressed attention are not described"
        raise CannotTell(message, code="unpaged", hint="--engine sglang or transformers sizes them")


def attention_page(model: ModelSpec, layer: Layer, mixer: Attention, paging: Paging) -> Page:
    """Key-value heads over the ranks, one at least; a window or a chunk keeps its reach."""
    heads = rank_heads(mixer.projected_kv_heads or mixer.num_kv_heads, paging.tp)
    size = heads * (mixer.key_dim + mixer.value_dim) * paging.kv_bits // 8
    is_chunk = layer.kind == "chunked_attention"
    is_full = mixer.window is None or not paging.windows or (is_chunk and bool(PROMOTED_CHUNKS & set(model.types)))
    kind = "full" if is_full else "chunk" if is_chunk else "window"
    reach = 0 if is_full else mixer.window or 0
    return Page(kind=kind, block_size=paging.block_size, token_bytes=size, reach=reach)


def latent_page(model: ModelSpec, mixer: LatentAttention, paging: Paging) -> Page:
    """The latent and the rotary key, whole on every rank; types without a latent kernel keep expanded keys and values."""
    size = (mixer.latent_dim + mixer.rotary_dim) * paging.kv_bits // 8
    if EXPANDED_LATENT & set(model.types):
        width = mixer.content_dim + mixer.rotary_dim
        size = rank_heads(mixer.num_heads, paging.tp) * 2 * width * paging.kv_bits // 8
        return Page(kind="full", block_size=paging.block_size, token_bytes=size)
    return Page(kind="latent", block_size=paging.block_size, token_bytes=size)


def indexer_bytes(mixer: IndexerKeys) -> int:
    """8-bit keys with a float32 scale for every 128 of them."""
    return mixer.key_dim + cdiv(mixer.key_dim, INDEXER_SCALE_DIM) * FLOAT32_BYTES


def state_bytes(model: ModelSpec, state: RecurrentState, paging: Paging) -> int:
    """The convolution's tail of kernel − 1 tokens in the model's dtype, and the state in the type's own."""
    tail = tail_elements(state, paging.tp) * paging.model_bytes
    return tail + state.float32_elements // paging.tp * state_element_bytes(model, paging)


def tail_elements(state: RecurrentState, tp: int) -> int:
    """One rank's channels × (kernel − 1); groups that do not divide over the ranks are copied."""
    extra = 0
    if state.num_groups % tp:
        extra = 2 * (tp - state.num_groups) * state.group_dim * state.conv_kernel
    tail = (state.model_elements + extra) // tp
    return tail // state.conv_kernel * (state.conv_kernel - 1) if state.conv_kernel else tail


def state_element_bytes(model: ModelSpec, paging: Paging) -> int:
    """Bytes of an element of the state: float32 where the type or its configuration says so, else the model's dtype."""
    key, default = next((STATE_DTYPES[name] for name in model.types if name in STATE_DTYPES), ("", None))
    text = model.raw.get("text_config")
    section = text if isinstance(text, dict) else model.raw
    named = section.get(key) or model.raw.get(key) or default
    return {"float32": 4, "float16": 2, "bfloat16": 2}.get(str(named), paging.model_bytes)


def rank_heads(num_kv_heads: int, tp: int) -> int:
    """Key-value heads of one rank; with more ranks than heads each rank has a copy of one."""
    return max(1, num_kv_heads // tp)


def align(found: tuple[tuple[Page, ...], ...], paging: Paging) -> tuple[tuple[Page, ...], ...]:
    """Blocks of attention grow until a page holds a whole state, and states are padded to that page."""
    flat = [page for pages in found for page in pages]
    state = max(page.state_bytes for page in flat)
    per_token = next((page.token_bytes for page in flat if page.kind != "state"), 0)
    if not per_token:
        return found
    step = max(paging.block_size, 128 if any(page.kind == "latent" for page in flat) else 16)
    block_size = max(paging.block_size, step * cdiv(state, step * per_token))
    grown = [
        [
            replace(page, padded_bytes=block_size * per_token)
            if page.kind == "state"
            else replace(page, block_size=block_size if page.kind in ("full", "latent") else page.block_size)
            for page in pages
        ]
        for pages in found
    ]
    return tuple(tuple(replace(page, block_size=block_size) for page in pages) for pages in grown)
