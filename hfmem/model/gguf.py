"""From the metadata of a GGUF file to a `ModelSpec`; whatever cannot be read becomes a named unknown, never a guess."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from hfmem.checkpoint.gguf_values import Skipped
from hfmem.checkpoint.tensors import TensorGroup
from hfmem.errors import ConfigError
from hfmem.model.gguf_depth import HEADS, KV_HEADS
from hfmem.model.gguf_fields import Fields, Shapes
from hfmem.model.gguf_layers import read_layers
from hfmem.model.kinds import Attention, LatentAttention
from hfmem.model.spec import Layer, ModelSpec, Quantization, Stack, Unknown
from hfmem.tables.gguf import CACHELESS, PROJECTOR

Value = TypeVar("Value")
TOKENS = "tokenizer.ggml.tokens"
QUANTISED = re.compile(r"[A-Z]*?(\d)")  # Q4_K, IQ2_XXS, TQ1_0, MXFP4, NVFP4
FLOATS = ("F32", "F16", "BF16", "F64")
# The dtype of llama.cpp's cache unless it is told another.
CACHE_DTYPE = "F16"
SOURCES = {
    "num_hidden_layers": "block_count",
    "hidden_size": "embedding_length",
    "num_attention_heads": HEADS,
    "num_key_value_heads": KV_HEADS,
    "head_dim": "attention.key_length",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "context_length",
    "sliding_window": "attention.sliding_window",
    "kv_lora_rank": "attention.kv_lora_rank",
}


def read_gguf_model(metadata: Mapping[str, Any], groups: Sequence[TensorGroup] = ()) -> ModelSpec:
    """The model that metadata and tensors describe, as llama.cpp reads them."""
    unknowns: list[Unknown] = []
    arch = attempt(lambda: architecture(metadata), "config", unknowns) or ""
    if arch == PROJECTOR:
        return ModelSpec(model_type=arch, architecture=None, quantization=quantization(groups), writes_tokens=False)
    fields, shapes = Fields(arch=arch, metadata=metadata), Shapes.of(groups)
    layers = attempt(lambda: read_layers(fields, shapes), "kv_cache", unknowns) if arch else None
    hidden = attempt(lambda: fields.integer("embedding_length"), "hidden_size", unknowns) if arch else None
    stacks = (Stack(role="decoder", hidden_size=hidden, layers=layers),) if layers is not None and hidden else ()
    return ModelSpec(
        model_type=arch,
        architecture=None,
        stacks=stacks,
        num_attention_heads=most(fields, HEADS),
        num_key_value_heads=most(fields, KV_HEADS) or most(fields, HEADS),
        head_dim=key_width(layers or ()),
        vocab_size=attempt(lambda: vocabulary(fields, shapes), "vocab_size", unknowns),
        tied_embeddings="token_embd.weight" in shapes.named and "output.weight" not in shapes.named,
        max_position_embeddings=attempt(lambda: fields.optional("context_length"), "max_position_embeddings", unknowns) or None,
        dtype=CACHE_DTYPE,
        quantization=quantization(groups),
        writes_tokens=arch not in CACHELESS,
        caps_logits=bool(fields.value("final_logit_softcapping")),
        sources={name: f"GGUF:{fields.key(key)}" for name, key in SOURCES.items() if fields.value(key) is not None},
        unknowns=tuple(unknowns),
    )


def attempt(read: Callable[[], Value], part: str, unknowns: list[Unknown]) -> Value | None:
    """What `read` gives, or None and a named unknown where the file cannot answer."""
    try:
        return read()
    except ConfigError as error:
        if all(error.message != other.message for other in unknowns):
            unknowns.append(Unknown(part=part, code=error.code, message=error.message, hint=error.hint))
        return None


def architecture(metadata: Mapping[str, Any]) -> str:
    found = metadata.get("general.architecture")
    if not isinstance(found, str) or not found or len(found) > 100:
        raise ConfigError("the GGUF metadata have no general.architecture", code="missing-field")
    return found


def most(fields: Fields, name: str) -> int | None:
    """The number itself, or the largest of a list of one for each layer."""
    found = fields.value(name)
    numbers = [number for number in (found if isinstance(found, tuple) else (found,)) if type(number) is int and number > 0]
    return max(numbers, default=None)


def key_width(layers: Iterable[Layer]) -> int | None:
    """The width of a key in the first layer that attends; of a latent one, as it is expanded."""
    for mixer in (mixer for layer in layers for mixer in layer.mixers):
        if isinstance(mixer, Attention):
            return mixer.key_dim
        if isinstance(mixer, LatentAttention):
            return mixer.content_dim + mixer.rotary_dim
    return None


def vocabulary(fields: Fields, shapes: Shapes) -> int | None:
    """What the file says, else the length of its vocabulary, else the rows of the embedding."""
    said, tokens, rows = fields.optional("vocab_size"), fields.metadata.get(TOKENS), shapes.named.get("token_embd.weight")
    listed = tokens.length if isinstance(tokens, Skipped) else None
    return said or listed or (rows[0] if rows else None)


def quantization(groups: Iterable[TensorGroup]) -> Quantization | None:
    """The bits of the type that most bytes are stored in; None where that is a floating-point type."""
    sizes: Counter[str] = Counter()
    for group in groups:
        sizes[group.dtype] += group.stored_bytes
    largest = max(sizes, key=lambda dtype: sizes[dtype], default="F32")
    bits = QUANTISED.match(largest)
    return None if largest in FLOATS else Quantization(method="gguf", bits=int(bits[1]) if bits else None)
