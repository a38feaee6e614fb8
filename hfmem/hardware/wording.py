"""What users typed, made short and harmless, and what they may have meant."""

from __future__ import annotations

import difflib

from hfmem.errors import UsageError
from hfmem.hardware.catalogue import names, table
from hfmem.hardware.names import key
from hfmem.hardware.values import Device

LONGEST_SHOWN = 60


def quoted(text: str) -> str:
    """The text as Python would write it, control characters as codes, without its tail if that is long."""
    return repr(text) if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]!r}…"


def unknown(text: str) -> UsageError:
    """No such device, with up to three names that are near."""
    near = " or ".join(f'"{name}"' for name in near_names(text))
    meant = f"; did you mean {near}?" if near else ""
    return UsageError(f"no GPU is known as {quoted(text)}{meant}", code="unknown-device", hint="hfmem devices")


def near_names(text: str) -> tuple[str, ...]:
    """The best first; several spellings of one device count once."""
    known = names() | {key(name): (name,) for name in table()["machines"]}
    close = difflib.get_close_matches(key(text[:LONGEST_SHOWN]), known, n=12, cutoff=0.7)
    return tuple(dict.fromkeys(row for name in close for row in known[name]))[:3]


def ambiguous(text: str, found: tuple[Device, ...]) -> UsageError:
    """A name of several devices, all of which are listed."""
    which = [each.name for each in sorted(found, key=lambda each: each.memory_bytes)]
    return UsageError(f"{quoted(text)} is one of {', '.join(which)}", code="ambiguous-device", hint=f'say which: "{which[0]}"')
