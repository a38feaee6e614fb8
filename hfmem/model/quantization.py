"""How a checkpoint says its weights are packed: quantization_config in its many spellings, as one value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hfmem.model.spec import Quantization

# Method → bits of a weight where the method alone settles it (the methods' own documentation in transformers).
METHOD_BITS: dict[str, int] = {
    "fp8": 8,
    "fbgemm_fp8": 8,
    "finegrained_fp8": 8,
    "mxfp4": 4,
    "nvfp4": 4,
    "eetq": 8,
    "bitnet": 2,
    "aqlm": 2,
    "vptq": 2,
    "higgs": 4,
    "spqr": 3,
    "exl2": 0,
}
FORMAT_BITS: dict[str, int] = {
    "nvfp4-pack-quantized": 4,
    "mxfp4-pack-quantized": 4,
    "float-quantized": 8,
    "int-quantized": 8,
    "naive-quantized": 8,
}
NAMED_BITS: dict[str, int] = {
    "int8": 8, "qint8": 8, "int4": 4, "qint4": 4, "int2": 2, "qint2": 2, "float8": 8, "qfloat8": 8, "fp8": 8,
    "nvfp4": 4, "fp4": 4, "nf4": 4, "w4a16": 4, "w8a8": 8,
}  # fmt: skip


def read_quantization(raw: Mapping[str, Any]) -> Quantization | None:
    """The packing of a configuration, None where it has none. Raises nothing: unknown methods keep their name."""
    section = raw.get("quantization_config") or raw.get("compression_config") or mlx_section(raw)
    if not isinstance(section, Mapping):
        return None
    method = str(section.get("quant_method") or implied_method(section)).lower().replace("_", "-")
    inner = weights_section(section)
    return Quantization(
        method=method,
        bits=bits(section, inner, method),
        group_size=number(inner.get("group_size") or section.get("group_size") or section.get("q_group_size")),
        kv_cache_bits=kv_cache_bits(section),
    )


def mlx_section(raw: Mapping[str, Any]) -> Any:
    section = raw.get("quantization")
    return {"quant_method": "mlx", **section} if isinstance(section, Mapping) and "bits" in section else None


def implied_method(section: Mapping[str, Any]) -> str:
    """Older files leave the method out and are known by their keys."""
    if section.get("load_in_4bit") or section.get("load_in_8bit"):
        return "bitsandbytes"
    if "bits" in section and "group_size" in section and "desc_act" not in section:
        return "mlx"
    return "modelopt" if section.get("quant_algo") else "gptq" if "desc_act" in section else "unknown"


def weights_section(section: Mapping[str, Any]) -> Mapping[str, Any]:
    """Where the weights' own settings are: compressed-tensors and modelopt nest them in groups, hqq in a sub-section."""
    groups = section.get("config_groups")
    found: Any = next(iter(groups.values()), None) if isinstance(groups, Mapping) else None
    if isinstance(found, Mapping):
        found = found.get("weights")
    quant = section.get("quant_config")
    if found is None and isinstance(quant, Mapping):
        found = quant.get("weight_quant_params", quant)
    return found if isinstance(found, Mapping) else {}


def bits(section: Mapping[str, Any], inner: Mapping[str, Any], method: str) -> int | None:
    said = next((number(part.get(key)) for part in (inner, section) for key in BIT_KEYS if number(part.get(key))), None)
    if said:
        return said
    if section.get("load_in_4bit") or section.get("load_in_8bit"):
        return 4 if section.get("load_in_4bit") else 8
    words = (str(section.get(key, "")).lower() for key in ("weights", "quant_algo", "quant_type", "fmt", "format"))
    named = next((NAMED_BITS.get(word) or FORMAT_BITS.get(word) for word in words if word), None)
    return named or METHOD_BITS.get(method.replace("-", "_")) or None


BIT_KEYS = ("num_bits", "bits", "w_bit", "nbits", "wbits", "nbits_per_codebook")


def kv_cache_bits(section: Mapping[str, Any]) -> int | None:
    """Bits of cached keys where the checkpoint asks for it; FP8 weights alone do not."""
    scheme = section.get("kv_cache_scheme")
    if isinstance(scheme, Mapping):
        return number(scheme.get("num_bits"))
    named = scheme or section.get("kv_cache_quant_algo") or section.get("kv_cache_quant_method")
    return NAMED_BITS.get(str(named).lower()) if named else None


def number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
