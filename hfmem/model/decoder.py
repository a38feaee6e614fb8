"""The decoder's layers: their kinds, what each kind keeps, and the block behind it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hfmem.errors import ConfigError
from hfmem.model import mixers as m
from hfmem.model.config import Config
from hfmem.model.families import KINDS, Family, family_of
from hfmem.model.ffn import ATTENTION_FREE, read_ffn
from hfmem.model.kinds import Mixer
from hfmem.model.layers import read_layer_kinds
from hfmem.model.spec import Layer
from hfmem.tables.remote import RECURRENT_FIELDS

ATTENDS = {"full_attention", "sliding_attention", "chunked_attention", "shared", "hybrid_sliding"}


def decoder_layers(text: Config, *, has_cross: bool = False) -> tuple[Layer, ...]:
    """One value a layer of the text model, in order. Raises `ConfigError` naming the field or kind it cannot read."""
    family = family_of(text.model_type)
    if not text.is_known and family.is_common:
        refuse_unread_recurrence(text)
    kinds = read_layer_kinds(text, family.readers) * cycles(text, family)
    layers = (Layer(kind=kind, mixers=read_mixers(text.at(i), kind, family, has_cross)) for i, kind in enumerate(kinds))
    return tuple(layer for layer in layers for _ in range(family.layers_per_block))


def with_blocks(text: Config, layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The same layers with the feed-forward block that follows each. Raises `ConfigError` for a width it cannot read."""
    own_blocks = any(layer.kind in ATTENTION_FREE for layer in layers)
    step = family_of(text.model_type).layers_per_block
    return tuple(replace(layer, ffn=read_ffn(text.at(i // step), layer.kind, own_blocks)) for i, layer in enumerate(layers))


def read_mixers(config: Config, kind: str, family: Family, has_cross: bool) -> tuple[Mixer, ...]:
    readers = mixer_readers(kind, family)
    if readers is None:
        raise ConfigError(
            f"config.json of a {config.model_type!r} model has a layer of the unknown kind {kind!r}",
            code="unknown-layer-kind",
            hint="this architecture is newer than this version of hfmem; the weights are still right",
        )
    if not family.caches:
        return ()
    crossing = (m.cross,) if has_cross and family.crosses else ()
    found = [reader(config, kind) for reader in (*readers, *crossing)]
    return tuple(mixer for mixer in found if mixer is not None)


def mixer_readers(kind: str, family: Family) -> Sequence[m.MixerReader] | None:
    """The family's own mixers of a kind, else the family's attention, else the common ones."""
    if kind in family.kinds:
        return family.kinds[kind]
    if family.attention is not None and kind in ATTENDS:
        return (family.attention,)
    return KINDS.get(kind)


def refuse_unread_recurrence(text: Config) -> None:
    """A type nobody knows that has a recurrent field is not read as attention: the number would be a guess."""
    field = next((name for name in RECURRENT_FIELDS if name in text.raw), None)
    if field is not None:
        raise ConfigError(
            f"config.json of a {text.model_type!r} model has {field!r}: it has recurrent layers this version cannot read",
            code="unknown-layer-kind",
        )


def cycles(text: Config, family: Family) -> int:
    """How often the depth is walked with caches of its own (hrm_text)."""
    if not family.counts_cycles or text.has("num_layers_per_stack"):
        return 1
    return text.integer("H_cycles") * (text.integer("L_cycles") + 1)


def has_cross_attention(config: Config, text: Config) -> bool:
    """Whether each decoder layer also attends to an encoder's output."""
    return config.flag("is_encoder_decoder") or text.flag("add_cross_attention")
