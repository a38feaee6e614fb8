"""What users typed, made short and harmless, and what they may have meant."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

from hfmem.errors import NotFound, UsageError
from hfmem.hardware.catalogue import called, names, table
from hfmem.hardware.names import key
from hfmem.hardware.values import Device

LONGEST_SHOWN = 60
COUNTED = re.compile(r"\dx\d+$", re.ASCII)


def quoted(text: str) -> str:
    """The text as Python would write it, control characters as codes, without its tail if that is long."""
    return repr(text) if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]!r}…"


def unknown(text: str) -> UsageError:
    """No such device, with up to three names that are near."""
    return UsageError(f"no GPU is known as {quoted(text)}{meant(text)}", code="unknown-device", hint="hfmem devices")


def none_listed(query: str | None) -> NotFound:
    """Nothing is so called, or nothing of that is as the options ask."""
    if query and not called(query):
        return NotFound(f"no device is called {quoted(query)}{meant(query)}", code="no-such-device", hint="hfmem devices")
    which = f" called {quoted(query)}" if query else ""
    return NotFound(f"no device{which} is of that vendor, memory and dtype", code="no-such-device", hint="leave out an option")


def meant(text: str) -> str:
    near = " or ".join(f'"{name}"' for name in near_names(text))
    return f"; did you mean {near}?" if near else ""


def near_names(text: str) -> tuple[str, ...]:
    """The best first; several spellings of one device count once."""
    providers = {key(name): (name,) for name in table()["machines"]}
    known = names() | providers
    wanted = key(text[:LONGEST_SHOWN]).removeprefix("ml.")
    close = (*prolonged(wanted, providers), *prolonged(wanted, names()), *shortened(wanted))
    close += tuple(difflib.get_close_matches(wanted, known, n=12, cutoff=0.7))
    return tuple(dict.fromkeys(row for name in close for row in known[name]))[:3]


def prolonged(wanted: str, known: Iterable[str]) -> list[str]:
    """The names that begin so, the shortest first: of `p4d`, p4d.24xlarge; not h100x8, of which the card's name says enough."""
    return sorted((name for name in known if len(wanted) > 1 and name.startswith(wanted) and not COUNTED.search(name)), key=len)


def shortened(wanted: str) -> list[str]:
    """The longest name that the text goes on from: of `4090 ti`, 4090; one of three letters is in too many texts."""
    return sorted((name for name in names() if len(name) > 3 and wanted.startswith(name)), key=len)[-1:]


def ambiguous(text: str, found: tuple[Device, ...]) -> UsageError:
    """A name of several devices, all of which are listed."""
    which = [each.name for each in sorted(found, key=lambda each: each.memory_bytes)]
    return UsageError(f"{quoted(text)} is one of {', '.join(which)}", code="ambiguous-device", hint=f'say which: "{which[0]}"')
