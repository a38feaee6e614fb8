"""Text from anywhere, made harmless inside XML and HTML."""

from __future__ import annotations

import re
from html import escape

from hfmem.report.escape import terminal

NOT_XML = re.compile("[\ud800-\udfff\ufffe\uffff]")


def markup(text: str) -> str:
    """Control and direction characters, and what XML cannot hold, as their codes; its own signs as entities."""
    return escape(NOT_XML.sub(lambda match: f"\\u{ord(match[0]):04x}", terminal(text)))


def shortened(text: str, width: int) -> str:
    """At most so many characters, the end cut off."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"
