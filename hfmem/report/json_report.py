"""The `hfmem.estimate/1` JSON object; changes to it only add."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hfmem._version import __version__
from hfmem.memory.engines.values import Capacity
from hfmem.memory.estimate import DeviceFit, Estimate, Item, Note, Phase, VariantTotal
from hfmem.memory.weights import TORCH_NAMES, Weights

if TYPE_CHECKING:
    from hfmem.doctor.values import Checkup


def render_json(estimate: Estimate) -> str:
    """One line of valid JSON: no NaN, ASCII only."""
    return json.dumps(to_dict(estimate), allow_nan=False)


def to_dict(estimate: Estimate) -> dict[str, Any]:
    """Sizes are whole bytes; an unknown one is null and makes `complete` false."""
    peak = estimate.peak
    return {
        "schema": "hfmem.estimate/1",
        "model": model_dict(estimate),
        "workload": dict(estimate.resolved),
        "phases": [phase_dict(phase) for phase in estimate.phases],
        "complete": estimate.complete,
        "peak_phase": peak.name,
        "total_bytes": peak.total_bytes,
        "low_bytes": peak.low_bytes,
        "high_bytes": peak.high_bytes,
        **training_dict(estimate),
        **({"capacity": capacity_dict(estimate.capacity)} if estimate.capacity else {}),
        "devices": [device_dict(fit) for fit in estimate.devices],
        **({"variants": [variant_dict(variant) for variant in estimate.variants]} if estimate.variants else {}),
        "notes": note_dicts(estimate.notes),
        "versions": {"hfmem": __version__},
    }


def note_dicts(notes: Iterable[Note]) -> list[dict[str, Any]]:
    return [{"code": note.code, "message": note.message, "hint": note.hint} for note in notes]


def origin_dict(found: Estimate | Checkup) -> dict[str, Any]:
    """What names a model again."""
    origin = found.origin
    return {"reference": origin.reference, "source": origin.source, "revision": origin.revision, "commit": origin.commit}


def variant_dict(variant: VariantTotal) -> dict[str, Any]:
    return {"name": variant.name, "file_bytes": variant.num_bytes, "total_bytes": variant.total_bytes}


def capacity_dict(capacity: Capacity) -> dict[str, Any]:
    """What an engine with a pool has room for."""
    return {
        "kv_cache_bytes": capacity.kv_cache_bytes,
        "kv_cache_tokens": capacity.kv_cache_tokens,
        "max_concurrency": round(capacity.max_concurrency, 4),
        "bytes_per_token": round(capacity.bytes_per_token, 3),
        "budget_bytes": capacity.budget_bytes,
        "starts": capacity.starts,
    }


def device_dict(fit: DeviceFit) -> dict[str, Any]:
    """One device's verdict; bytes are those of one of them."""
    return {
        "name": fit.name,
        "num_devices": fit.num_devices,
        "memory_bytes": fit.memory_bytes,
        "memory_source": fit.memory_source,
        "usable_bytes": fit.usable_bytes,
        "required_bytes": fit.required_bytes,
        "spare_bytes": fit.spare_bytes,
        "verdict": fit.verdict,
        "reason": fit.reason,
        "max_context": fit.max_context,
        "max_batch": fit.max_batch,
        "capacity": capacity_dict(fit.capacity) if fit.capacity else None,
    }


def training_dict(estimate: Estimate) -> dict[str, Any]:
    """What only training has: other readings of the peak, and what single changes would save."""
    if not estimate.totals:
        return {}
    levers = [{"name": lever.name, "saves_bytes": lever.saves_bytes} for lever in estimate.levers]
    return {"totals": dict(estimate.totals), "levers": levers}


def model_dict(estimate: Estimate) -> dict[str, Any]:
    model, weights = estimate.model, estimate.weights
    quantization = model.quantization
    return {
        **origin_dict(estimate),
        "model_type": model.model_type or None,
        "architecture": model.architecture,
        "dtype": TORCH_NAMES.get(model.dtype or "", model.dtype),
        "quantization": quantization
        and {"method": quantization.method, "bits": quantization.bits, "group_size": quantization.group_size},
        "num_layers": model.num_layers,
        "hidden_size": model.hidden_size,
        "num_attention_heads": model.num_attention_heads,
        "num_key_value_heads": model.num_key_value_heads,
        "head_dim": model.head_dim,
        "vocab_size": model.vocab_size,
        "max_position_embeddings": model.max_position_embeddings,
        "num_parameters": weights.num_parameters if weights else None,
        "stored_bytes": estimate.stored_bytes,
        "loaded_bytes": weights.loaded_bytes if weights else None,
        "weights": weights_dict(weights),
        "format": estimate.format,
    }


def weights_dict(weights: Weights | None) -> dict[str, Any] | None:
    """What the weights are made of, and why stored, logical and loaded differ."""
    if weights is None:
        return None
    return {
        "by_role": dict(weights.by_role),
        "by_dtype": dict(weights.by_dtype),
        "differences": [{"reason": row.reason, "elements": row.elements, "bytes": row.num_bytes} for row in weights.differences],
    }


def phase_dict(phase: Phase) -> dict[str, Any]:
    return {"name": phase.name, "total_bytes": phase.total_bytes, "items": [item_dict(item) for item in phase.items]}


def item_dict(item: Item) -> dict[str, Any]:
    known = item.num_bytes is not None
    return {
        "name": item.name,
        "bytes": item.num_bytes,
        "low_bytes": item.low if known else None,
        "high_bytes": item.high if known else None,
        "basis": item.basis,
        "formula": item.formula,
        "note": item.note,
    }
