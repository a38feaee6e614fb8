"""How a checkpoint says its weights are packed: quantization_config in its many spellings, as one value."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hfmem.errors import ConfigError
from hfmem.model.config import shown
from hfmem.model.spec import Quantization

# Method → bits of a weight where the method alone settles it (the methods' own documentation in transformers); None: it
# varies and the section or the headers say.
METHOD_BITS: dict[str, int | None] = {
    "fp8": 8, "fbgemm_fp8": 8, "finegrained_fp8": 8, "modelopt_fp8": 8, "eetq": 8, "tpu_int8": 8, "modelopt_mxfp8": 8,
    "mxfp4": 4, "nvfp4": 4, "modelopt_fp4": 4, "higgs": 4, "fp_quant": 4, "spqr": 3, "bitnet": 2,
    "aqlm": None, "auto-round": None, "awq": None, "bitsandbytes": None, "compressed-tensors": None, "exl2": None, "exl3": None,
    "gptq": None, "hqq": None, "mlx": None, "modelopt": None, "quanto": None, "quark": None, "torchao": None, "vptq": None,
}  # fmt: skip
# Other spellings of a method's name.
METHODS = {"compressed_tensors": "compressed-tensors", "auto_round": "auto-round", "intel/auto-round": "auto-round"}
FORMAT_BITS: dict[str, int] = {
    "nvfp4-pack-quantized": 4,
    "mxfp4-pack-quantized": 4,
    "float-quantized": 8,
    "int-quantized": 8,
    "naive-quantized": 8,
}
NAMED_BITS: dict[str, int] = {
    "int8": 8, "qint8": 8, "int4": 4, "qint4": 4, "uint4": 4, "int2": 2, "qint2": 2, "float8": 8, "qfloat8": 8, "fp8": 8,
    "fp8_e4m3": 8, "fp8_e5m2": 8, "mxfp8": 8, "nvfp4": 4, "mxfp4": 4, "fp4": 4, "nf4": 4, "w4a16": 4, "w4a16_awq": 4,
    "w4a8": 4, "w4a8_awq": 4, "w8a8": 8, "w8a16": 8, "w8a8_sq_per_channel": 8, "int8_sq": 8, "fp8_pb_wo": 8,
    "fp8_per_channel_per_token": 8, "fp8_dynamic": 8, "fp8_block": 8, "nvfp4a16": 4, "nvfp4_awq": 4, "w4a8_nvfp4_fp8": 4,
    "w4a8_mxfp4_fp8": 4, "w4a16_nvfp4": 4,
}  # fmt: skip
BIT_KEYS = ("num_bits", "bits", "w_bit", "nbits", "wbits")
GROUP_KEYS = ("group_size", "q_group_size", "in_group_size")
NAMES = ("weights", "quant_algo", "quant_type", "weight_dtype", "dtype", "forward_dtype", "fmt", "format")
WEIGHT_OF = re.compile(r"(?:int|float|fp)(\d)_?weight")  # torchao: Int8DynamicActivationInt4WeightConfig is 4 bits


def read_quantization(*raws: Mapping[str, Any]) -> Quantization | None:
    """The packing of the first configuration that has one. Raises `ConfigError` only where that is no object."""
    section = next((found for raw in raws if (found := section_of(raw))), None)
    if section is None:
        return None
    said = str(section.get("quant_method") or implied_method(section)).lower()
    method = METHODS.get(said, said)
    packed = min(weight_settings(section), key=lambda part: bits_of(part) or 64, default=section)
    return Quantization(
        method=method,
        bits=bits_of(packed) or bits_of(section) or METHOD_BITS.get(method),
        group_size=first_number(packed, GROUP_KEYS) or first_number(section, GROUP_KEYS),
        kv_cache_bits=kv_cache_bits(section),
    )


def is_known(quantization: Quantization) -> bool:
    """Whether the method is one of ours, or says its bits as they do."""
    return quantization.method in METHOD_BITS or quantization.bits is not None


def section_of(raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The object that describes the packing; ModelOpt's own file nests it once more."""
    section = raw.get("quantization_config") or raw.get("compression_config") or bare_section(raw.get("quantization"))
    if not section:
        return None
    if not isinstance(section, Mapping):
        raise ConfigError(f"config.json: quantization_config should be an object, found {shown(section)}", code="unknown-quant")
    nested = section.get("quantization")
    return {**section, **nested} if isinstance(nested, Mapping) else section


def packing_section(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section of a whole configuration, which may stand in its text model's; empty where there is none."""
    text = raw.get("text_config")
    return section_of(raw) or (section_of(text) if isinstance(text, Mapping) else None) or {}


def bare_section(section: Any) -> Mapping[str, Any] | None:
    """`quantization` beside the model's fields: MLX's, or ModelOpt's."""
    if not isinstance(section, Mapping) or not ({"bits", "quant_algo"} & section.keys()):
        return None
    return {"quant_method": "mlx" if "bits" in section else "modelopt", **section}


def implied_method(section: Mapping[str, Any]) -> str:
    """Older files leave the method out and are known by their keys."""
    if section.get("load_in_4bit") or section.get("load_in_8bit"):
        return "bitsandbytes"
    if "w_bit" in section or "zero_point" in section:
        return "awq"
    if "bits" in section and "group_size" in section and "desc_act" not in section:
        return "mlx"
    return "modelopt" if section.get("quant_algo") else "gptq" if "desc_act" in section else "unknown"


def weight_settings(section: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Where the weights' own settings are, in each method's way; a mixed checkpoint has several."""
    found = [*grouped(section.get("config_groups")), *hqq_settings(section.get("quant_config"))]
    found += [{"quant_type": name, **data} for name, data in torchao_types(section.get("quant_type"))]
    found.append(section.get("quant_type_kwargs"))
    whole = section.get("global_quant_config")
    found.append(whole.get("weight") if isinstance(whole, Mapping) else None)
    return [part for part in found if isinstance(part, Mapping)]


def grouped(groups: Any) -> list[Any]:
    """compressed-tensors and ModelOpt: `{"group_0": {"weights": {…}}}`, or a scheme's name before its targets."""
    items = groups.items() if isinstance(groups, Mapping) else ()
    return [group.get("weights") if isinstance(group, Mapping) else {"weights": name} for name, group in items]


def hqq_settings(settings: Any) -> list[Any]:
    """HQQ: one set of parameters, or one for each sort of layer."""
    if not isinstance(settings, Mapping):
        return []
    parts = [settings, *settings.values()]
    return [part.get("weight_quant_params") for part in parts if isinstance(part, Mapping)]


def torchao_types(value: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every configuration class named in `quant_type`, with its settings."""
    parts: Iterable[Any] = value.values() if isinstance(value, Mapping) else ()
    data = value.get("_data") if isinstance(value, Mapping) else None
    if isinstance(value, Mapping) and isinstance(value.get("_type"), str):
        yield value["_type"], data if isinstance(data, Mapping) else {}
    for part in parts:
        yield from torchao_types(part)


def bits_of(part: Mapping[str, Any]) -> int | None:
    """Bits of one weight: a number, a flag, codebooks, or a name that has them in it."""
    if part.get("load_in_4bit") or part.get("load_in_8bit"):
        return 4 if part.get("load_in_4bit") else 8
    codebook, group = number(part.get("nbits_per_codebook")), number(part.get("in_group_size"))
    if codebook and group:
        return (number(part.get("num_codebooks")) or 1) * codebook // (group * (number(part.get("out_group_size")) or 1)) or None
    return first_number(part, BIT_KEYS) or next((bits for key in NAMES if (bits := bits_of_name(part.get(key)))), None)


def bits_of_name(name: Any) -> int | None:
    """The bits a name stands for: `int4`, `nvfp4-pack-quantized`, `torch.int4`, `Int4WeightOnlyConfig`."""
    if isinstance(name, Mapping):
        return bits_of_name(name.get("_data"))
    word = str(name).lower().removeprefix("torch.")
    known = NAMED_BITS.get(word) or FORMAT_BITS.get(word)
    in_name = WEIGHT_OF.search(word)
    return known or (int(in_name[1]) or None if in_name else None)


def kv_cache_bits(section: Mapping[str, Any]) -> int | None:
    """Bits of cached keys where the checkpoint asks for it; FP8 weights alone do not."""
    scheme = section.get("kv_cache_scheme")
    if isinstance(scheme, Mapping):
        return number(scheme.get("num_bits"))
    named = scheme or section.get("kv_cache_quant_algo") or section.get("kv_cache_quant_method")
    return NAMED_BITS.get(str(named).lower()) if named else None


def first_number(part: Mapping[str, Any], keys: Iterable[str]) -> int | None:
    return next((found for key in keys if (found := number(part.get(key)))), None)


def number(value: Any) -> int | None:
    """A count of bits or weights that a group may have; -1 and nonsense are none."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value <= 65_536 else None
