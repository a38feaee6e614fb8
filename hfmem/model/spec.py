"""What a model is: stacks of layers, and the few facts about it that memory depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hfmem.model.kinds import CacheDtypes, Mixer, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Dense:
    """A feed-forward block every token passes through; gated blocks have two input projections."""

    intermediate_size: int
    gated: bool = True

    @property
    def active_size(self) -> int:
        """Width a token passes through."""
        return self.intermediate_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Experts:
    """A block of which each token passes through some experts, and through the shared ones."""

    num_experts: int
    experts_per_token: int
    intermediate_size: int
    shared_intermediate_size: int = 0

    @property
    def active_size(self) -> int:
        """Width a token passes through: that of its own experts together."""
        return self.experts_per_token * self.intermediate_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer: what its mixers keep, and the block that follows them."""

    kind: str
    mixers: tuple[Mixer, ...] = ()
    ffn: Dense | Experts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A run of layers with one hidden size: the decoder, or a tower beside it."""

    role: str  # "decoder", "encoder", "vision", "audio" or "draft"
    hidden_size: int
    layers: tuple[Layer, ...]

    def cache_bytes(self, item: str, usage: Usage, dtypes: CacheDtypes) -> int:
        """Bytes one report line ("kv_cache" or "recurrent_state") holds over all layers."""
        mixers = (mixer for layer in self.layers for mixer in layer.mixers if mixer.item == item)
        return sum(mixer.cache_bytes(usage, dtypes) for mixer in mixers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """A part that could not be read: which, why, and what would help."""

    part: str
    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantization:
    """How a checkpoint's weights are packed, as its quantization_config says."""

    method: str
    bits: int | None = None
    group_size: int | None = None
    kv_cache_bits: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """A model as its configuration describes it; a part that cannot be read is in `unknowns`."""

    model_type: str
    architecture: str | None
    read_as: str | None = None  # the transformers type it was read as, where the file's own type is another
    text_type: str | None = None  # the type of the part that writes tokens
    types: tuple[str, ...] = ()  # its own type and those of its parts
    is_native: bool = True  # transformers carries the file's own type
    stacks: tuple[Stack, ...] = ()
    num_attention_heads: int | None = None
    num_key_value_heads: int | None = None
    head_dim: int | None = None
    vocab_size: int | None = None
    tied_embeddings: bool = False
    max_position_embeddings: int | None = None
    dtype: str | None = None
    quantization: Quantization | None = None
    writes_tokens: bool = True  # False for encoders, which keep no cache
    linear_biases: Mapping[str, bool] = field(default_factory=dict)  # role → whether its projections have a bias
    encoder_positions: int | None = None  # tokens the encoder always gives, e.g. 1500 for whisper
    caps_logits: bool = False  # logits pass through a tanh, which keeps its output
    runs_remote_code: bool = False
    unknowns: tuple[Unknown, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)  # our name → the config key its value came from
    raw: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)  # the configuration as it was read

    @property
    def built_as(self) -> str:
        """The type whose modules the layers are."""
        return self.read_as or self.text_type or self.model_type

    @property
    def decoder(self) -> Stack | None:
        return next((stack for stack in self.stacks if stack.role == "decoder"), None)

    @property
    def num_layers(self) -> int | None:
        return len(self.decoder.layers) if self.decoder else None

    @property
    def hidden_size(self) -> int | None:
        return self.decoder.hidden_size if self.decoder else None
