"""A class's tensors as a quantization_config says they would be stored, for models of which no file can be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from hfmem.checkpoint.tensors import TensorGroup
from hfmem.model.exclusions import Exclusions, exclusions
from hfmem.model.quantization import section_of
from hfmem.model.spec import ModelSpec, Quantization
from hfmem.tables.packing import MATRIX_ROLES, WHAT_IF
from hfmem.tables.roles import role_of

# Method → the what-if dtype of its matrices; other methods by their bits.
METHOD_DTYPES = {"mxfp4": "mxfp4", "modelopt_fp4": "nvfp4", "nvfp4": "nvfp4", "bitsandbytes": "nf4"}
BIT_DTYPES = {4: "int4", 8: "float8"}
WITH_ZEROS = ("awq", "gptq")  # methods that keep a zero point for each group
ABSMAX_BITS = 32 / 64  # bitsandbytes without double quantisation: a float32 for 64 weights
NEVER_PACKED = re.compile(r"router|(^|\.)gate\.|indexer|norm|conv1d|shared_expert_gate|(^|\.)A_log$|dt_bias")


def packed_groups(groups: Iterable[TensorGroup], spec: ModelSpec) -> Iterator[TensorGroup]:
    """The groups with the matrices of every packed module at its bits, scales included."""
    name = packed_dtype(spec.quantization) if spec.quantization else None
    if name is None:
        yield from groups
        return
    excluded, bits = exclusions(spec.raw), weight_bits(spec, name)
    for group in groups:
        yield from parts(group, bits, excluded)


def weight_bits(spec: ModelSpec, name: str) -> float:
    """Bits of one weight with its share of the scales, as the section says where it says it."""
    quantization, section = spec.quantization, section_of(spec.raw) or {}
    if quantization is None or name not in ("int4", "nf4"):
        return WHAT_IF[name][0]
    if name == "nf4":
        return WHAT_IF[name][0] if section.get("bnb_4bit_use_double_quant") else 4 + ABSMAX_BITS
    zeros = 4 if quantization.method in WITH_ZEROS else 0
    return 4 + (16 + zeros) / (quantization.group_size or 128)


def packed_dtype(quantization: Quantization) -> str | None:
    """The what-if dtype that stands for a packing; None where it says too little."""
    if quantization.method == "bitsandbytes" and quantization.bits == 8:
        return "int8"
    return METHOD_DTYPES.get(quantization.method) or BIT_DTYPES.get(quantization.bits or 0)


def parts(group: TensorGroup, bits: float, excluded: Exclusions) -> Iterator[TensorGroup]:
    """A group as it is, packed, or cut in two where only some of its layers are packed."""
    if not may_be_packed(group):
        yield group
        return
    kept = {layer: count for layer, count in group.layers.items() if excluded.holds(module_of(group, layer))}
    packed = {layer: count for layer, count in group.layers.items() if layer not in kept}
    if kept:
        yield replace(group, layers=kept)
    if packed:
        whole = 8 if bits >= 8 else 4
        dtype = "F8_E4M3" if whole == 8 else "F4"
        yield replace(group, layers=packed, dtype=dtype, tensor_bytes=group.tensor_elements * whole // 8)
        yield from scales(replace(group, layers=packed), bits - whole)


def scales(group: TensorGroup, bits: float) -> Iterator[TensorGroup]:
    """The scales and zero points of a packed group as a tensor of their own, for allocators round each."""
    size = round(group.tensor_elements * bits / 8)
    if size:
        name = f"{group.pattern.removesuffix('.weight')}.weight_scale"
        yield replace(group, pattern=name, dtype="U8", shape=(size,), tensor_bytes=size)


def may_be_packed(group: TensorGroup) -> bool:
    is_matrix = role_of(group.pattern) in MATRIX_ROLES and len(group.shape) >= 2
    return is_matrix and not group.pattern.endswith("bias") and not NEVER_PACKED.search(group.pattern)


def module_of(group: TensorGroup, layer: int) -> str:
    """The name of the module in one layer; of several experts the first."""
    return group.pattern.replace("*", str(layer), 1).replace("*", "0").removesuffix(".weight")
