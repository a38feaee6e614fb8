"""
What an engine loads beside the checkpoint's tensors: rotary tables, copies of the latent's projections, padded experts.

Source: vLLM's `MLAAttention.process_weights_after_loading` and `Mxfp4MoEMethod`; the padding of MXFP4 experts is that of
the kernel the card gets, and start-up logs of gpt-oss show it (docs/method.md).
"""

from __future__ import annotations

from hfmem.memory.engines.rotary import rotary_bytes
from hfmem.memory.engines.shards import Split, Stage, experts_share
from hfmem.memory.engines.values import cdiv
from hfmem.memory.subject import Model
from hfmem.model.kinds import LatentAttention
from hfmem.model.spec import Experts, ModelSpec
from hfmem.tables.engines import EXPANDED_LATENT

HOPPER = "9."


def loaded_extras(
    model: Model, split: Split, stage: Stage, element: int, capability: str | None, version: tuple[int, ...]
) -> int:
    """Bytes of one rank beyond its share of the tensors."""
    spec = model.spec
    latent = latent_copies(spec, split, stage, element, version)
    tables = rotary_bytes(spec, 4 if latent else element)
    return latent + tables + padded_experts(spec, split, stage, capability, version)


def latent_copies(model: ModelSpec, split: Split, stage: Stage, element: int, version: tuple[int, ...]) -> int:
    """The latent's up-projection once more, cut in two and in the model's dtype; before 0.8 multiplied into its neighbours."""
    if EXPANDED_LATENT & set(model.types) or model.decoder is None:
        return 0
    hidden = model.hidden_size or 0
    mixers = [mixer for layer in model.decoder.layers[stage.start : stage.end] for mixer in layer.mixers]
    return sum(
        mixer.num_heads // split.tp * mixer.latent_dim * copied_width(mixer, hidden, version) * element
        for mixer in mixers
        if isinstance(mixer, LatentAttention)
    )


def copied_width(mixer: LatentAttention, hidden: int, version: tuple[int, ...]) -> int:
    """Columns a head and latent dimension has: of W_UK and W_UV, or of W_Q·W_UK and W_UV·W_O."""
    if version >= (0, 8):
        return mixer.content_dim + mixer.value_dim
    return (mixer.query_latent_dim or hidden) + hidden


def padded_experts(model: ModelSpec, split: Split, stage: Stage, capability: str | None, version: tuple[int, ...]) -> int:
    """What MXFP4 experts grow by: Hopper pads the packed rows, other cards both sides of every matrix."""
    if model.quantization is None or model.quantization.method != "mxfp4" or model.decoder is None:
        return 0
    hidden = model.hidden_size or 0
    found = 0.0
    for layer in model.decoder.layers[stage.start : stage.end]:
        if isinstance(layer.ffn, Experts):
            part = experts_share(model, split) if split.expert else 1.0
            inner = layer.ffn.intermediate_size // (1 if split.expert else split.tp * split.dp)
            found += layer.ffn.num_experts * part * grown(hidden, inner, capability, version)
    return round(found)


def grown(hidden: int, inner: int, capability: str | None, version: tuple[int, ...]) -> float:
    """Bytes one expert's three matrices of 4 bits and a scale for 32 grow by."""
    scale, value = 1 / 32, 1 / 2
    if (capability or HOPPER).startswith(HOPPER) and version >= (0, 11):
        rows = padded(inner, 64)
        wide, tall = padded(hidden, 512), padded(rows, 512)
        return value * (2 * (rows * wide - inner * hidden) + hidden * (tall - inner)) + scale * 3 * hidden * (rows - inner)
    wide, tall = padded(hidden, 256), padded(inner, 128)
    return (value + scale) * 3 * (wide * tall - hidden * inner)


def padded(size: int, multiple: int) -> int:
    return cdiv(size, multiple) * multiple
