"""How text that others wrote may appear in a message: on one line, short, and with nothing a terminal obeys."""

from __future__ import annotations

import re

_ESCAPE_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?")


def quoted(text: str, *, limit: int = 200) -> str:
    """The text as a Python string shows it: control and bidirectional characters become escapes."""
    return repr(text if len(text) <= limit else text[:limit] + "…")


def cleaned(text: str, *, limit: int = 300) -> str:
    """The text without escape sequences, unprintable characters and line breaks, cut to `limit`."""
    plain = _ESCAPE_SEQUENCE.sub("", text)
    printable = "".join(character if character.isprintable() else " " for character in plain)
    return " ".join(printable.split())[:limit]
