"""
Serving by the real code on fake tensors: a prompt of all tokens but one, then that one, with the cache the class makes itself.

As `generate` does it: no gradients, the last token alone is scored. A mixture of experts runs in one grouped product.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import torch

from hfmem.witness.build import build
from hfmem.witness.fake import faking, make_fake
from hfmem.witness.gpu_path import gpu_path, use_gpu_kernels
from hfmem.witness.liveness import Liveness
from hfmem.witness.recorded import report, watch_modules

CACHES = ("past_key_values", "cache_params", "past_buckets_states", "mems", "state")


def serve(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to {"config", "dtype", "batch", "context", "encoder_tokens", "timeline"}: peaks, and what caches hold."""
    model = build(request["config"], request["dtype"])
    use_gpu_kernels(model)
    model.train(False)
    live, timeline = Liveness(), request.get("timeline", False)
    with faking(), torch.no_grad():
        make_fake(model)
        with gpu_path(), live:
            live.note_all([*model.parameters(), *model.buffers()], "weights")
            given = encoded(model, request, live)
            with watch_modules(model, live, timeline):
                fresh = forward(model, live, "prefill", given, request["batch"], request["context"] - 1)
                name_cache(live, fresh)
                kept = forward(model, live, "decode", {**given, **fresh}, request["batch"], 1)
                kept_bytes = name_cache(live, kept)
        return {**report(live, timeline), "cache_bytes": kept_bytes}


def encoded(model: Any, request: Mapping[str, Any], live: Liveness) -> dict[str, Any]:
    """What an encoder gives the decoder; nothing for a model that is one."""
    if not model.config.is_encoder_decoder:
        return {}
    encoder, shape = model.get_encoder(), (request["batch"], request["encoder_tokens"])
    with live.during("encode"):
        name = encoder.main_input_name
        if name == "input_ids":
            return {"encoder_outputs": encoder(input_ids=torch.zeros(shape, dtype=torch.long))}
        frames = torch.zeros((shape[0], model.config.num_mel_bins, 2 * shape[1]), dtype=model.dtype)
        return {"encoder_outputs": encoder(frames)}


def forward(model: Any, live: Liveness, phase: str, given: Mapping[str, Any], batch: int, tokens: int) -> dict[str, Any]:
    """One pass; what it hands on to the next."""
    ids = torch.zeros((batch, tokens), dtype=torch.long)
    name = "decoder_input_ids" if model.config.is_encoder_decoder else "input_ids"
    takes = inspect.signature(model.forward).parameters
    last = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
    with live.during(phase):
        out = model(**{name: ids}, **last, **{key: value for key, value in given.items() if key in takes}, use_cache=True)
    return {key: out[key] for key in CACHES if out.get(key) is not None}


def name_cache(live: Liveness, handed_on: Mapping[str, Any]) -> int:
    """Bytes of all storages a cache leads to, each once; a counter of 8 bytes is no state."""
    storages = {tensor.untyped_storage()._cdata: tensor for tensor in reachable(dict(handed_on), set()) if tensor.dim()}
    live.note_all(storages.values(), "kv_cache")
    return sum(tensor.untyped_storage().nbytes() for tensor in storages.values())


def reachable(value: Any, seen: set[int]) -> Iterator[Any]:
    """Every tensor in lists, dictionaries and objects."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
        return
    has_parts = hasattr(value, "__dict__") and not isinstance(value, (type, torch.nn.Module))
    inside = value if isinstance(value, (Mapping, list, tuple)) else vars(value) if has_parts else ()
    for part in inside.values() if isinstance(inside, Mapping) else inside:
        yield from reachable(part, seen)
