"""A checkpoint as values: tensors, groups of tensors that differ only in their numbers, and declared totals."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

# Bits of one element, as the safetensors format defines its dtypes (safetensors 0.8, `Dtype::bitsize`).
DTYPE_BITS: dict[str, int] = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "I16": 16, "U16": 16, "F16": 16, "BF16": 16, "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip

NUMBER = re.compile(r"(?<![^.])\d+(?![^.])")


class Tensor(NamedTuple):
    """
    One entry of a header; `stored_bytes` is offset end − start, whatever dtype and shape say.

    A named tuple, for half a million of them are made for one checkpoint, and a frozen dataclass takes four times as long.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    stored_bytes: int
    file: str

    @property
    def num_elements(self) -> int:
        count = 1
        for dim in self.shape:
            count *= dim
        return count


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorGroup:
    """
    Tensors of one dtype and shape whose names differ only in their numbers: `model.layers.*.mlp.experts.*.w1.weight`.

    `layers` counts them by the first number in the name, which is the layer's; -1 where the name has none.
    """

    pattern: str
    first_name: str
    dtype: str
    shape: tuple[int, ...]
    tensor_bytes: int
    layers: Mapping[int, int]

    @property
    def count(self) -> int:
        return sum(self.layers.values())

    @property
    def tensor_elements(self) -> int:
        count = 1
        for dim in self.shape:
            count *= dim
        return count

    @property
    def num_elements(self) -> int:
        return self.count * self.tensor_elements

    @property
    def stored_bytes(self) -> int:
        return self.count * self.tensor_bytes


@dataclass(slots=True)
class Grouping:
    """Collects tensors into groups, so that ninety thousand experts take the room of a few dozen."""

    _found: dict[tuple[str, str, tuple[int, ...], int], tuple[str, dict[int, int]]] = field(default_factory=dict)

    def add(self, tensor: Tensor) -> None:
        pieces = NUMBER.split(tensor.name)
        key = ("*".join(pieces), tensor.dtype, tensor.shape, tensor.stored_bytes)
        found = self._found.get(key)
        if found is None:
            found = self._found[key] = (tensor.name, {})
        layer = first_number(tensor.name, len(pieces[0])) if len(pieces) > 1 else -1
        found[1][layer] = found[1].get(layer, 0) + 1

    def groups(self) -> Iterator[TensorGroup]:
        for (pattern, dtype, shape, num_bytes), (name, layers) in self._found.items():
            yield TensorGroup(pattern=pattern, first_name=name, dtype=dtype, shape=shape, tensor_bytes=num_bytes, layers=layers)


def first_number(name: str, start: int) -> int:
    """The number that begins there and ends at a dot or with the name; -1 for one that can be no layer's."""
    end = name.find(".", start)
    digits = name[start:] if end < 0 else name[start:end]
    return int(digits) if len(digits) < 10 else -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """A total somebody wrote down, and where; it is compared, never believed."""

    origin: str  # e.g. "model.safetensors.index.json: metadata.total_size"
    num_bytes: int | None = None
    num_parameters: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Remark:
    """Something a reader of the totals should know."""

    code: str
    message: str
    hint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """The same model as other files, such as another quantisation; of these, only names and sizes were read."""

    name: str
    files: tuple[str, ...]
    num_bytes: int | None  # of the files, None where nothing says


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What the files say. `stored_bytes` is the tensors' bytes where headers hold them, else the files'."""

    format: str  # "safetensors", "pytorch", "diffusers", "sentence-transformers", "adapter", "gguf", "none"
    groups: tuple[TensorGroup, ...] = ()
    files: Mapping[str, int | None] = field(default_factory=dict)  # the weight files and their sizes
    component: str | None = None  # its folder, where it is one of several
    components: tuple[Checkpoint, ...] = ()
    declared: tuple[Declared, ...] = ()
    adapter_base: str | None = None  # the repo an adapter was trained on
    config_file: str = "config.json"  # where the configuration of the weights lies
    files_bytes: int | None = None  # for formats whose tensors are not read
    header_bytes: int | None = None  # of a GGUF's files, what is no tensor: metadata, vocabulary and padding
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)  # a GGUF's keys and values
    variants: tuple[Variant, ...] = ()  # a GGUF's, the one that was read first
    remarks: tuple[Remark, ...] = ()

    @property
    def stored_bytes(self) -> int | None:
        """Bytes of weights as stored; None where nothing says."""
        known = [part.own_bytes for part in self.parts()]
        return sum(size for size in known if size is not None) if any(size is not None for size in known) else None

    @property
    def own_bytes(self) -> int | None:
        return sum(group.stored_bytes for group in self.groups) if self.groups else self.files_bytes

    @property
    def num_tensors(self) -> int:
        return sum(group.count for part in self.parts() for group in part.groups)

    def parts(self) -> Iterator[Checkpoint]:
        """This checkpoint and every component of it."""
        yield self
        for component in self.components:
            yield from component.parts()
