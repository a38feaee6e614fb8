"""The lines of a report for what a model keeps between tokens, with the numbers they are made of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hfmem.memory.activations import recurrent_layers
from hfmem.memory.estimate import Item
from hfmem.model.kinds import (
    Attention,
    CacheDtypes,
    CompressedAttention,
    CrossAttention,
    IndexerKeys,
    LatentAttention,
    Mixer,
    Usage,
)
from hfmem.model.spec import ModelSpec, Stack


def cache_items(model: ModelSpec, usage: Usage, dtypes: CacheDtypes, dtype_reason: str) -> Iterator[Item]:
    """`kv_cache`, and `recurrent_state` where the model has one; a cache that cannot be read has bytes None."""
    unknown = next((part for part in model.unknowns if part.part in ("kv_cache", "config", "hidden_size")), None)
    if model.decoder is None and (unknown or not model.stacks):
        reason = unknown.message if unknown else "config.json describes no layers"
        yield Item(name="kv_cache", num_bytes=None, basis="derived", note=f"unknown: {reason}")
        return
    stack = model.decoder or Stack(role="decoder", hidden_size=1, layers=())
    yield Item(
        name="kv_cache",
        num_bytes=stack.cache_bytes("kv_cache", usage, dtypes),
        basis="derived",
        formula=cache_formula(stack, usage, dtypes),
        note=cache_note(model, stack, dtypes, dtype_reason),
    )
    if recurrent_layers(stack):
        yield Item(
            name="recurrent_state",
            num_bytes=stack.cache_bytes("recurrent_state", usage, dtypes),
            basis="derived",
            formula=f"fixed size × {usage.batch} sequences, whatever their length",
            note=f"{recurrent_layers(stack)} of {len(stack.layers)} layers",
        )


def prefill_extra(model: ModelSpec, usage: Usage, dtypes: CacheDtypes) -> int:
    """Bytes that windowed layers hold of a fresh prompt beyond what they keep: their cut is a view of all of it."""
    if model.decoder is None:
        return 0
    fresh = Usage(
        batch=usage.batch,
        tokens=usage.tokens,
        prompt_tokens=usage.tokens,
        encoder_tokens=usage.encoder_tokens,
        image_tokens=usage.image_tokens,
    )
    after, kept = (model.decoder.cache_bytes("kv_cache", moment, dtypes) for moment in (fresh, usage))
    return max(0, after - kept)


def cache_formula(stack: Stack, usage: Usage, dtypes: CacheDtypes) -> str:
    """One term a sort of layer: layers × (elements a token) × tokens × bytes × batch."""
    counts = Counter(mixer for layer in stack.layers for mixer in layer.mixers if mixer.item == "kv_cache")
    merged: Counter[str] = Counter()
    for mixer, count in counts.items():
        if mixer.cache_bytes(usage, dtypes):
            merged[term(mixer, usage, dtypes)] += count
    terms = [f"{count} layers × {text}" for text, count in merged.items()]
    return f"({' + '.join(terms)}) × {usage.batch}" if terms else "no layer keeps keys"


def term(mixer: Mixer, usage: Usage, dtypes: CacheDtypes) -> str:
    """What one layer keeps of one sequence, in words and numbers."""
    size = f"{dtypes.kv_bits / 8:g} B"
    if isinstance(mixer, Attention):
        kept = f"{mixer.kept_tokens(usage):,} tokens"
        return f"{mixer.num_kv_heads} kv heads × ({mixer.key_dim} + {mixer.value_dim}) × {kept} × {size}"
    if isinstance(mixer, LatentAttention):
        return f"({mixer.latent_dim} latent + {mixer.rotary_dim} rotary) × {usage.kept(mixer.window):,} tokens × {size}"
    if isinstance(mixer, IndexerKeys):
        return f"{mixer.key_dim} indexer × {usage.tokens:,} tokens × {'4 B' if mixer.in_float32 else size}"
    if isinstance(mixer, CrossAttention):
        tokens = usage.image_tokens if mixer.reads_images else usage.encoder_tokens
        return f"{mixer.num_kv_heads} cross heads × ({mixer.key_dim} + {mixer.value_dim}) × {tokens:,} tokens × {size}"
    return f"{compressed_elements(mixer, usage):,} elements × {size}"


def compressed_elements(mixer: Mixer, usage: Usage) -> int:
    one = Usage(batch=1, tokens=usage.tokens, prompt_tokens=usage.prompt_tokens)
    return mixer.cache_bytes(one, CacheDtypes(kv_bits=8, model_bytes=1)) if isinstance(mixer, CompressedAttention) else 0


def cache_note(model: ModelSpec, stack: Stack, dtypes: CacheDtypes, dtype_reason: str) -> str:
    """What kinds of layers there are, and why a key has the bits it has."""
    if not model.writes_tokens:
        return "an encoder keeps no cache"
    windows = Counter(
        mixer.window for layer in stack.layers for mixer in layer.mixers if isinstance(mixer, Attention) and mixer.window
    )
    parts = [f"window {window:,} on {count} of {len(stack.layers)} layers" for window, count in windows.items()]
    sharing = sum(layer.kind == "shared" for layer in stack.layers)
    parts += [f"{sharing} of {len(stack.layers)} layers read another layer's cache"] if sharing else []
    return "; ".join([*parts, f"{dtypes.kv_bits} bits ({dtype_reason})"])
