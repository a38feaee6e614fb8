"""From a parsed config.json to a `ModelSpec`; whatever part cannot be read becomes a named unknown, never a guess."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from hfmem.errors import ConfigError
from hfmem.model.classes import generators
from hfmem.model.config import Config
from hfmem.model.decoder import decoder_layers, has_cross_attention, with_blocks
from hfmem.model.quantization import read_quantization
from hfmem.model.spec import Layer, ModelSpec, Stack, Unknown
from hfmem.model.text import text_config
from hfmem.model.towers import read_towers
from hfmem.tables.remote import DECODERS_WHATEVER_DECLARED

Value = TypeVar("Value")
DTYPES = {
    "bfloat16": "BF16", "bf16": "BF16", "float16": "F16", "fp16": "F16", "half": "F16", "float32": "F32", "fp32": "F32",
    "float": "F32", "float64": "F64", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip
SOURCES = (
    "num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size",
    "max_position_embeddings", "sliding_window", "kv_lora_rank", "qk_rope_head_dim",
)  # fmt: skip


def read_model(raw: object) -> ModelSpec:
    """The model a configuration describes. Raises `ConfigError` only where it is no JSON object at all."""
    config = Config.of(raw)
    unknowns: list[Unknown] = []
    text = attempt(lambda: text_config(config), "config", unknowns) or config
    layers = attempt(lambda: decoder_layers(text, has_cross=has_cross_attention(config, text)), "kv_cache", unknowns)
    writes = writes_tokens(config, text)
    layers = layers if writes or layers is None else tuple(replace(layer, mixers=()) for layer in layers)
    layers = layers and (attempt(lambda: with_blocks(text, layers or ()), "activations", unknowns) or layers)
    towers = attempt(lambda: read_towers(config, text), "towers", unknowns) or ()

    def field(name: str, minimum: int = 1) -> int | None:
        return attempt(lambda: text.optional(name, minimum=minimum), name, unknowns)

    hidden = field("hidden_size")
    is_native = config.is_known and config.model_type == named_type(config.raw)
    decoder = (Stack(role="decoder", hidden_size=hidden, layers=layers),) if layers is not None and hidden else ()
    return ModelSpec(
        model_type=named_type(config.raw) or config.model_type,
        read_as=None if is_native else text.model_type if text.is_known else None,
        architecture=architecture(config.raw),
        stacks=(*decoder, *towers),
        writes_tokens=writes,
        num_attention_heads=heads_of(text, field("num_attention_heads")),
        num_key_value_heads=field("num_key_value_heads") or field("num_attention_heads"),
        head_dim=head_width(layers) or field("head_dim", minimum=0),
        vocab_size=field("vocab_size"),
        tied_embeddings=config.flag("tie_word_embeddings", text.flag("tie_word_embeddings")),
        max_position_embeddings=field("max_position_embeddings", minimum=0) or None,
        dtype=attempt(lambda: read_dtype(config, text), "dtype", unknowns),
        quantization=read_quantization(config.raw) or read_quantization(text.raw),
        encoder_positions=config.optional("max_source_positions") if config.flag("is_encoder_decoder") else None,
        linear_biases=linear_biases(text),
        runs_remote_code=isinstance(config.raw.get("auto_map"), Mapping),
        is_native=is_native,
        unknowns=tuple(unknowns),
        sources=dict(config_keys(text)),
    )


def read_layers(raw: object) -> tuple[Layer, ...]:
    """The decoder's layers, from the configuration alone. Raises `ConfigError`."""
    config = Config.of(raw)
    text = text_config(config)
    return decoder_layers(text, has_cross=has_cross_attention(config, text))


def writes_tokens(config: Config, text: Config) -> bool:
    """Whether the model keeps a cache at all: encoders compute everything in one pass."""
    if config.is_known and config.model_type not in generators():
        return False
    declares = "is_decoder" in text.entry.get("fields", {}) and text.model_type not in DECODERS_WHATEVER_DECLARED
    return not declares or text.flag("is_decoder") or config.flag("is_encoder_decoder")


def attempt(read: Callable[[], Value], part: str, unknowns: list[Unknown]) -> Value | None:
    """What `read` gives, or None and a named unknown where the configuration cannot answer."""
    try:
        return read()
    except ConfigError as error:
        found = Unknown(part=part, code=error.code, message=error.message, hint=error.hint)
        if all(found.message != other.message for other in unknowns):
            unknowns.append(found)
        return None


def read_dtype(config: Config, text: Config) -> str | None:
    """The dtype the model computes in, in safetensors' words; None where the file does not say."""
    said = config.said("dtype") if config.has("dtype") else text.said("dtype") if text.has("dtype") else None
    if said is None or said == "auto":
        return None
    name = DTYPES.get(str(said).removeprefix("torch."))
    if name is None:
        raise ConfigError(f"config.json: dtype is {str(said)[:40]!r}, which is no floating-point dtype", code="unknown-dtype")
    return name


def heads_of(text: Config, declared: int | None) -> int | None:
    return declared if declared is not None or "attn_config" not in text.raw else text.optional("num_attention_heads")


def head_width(layers: tuple[Layer, ...] | None) -> int | None:
    """The key width of the first layer that attends."""
    widths = (getattr(mixer, "key_dim", None) for layer in layers or () for mixer in layer.mixers)
    return next((width for width in widths if width), None)


def linear_biases(text: Config) -> dict[str, bool]:
    """Whether attention and feed-forward projections have biases, where the configuration says so."""
    said = {"attention": text.value("attention_bias"), "mlp": text.value("mlp_bias")}
    return {role: value for role, value in said.items() if isinstance(value, bool)}


def architecture(raw: Mapping[str, Any]) -> str | None:
    named = raw.get("architectures")
    first = named[0] if isinstance(named, list) and named else named
    return first if isinstance(first, str) and first else None


def named_type(raw: Mapping[str, Any]) -> str | None:
    """The model type the file itself gives."""
    named = raw.get("model_type")
    return named if isinstance(named, str) else None


def config_keys(text: Config) -> Iterator[tuple[str, str]]:
    """Our name → the key of config.json its value came from, or the class whose default it is."""
    for name in SOURCES:
        said = next((key for key in text.names(name) if key in text.raw), None)
        if said or text.value(name) is not None:
            yield name, f"config.json:{said}" if said else f"{text.model_type} class default"
