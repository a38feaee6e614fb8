"""
What a token costs in SGLang's pools, and how many tokens a budget holds.

    tokens = budget ÷ (bytes in full layers + ratio × bytes in windowed layers), down to whole pages

Source: SGLang 0.5.23, `DefaultPoolConfigurator`, `HybridSWAPoolConfigurator`, `DSV4PoolConfigurator` and
`KVCacheConfigurator._handle_max_mamba_cache`. The pool keeps one page more than it counts; that page is not charged.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hfmem.memory.engines.pages import indexer_bytes, rank_heads, tail_elements
from hfmem.memory.engines.values import cdiv
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
from hfmem.tables.sglang import (
    COMPRESSED_PAGE,
    COMPRESSED_RING,
    COMPRESSED_ROTARY,
    COMPRESSED_SCALES,
    CONVOLUTION_BYTES,
    LATENT_SCALE_BYTES,
    LATENT_SCALE_DIM,
    ROTARY_BYTES,
    STATE_BYTES,
    STATE_RATIO,
    STATE_RATIOS,
    STATE_SLOTS,
    STATE_SLOTS_TRACKED,
    TRACKED,
    WINDOW_RATIO,
    WINDOW_RATIOS,
    WINDOWED,
)

STATE_WIDTHS = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How the pools are cut: bits of a key, attention ranks, tokens of a page, whether 8-bit latents carry scales."""

    kv_bits: float
    tp: int = 1
    page: int = 1
    scaled_latents: bool = False
    slot_bytes: int = 0  # DeepSeek-V4's windowed layers keep the slot its compressed ones have


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """Bytes one token takes on one rank, and one request's recurrent state. All-windowed models have no full layers."""

    full_bytes: float
    window_bytes: float = 0.0
    window: int = 0  # tokens the widest window looks back
    ratio: float = WINDOW_RATIO
    state_bytes: int = 0
    state_ratio: float = STATE_RATIO
    state_slots: int = STATE_SLOTS
    page: int = 1

    @property
    def num_bytes(self) -> float:
        """Bytes of one token of the pool: of the full pool, and its share of the windowed one."""
        return self.full_bytes + self.ratio * self.window_bytes if self.full_bytes else self.window_bytes

    @property
    def window_share(self) -> float:
        """Tokens of the windowed pool for one that is counted."""
        return self.ratio if self.full_bytes else 1.0

    def states(self, budget: int) -> int:
        """Slots of recurrent state a budget gives: its share, less the padding slot."""
        if not self.state_bytes or budget <= 0:
            return 0
        share = budget * self.state_ratio / (1 + self.state_ratio)
        return max(0, int((share - self.state_bytes) // self.state_bytes))

    def tokens(self, budget: int) -> int:
        """Tokens that fit what the states leave of a budget."""
        left = budget - (self.states(budget) + 1) * self.state_bytes
        return int(max(0, left) // self.num_bytes) // self.page * self.page if self.num_bytes else 0

    def request_tokens(self, context: int) -> int:
        """Tokens one request at the maximum length takes of the pool: its own, and enough that the window's fit too."""
        whole = cdiv(context, self.page) * self.page
        if not self.window_bytes:
            return whole
        inside = min(whole, self.window + self.page)
        return max(whole if self.full_bytes else 0, cdiv(int(inside / self.window_share), self.page) * self.page)

    def pool_bytes(self, tokens: int) -> int:
        return int(tokens * self.num_bytes)


def cell_of(model: ModelSpec, layers: tuple[Layer, ...], layout: Layout) -> Cell:
    """The cell of some layers, those of one stage."""
    name = model.architecture or ""
    mixers = tuple(kept(layers))
    costs = [mixer_bytes(mixer, layout, in_windows(name, mixer)) for mixer in mixers]
    return Cell(
        full_bytes=sum(full for full, _ in costs),
        window_bytes=sum(windowed for _, windowed in costs),
        window=max((in_windows(name, mixer) for mixer in mixers), default=0),
        ratio=WINDOW_RATIOS.get(name, WINDOW_RATIO),
        state_bytes=sum(state_bytes(model, mixer, layout.tp) for layer in layers for mixer in layer.mixers),
        state_ratio=STATE_RATIOS.get(name, STATE_RATIO),
        state_slots=STATE_SLOTS_TRACKED if name in TRACKED else STATE_SLOTS,
        page=layout.page,
    )


def kept(layers: tuple[Layer, ...]) -> Iterator[Mixer]:
    """Mixers with tokens in the pool; of a layer that also attends to an encoder, its own attention alone."""
    for layer in layers:
        own = [mixer for mixer in layer.mixers if not isinstance(mixer, RecurrentState)]
        attends = [mixer for mixer in own if not isinstance(mixer, CrossAttention)]
        yield from attends or own


def in_windows(architecture: str, mixer: Mixer) -> int:
    """The window of a layer with a place in the windowed pool; 0 where SGLang keeps the whole sequence."""
    if architecture not in WINDOWED or not isinstance(mixer, Attention | LatentAttention | CompressedAttention):
        return 0
    return mixer.window or 0


def mixer_bytes(mixer: Mixer, layout: Layout, window: int) -> tuple[float, float]:
    """
    Bytes of one token of a layer, in the full pool and in the windowed one.

    Layers that read another's keys are counted too: SGLang allocates every layer (`num_effective_layers`).
    """
    if isinstance(mixer, CompressedAttention):
        return compressed_bytes(mixer)
    if isinstance(mixer, IndexerKeys):
        return indexer_bytes(mixer), 0.0
    size = latent_bytes(mixer, layout) if isinstance(mixer, LatentAttention) else 0.0
    if isinstance(mixer, Attention | CrossAttention):
        size = layout.slot_bytes or head_bytes(mixer, layout)
    return (0.0, size) if window else (size, 0.0)


def head_bytes(mixer: Attention | CrossAttention, layout: Layout) -> float:
    """Keys and values of one rank's heads; heads are copied where there are more ranks (`get_num_kv_heads`)."""
    heads = getattr(mixer, "projected_kv_heads", None) or mixer.num_kv_heads
    return rank_heads(heads, layout.tp) * (mixer.key_dim + mixer.value_dim) * layout.kv_bits / 8


def latent_bytes(mixer: LatentAttention, layout: Layout) -> float:
    """The latent and the rotary key, whole on every rank; a sparse model's 8-bit ones with their scales."""
    if layout.kv_bits == 8 and layout.scaled_latents:
        scales = mixer.latent_dim // LATENT_SCALE_DIM * LATENT_SCALE_BYTES
        return mixer.latent_dim + scales + mixer.rotary_dim * ROTARY_BYTES
    return (mixer.latent_dim + mixer.rotary_dim) * layout.kv_bits / 8


def compressed_bytes(mixer: CompressedAttention) -> tuple[float, float]:
    """
    DeepSeek-V4: entries of every compressor in the full pool; the window's slot and the waiting tokens in the other.

    Leaves out the padding of a page's slots and the rings of the slow compressor, one for each request.
    """
    slot = slot_of(mixer)
    first, *others = mixer.streams
    full = slot / first.rate + sum((stream.width + cdiv(stream.width, 128) * FLOAT32_BYTES) / stream.rate for stream in others)
    waiting = sum(4 * stream.width * FLOAT32_BYTES for stream in mixer.streams if stream.overlaps)
    return full, slot + waiting * COMPRESSED_RING / COMPRESSED_PAGE


def slot_of(mixer: CompressedAttention) -> int:
    """8-bit content, a rotary part in bfloat16 and scales."""
    return mixer.head_dim + COMPRESSED_ROTARY + COMPRESSED_SCALES


def state_bytes(model: ModelSpec, mixer: Mixer, tp: int) -> int:
    """
    One slot of a recurrent layer on one rank: the convolution's tail in bfloat16, the state in float32 or as configured.

    Source: `Mamba2StateShape.create` (groups that do not divide are copied) and `mamba2_state_dtype`.
    """
    if not isinstance(mixer, RecurrentState):
        return 0
    return tail_elements(mixer, tp) * CONVOLUTION_BYTES + mixer.float32_elements // tp * state_width(model)


def state_width(model: ModelSpec) -> int:
    """Bytes of an element of the state: `mamba_ssm_dtype` of the text part or of the whole, else float32."""
    text = model.raw.get("text_config")
    section = text if isinstance(text, dict) else model.raw
    return STATE_WIDTHS.get(str(section.get("mamba_ssm_dtype")), STATE_BYTES)
