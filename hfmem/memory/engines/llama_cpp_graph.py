"""
The compute buffer: the most that is alive at once in the graph of one micro-batch, which is reserved at the start.

With h hidden, q, k, v the widths of queries, keys and values, f a block's, n heads, V the vocabulary, all in float32 for each
of `ubatch` tokens, the largest of

    logits      V + h                              every token of the batch scored
    attention   2h + 2q + k + v, masks, and without flash attention the scores n × cells
    block       3h + 3f (gate, up, product) or 3h + f, and masks
    experts     3h + 3·e·f or 3h + 2·e·h with e experts a token, and masks

A mask has a float16 for each token and cell with flash attention, a float32 without; full and windowed layers have one each.

Source: `llama_context::sched_reserve` and `graph_reserve`, `llm_graph_context` of src/llama-graph.cpp and `ggml_gallocr`, as in
llama-cpp-python 0.3.36. That code, run without weights over 19 geometries, gave the same within 3 % in 210 of 228 cases, within
18 % in all; fused projections (phi3) and masks of several lengths are the rest. Older builds kept a float32 mask beside the
float16 one. What cuBLAS and the device's own pools take is in `runtime`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hfmem.memory.engines.llama_cpp_cache import Cells, tail_elements
from hfmem.memory.widths import attention_widths
from hfmem.model.kinds import FLOAT32_BYTES, Attention, LatentAttention, Mixer, RecurrentState
from hfmem.model.spec import Dense, Experts, Layer


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """One device's part of the graph."""

    hidden: int
    vocabulary: int
    cells: Cells
    layers: Sequence[Layer]
    is_cached: bool = True

    @property
    def tokens(self) -> int:
        return min(self.cells.ubatch, self.cells.full)

    def seen(self, mixer: Mixer) -> int:
        """Cells a token looks at: those of its sequence, or where nothing is cached the batch's own."""
        return self.cells.of(mixer) if self.is_cached else self.tokens


def graph_bytes(graph: Graph, choices: Sequence[tuple[int, int]]) -> list[int]:
    """The largest moment of the graph for each choice of tokens that get logits and bytes of a mask's cell."""
    largest = max((graph.tokens * moment(layer, graph) for layer in graph.layers), default=0)
    stream, masked = graph.tokens * graph.hidden, mask_cells(graph)
    return [
        max(FLOAT32_BYTES * (scored * graph.vocabulary + stream), largest + masked * mask_bytes) for scored, mask_bytes in choices
    ]


def mask_cells(graph: Graph) -> int:
    """One mask for each length of cache there is."""
    lengths = {graph.seen(mixer) for layer in graph.layers for mixer in layer.mixers if attends(mixer)}
    return graph.tokens * sum(lengths)


def copied_bytes(graph: Graph, mask_bytes: int, copies: int) -> int:
    """What several devices add that work on several batches at once: copies of their inputs, which are never freed."""
    stream = graph.tokens * graph.hidden * FLOAT32_BYTES
    return (copies - 1) * (mask_cells(graph) * mask_bytes + stream) + stream


def attends(mixer: Mixer) -> bool:
    return isinstance(mixer, (Attention, LatentAttention))


def moment(layer: Layer, graph: Graph) -> int:
    """Bytes a token in a layer's largest moment, masks aside."""
    found = [block_elements(layer.ffn, graph.hidden), *(mixer_elements(mixer, graph) for mixer in layer.mixers)]
    return FLOAT32_BYTES * max(found)


def block_elements(ffn: Dense | Experts | None, hidden: int) -> int:
    if ffn is None:
        return 3 * hidden
    if isinstance(ffn, Dense):
        return 3 * hidden + (3 if ffn.gated else 1) * ffn.intermediate_size
    return 3 * hidden + max(3 * ffn.active_size, 2 * ffn.experts_per_token * hidden, 3 * ffn.shared_intermediate_size)


def mixer_elements(mixer: Mixer, graph: Graph) -> int:
    """What attention holds; a recurrent layer holds its convolution's channels a few times."""
    if isinstance(mixer, RecurrentState):
        return 3 * graph.hidden + 4 * tail_elements(mixer) // max(1, mixer.conv_kernel - 1 if mixer.conv_kernel else 3)
    if not attends(mixer):
        return 0
    return sum(held(mixer, graph)) + (0 if graph.cells.flash_attention else attention_widths(mixer).heads * graph.seen(mixer))


def held(mixer: Mixer, graph: Graph) -> Iterator[int]:
    """Queries, keys and values; of a latent the queries as projected, absorbed and joined, and the latent itself twice."""
    found = attention_widths(mixer)
    if isinstance(mixer, LatentAttention):
        latent = mixer.latent_dim + mixer.rotary_dim
        yield 3 * graph.hidden + found.queries + mixer.num_heads * (mixer.latent_dim + latent) + 2 * latent
    else:
        yield 2 * graph.hidden + 2 * found.queries + found.keys + found.values
