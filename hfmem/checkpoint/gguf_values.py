"""The key-value pairs of a GGUF file: scalars and short lists of numbers are kept, of all other arrays the length."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hfmem.checkpoint.gguf_stream import Stream
from hfmem.checkpoint.json_text import clip
from hfmem.errors import HeaderError

MAX_PAIRS = 100_000
MAX_KEPT_NUMBERS = 4096  # more entries than any model has layers, fewer than any has tokens
MAX_NESTING = 8
MAX_NESTED_ARRAYS = 100_000
STRING, ARRAY, BOOL = 8, 9, 7
NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", BOOL: "B", 10: "Q", 11: "q", 12: "d"}
WIDTHS = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, BOOL: 1, 10: 8, 11: 8, 12: 8}


@dataclass(frozen=True, slots=True)
class Skipped:
    """An array whose entries were passed over."""

    length: int


Value = int | float | bool | str | tuple[int | float | bool, ...] | Skipped
Metadata = Mapping[str, Value]


def read_pairs(stream: Stream, count: int) -> dict[str, Value]:
    """`count` keys and their values. Raises `HeaderError`."""
    if count > MAX_PAIRS:
        raise HeaderError(f"{stream.file} declares {count:,} keys; {MAX_PAIRS:,} is the most", code="too-many-keys")
    stream.check_count(count, 2 * 4 + 1 + 1, "keys")
    found: dict[str, Value] = {}
    for number in range(count):
        key = stream.name(f"key {number + 1:,} of {count:,}")
        if key in found:
            raise HeaderError(f"{stream.file} has the key {clip(key)} twice", code="duplicate-key")
        found[key] = read_value(stream, f"the value of {clip(key)}")
    return found


def read_value(stream: Stream, what: str) -> Value:
    kind = stream.number("I", what)
    if kind == ARRAY:
        return read_array(stream, what, [0], 1)
    if kind == STRING:
        return stream.take(stream.length(what), what).decode(errors="replace")
    return decoded(stream.numbers(number_code(stream, kind, what), 1, what), kind)[0]


def decoded(numbers: tuple[int | float, ...], kind: int) -> tuple[int | float | bool, ...]:
    return tuple(bool(number) for number in numbers) if kind == BOOL else numbers


def number_code(stream: Stream, kind: int, what: str) -> str:
    if kind not in NUMBERS:
        raise HeaderError(f"{stream.file}: {what} has the unknown type {kind}", code="bad-type")
    return NUMBERS[kind]


def read_array(stream: Stream, what: str, nested: list[int], depth: int) -> Value:
    """An array of one type; `nested` counts the arrays inside others, which a file could have without end."""
    kind, length = stream.number("I", what), stream.length(what)
    if kind == STRING:
        stream.check_count(length, 4, f"strings in {what}")
        stream.skip_strings(length, what)
    elif kind == ARRAY:
        skip_arrays(stream, length, what, nested, depth)
    elif number_code(stream, kind, what) and length > MAX_KEPT_NUMBERS:
        stream.skip(length * WIDTHS[kind], what)
    else:
        return decoded(stream.numbers(NUMBERS[kind], length, what), kind)
    return Skipped(length)


def skip_arrays(stream: Stream, length: int, what: str, nested: list[int], depth: int) -> None:
    nested[0] += length
    if depth >= MAX_NESTING or nested[0] > MAX_NESTED_ARRAYS:
        raise HeaderError(
            f"{stream.file}: {what} nests arrays {depth + 1} deep, {nested[0]:,} of them; "
            f"{MAX_NESTING} and {MAX_NESTED_ARRAYS:,} are the most",
            code="too-deep",
        )
    stream.check_count(length, 4 + 4, f"arrays in {what}")
    for _ in range(length):
        read_array(stream, what, nested, depth + 1)
