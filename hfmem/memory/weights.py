"""
Weights: stored (what the files hold), logical (the model's parameters), loaded (what an engine keeps), and why they differ.

Counts are integers read from headers; a reason names every tensor that makes one total differ from another.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from hfmem.checkpoint.tensors import DTYPE_BITS, Checkpoint, TensorGroup
from hfmem.model.classes import class_row, registered
from hfmem.model.spec import ModelSpec
from hfmem.tables.packing import AUXILIARY, AUXILIARY_BESIDE_WEIGHT, MATRIX_ROLES, PACKED, WHAT_IF
from hfmem.tables.roles import BUFFERS, EMBEDDING, HEAD, role_of

FLOATS = {"F64", "F32", "F16", "BF16"}
TORCH_NAMES = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64", "F8_E4M3": "float8_e4m3fn"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One reason why two totals are not the same: what it takes away from, or adds to, the stored one."""

    reason: str
    elements: int  # stored elements − parameters, negative where packing hides some
    num_bytes: int  # stored bytes − loaded bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Portion:
    """Groups of one checkpoint that are treated alike."""

    group: TensorGroup
    role: str
    elements: int  # parameters it holds
    reason: str | None  # why stored elements and parameters differ
    count: int  # tensors of the group meant
    is_loaded: bool = True

    @property
    def stored_bytes(self) -> int:
        return self.count * self.group.tensor_bytes

    @property
    def stored_elements(self) -> int:
        return self.count * self.group.tensor_elements


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """The three totals of one checkpoint, and what they are made of."""

    stored_bytes: int
    num_parameters: int
    loaded_bytes: int
    differences: tuple[Difference, ...]
    by_role: Mapping[str, int] = field(default_factory=dict)  # loaded bytes
    by_dtype: Mapping[str, int] = field(default_factory=dict)  # stored bytes
    portions: tuple[Portion, ...] = ()

    @property
    def is_packed(self) -> bool:
        """Whether tensors hold several elements in one, so that their shapes are not those of the matrices."""
        return any(portion.reason == "packed weights" for portion in self.portions)

    @property
    def main_float(self) -> str | None:
        """The floating-point dtype most bytes are stored in."""
        found = {dtype: size for dtype, size in self.by_dtype.items() if dtype in FLOATS}
        return max(found, key=lambda dtype: found[dtype]) if found else None


def weigh(checkpoint: Checkpoint, spec: ModelSpec) -> Weights | None:
    """The totals of every component with headers; None where no header was read."""
    portions = [portion for part in checkpoint.parts() if part.groups for portion in split(part, spec)]
    if not portions:
        return None
    by_role: Counter[str] = Counter()
    by_dtype: Counter[str] = Counter()
    for portion in portions:
        by_role[portion.role] += portion.stored_bytes * portion.is_loaded
        by_dtype[portion.group.dtype] += portion.stored_bytes
    return Weights(
        stored_bytes=sum(portion.stored_bytes for portion in portions),
        num_parameters=sum(portion.elements for portion in portions),
        loaded_bytes=sum(portion.stored_bytes for portion in portions if portion.is_loaded),
        differences=tuple(differences(portions)),
        by_role=dict(by_role),
        by_dtype=dict(by_dtype),
        portions=tuple(portions),
    )


def split(part: Checkpoint, spec: ModelSpec) -> Iterator[Portion]:
    """Every group of a component as portions, a group cut where some of its layers are a draft's."""
    names = {group.pattern for group in part.groups}
    row = class_row(spec.architecture)
    duplicates = tied_duplicates(part.groups, spec, row.get("tied") or {})
    ignored = [anchored(pattern) for pattern in row.get("ignored", ())]
    drafts = draft_layers(part.groups, spec)
    for group in part.groups:
        drafted = sum(count for layer, count in group.layers.items() if (stem(group), layer) in drafts) if drafts else 0
        dropped = group.pattern in duplicates or any(pattern.search(group.first_name) for pattern in ignored)
        if drafted:
            yield Portion(group=group, role="draft", elements=0, reason="draft layers", count=drafted, is_loaded=False)
        if group.count > drafted:
            reason = "tied weights stored again" if group.pattern in duplicates else "not used by the class" if dropped else None
            yield portion(group, group.count - drafted, names, spec, reason)


def anchored(pattern: str) -> re.Pattern[str]:
    """A class's pattern of tensors it drops, held to whole parts of a name: `attn.bias` is not `c_attn.bias`."""
    return re.compile(pattern if pattern.startswith("^") else rf"(?:^|\.)(?:{pattern})")


def portion(group: TensorGroup, count: int, names: set[str], spec: ModelSpec, dropped: str | None) -> Portion:
    role = role_of(group.pattern)
    if dropped or role == "draft":
        reason = "draft layers" if role == "draft" else dropped
        return Portion(group=group, role=role, elements=0, reason=reason, count=count, is_loaded=False)
    stored = count * group.tensor_elements
    elements, reason = parameters(group, stored, names, spec)
    return Portion(group=group, role=role, elements=elements, reason=reason, count=count)


def parameters(group: TensorGroup, stored: int, names: set[str], spec: ModelSpec) -> tuple[int, str | None]:
    """The parameters that stored elements stand for, and the reason where that is another number."""
    if is_auxiliary(group.pattern, names):
        return 0, "scales and zero points"
    factor = packing(group, names, spec)
    if factor is not None:
        return stored * factor[0] // factor[1], "packed weights"
    if is_zero_bias(group, names, spec):
        return 0, "biases the class does not have"
    return (0, "buffers") if is_buffer(group, spec) else (stored, None)


def is_buffer(group: TensorGroup, spec: ModelSpec) -> bool:
    """Whether a tensor is no parameter: as its class registers it, else by the names that buffers have had."""
    last = group.pattern.rpartition(".")[2]
    buffers, parameters = registered(spec.types)
    if last in buffers or last in parameters:
        return last in buffers
    return bool(BUFFERS.search(group.pattern)) or is_causal_mask(group)


def is_auxiliary(pattern: str, names: set[str]) -> bool:
    """Whether a tensor only serves the packed or scaled weight beside it."""
    stem, _, last = pattern.rpartition(".")
    if last in AUXILIARY or pattern.split(".weight.")[-1] in AUXILIARY:
        return True
    if last in AUXILIARY_BESIDE_WEIGHT:
        return bool({f"{stem}.weight", f"{stem}.qweight", f"{stem}.W_q"} & names)
    return last.endswith("_scales") and f"{stem}.{last.removesuffix('_scales')}_blocks" in names


def is_zero_bias(group: TensorGroup, names: set[str], spec: ModelSpec) -> bool:
    """AutoGPTQ writes a zero bias beside each packed weight, whether the class has one or not."""
    if not group.pattern.endswith(".bias") or group.pattern.removesuffix("bias") + "qweight" not in names:
        return False
    return spec.linear_biases.get(role_of(group.pattern)) is False


def packing(group: TensorGroup, names: set[str], spec: ModelSpec) -> tuple[int, int] | None:
    """Parameters a stored element stands for, as a fraction; None for an ordinary tensor."""
    if group.dtype not in ("U8", "I8", "I32", "U32", "I16", "U16"):
        return None
    if group.pattern.endswith("_blocks"):
        return 8, 4
    width = DTYPE_BITS[group.dtype]
    for last, siblings in PACKED:
        stem = group.pattern.removesuffix(last)
        if stem != group.pattern and (not siblings or any(stem + sibling in names for sibling in siblings)):
            return fraction(last, width, group, names, stem, spec)
    return None


def fraction(last: str, width: int, group: TensorGroup, names: set[str], stem: str, spec: ModelSpec) -> tuple[int, int]:
    """How many weights of the declared bits fit an element of `width` bits."""
    if last == "codes":
        return 8, group.shape[-1] if len(group.shape) == 3 else 1
    if group.dtype == "I8":
        return 1, 1
    default = 4 if any(stem + name in names for name in ("weight.absmax", "weight_scale_2", "weight.quant_map")) else width
    bits = (spec.quantization.bits if spec.quantization else None) or default
    return (width, 4 if f"{stem}weight.absmax" in names or f"{stem}weight_scale_2" in names else bits)


def is_causal_mask(group: TensorGroup) -> bool:
    """GPT-2 and GPT-NeoX files carry their triangular masks as `attn.bias`."""
    return group.pattern.endswith(".bias") and len(group.shape) == 4 and group.shape[-1] == group.shape[-2]


def draft_layers(groups: Iterable[TensorGroup], spec: ModelSpec) -> set[tuple[str, int]]:
    """Layers past the decoder's last, by the module list they are in, that hold a tensor only a draft (MTP) model has."""
    found: set[tuple[str, int]] = set()
    for group in groups:
        if role_of(group.pattern) == "draft" and ".*." in group.pattern and spec.num_layers is not None:
            found.update((stem(group), layer) for layer in group.layers if layer >= spec.num_layers)
    return found


def stem(group: TensorGroup) -> str:
    return group.pattern.partition(".*.")[0]


def tied_duplicates(groups: Sequence[TensorGroup], spec: ModelSpec, tied: Mapping[str, str]) -> set[str]:
    """Patterns of tensors stored although they are another tensor."""
    if not spec.tied_embeddings:
        return set()
    sources = tied_sources(groups, tied)
    targets = {".".join(name.split(".")[-2:]) for name in tied if isinstance(name, str)} or {"lm_head.weight"}
    return {
        group.pattern
        for group in groups
        if group.pattern not in sources
        and any(group.pattern == target or group.pattern.endswith(f".{target}") for target in targets)
        and any(group.shape == source.shape for source in sources.values())
    }


def tied_sources(groups: Iterable[TensorGroup], tied: Mapping[str, str]) -> dict[str, TensorGroup]:
    """The tensors that tied ones are: the class's own, else any word embedding."""
    ends = tuple({".".join(str(name).split(".")[-2:]) for name in tied.values()})
    named = {group.pattern: group for group in groups if ends and group.pattern.endswith(ends) and not HEAD.search(group.pattern)}
    return named or {group.pattern: group for group in groups if EMBEDDING.search(group.pattern)}


def differences(portions: Iterable[Portion]) -> Iterator[Difference]:
    """One row a reason, in the order they are met."""
    found: dict[str, list[int]] = {}
    for item in portions:
        if item.reason is not None:
            row = found.setdefault(item.reason, [0, 0])
            row[0] += item.stored_elements - item.elements
            row[1] += 0 if item.is_loaded else item.stored_bytes
    for reason, (elements, num_bytes) in found.items():
        yield Difference(reason=reason, elements=elements, num_bytes=num_bytes)


def bytes_as(weights: Weights, dtype: str) -> int:
    """Loaded bytes if the weights were in another dtype: matrices at its bits, everything else at the second figure."""
    matrix_bits, other_bits = WHAT_IF[dtype]
    total = 0.0
    for item in weights.portions:
        is_matrix = item.role in MATRIX_ROLES and len(item.group.shape) >= 2
        total += item.elements * (matrix_bits if is_matrix else other_bits) / 8
    return round(total)
