"""
What one forward pass of transformers' own code holds besides weights and caches, without gradients.

A model, not a measurement: it names the tensors that eager and SDPA code keeps alive at the widest point of the widest
layer. Kernel workspaces and the allocator's fragmentation are left out; the range allows for them.
"""

from __future__ import annotations

from collections.abc import Iterable

from hfmem.checkpoint.tensors import DTYPE_BITS
from hfmem.model.kinds import Attention, CrossAttention, LatentAttention, Mixer, RecurrentState
from hfmem.model.spec import Dense, Experts, Layer, Stack

FLOAT32_BYTES = 4
LOW_PERCENT, HIGH_PERCENT = 60, 160  # the share of the modelled figure that the range spans


def layer_width(layer: Layer, hidden_size: int) -> int:
    """
    Elements a token has alive at the widest point of a layer: the residual and its normalised copy, in float32 inside the
    norm, beside the wider of its mixers and its feed-forward block.
    """
    mixing = max((mixer_width(mixer) for mixer in layer.mixers), default=0)
    return 4 * hidden_size + max(mixing, ffn_width(layer.ffn, hidden_size))


def mixer_width(mixer: Mixer) -> int:
    """Queries, keys and values before and after rotation, and the output, for one token."""
    if isinstance(mixer, (Attention, CrossAttention)):
        keys_values = mixer.num_kv_heads * (mixer.key_dim + mixer.value_dim)
        return mixer.num_heads * (2 * mixer.key_dim + mixer.value_dim) + 2 * keys_values
    if isinstance(mixer, LatentAttention):
        expanded = mixer.num_heads * (2 * (mixer.content_dim + mixer.rotary_dim) + 2 * mixer.value_dim)
        return expanded + 2 * (mixer.latent_dim + mixer.rotary_dim)
    return 0


def ffn_width(ffn: Dense | Experts | None, hidden_size: int) -> int:
    """Gate, up and their product of a gated block; a routed token is copied for each of its experts."""
    if ffn is None:
        return 0
    if isinstance(ffn, Dense):
        return (3 if ffn.gated else 2) * ffn.intermediate_size
    routed = ffn.experts_per_token * (3 * ffn.intermediate_size + 2 * hidden_size)
    return max(routed, 3 * ffn.shared_intermediate_size)


def forward_bytes(stacks: Iterable[Stack], tokens: dict[str, int], element_bytes: int) -> int:
    """
    The widest layer of any stack × its tokens × bytes of an element. `tokens` is batch × length by a stack's role; stacks
    run one after the other, so the largest counts.
    """
    peaks = (
        tokens.get(stack.role, 0) * max((layer_width(layer, stack.hidden_size) for layer in stack.layers), default=0)
        for stack in stacks
    )
    return max(peaks, default=0) * element_bytes


def logits_bytes(batch_size: int, tokens: int, vocab_size: int, dtype: str) -> int:
    """
    Scores of the tokens being scored, in the model's dtype and in float32: batch × tokens × vocabulary × (dtype + 4).

    Generation scores the last token alone; its float32 copy is what sampling works on (transformers generation/utils.py).
    """
    return batch_size * tokens * vocab_size * (DTYPE_BITS[dtype] // 8 + FLOAT32_BYTES)


def ranged(num_bytes: int) -> tuple[int, int]:
    """The range a modelled figure carries."""
    return num_bytes * LOW_PERCENT // 100, num_bytes * HIGH_PERCENT // 100


def recurrent_layers(stack: Stack | None) -> int:
    """Layers that keep a state of fixed size."""
    layers = stack.layers if stack else ()
    return sum(any(isinstance(mixer, RecurrentState) for mixer in layer.mixers) for layer in layers)
