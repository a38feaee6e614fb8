"""What an attention kernel reads and writes, in elements a token."""

from __future__ import annotations

from typing import NamedTuple

from hfmem.model.kinds import Attention, CompressedAttention, CrossAttention, LatentAttention, Mixer


class Widths(NamedTuple):
    """Elements a token has of each."""

    queries: int = 0
    keys: int = 0
    values: int = 0
    output: int = 0
    heads: int = 0


def attention_widths(mixer: Mixer) -> Widths:
    """What an attention kernel reads and writes; nothing for a mixer that is none."""
    if isinstance(mixer, (Attention, CrossAttention)):
        heads, shared = mixer.num_heads, mixer.num_kv_heads
        return Widths(heads * mixer.key_dim, shared * mixer.key_dim, shared * mixer.value_dim, heads * mixer.value_dim, heads)
    if isinstance(mixer, LatentAttention):
        keys, values = mixer.num_heads * (mixer.content_dim + mixer.rotary_dim), mixer.num_heads * mixer.value_dim
        return Widths(keys, keys, values, values, mixer.num_heads)
    if isinstance(mixer, CompressedAttention):
        width = mixer.num_heads * mixer.head_dim
        return Widths(width, mixer.head_dim, mixer.head_dim, width, mixer.num_heads)
    return Widths()
