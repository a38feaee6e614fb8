"""The metadata of a GGUF file by their names without the architecture: `attention.head_count` of a `llama` model."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from hfmem.checkpoint.gguf_values import Skipped
from hfmem.checkpoint.json_text import clip
from hfmem.checkpoint.tensors import TensorGroup
from hfmem.errors import ConfigError

LARGEST = 2**40  # beyond any width, count or context there is
BLOCK = "blk.*."


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Typed reading; what is missing or no number of things raises `ConfigError`."""

    arch: str
    metadata: Mapping[str, Any]

    def key(self, name: str) -> str:
        return f"{self.arch}.{name}"

    def value(self, name: str) -> Any:
        return self.metadata.get(self.key(name))

    def optional(self, name: str) -> int | None:
        """A whole number from 0 on, None where the file has no such key; of a list that is one number, that number."""
        found = self.value(name)
        same = set(found) if isinstance(found, tuple) else {found}
        return self.whole(name, same.pop() if len(same) == 1 else found)

    def whole(self, name: str, found: Any) -> int | None:
        if found is None:
            return None
        if type(found) is not int or not 0 <= found <= LARGEST:
            message = f"GGUF metadata: {self.key(name)} should be a whole number from 0 on, found {shown(found)}"
            raise ConfigError(message, code="bad-field")
        return found

    def integer(self, name: str, minimum: int = 1) -> int:
        found = self.optional(name)
        if found is None:
            raise self.missing(name)
        if found < minimum:
            raise ConfigError(f"GGUF metadata: {self.key(name)} is {found}, at least {minimum} is needed", code="bad-field")
        return found

    def missing(self, name: str) -> ConfigError:
        message = f"the GGUF metadata of a {self.arch!r} model have no {self.key(name)}"
        return ConfigError(message, code="missing-field", hint="the weights are still right")

    def at_layer(self, name: str, index: int, default: int | None = None) -> int:
        """One layer's number: of a list, or the one for all layers; flags are 0 and 1."""
        found = self.value(name)
        if isinstance(found, tuple):
            self.refuse_short(name, found, index + 1)
            return self.whole(name, int(found[index]) if isinstance(found[index], bool) else found[index]) or 0
        said = self.whole(name, found)
        if said is None and default is None:
            raise self.missing(name)
        return said if said is not None else default or 0

    def per_layer(self, name: str, count: int, default: int | None = None) -> tuple[int, ...]:
        """One number a layer; lists may go on for draft layers."""
        return tuple(self.at_layer(name, index, default) for index in range(count))

    def flags(self, name: str, count: int) -> tuple[bool, ...] | None:
        """One flag a layer; None where the file has no list."""
        found = self.value(name)
        if not isinstance(found, tuple):
            return None
        self.refuse_short(name, found, count)
        return tuple(bool(flag) for flag in found[:count])

    def refuse_short(self, name: str, found: tuple[Any, ...], count: int) -> None:
        if len(found) < count:
            message = f"GGUF metadata: {self.key(name)} has {len(found):,} entries for {count:,} layers"
            raise ConfigError(message, code="bad-field")


def shown(value: Any) -> str:
    return f"an array of {value.length:,} entries" if isinstance(value, Skipped) else clip(str(value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shapes:
    """The shapes of tensors: of one by its name, of a layer's by what follows the layer's number."""

    named: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    by_layer: Mapping[int, Mapping[str, tuple[int, ...]]] = field(default_factory=dict)

    @classmethod
    def of(cls, groups: Iterable[TensorGroup]) -> Shapes:
        named, by_layer = {}, defaultdict[int, dict[str, tuple[int, ...]]](dict)
        for group in groups:
            if group.pattern.startswith(BLOCK):
                for layer in group.layers:
                    by_layer[layer][group.pattern.removeprefix(BLOCK)] = group.shape
            else:
                named[group.pattern] = group.shape
        return cls(named=named, by_layer=by_layer)

    def last(self, layer: int, name: str) -> int:
        """The innermost dimension of a layer's tensor, 0 where the layer has none."""
        shape = self.by_layer.get(layer, {}).get(name)
        return shape[-1] if shape else 0

    def first(self, layer: int, name: str) -> int:
        shape = self.by_layer.get(layer, {}).get(name)
        return shape[0] if shape else 0
