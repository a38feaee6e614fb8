"""
What a layer's mixer keeps for its backward pass, in bytes a token; n heads, e bytes an element, S tokens of a sequence.

    attention  queries, keys, values and output e·(q + k + v + o), log-sum-exp 4n
    eager      keys and values written out for every head, probabilities in float32 and in 16 bits: 6·n·S (float32: 4·n·S);
               2·n·S where the softmax is in 16 bits; dropped ones a mask and a copy instead of the copy: (1 + e)·n·S
    sdpa with a mask    keys and values written out, and a bias of e·S
    latent     the heads' queries, keys and output, the projection values are a view of, and the latents with their norms
    recurrent  a linear module's output twice (before and after its convolution or activation), its input once

Sources: modeling_*.py of transformers 5.23 and flash-attn's saved tensors; the recurrent rule is a model of the fused kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hfmem.errors import ConfigError
from hfmem.memory.training.numerics import Numerics
from hfmem.memory.widths import attention_widths
from hfmem.model.kinds import (
    Attention,
    CompressedAttention,
    CrossAttention,
    IndexerKeys,
    LatentAttention,
    Mixer,
    RecurrentState,
)


class Tokens(NamedTuple):
    """What a layer reads: `context` tokens a sequence, those of an encoder or of images, and how attention is computed."""

    context: int
    encoder: int = 0
    images: int = 0
    attention: str = "sdpa"
    padded: bool = False
    repeats_keys: bool = False  # keys and values written out for every head before the kernel
    recurrent_outputs: int = 0  # elements a token the linear modules of one recurrent layer give
    recurrent_inputs: int = 0


def mixer_bytes(mixer: Mixer, numerics: Numerics, tokens: Tokens) -> int:
    """Bytes a token. Raises `ConfigError` for a mixer without a formula."""
    return row_of(mixer)(mixer, numerics, tokens)


def mixer_temporary(mixer: Mixer, numerics: Numerics, tokens: Tokens) -> int:
    """
    What the mixer's backward pass makes: gradients of its output and of its inputs.

    eager    at the softmax its output and two gradients like it, what followed it freed, and no output of attention
    flash    gradients of output, queries, keys and values, a float32 accumulator of the queries', and where heads share keys
             a key's and a value's gradient for every head (torch flash_attn/flash_api.cpp, mha_bwd)
    """
    if isinstance(mixer, RecurrentState):
        return mixer_bytes(mixer, numerics, tokens) // 2
    queries, keys, values, output, heads = attention_widths(mixer)
    if tokens.attention == "eager":
        return heads * tokens.context * scores_temporary(numerics) - numerics.compute * output
    gradients = numerics.compute * (output + queries + keys + values)
    if queries != output or numerics.compute == 4 or (tokens.attention == "sdpa" and tokens.padded):
        return gradients  # the memory-efficient kernel
    return gradients + 4 * queries + (2 * numerics.compute * queries if keys < queries else 0)


def attention_bytes(mixer: Attention, numerics: Numerics, tokens: Tokens) -> int:
    queries, keys, values, output, _ = attention_widths(mixer)
    total = numerics.compute * (queries + keys + values + output) + scores(mixer.num_heads, numerics, tokens, tokens.context)
    if expands(tokens, numerics):
        total += numerics.compute * (queries + output - keys - values)
    return total + projection_extras(queries, keys, numerics)


def projection_extras(queries: int, keys: int, numerics: Numerics) -> int:
    """Norms on queries and keys, and a fused projection whose storage outlives its rotated parts."""
    extra = 0
    if numerics.traits.head_norms:
        extra += (4 + numerics.compute * numerics.trains) * (queries + keys)
    if numerics.traits.fused_projections:
        extra += numerics.compute * (queries + keys)
    return extra


def expands(tokens: Tokens, numerics: Numerics) -> bool:
    eager = tokens.attention == "eager" and not numerics.traits.scores.broadcasts
    return eager or tokens.repeats_keys or (tokens.attention == "sdpa" and tokens.padded)


def scores(num_heads: int, numerics: Numerics, tokens: Tokens, seen: int) -> int:
    """What a query keeps of the `seen` keys."""
    if tokens.attention == "eager":
        before = numerics.traits.scores.before * numerics.compute // 2
        return num_heads * seen * (before + softmax_bytes(numerics) + after_softmax(numerics))
    return 4 * num_heads + (numerics.compute * seen if tokens.attention == "sdpa" and tokens.padded else 0)


def softmax_bytes(numerics: Numerics) -> int:
    """Autocast computes every softmax in float32."""
    return numerics.compute if numerics.traits.scores.half_softmax and not numerics.casts else 4


def scores_temporary(numerics: Numerics) -> int:
    """Bytes of a score beyond what is saved, at the softmax in the backward pass or while the forward pass is run again."""
    saved = softmax_bytes(numerics) + after_softmax(numerics)
    forward = numerics.traits.scores.forward * numerics.compute // 2
    return max(2 * softmax_bytes(numerics) - after_softmax(numerics), forward - saved)


def after_softmax(numerics: Numerics) -> int:
    """Bytes of a score kept beside the softmax's output: dropped with their mask, or a copy in the model's dtype."""
    if numerics.traits.scores.dropped:
        return 1 + numerics.compute
    return numerics.compute if softmax_bytes(numerics) > numerics.compute else 0


def cross_bytes(mixer: CrossAttention, numerics: Numerics, tokens: Tokens) -> int:
    """Queries and output of every token; keys and values of the encoder's, shared out over the tokens."""
    width = mixer.num_heads * (mixer.key_dim + mixer.value_dim)
    seen = tokens.images if mixer.reads_images else tokens.encoder
    if not seen:
        return 0
    written = mixer.num_kv_heads * (mixer.key_dim + mixer.value_dim) * seen // max(1, tokens.context)
    return numerics.compute * (width + written) + scores(mixer.num_heads, numerics, tokens, seen)


def latent_bytes(mixer: LatentAttention, numerics: Numerics, tokens: Tokens) -> int:
    key = mixer.content_dim + mixer.rotary_dim
    expanded = mixer.num_heads * numerics.compute * (2 * key + 2 * mixer.value_dim + mixer.content_dim)
    norms = (4 + 2 * numerics.compute * numerics.trains) * (mixer.latent_dim + mixer.query_latent_dim)
    return expanded + norms + scores(mixer.num_heads, numerics, tokens, tokens.context)


def compressed_bytes(mixer: CompressedAttention, numerics: Numerics, tokens: Tokens) -> int:
    """Queries and output of every head, one shared key-value vector, and the entries of every stream."""
    entries = sum(stream.width * 4 for stream in mixer.streams)
    return numerics.compute * (2 * mixer.num_heads * mixer.head_dim + 2 * mixer.head_dim + entries) + 4 * mixer.num_heads


def indexer_bytes(mixer: IndexerKeys, numerics: Numerics, tokens: Tokens) -> int:
    return numerics.compute * mixer.key_dim


def recurrent_bytes(mixer: RecurrentState, numerics: Numerics, tokens: Tokens) -> int:
    if not tokens.recurrent_outputs:
        raise ConfigError("activations of recurrent layers need the shapes of their weights", code="not-modelled")
    return numerics.compute * (2 * tokens.recurrent_outputs + tokens.recurrent_inputs)


FORMULAS: dict[type, Callable[[Any, Numerics, Tokens], int]] = {
    Attention: attention_bytes,
    CrossAttention: cross_bytes,
    LatentAttention: latent_bytes,
    CompressedAttention: compressed_bytes,
    IndexerKeys: indexer_bytes,
    RecurrentState: recurrent_bytes,
}


def row_of(mixer: Mixer) -> Callable[[Any, Numerics, Tokens], int]:
    found = FORMULAS.get(type(mixer))
    if found is None:
        raise ConfigError(f"activations of a {type(mixer).__name__} layer in training are not modelled", code="not-modelled")
    return found
