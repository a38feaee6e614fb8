"""Which modules a packed checkpoint's configuration packs, and at how many bits a weight: one scheme, or one for each sort."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hfmem.model.modules import Modules, selection, strings
from hfmem.model.quantization import GROUP_KEYS, bits_of, first_number, packing_section, weight_settings
from hfmem.model.spec import ModelSpec, Quantization

FLOAT_BLOCKS = {"nvfp4": 16, "modelopt_fp4": 16, "mxfp4": 32, "mxfp8": 32}  # weights that share an 8-bit scale
GROUPS = {"mlx": 64, "hqq": 64, "bitsandbytes": 64}  # where the section leaves the group out
WITH_ZEROS = ("awq", "gptq", "auto-round")  # methods that keep a zero point of the weight's bits for each group
WITH_BIASES = ("mlx", "hqq", "torchao", "quanto")  # methods that keep a 16-bit zero point for each group
WHOLE_BITS = ("exl2", "exl3")  # `bits` is the average with everything beside the weights
BY_CODEBOOK = ("aqlm", "vptq")  # a group is looked up whole, and scales are one a row
SMALLEST_GROUP, MOST_BITS = 8, 8
NESTED_ABSMAX = 8 + 32 / 256  # bitsandbytes' double quantisation: an 8-bit absmax, a float32 for 256 of them


@dataclass(frozen=True, slots=True)
class Scheme:
    """`bits` of a weight with its share of the scales, for `modules`; None: for every matrix that is not excluded."""

    modules: Modules | None
    bits: float


def schemes(spec: ModelSpec) -> Iterator[Scheme]:
    """The schemes of a configuration, the particular ones first; none where it does not say the bits."""
    if spec.quantization is None:
        return
    section = packing_section(spec.raw)
    yield from by_layer(section, spec.quantization)
    groups = section.get("config_groups")
    parts = list(groups.values()) if isinstance(groups, Mapping) else []
    named = [part for part in parts if isinstance(part, Mapping) and not is_whole(part)]
    for part in named:
        yield from one(spec.quantization, selection(targets(part)), part.get("weights"), section)
    if (not named and section.get("quant_algo") != "MIXED_PRECISION") or spec.quantization.method == "fp8":
        yield from one(spec.quantization, None, None, section)


def by_layer(section: Mapping[str, Any], quantization: Quantization) -> Iterator[Scheme]:
    """ModelOpt's `quantized_layers`: an algorithm for each module, experts as the whole they are in the class."""
    layers = section.get("quantized_layers")
    by_algorithm: dict[str, dict[str, None]] = {}
    for name, part in layers.items() if isinstance(layers, Mapping) else ():
        if isinstance(part, Mapping):
            by_algorithm.setdefault(str(part.get("quant_algo")), {})[whole_experts(name)] = None
    for algorithm, names in by_algorithm.items():
        yield from one(quantization, selection(names), {"quant_algo": algorithm}, section)


def is_whole(part: Mapping[str, Any]) -> bool:
    """Targets are names of classes (`Linear`), or modules; without any a group is of every matrix."""
    return not any("." in name or name.startswith("re:") or name.islower() for name in targets(part))


def targets(part: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(whole_experts(name) for name in strings(part.get("targets"))))


def whole_experts(name: str) -> str:
    before, experts, _ = name.partition(".experts.")
    return before + experts.rstrip(".")


def one(quantization: Quantization, modules: Modules | None, part: Any, section: Mapping[str, Any]) -> Iterator[Scheme]:
    settings = part if isinstance(part, Mapping) else min(weight_settings(section), key=lambda p: bits_of(p) or 64, default={})
    bits = weight_bits(quantization, settings, section)
    if bits:
        yield Scheme(modules, bits)


def weight_bits(quantization: Quantization, settings: Mapping[str, Any], section: Mapping[str, Any]) -> float | None:
    """Bits of one weight with its share of scales and zero points; None where nothing says them."""
    if quantization.method in WHOLE_BITS:
        said = section.get("bits")
        return float(said) if isinstance(said, int | float) and 1 <= said <= 16 else None
    bits = bits_of(settings) or quantization.bits
    if bits is None or bits > MOST_BITS:
        return None
    group = first_number(settings, GROUP_KEYS) or quantization.group_size
    if block := float_block(quantization.method, settings, section):
        return bits + 8 / (group or block)
    size = None if quantization.method in BY_CODEBOOK else group or GROUPS.get(quantization.method)
    return bits + beside(quantization.method, bits, {**section, **settings}) / max(size, SMALLEST_GROUP) if size else bits


def float_block(method: str, settings: Mapping[str, Any], section: Mapping[str, Any]) -> int | None:
    """Weights that share an 8-bit scale in the small floating-point formats; None for integers and for FP8."""
    if settings.get("type") == "float" and settings.get("num_bits") == 4:
        return FLOAT_BLOCKS["nvfp4"]
    algorithm = settings.get("quant_algo") or section.get("quant_algo")
    words = f"{method} {algorithm} {section.get('format')} {section.get('forward_dtype')} {section.get('mode')}".lower()
    return next((size for name, size in FLOAT_BLOCKS.items() if name in words), None)


def beside(method: str, bits: int, settings: Mapping[str, Any]) -> float:
    """Bits a group of integers keeps beside its weights: a 16-bit scale, and a zero point where there is one."""
    if method == "bitsandbytes":
        return (NESTED_ABSMAX if settings.get("bnb_4bit_use_double_quant") else 32) if bits == 4 else 0
    has_zeros = method in WITH_ZEROS or settings.get("symmetric") is False
    return 16 + (16 if method in WITH_BIASES else bits if has_zeros else 0)
