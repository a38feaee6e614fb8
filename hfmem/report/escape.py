"""Text from a repository, made harmless for the place it is shown in."""

from __future__ import annotations

import re

CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\u2028\u2029]")
MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|!~])")


def terminal(text: str) -> str:
    """Control, escape and direction characters as their codes."""
    return CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def markdown(text: str) -> str:
    """The same, with Markdown's own signs escaped and no line breaks; nobody is mentioned, and nothing becomes a link."""
    entities = terminal(text).replace("&", "&amp;").replace("@", "&#64;").replace("://", ":&#47;/")
    return MARKDOWN.sub(r"\\\1", entities).replace("&\\#", "&#")
