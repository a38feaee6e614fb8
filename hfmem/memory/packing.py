"""A class's tensors as a quantization_config says they would be stored, for models of which no file can be read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from hfmem.checkpoint.tensors import TensorGroup
from hfmem.model.modules import Modules, exclusions
from hfmem.model.schemes import Scheme, schemes
from hfmem.model.spec import ModelSpec
from hfmem.tables.packing import MATRIX_ROLES
from hfmem.tables.roles import role_of

NEVER_PACKED = re.compile(r"router|(^|\.)gate\.|indexer|norm|conv1d|shared_expert_gate|(^|\.)A_log$|dt_bias")
EVERY_MATRIX = ("mlx",)  # methods that pack the embeddings and the head as well


def packed_groups(groups: Iterable[TensorGroup], spec: ModelSpec) -> Iterator[TensorGroup]:
    """The groups with the matrices of every packed module at its bits, scales included."""
    found = tuple(schemes(spec))
    if not found:
        yield from groups
        return
    excluded = exclusions(spec.raw)
    method = spec.quantization.method if spec.quantization else ""
    roles = MATRIX_ROLES | {"embeddings", "head"} if method in EVERY_MATRIX else MATRIX_ROLES
    for group in groups:
        yield from parts(group, found, excluded) if may_be_packed(group, roles) else (group,)


def parts(group: TensorGroup, found: tuple[Scheme, ...], excluded: Modules) -> Iterator[TensorGroup]:
    """A group as it is, packed, or cut where its layers are packed in different ways."""
    by_bits: dict[float | None, dict[int, int]] = {}
    for layer, count in group.layers.items():
        by_bits.setdefault(bits_in(module_of(group, layer), found, excluded), {})[layer] = count
    for bits, layers in by_bits.items():
        part = replace(group, layers=layers)
        yield from (part,) if bits is None else packed(part, bits)


def bits_in(module: str, found: tuple[Scheme, ...], excluded: Modules) -> float | None:
    """Bits of a weight of a module; None where it stays as it is. A module named by a scheme is packed, whatever is excluded."""
    named = next((scheme for scheme in found if scheme.modules and scheme.modules.holds(module)), None)
    rest = next((scheme for scheme in found if scheme.modules is None), None)
    chosen = named or (None if excluded.holds(module) else rest)
    return chosen.bits if chosen else None


def packed(group: TensorGroup, bits: float) -> Iterator[TensorGroup]:
    whole = 8 if bits >= 8 else min(4, int(bits))
    dtype = "F8_E4M3" if whole == 8 else "F4"
    yield replace(group, dtype=dtype, tensor_bytes=group.tensor_elements * whole // 8)
    yield from scales(group, bits - whole)


def scales(group: TensorGroup, bits: float) -> Iterator[TensorGroup]:
    """The scales and zero points of a packed group as a tensor of their own, for allocators round each."""
    size = round(group.tensor_elements * bits / 8)
    if size:
        name = f"{group.pattern.removesuffix('.weight')}.weight_scale"
        yield replace(group, pattern=name, dtype="U8", shape=(size,), tensor_bytes=size)


def may_be_packed(group: TensorGroup, roles: frozenset[str]) -> bool:
    is_matrix = role_of(group.pattern) in roles and len(group.shape) >= 2
    return is_matrix and not group.pattern.endswith("bias") and not NEVER_PACKED.search(group.pattern)


def module_of(group: TensorGroup, layer: int) -> str:
    """The name of the module in one layer; of several experts the first."""
    return group.pattern.replace("*", str(layer), 1).replace("*", "0").removesuffix(".weight")
