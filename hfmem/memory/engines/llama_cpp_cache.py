"""
What llama.cpp keeps between tokens: cells of keys and values for the whole context at once, and states in float32.

Source: `llama_kv_cache`, `llama_kv_cache_iswa`, `llama_memory_recurrent` and `llama_hparams::n_embd_r` of llama-cpp-python
0.3.36. Caches are allocated at the start, each sequence its own; windowed layers keep their window and one batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hfmem.errors import CannotTell
from hfmem.memory.engines.values import cdiv
from hfmem.memory.workload import KV_BITS
from hfmem.model.kinds import (
    FLOAT32_BYTES,
    Attention,
    CompressedAttention,
    IndexerKeys,
    LatentAttention,
    Mixer,
    RecurrentState,
)
from hfmem.model.spec import Layer
from hfmem.tables.llama_cpp import CELL_MULTIPLE


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """How a cache is cut: tokens of a sequence, sequences, tokens of a batch, and the type of a key."""

    context: int
    sequences: int
    ubatch: int
    kv_type: str = "float16"
    flash_attention: bool = True
    knows_windows: bool = True

    @property
    def full(self) -> int:
        return padded(self.context)

    def of(self, mixer: Mixer) -> int:
        """Cells of one sequence in a layer with this mixer."""
        window = getattr(mixer, "window", None) if self.knows_windows else None
        return self.full if window is None else padded(min(self.full, window + self.ubatch))

    def row_bytes(self, width: int) -> int:
        """Bytes of one key: quantised types need whole blocks of 32."""
        return cdiv(int(width * KV_BITS[self.kv_type] * 2), 16)


def padded(cells: int) -> int:
    return cdiv(cells, CELL_MULTIPLE) * CELL_MULTIPLE


def kv_bytes(layers: Iterable[Layer], cells: Cells, widest_value: int) -> int:
    """Keys and values of these layers, all sequences. Raises `CannotTell` for caches of a kind that is not known here."""
    return sum(cells.sequences * each for layer in layers for each in layer_bytes(layer, cells, widest_value))


def layer_bytes(layer: Layer, cells: Cells, widest_value: int) -> Iterator[int]:
    for mixer in layer.mixers:
        if isinstance(mixer, CompressedAttention):
            message = "llama.cpp's cache of compressed entries is not known here"
            raise CannotTell(message, code="unknown-layer-kind", hint="--engine vllm, or --engine transformers")
        yield cells.of(mixer) * sum(cells.row_bytes(width) for width in widths(mixer, cells, widest_value))


def widths(mixer: Mixer, cells: Cells, widest_value: int) -> tuple[int, ...]:
    """
    Elements of a token's key and value. A latent is its own value, so it is kept once.

    Without flash attention values are kept transposed, all layers as wide as the widest (`n_embd_v_gqa_max`).
    """
    if isinstance(mixer, LatentAttention):
        return () if mixer.shares_cache else (mixer.latent_dim + mixer.rotary_dim,)
    if isinstance(mixer, IndexerKeys):
        return (mixer.key_dim,)
    if not isinstance(mixer, Attention) or mixer.shares_cache:
        return ()
    heads = mixer.projected_kv_heads or mixer.num_kv_heads
    return (heads * mixer.key_dim, heads * mixer.value_dim if cells.flash_attention else widest_value)


def head_widths(layers: Iterable[Layer]) -> set[int]:
    """Elements of one head's key and of its value, of the layers that keep any; a latent and its rotary part are one key."""
    mixers = [mixer for layer in layers for mixer in layer.mixers]
    heads = [mixer for mixer in mixers if isinstance(mixer, Attention)]
    latents = [mixer for mixer in mixers if isinstance(mixer, LatentAttention)]
    keys = {mixer.key_dim for mixer in heads} | {mixer.latent_dim + mixer.rotary_dim for mixer in latents}
    return keys | {mixer.value_dim for mixer in heads} | {mixer.latent_dim for mixer in latents}


def widest(layers: Iterable[Layer]) -> int:
    """Elements of a token's values in the layer that has most."""
    found = [mixer for layer in layers for mixer in layer.mixers if isinstance(mixer, Attention)]
    return max(((mixer.projected_kv_heads or mixer.num_kv_heads) * mixer.value_dim for mixer in found), default=0)


def state_bytes(layers: Iterable[Layer], sequences: int) -> int:
    """Recurrent states of all sequences: one tap of the convolution less than its kernel has, all of it in float32."""
    states = [mixer for layer in layers for mixer in layer.mixers if isinstance(mixer, RecurrentState)]
    return sequences * sum(state_elements(state) for state in states) * FLOAT32_BYTES


def state_elements(state: RecurrentState) -> int:
    return tail_elements(state) + state.float32_elements


def tail_elements(state: RecurrentState) -> int:
    tail = state.model_elements
    return tail // state.conv_kernel * (state.conv_kernel - 1) if state.conv_kernel else tail
