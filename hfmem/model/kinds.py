"""
What one layer keeps between tokens: a kind is a value, and each says how many bytes it holds.

Bytes are those of transformers' own caches (`cache_utils.py`, 5.23), storage and not only the visible slice: a sliding
layer's cut is a view, so right after a prompt longer than its window the whole prompt is still alive.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from hfmem.errors import ConfigError

FLOAT32_BYTES = 4
INT64_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How much a sequence has been through: `tokens` seen, of which `prompt_tokens` came in the first pass."""

    batch: int
    tokens: int
    prompt_tokens: int
    encoder_tokens: int = 0
    image_tokens: int = 0

    def __post_init__(self) -> None:
        if min(self.batch, self.tokens) < 1 or min(self.prompt_tokens, self.encoder_tokens, self.image_tokens) < 0:
            raise ConfigError(f"a batch of {self.batch} with {self.tokens} tokens is nothing to size", code="bad-usage")

    def kept(self, window: int | None) -> int:
        """Tokens whose keys are alive under a window: all of a fresh prompt, else the window's worth."""
        if window is None or window <= 1 or self.tokens < window or self.tokens == self.prompt_tokens:
            return self.tokens
        return window


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheDtypes:
    """Bits of one cached key or value, and bytes of one element in the dtype the model computes in."""

    kv_bits: int
    model_bytes: int


class Mixer(Protocol):
    """A part of a layer that remembers."""

    item: ClassVar[str]  # the report's line it belongs to: "kv_cache" or "recurrent_state"

    def cache_bytes(self, usage: Usage, dtypes: CacheDtypes) -> int:
        """Bytes kept alive for the whole batch."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Attention:
    """Softmax attention; MHA, GQA and MQA differ only in `num_kv_heads`."""

    item: ClassVar[str] = "kv_cache"
    num_heads: int
    num_kv_heads: int
    key_dim: int
    value_dim: int
    window: int | None = None  # tokens; None keeps them all
    pinned_prompt: bool = False  # the prompt stays whole and only generated tokens slide
    extra_tokens: int = 0  # learned prompt positions cached beside the tokens
    shares_cache: bool = False  # reads another layer's keys and keeps none
    projected_kv_heads: int | None = None  # heads before transformers repeats them, where it caches them repeated

    def __post_init__(self) -> None:
        if self.num_heads % self.num_kv_heads:
            raise ConfigError(
                f"{self.num_heads} attention heads do not divide over {self.num_kv_heads} key-value heads",
                code="bad-field",
            )

    def kept_tokens(self, usage: Usage) -> int:
        if self.shares_cache:
            return 0
        if self.pinned_prompt and self.window is not None:
            generated = usage.tokens - usage.prompt_tokens
            return usage.prompt_tokens + min(generated, self.window)
        return usage.kept(self.window) + self.extra_tokens

    def cache_bytes(self, usage: Usage, dtypes: CacheDtypes) -> int:
        per_token = self.num_kv_heads * (self.key_dim + self.value_dim) * dtypes.kv_bits
        return usage.batch * self.kept_tokens(usage) * per_token // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class LatentAttention:
    """Multi-head latent attention: one compressed key-value vector and one rotary key for all heads."""

    item: ClassVar[str] = "kv_cache"
    num_heads: int
    latent_dim: int  # kv_lora_rank
    rotary_dim: int  # qk_rope_head_dim
    content_dim: int = 0  # qk_nope_head_dim, of the expanded keys
    value_dim: int = 0  # v_head_dim, of the expanded values
    query_latent_dim: int = 0  # q_lora_rank; 0 where queries are projected at once
    window: int | None = None
    shares_cache: bool = False

    def cache_bytes(self, usage: Usage, dtypes: CacheDtypes) -> int:
        kept = 0 if self.shares_cache else usage.kept(self.window)
        return usage.batch * kept * (self.latent_dim + self.rotary_dim) * dtypes.kv_bits // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexerKeys:
    """The keys by which a sparse layer picks its tokens; one vector a token, whatever the number of heads."""

    item: ClassVar[str] = "kv_cache"
    key_dim: int
    in_float32: bool = False
    position_rows: int = 0  # int64 position ids kept beside the keys

    def cache_bytes(self, usage: Usage, dtypes: CacheDtypes) -> int:
        bits = FLOAT32_BYTES * 8 if self.in_float32 else dtypes.kv_bits
        return usage.batch * usage.tokens * self.key_dim * bits // 8 + self.position_bytes(usage)

    def position_bytes(self, usage: Usage) -> int:
        """One row expanded over batch and rows while only the prompt is there; written out once a token is added."""
        rows = usage.batch * self.position_rows if usage.tokens > usage.prompt_tokens else min(self.position_rows, 1)
        return rows * usage.tokens * INT64_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedStream:
    """One compressor of a DeepSeek-V4 layer: every `rate` tokens become one entry, the rest wait in a buffer."""

    width: int
    rate: int
    overlaps: bool  # entries see their neighbours, so the last `rate` tokens stay, in pairs

    def elements(self, usage: Usage) -> int:
        """Elements alive for one sequence: entries, waiting tokens (content and gate), overlap (content and gate)."""
        entries = usage.tokens // self.rate
        lanes = 2 if self.overlaps else 1
        overlap = 2 * self.rate * self.width if self.overlaps and entries else 0
        return entries * self.width + 2 * self.waiting(usage) * lanes * self.width + overlap

    def waiting(self, usage: Usage) -> int:
        """Tokens whose projections are alive: the buffer is a view, so what was just compressed is still behind it."""
        if usage.tokens == usage.prompt_tokens:
            return usage.tokens
        return usage.tokens % self.rate or self.rate


@dataclass(frozen=True, slots=True, kw_only=True)
class CompressedAttention:
    """DeepSeek-V4 attention: a shared key-value vector over a window, and compressed entries of everything before."""

    item: ClassVar[str] = "kv_cache"
    num_heads: int
    head_dim: int
    window: int
    streams: tuple[CompressedStream, ...]

    def cache_bytes(self, usage: Usage, dtypes: CacheDtypes) -> int:
        local = usage.kept(self.window) * self.head_dim
        compressed = sum(stream.elements(usage) for stream in self.streams)
        return usage.batch * (local + compressed) * dtypes.kv_bits // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class RecurrentState:
    """A state of fixed size: convolution tails in the model's dtype, states in float32 unless the model says else."""

    item: ClassVar[str] = "recurrent_state"
    model_elements: int = 0
    float32_elements: int = 0
    int64_elements: int = 0
    counters: int = 0  # int64 scalars kept once for the whole batch
    conv_kernel: int = 0  # taps of the convolution whose tail `model_elements` is; serving engines keep one less
    num_groups: int = 0  # groups of Mamba-2's B and C, each of `group_dim` channels of the convolution twice
    group_dim: int = 0

    def cache_bytes(self, usage: Usage, dtypes: CacheDtypes) -> int:
        fixed = self.float32_elements * FLOAT32_BYTES + self.int64_elements * INT64_BYTES
        return usage.batch * (self.model_elements * dtypes.model_bytes + fixed) + self.counters * INT64_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class CrossAttention:
    """Keys and values of another sequence, written once: the encoder's output, or the tiles of an image."""

    item: ClassVar[str] = "kv_cache"
    num_heads: int
    num_kv_heads: int
    key_dim: int
    value_dim: int
    reads_images: bool = False
    window: int | None = None

    def cache_bytes(self, usage: Usage, dtypes: CacheDtypes) -> int:
        tokens = usage.image_tokens if self.reads_images else usage.encoder_tokens
        per_token = self.num_kv_heads * (self.key_dim + self.value_dim) * dtypes.kv_bits
        return usage.batch * tokens * per_token // 8
