"""Strict reading of untrusted JSON: encoding, size, nesting, duplicate keys; errors name the file and what is wrong."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

from hfmem.errors import HfmemError

MAX_CONFIG_BYTES = 10 * 2**20
MAX_NESTING = 64

ErrorType = Callable[..., HfmemError]


def parse_object(data: bytes, file: str, error: ErrorType, *, strict: bool) -> dict[str, Any]:
    """
    The JSON object in `data`. Raises `error` with code not-utf8, bad-json, too-deep, number-too-large or not-an-object;
    strict reading also refuses duplicate keys, NaN and Infinity, and lone surrogates, as safetensors' own does.
    """
    value = loads(decode(data, file, error, strict=strict), file, error, strict=strict)
    if not isinstance(value, dict):
        raise error(f"{file} holds a JSON {kind(value)}, not an object", code="not-an-object")
    if not strict and is_deep(value):
        raise error(f"{file} nests deeper than {MAX_NESTING} levels", code="too-deep")
    return value


def is_deep(value: Any) -> bool:
    """Whether objects and lists nest beyond the limit; deep ones could stop whatever prints or walks them."""
    level = [value]
    for _ in range(MAX_NESTING):
        inner = (part for outer in level for part in (outer.values() if isinstance(outer, dict) else outer))
        level = [part for part in inner if isinstance(part, (dict, list))]
    return bool(level)


def decode(data: bytes, file: str, error: ErrorType, *, strict: bool) -> str:
    """UTF-8, without a byte-order mark unless the reading is lenient."""
    try:
        text = data.decode("utf-8" if strict else "utf-8-sig")
    except UnicodeDecodeError as cause:
        raise error(f"{file} is not UTF-8: byte {data[cause.start]:#04x} at {cause.start}", code="not-utf8") from cause
    if strict and "\\ud" in text.lower():
        refuse_surrogates(text, file, error)
    return text


def refuse_surrogates(text: str, file: str, error: ErrorType) -> None:
    try:
        json.dumps(json.loads(text), ensure_ascii=False).encode()
    except (UnicodeEncodeError, ValueError, RecursionError) as cause:
        raise error(f"{file} has an escape that is half a character", code="bad-json") from cause


def loads(text: str, file: str, error: ErrorType, *, strict: bool) -> Any:
    hooks: dict[str, Any] = {"object_pairs_hook": unique(file, error), "parse_constant": no_constant(file, error)}
    try:
        return json.loads(text, **hooks) if strict else json.loads(text)
    except RecursionError as cause:
        raise error(f"{file} nests deeper than {MAX_NESTING} levels", code="too-deep") from cause
    except json.JSONDecodeError as cause:
        raise error(f"{file} is not JSON: {cause.msg} at byte {cause.pos}", code="bad-json", hint=html_hint(text)) from cause
    except ValueError as cause:
        digits = sys.get_int_max_str_digits()
        raise error(f"{file} has a number of more than {digits} digits", code="number-too-large") from cause


def unique(file: str, error: ErrorType) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    """A hook that refuses an object in which a key comes twice."""

    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            keys = [key for key, _ in pairs]
            twice = next(key for key in keys if keys.count(key) > 1)
            raise error(f"{file} has the key {clip(twice)} twice", code="duplicate-key")
        return found

    return build


def no_constant(file: str, error: ErrorType) -> Callable[[str], Any]:
    def refuse(name: str) -> Any:
        raise error(f"{file} has {name}, which JSON does not allow", code="bad-json")

    return refuse


def html_hint(text: str) -> str | None:
    """What the content looks like instead, where that is known."""
    start = text.lstrip()[:60].lower()
    if start.startswith("version https://git-lfs"):
        return "this is a Git LFS pointer: run `git lfs pull`, or download the file with `hf download`"
    return "this is a web page, not the file: the download went wrong" if start.startswith("<") else None


def kind(value: Any) -> str:
    names = {list: "list", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names.get(type(value), type(value).__name__)


def clip(name: str) -> str:
    """A name from a file as an error shows it: escaped, at most 80 characters."""
    return ascii(name if len(name) <= 80 else name[:77] + "...")
