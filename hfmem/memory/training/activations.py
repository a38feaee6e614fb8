"""
Bytes a token of one layer leaves for its backward pass, and what that pass makes for a moment.

Formulas follow transformers' modules tensor by tensor, for an element of e bytes (2 in 16 bits) and a stream of s; q, k, v
and o are heads × width, f the block's width:

    norm       RMS 4h (float32 copy) + e·h (normalised) + e·h (output), frozen 4h; LayerNorm and fused kernels s·h (input) + e·h
               (output), frozen s·h; weight applied in float32 2h more
    attention  `memory/training/mixing.py`
    block      gate, activation, up, product 4·e·f, frozen 3·e·f; kernels recompute the activation: e·f less; ungated e·f a tensor
               the activation keeps
    experts    a token's k experts as a block of k·f, and its copies of the token: 3·e·k·h, frozen 2·e·k·h, one less where a
               kernel runs all experts; 4·E; shared as a block

The backward pass of a block holds three gradients of its width at once, after the trained product was freed; a loop over experts
those of one expert, taken to see its even share of the tokens.
Leaves out kernels' own workspaces and the rotary table.
"""

from __future__ import annotations

from typing import NamedTuple

from hfmem.memory.training.mixing import Tokens, mixer_bytes, mixer_temporary
from hfmem.memory.training.numerics import Numerics
from hfmem.model.spec import Dense, Experts, Layer


class LayerBytes(NamedTuple):
    """
    Bytes a token. `norms`, `mixer`, `ffn` and their adapters are saved; the temporaries exist while that part's gradients are
    made. `freed_norms`: those the block's backward pass is done with.

    `shared` is the part of `norms` that is the layer's own input, which a checkpoint holds already.
    """

    norms: int
    mixer: int
    ffn: int
    adapters: int = 0
    block_adapters: int = 0
    freed_norms: int = 0
    shared: int = 0
    mixer_temporary: int = 0
    ffn_temporary: int = 0

    @property
    def saved(self) -> int:
        return self.norms + self.mixer + self.ffn + self.adapters + self.block_adapters

    @property
    def at_block(self) -> int:
        """While the block's gradients are made: everything saved, and they."""
        return self.saved + self.ffn_temporary

    @property
    def at_mixer(self) -> int:
        """While the mixer's gradients are made; what the block saved is freed."""
        return self.norms - self.freed_norms + self.mixer + self.adapters + self.mixer_temporary


def layer_bytes(
    layer: Layer, hidden: int, numerics: Numerics, tokens: Tokens, adapters: int = 0, block_adapters: int = 0
) -> LayerBytes:
    """One layer's bytes a token. Raises `ConfigError` for a mixer without a formula."""
    norms, readers = numerics.traits.norms_per_layer, linear_readers(layer, numerics)
    casts = 2 * readers * hidden if numerics.casts else 0
    return LayerBytes(
        norms=norms * norm_bytes(hidden, numerics) + casts + numerics.traits.hidden_dropouts * hidden + 8,
        mixer=sum(mixer_bytes(mixer, numerics, tokens) for mixer in layer.mixers),
        ffn=ffn_bytes(layer.ffn, hidden, numerics),
        adapters=adapters,
        block_adapters=block_adapters,
        freed_norms=norms // 2 * norm_bytes(hidden, numerics),
        shared=numerics.stream * hidden if keeps_stream(numerics) else 0,
        mixer_temporary=sum(mixer_temporary(mixer, numerics, tokens) for mixer in layer.mixers),
        ffn_temporary=ffn_temporary(layer.ffn, hidden, numerics),
    )


def keeps_stream(numerics: Numerics) -> bool:
    """Whether a norm keeps its input as it is, and no copy."""
    return numerics.kernels.norm_keeps_input or numerics.traits.norm == "layer" or numerics.stream == 4


def norm_bytes(width: int, numerics: Numerics) -> int:
    """One norm, its output included where a trained projection reads it."""
    output = numerics.stream * width if numerics.trains and not numerics.casts else 0
    if numerics.kernels.norm_keeps_input or numerics.traits.norm == "layer":
        return numerics.stream * width + output
    normalised = (4 if numerics.traits.norm == "gemma" else numerics.stream) * width if numerics.trains else 0
    return 4 * width + normalised + output


def linear_readers(layer: Layer, numerics: Numerics) -> int:
    """Linear modules that read a norm's output and cast it each for itself."""
    projections = len(layer.mixers) * (1 if numerics.traits.fused_projections else 3)
    gated = not isinstance(layer.ffn, Dense) or layer.ffn.gated
    return projections + (2 if gated else 1 if layer.ffn else 0)


def ffn_bytes(ffn: Dense | Experts | None, hidden: int, numerics: Numerics) -> int:
    if ffn is None:
        return 0
    if isinstance(ffn, Dense):
        return block_bytes(ffn.intermediate_size, ffn.gated, numerics)
    shared = block_bytes(ffn.shared_intermediate_size, True, numerics) if ffn.shared_intermediate_size else 0
    numerics = of_experts(numerics)
    routed = block_bytes(ffn.active_size, True, numerics)
    copies = ffn.experts_per_token * hidden * numerics.compute * (2 + numerics.trains - numerics.groups_experts)
    return routed + copies + 4 * ffn.num_experts + shared


def of_experts(numerics: Numerics) -> Numerics:
    return numerics._replace(trains=numerics.trains or numerics.trains_experts)


def block_bytes(width: int, gated: bool, numerics: Numerics) -> int:
    each = numerics.compute * width
    if not gated:
        return each * (numerics.traits.activation_tensors - (0 if numerics.trains else 1))
    return each * (3 + numerics.trains - numerics.kernels.recomputes_activation)


def ffn_temporary(ffn: Dense | Experts | None, hidden: int, numerics: Numerics) -> int:
    """Gradients of the product, of gate and of up at once; a trained product is freed before."""
    if ffn is None:
        return 0
    if isinstance(ffn, Experts) and numerics.groups_experts:
        return grouped_temporary(ffn, hidden, of_experts(numerics))
    width = ffn.intermediate_size if isinstance(ffn, Dense) else even_share(ffn)
    gated = not isinstance(ffn, Dense) or ffn.gated
    if numerics.kernels.backward_in_place and gated:
        return numerics.compute * width
    return numerics.compute * width * ((3 if gated else 2) - numerics.trains)


def even_share(ffn: Experts) -> int:
    """Elements a token of the one expert a loop is at."""
    return ffn.active_size // ffn.num_experts


def grouped_temporary(ffn: Experts, hidden: int, numerics: Numerics) -> int:
    """
    All experts at once: first three gradients of the outputs a token's weights multiply, float32 where those weights are;
    then, with one copy of the outputs freed, the block's gradients.
    """
    outputs, block = ffn.experts_per_token * hidden, ffn.active_size
    weighted = 3 * (4 if numerics.traits.float32_routing else numerics.compute) * outputs + numerics.compute * block
    return max(weighted, numerics.compute * ((3 - numerics.trains) * block - outputs))
