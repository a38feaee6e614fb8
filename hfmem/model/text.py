"""Which of the nested configurations is the decoder's text model, as `get_text_config(decoder=True)` finds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hfmem.model.config import Config
from hfmem.tables.aliases import TEXT_PARTS


def text_config(config: Config) -> Config:
    """The configuration of the part that writes tokens: a nested one, a flat one moved there, or the decoder's half."""
    innermost = list(text_path(config))[-1]
    return decoder_half(innermost) if innermost.flag("is_encoder_decoder") else innermost


def text_path(config: Config) -> Iterator[Config]:
    """A configuration and those inside it that lead to the part that writes tokens, from the outside in."""
    yield config
    parts = (moved(config, name) or config.part(name) for name in TEXT_PARTS)
    inner = next((part for part in parts if part is not None), None)
    if inner is not None:
        yield from text_path(inner)


def moved(config: Config, name: str) -> Config | None:
    """A text part whose fields an older file keeps at the top level (Qwen2-VL): the class moves them in."""
    part_type = config.entry.get("parts", {}).get(name, (None,))[0]
    if part_type is None or config.raw.get(name) is not None or "num_hidden_layers" not in config.raw:
        return None
    flat = {key: value for key, value in config.raw.items() if key not in ("model_type", *config.entry["parts"])}
    return Config.of(flat, part_type, depth=config.depth + 1)


def decoder_half(config: Config) -> Config:
    """A flat encoder-decoder seen from its decoder: `decoder_layers` is the depth, and so on."""
    changes: dict[str, Any] = {}
    for key, value in fields(config).items():
        if key.startswith("decoder_") and value is not None:
            name = {"decoder_layers": "num_hidden_layers", "decoder_attention_heads": "num_attention_heads"}.get(
                key, key.removeprefix("decoder_")
            )
            changes[config.entry.get("names", {}).get(name, name)] = value
    if config.value("num_decoder_layers") is not None:
        changes[config.entry.get("names", {}).get("num_hidden_layers", "num_hidden_layers")] = config.value("num_decoder_layers")
    return config.overlay(changes)


def fields(config: Config) -> Mapping[str, Any]:
    """Everything the file or the class says, the file first."""
    derived = {key: config.derived(key) for key in config.entry.get("derived", {})}
    return {**derived, **config.entry.get("fields", {}), **config.raw}
