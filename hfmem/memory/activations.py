"""
What one forward pass of transformers' own code holds besides weights and caches, without gradients.

The largest moment of the widest layer, in bytes a token; e bytes an element, h hidden, f the block's width, q, k, v and o heads ×
width, n heads, S keys a query sees, k experts a token:

    stream      embeddings, the layer's input, the residual and the normalised copy a block reads: 4·e·h; 3·e·h where only outputs
                are normalised
    block       gated: activation, up and product 3·e·f; 4·e·f where one projection gives gate and up; plain 2·e·f; an
                activation written in Python 4·e·f
    experts     in one kernel: e·k·h + 4·e·k·f; or, weighing their outputs, 4·e·k·h, 12·k·h where that is in float32
    rotation    3·e·h + e·(4q + k + v); in float32 3·e·h + e·(q + k + v) + 10q or 14q, or the copies of both and of one rotated
    attention   3·e·h + e·(q + o), and q + k + v where one projection gives them; latent with keys and values written out; with a
                mask they are too, and a bias of e·S
    eager       3·e·h + e·q + keys and values written out, and scores, as they are, in float32 and after the softmax: 10·n·S; in
                16 bits 6·n·S
    tables      rotary cosines and sines 2·e·width, the mask: a byte a key where a window is shorter than S, e where eager

Checked against a dry run of the real code (docs/method.md). Kernels' workspaces and the allocator's fragmentation are left out;
the range allows for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from hfmem.checkpoint.tensors import DTYPE_BITS
from hfmem.memory.widths import Widths, attention_widths
from hfmem.model.kinds import Attention, LatentAttention, Mixer, RecurrentState
from hfmem.model.spec import Dense, Experts, Layer, ModelSpec, Stack
from hfmem.tables.traits import Traits, traits

FLOAT32_BYTES = 4
LOW_PERCENT, HIGH_PERCENT = 75, 135  # the share of the modelled figure that the range spans


class Pass(NamedTuple):
    """How a layer is run: `seen` keys a query sees, `element` bytes, and whether queries see a mask."""

    traits: Traits
    element: int
    seen: int
    masked: bool = False


def layer_bytes(layer: Layer, hidden: int, how: Pass) -> int:
    """Bytes a token at the layer's largest moment."""
    stream = how.element * hidden
    block = how.traits.stream_tensors * stream + ffn_bytes(layer.ffn, hidden, how)
    return max([block, *(3 * stream + size for mixer in layer.mixers for size in mixer_moments(mixer, how))])


def ffn_bytes(ffn: Dense | Experts | None, hidden: int, how: Pass) -> int:
    if ffn is None:
        return 0
    if isinstance(ffn, Dense):
        return block_bytes(ffn, how)
    outputs, width = ffn.experts_per_token * hidden, ffn.active_size
    weighing = (12 if how.traits.float32_routing else 4 * how.element) * outputs
    shared = 3 * how.element * ffn.shared_intermediate_size
    return max(how.element * (outputs + 4 * width), weighing, shared)


def block_bytes(ffn: Dense, how: Pass) -> int:
    plain = 4 if how.traits.activation_tensors > 2 else 2
    tensors = how.traits.block_tensors or ((4 if how.traits.fuses_gate else 3) if ffn.gated else plain)
    return int(tensors * how.element * ffn.intermediate_size)


def mixer_moments(mixer: Mixer, how: Pass) -> Iterator[int]:
    """Bytes a token while queries and keys are rotated, and while attention is computed."""
    widths, e = attention_widths(mixer), how.element
    queries, keys, values, output, heads = widths
    if isinstance(mixer, LatentAttention):
        yield e * (2 * queries + mixer.num_heads * mixer.content_dim + values + output)
    else:
        yield rotation_bytes(widths, how)
    scores = how.traits.scores
    if how.traits.eager_only or scores.biased:
        each = scores.forward * e // 2 or (6 if scores.half_softmax and e == 2 else 10)
        yield e * (3 * queries) + heads * how.seen * each
        return
    spread = 2 * queries if how.masked and keys < queries else 0
    fused = queries + keys + values if how.traits.fused_projections else 0  # their one output, which keys and values are views of
    yield e * (queries + output + spread + fused) + (e * how.seen if how.masked else 0)


def rotation_bytes(widths: Widths, how: Pass) -> int:
    queries, keys, values, *_ = widths
    if how.traits.float32_rotation is None or how.element == FLOAT32_BYTES:
        return how.element * (4 * queries + keys + values)
    if how.traits.float32_rotation:
        return how.element * (queries + keys + values) + how.traits.float32_rotation * queries
    copies = FLOAT32_BYTES * (queries + keys)
    return how.element * (queries + keys + values) + copies + FLOAT32_BYTES * max(3 * queries, queries + 3 * keys)


def forward_bytes(model: ModelSpec, tokens: dict[str, int], context: int, element_bytes: int) -> int:
    """
    The largest moment of any stack, with the tables that all layers share. `tokens` is batch × length by a stack's role; stacks
    run one after the other, so the largest counts.
    """
    return max(
        (stack_bytes(stack, model, tokens.get(stack.role, 0), context, element_bytes) for stack in model.stacks), default=0
    )


def stack_bytes(stack: Stack, model: ModelSpec, tokens: int, context: int, element_bytes: int) -> int:
    built = traits(model.built_as)
    kinds = {mixer.window for layer in stack.layers for mixer in layer.mixers if isinstance(mixer, Attention)}
    windowed = any(window and window <= context for window in kinds) and tokens > 1
    how = Pass(traits=built, element=element_bytes, seen=context, masked=windowed)
    peak = max((layer_bytes(layer, stack.hidden_size, how) for layer in set(stack.layers)), default=0)
    return tokens * (peak + shared_tables(stack, how, len(kinds)))


def shared_tables(stack: Stack, how: Pass, kinds: int) -> int:
    """Rotary tables and masks, one for each kind of attention."""
    width = max((getattr(mixer, "key_dim", 0) for layer in stack.layers for mixer in layer.mixers), default=0)
    mask = how.element * how.seen * kinds if how.traits.eager_only else how.seen if how.masked else 0
    return 2 * how.element * width * kinds + mask


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
