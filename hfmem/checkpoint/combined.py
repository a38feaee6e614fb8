"""The Hub's one reply for the headers of all shards, taken apart shard by shard: as a whole it is ten times its size."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from hfmem.checkpoint.json_text import MAX_NESTING, decode, is_deep
from hfmem.errors import HeaderError

FILE = "the Hub's safetensors metadata"
SPACE = re.compile(r"[ \t\n\r]*")


def combined_parts(reply: bytes) -> Iterator[tuple[str, str, Any]]:
    """
    ("headers", shard, header) and (any other name, "", value), each read when it is asked for.

    Raises `HeaderError` with the codes of any other JSON: not-utf8, bad-json, too-deep, number-too-large, not-an-object.
    """
    scanner = Scanner(decode(reply, FILE, HeaderError, strict=False))
    if not scanner.meets("{"):
        raise HeaderError(f"{FILE} is no JSON object", code="not-an-object")
    for name in scanner.members():
        if name == "headers" and scanner.meets("{"):
            for shard in scanner.members():
                yield "headers", shard, scanner.value()
        else:
            yield name, "", scanner.value()
    scanner.end()


class Scanner:
    """A place in a JSON text; objects are walked key by key, and whoever walks takes each value."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._parse = json.JSONDecoder().raw_decode

    def meets(self, sign: str) -> bool:
        """Whether that sign comes next, after space."""
        match = SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text.startswith(sign, self._at)

    def take(self, sign: str) -> bool:
        """The sign, where it comes next."""
        found = self.meets(sign)
        self._at += len(sign) if found else 0
        return found

    def members(self) -> Iterator[str]:
        """The keys of the object that begins here; after each, its value must be taken."""
        self.need("{")
        if self.take("}"):
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise self.bad()
            self.need(":")
            yield key
            if self.take("}"):
                return
            self.need(",")

    def value(self) -> Any:
        """The whole value that begins here."""
        self.meets("")
        try:
            value, self._at = self._parse(self._text, self._at)
        except RecursionError as cause:
            raise HeaderError(f"{FILE} nests deeper than {MAX_NESTING} levels", code="too-deep") from cause
        except json.JSONDecodeError as cause:
            raise self.bad() from cause
        except ValueError as cause:
            digits = sys.get_int_max_str_digits()
            raise HeaderError(f"{FILE} has a number of more than {digits} digits", code="number-too-large") from cause
        if isinstance(value, (dict, list)) and is_deep(value):
            raise HeaderError(f"{FILE} nests deeper than {MAX_NESTING} levels", code="too-deep")
        return value

    def need(self, sign: str) -> None:
        if not self.take(sign):
            raise self.bad()

    def end(self) -> None:
        self.meets("")
        if self._at != len(self._text):
            raise self.bad()

    def bad(self) -> HeaderError:
        return HeaderError(f"{FILE} is not JSON at byte {self._at}", code="bad-json")
