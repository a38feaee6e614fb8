"""The stacks beside the decoder: encoders, vision and audio towers; only their sizes matter, for activations."""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.errors import ConfigError
from hfmem.model.config import Config
from hfmem.model.ffn import read_ffn
from hfmem.model.layers import MAX_LAYERS
from hfmem.model.spec import Layer, Stack
from hfmem.tables.aliases import TOWER_PARTS


def read_towers(config: Config, text: Config) -> tuple[Stack, ...]:
    """One stack for each nested tower, and for a flat encoder-decoder's encoder."""
    return tuple(found for found in (*nested(config), flat_encoder(config, text)) if found is not None)


def nested(config: Config) -> Iterator[Stack | None]:
    for name in config.parts():
        part = config.part(name) if name in TOWER_PARTS else None
        if part is not None:
            yield tower(part, TOWER_PARTS[name])


def flat_encoder(config: Config, text: Config) -> Stack | None:
    """The encoder half of a flat encoder-decoder (T5, BART, Whisper)."""
    if not config.flag("is_encoder_decoder") or config.model_type != text.model_type:
        return None
    count = config.value("encoder_layers") or config.value("num_hidden_layers")
    return tower(config.overlay({"num_hidden_layers": count}), "encoder")


def tower(part: Config, role: str) -> Stack | None:
    """A tower's layers; one that does not say its sizes (convolutional, pyramidal) is left to the headers."""
    if any(part.value(name) is None or isinstance(part.value(name), list) for name in ("num_hidden_layers", "hidden_size")):
        return None
    count, hidden = part.integer("num_hidden_layers"), part.integer("hidden_size")
    if count > MAX_LAYERS:
        raise ConfigError(f"config.json: a tower has {count:,} layers; {MAX_LAYERS:,} is the most", code="bad-field")
    layers = tuple(Layer(kind="encoder", ffn=read_ffn(part.at(i), "encoder", False)) for i in range(count))
    return Stack(role=role, hidden_size=hidden, layers=layers)
