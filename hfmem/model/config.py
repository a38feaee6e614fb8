"""
config.json, asked by our names: what the file says, else what its class says, and never a guess of ours.

Only this module knows that `n_embd` is `hidden_size`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from hfmem.errors import ConfigError
from hfmem.tables import read_row, read_section
from hfmem.tables.aliases import ALIASES
from hfmem.tables.remote import MODEL_TYPES

LARGEST = 2**40  # no count or width of a real model comes near
MAX_NESTING = 4
_ABSENT: Any = object()


def class_defaults(model_type: str) -> Mapping[str, Any] | None:
    """What a transformers class says when a key is absent, None for a type it does not carry (generate_defaults.py)."""
    row: Mapping[str, Any] | None = read_row("defaults.json", model_type)
    return row


@dataclass(frozen=True, slots=True)
class Config:
    """
    One configuration object, with the defaults of its model type behind it.

    `layer` picks that layer's own value where a field differs by layer; `depth` guards against objects nested in
    themselves.
    """

    raw: Mapping[str, Any]
    model_type: str = ""
    outer: Mapping[str, Any] = field(default_factory=dict)  # what an enclosing class changes in the defaults
    layer: int | None = None
    depth: int = 0

    @classmethod
    def of(cls, raw: object, model_type: str = "", outer: Mapping[str, Any] | None = None, depth: int = 0) -> Config:
        """A configuration from parsed JSON; its own `model_type` wins over the one the enclosing class expects."""
        if not isinstance(raw, Mapping):
            raise ConfigError(f"a configuration is a JSON object, not {type(raw).__name__}", code="not-an-object")
        if depth > MAX_NESTING:
            raise ConfigError(f"config.json nests more than {MAX_NESTING} configurations", code="too-deep")
        return cls(raw, known_type(raw, model_type), outer or {}, depth=depth)

    @property
    def entry(self) -> Mapping[str, Any]:
        """The row of this model type in the defaults table; empty when transformers does not carry it."""
        return class_defaults(self.model_type) or {}

    @property
    def is_known(self) -> bool:
        return class_defaults(self.model_type) is not None

    def at(self, layer: int) -> Config:
        """The same configuration as one layer sees it."""
        return replace(self, layer=layer)

    def overlay(self, changes: Mapping[str, Any]) -> Config:
        """The same configuration with some keys as if the file had said them."""
        return replace(self, raw={**self.raw, **changes})

    # -- values ------------------------------------------------------------------------------------------------------

    def value(self, name: str) -> Any:
        """The value of a field as the model's class would see it, None where it has none."""
        said = self.said(name)
        if said is _ABSENT:
            said = self.declared(name)
        return self.derived(name) if said is None or said is _ABSENT else said

    def has(self, name: str) -> bool:
        """Whether the file itself says something other than null for a field."""
        return self.said(name) not in (_ABSENT, None)

    def said(self, name: str) -> Any:
        """What the file says: this layer's own value, else the first of the field's names that is present."""
        names = self.names(name)
        own = self._layer_overrides()
        if any(key in own for key in names):
            return next(own[key] for key in names if key in own)
        found = [value for key in names if (value := reach(self.raw, key)) is not _ABSENT]
        return next((value for value in found if value is not None), None if found else _ABSENT)

    def names(self, name: str) -> tuple[str, ...]:
        """The names a field may have, the class's own first."""
        return names_of(self.model_type, name)

    def declared(self, name: str) -> Any:
        """The class's default of a field, as an enclosing class may have changed it."""
        rows = (self.outer, self.entry.get("fields", {}))
        return next((row[key] for row in rows for key in self.names(name) if key in row), _ABSENT)

    def derived(self, name: str) -> Any:
        """What the class makes of a field left None: a constant, or another field's value."""
        row = self.entry.get("derived", {})
        found = next((row[key] for key in self.names(name) if key in row), None)
        if not isinstance(found, str) or not found.startswith("="):
            return found
        dividend, _, divisor = found[1:].partition("//")
        quotient, remainder = divmod(self.integer(dividend), self.integer(divisor) if divisor else 1)
        if remainder:
            raise undivided(name, dividend, self.integer(dividend), divisor, self.integer(divisor))
        return quotient

    def _layer_overrides(self) -> Mapping[str, Any]:
        overrides = self.raw.get("per_layer_config") if self.layer is not None else None
        if not overrides:
            return {}
        keys = (f"{self.layer:0{width}d}" for width in range(1, 6))  # "7" and "007" are the same layer
        own: Any = next((overrides[key] for key in keys if key in overrides), {}) if isinstance(overrides, Mapping) else None
        if not isinstance(own, Mapping):
            raise ConfigError(f"config.json: per_layer_config should hold objects, found {shown(overrides)}", code="bad-field")
        return own

    # -- typed -------------------------------------------------------------------------------------------------------

    def integer(self, name: str, default: int | None = None, *, minimum: int = 1) -> int:
        """A count or width; a list gives this layer's element. Raises `ConfigError` naming the field and its value."""
        value = self.value(name)
        if isinstance(value, (list, tuple)) and self.layer is not None and self.layer < len(value):
            value = value[self.layer]
        if value is None or value is _ABSENT:
            if default is None:
                raise self.missing(name)
            return default
        return whole(name, value, minimum)

    def optional(self, name: str, *, minimum: int = 0) -> int | None:
        """A count or width that may be absent or null."""
        value = self.value(name)
        if isinstance(value, (list, tuple)) and self.layer is not None and self.layer < len(value):
            value = value[self.layer]
        return None if value is None else whole(name, value, minimum)

    def flag(self, name: str, default: bool = False) -> bool:
        """A yes or no; 1 and 0 are what older files write."""
        value = self.value(name)
        if value is not None and (not isinstance(value, int) or value not in (0, 1)):
            raise ConfigError(f"config.json: {name} should be true or false, found {shown(value)}", code="bad-field")
        return default if value is None else bool(value)

    def items(self, name: str) -> list[Any] | None:
        """A list field, None where it is absent."""
        value = self.value(name)
        if value is None or isinstance(value, (list, tuple)):
            return None if value is None else list(value)
        raise ConfigError(f"config.json: {name} should be a list, found {shown(value)}", code="bad-field")

    def section(self, name: str) -> Mapping[str, Any]:
        """A nested plain object, empty where it is absent."""
        value = self.value(name)
        if value is not None and not isinstance(value, Mapping):
            raise ConfigError(f"config.json: {name} should be an object, found {shown(value)}", code="bad-field")
        return value or {}

    def missing(self, name: str) -> ConfigError:
        names = ", ".join(dict.fromkeys(self.names(name)))
        return ConfigError(
            f"config.json of a {self.model_type or 'nameless'!r} model has none of: {names}",
            code="missing-field",
            hint="if the model has this field under another name, add that name to hfmem/tables/aliases.py",
        )

    # -- nested configurations ---------------------------------------------------------------------------------------

    def part(self, name: str) -> Config | None:
        """A nested configuration; absent, it is the enclosing class's own default where it has one."""
        part_type, changes, *merges = self.entry.get("parts", {}).get(name, (None, None))
        raw = self.raw.get(name)
        if part_type is not None and not isinstance(raw, (Mapping, type(None))):
            raise ConfigError(f"config.json: {name} should be an object, found {shown(raw)}", code="bad-field")
        if isinstance(raw, Mapping):
            return Config.of(raw, part_type or "", changes if merges else None, depth=self.depth + 1)
        if raw is None and changes is not None:
            return Config.of({}, part_type or "", changes, depth=self.depth + 1)
        return None

    def parts(self) -> Iterator[str]:
        """Names of the nested configurations the file or the class has."""
        yield from dict.fromkeys([*self.entry.get("parts", {}), *(k for k, v in self.raw.items() if isinstance(v, Mapping))])


def known_type(raw: Mapping[str, Any], expected: str) -> str:
    """The type to read a configuration as: its own, the one its code is a copy of, or that of its architecture."""
    own = raw.get("model_type")
    named = MODEL_TYPES.get(own, own) if isinstance(own, str) and own else expected
    if class_defaults(named) is not None:
        return named
    architectures = raw.get("architectures")
    first = architectures[0] if isinstance(architectures, list) and architectures else architectures
    return read_section("defaults.json", "architectures").get(first, named) if isinstance(first, str) else named


@lru_cache(maxsize=16_384)
def names_of(model_type: str, name: str) -> tuple[str, ...]:
    """The class's own name of a field, the field's, and what others call it."""
    native = (class_defaults(model_type) or {}).get("names", {}).get(name)
    return (*((native,) if native else ()), name, *ALIASES.get(name, ()))


def reach(raw: Mapping[str, Any], dotted: str) -> Any:
    """The value at `a.b.c`, or the absent marker."""
    value: Any = raw
    for key in dotted.split(".") if "." in dotted else (dotted,):
        if not (type(value) is dict or isinstance(value, Mapping)) or key not in value:  # asked thousands of times a model
            return _ABSENT
        value = value[key]
    return value


def whole(name: str, value: Any, minimum: int) -> int:
    """A value as a whole number in bounds; 64.0 is 64, true and "64" are errors."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(f"config.json: {name} should be a whole number, found {shown(value)}", code="bad-field")
    if not minimum <= value <= LARGEST:
        raise ConfigError(f"config.json: {name} should be from {minimum} to 2^40, found {shown(value)}", code="bad-field")
    return value


def undivided(name: str, dividend: str, whole_value: int, divisor: str, parts: int) -> ConfigError:
    """The error for a width that its class takes as a quotient, and that is none."""
    found = f"{dividend} {whole_value} does not divide by {divisor} {parts}, and there is no {name}"
    return ConfigError(f"config.json: {found}", code="bad-field")


def shown(value: Any) -> str:
    """A value as an error shows it: its JSON, cut short."""
    text = value if isinstance(value, str) else str(value)
    return repr(text[:40]) if isinstance(value, str) else text[:40]
