"""From a parsed config.json to a `ModelSpec`; whatever part cannot be read becomes a named unknown, never a guess."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from hfmem.errors import ConfigError
from hfmem.model.classes import generators
from hfmem.model.config import Config, shown, undivided
from hfmem.model.decoder import cycles, decoder_layers, has_cross_attention, with_blocks
from hfmem.model.families import family_of
from hfmem.model.layers import MAX_LAYERS
from hfmem.model.quantization import is_known, read_quantization
from hfmem.model.spec import Layer, ModelSpec, Stack, Unknown
from hfmem.model.text import text_config, text_path
from hfmem.model.towers import read_towers
from hfmem.tables.remote import DECODERS_WHATEVER_DECLARED

Value = TypeVar("Value")
DTYPES = {
    "bfloat16": "BF16", "bf16": "BF16", "float16": "F16", "fp16": "F16", "half": "F16", "float32": "F32", "fp32": "F32",
    "float": "F32", "float64": "F64", "float8_e4m3fn": "F8_E4M3", "float8_e5m2": "F8_E5M2",
}  # fmt: skip
# Fields that grow with the depth, under which a file could name more layers than anything real has.
PER_LAYER = (
    "layer_types", "hybrid_override_pattern", "sliding_window_pattern", "block_configs", "attn_type_list", "compress_ratios",
)  # fmt: skip
# Classes that only encode, also where others of their model type write tokens: T5EncoderModel.
ENCODERS = ("EncoderModel", "ForAudioClassification", "ForTokenClassification")
# What a value of a JSON type that no reader expects ends in.
UNFORESEEN = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
SOURCES = (
    "num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size",
    "max_position_embeddings", "sliding_window", "kv_lora_rank", "qk_rope_head_dim",
)  # fmt: skip


def read_model(raw: object) -> ModelSpec:
    """The model a configuration describes. Raises `ConfigError` only where it is no JSON object at all."""
    config = Config.of(raw)
    unknowns: list[Unknown] = []
    found = attempt(lambda: text_config(config), "config", unknowns)
    text = found or config
    writes = attempt(lambda: writes_tokens(config, text), "kv_cache", unknowns) is not False
    layers = read_blocks(config, text, writes, unknowns) if found else None
    is_native = config.is_known and config.model_type == named_type(config.raw)
    spec = ModelSpec(
        model_type=named_type(config.raw) or config.model_type,
        read_as=None if is_native else text.model_type if text.is_known else None,
        text_type=text.model_type or None,
        types=tuple(dict.fromkeys(attempt(lambda: [*model_types(config)], "parts", unknowns) or ())),
        architecture=architecture(config.raw),
        stacks=read_stacks(config, text, layers, unknowns),
        writes_tokens=writes,
        runs_remote_code=isinstance(config.raw.get("auto_map"), Mapping),
        is_native=is_native,
        sources=dict(config_keys(text)),
        raw=config.raw,
        **read_facts(config, text, layers, unknowns),
    )
    return replace(spec, unknowns=(*unknowns, *remarks(config, spec)))


def read_stacks(config: Config, text: Config, layers: tuple[Layer, ...] | None, unknowns: list[Unknown]) -> tuple[Stack, ...]:
    """The decoder, where its layers and width could be read, and the towers beside it."""
    towers = attempt(lambda: read_towers(config, text), "towers", unknowns) or ()
    if layers is None:
        return towers
    hidden = attempt(lambda: text.integer("hidden_size"), "hidden_size", unknowns)
    return (Stack(role="decoder", hidden_size=hidden, layers=layers), *towers) if hidden else towers


def read_facts(config: Config, text: Config, layers: tuple[Layer, ...] | None, unknowns: list[Unknown]) -> dict[str, Any]:
    """Single facts by their field of `ModelSpec`; each that cannot be read is unknown alone."""

    def field(name: str, minimum: int = 1) -> int | None:
        return attempt(lambda: text.optional(name, minimum=minimum), name, unknowns)

    return {
        "num_attention_heads": field("num_attention_heads"),
        "num_key_value_heads": attempt(lambda: key_value_heads(text), "num_key_value_heads", unknowns),
        "head_dim": head_width(layers) or field("head_dim", minimum=0),
        "vocab_size": field("vocab_size"),
        "tied_embeddings": attempt(lambda: tied(config), "tie_word_embeddings", unknowns) or False,
        "max_position_embeddings": field("max_position_embeddings", minimum=0) or None,
        "dtype": attempt(lambda: read_dtype(config, text), "dtype", unknowns),
        "quantization": attempt(lambda: read_quantization(config.raw, text.raw), "quantization", unknowns),
        "encoder_positions": attempt(lambda: encoder_positions(config), "encoder_positions", unknowns),
        "linear_biases": linear_biases(text),
        "caps_logits": bool(text.value("final_logit_softcapping")),
    }


def read_blocks(config: Config, text: Config, writes: bool, unknowns: list[Unknown]) -> tuple[Layer, ...] | None:
    """The decoder's layers with what they keep, if the model writes tokens, and the blocks behind them."""
    layers = attempt(lambda: checked_layers(config, text), "kv_cache", unknowns)
    if layers is None:
        return None
    kept = layers if writes else tuple(replace(layer, mixers=()) for layer in layers)
    return attempt(lambda: with_blocks(text, kept), "activations", unknowns) or kept


def checked_layers(config: Config, text: Config) -> tuple[Layer, ...]:
    """The layers of a configuration whose per-layer fields are what they should be. Raises `ConfigError`."""
    kinds = text.said("layer_types")
    if isinstance(kinds, list) and not all(isinstance(kind, str) for kind in kinds):
        raise ConfigError(f"config.json: layer_types should be a list of names, found {shown(kinds)}", code="bad-field")
    for name in PER_LAYER:
        said = text.said(name)
        if isinstance(said, (str, list)) and len(said) > MAX_LAYERS:
            raise ConfigError(f"config.json: {name} has {len(said):,} entries; {MAX_LAYERS:,} is the most", code="bad-field")
    if (text.optional("num_hidden_layers") or 0) * cycles(text, family_of(text.model_type)) > MAX_LAYERS:
        raise ConfigError(f"config.json: more than {MAX_LAYERS:,} layers, counting each cycle", code="bad-field")
    layers = decoder_layers(text, has_cross=has_cross_attention(config, text))
    refuse_floored_width(text, layers)
    return layers


def refuse_floored_width(text: Config, layers: tuple[Layer, ...]) -> None:
    """A head's width taken as the hidden size over the heads must be that, but for classes that are content with a rest."""
    width, is_said = head_width(layers), text.has("hidden_size") or text.has("num_attention_heads")
    is_content = text.is_known and not text.entry.get("divides")
    if not width or not is_said or is_content or text.value("head_dim"):
        return
    hidden, heads = text.integer("hidden_size"), text.integer("num_attention_heads")
    if hidden % heads and width == hidden // heads:
        raise undivided("head_dim", "hidden_size", hidden, "num_attention_heads", heads)


def remarks(config: Config, spec: ModelSpec) -> Iterator[Unknown]:
    """What the file leaves open although every field could be read."""
    if named_type(config.raw) is None and not config.is_known:
        message = "config.json names no model type, so its fields are read as they stand"
        yield Unknown(part="model_type", code="missing-field", message=message)
    if spec.quantization is not None and not is_known(spec.quantization):
        message = f"the method {spec.quantization.method!r} is not known; weights are sized by their headers"
        yield Unknown(part="quantization", code="unknown-quant", message=message)


def read_layers(raw: object) -> tuple[Layer, ...]:
    """The decoder's layers, from the configuration alone. Raises `ConfigError`."""
    config = Config.of(raw)
    text = text_config(config)
    return decoder_layers(text, has_cross=has_cross_attention(config, text))


def writes_tokens(config: Config, text: Config) -> bool:
    """Whether the model keeps a cache at all: encoders compute everything in one pass."""
    if (config.is_known and config.model_type not in generators()) or (architecture(config.raw) or "").endswith(ENCODERS):
        return False
    declares = "is_decoder" in text.entry.get("fields", {}) and text.model_type not in DECODERS_WHATEVER_DECLARED
    return not declares or text.flag("is_decoder") or config.flag("is_encoder_decoder")


def attempt(read: Callable[[], Value], part: str, unknowns: list[Unknown]) -> Value | None:
    """What `read` gives, or None and a named unknown where the configuration cannot answer."""
    try:
        return read()
    except ConfigError as error:
        found = Unknown(part=part, code=error.code, message=error.message, hint=error.hint)
    except UNFORESEEN as error:
        message = f"config.json has a value of an unforeseen kind: {type(error).__name__}: {str(error)[:80]}"
        found = Unknown(part=part, code="bad-field", message=message)
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


def key_value_heads(text: Config) -> int | None:
    """Groups that share keys and values; a head each where the file does not group them, and never more than heads."""
    heads, groups = text.optional("num_attention_heads", minimum=1), text.optional("num_key_value_heads", minimum=1)
    if heads and groups and groups > heads:
        raise ConfigError(f"config.json: {groups} key-value heads are more than the {heads} attention heads", code="bad-field")
    return groups or heads


def tied(config: Config) -> bool:
    """What the outermost configuration that has the flag says: its class is the one with the head."""
    levels = (level for level in text_path(config) if level.value("tie_word_embeddings") is not None)
    outermost = next(levels, None)
    return outermost is not None and outermost.flag("tie_word_embeddings")


def encoder_positions(config: Config) -> int | None:
    """The tokens an encoder always gives, whatever it hears."""
    return config.optional("max_source_positions") if config.flag("is_encoder_decoder") else None


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


def model_types(config: Config) -> Iterator[str]:
    """The model types of a configuration and of every configuration inside it."""
    if config.model_type:
        yield config.model_type
    named = [name for name in config.parts() if name in config.entry.get("parts", {}) or named_type(config.section(name))]
    for part in filter(None, map(config.part, named)):
        yield from model_types(part)


def named_type(raw: Mapping[str, Any]) -> str | None:
    """The model type the file itself gives."""
    named = raw.get("model_type")
    return named if isinstance(named, str) and named else None


def config_keys(text: Config) -> Iterator[tuple[str, str]]:
    """Our name → the key of config.json its value came from, or the class whose default it is."""
    for name in SOURCES:
        said = next((key for key in text.names(name) if key in text.raw), None)
        if said or attempt(partial(text.value, name), name, []) is not None:
            yield name, f"config.json:{said}" if said else f"{text.model_type} class default"
