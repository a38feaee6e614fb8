"""Counts and sizes a user types: `2x`, `80GiB`, `24GB`; a bare number is neither."""

from __future__ import annotations

import re

from hfmem.errors import UsageError
from hfmem.hardware.values import Device
from hfmem.hardware.wording import quoted
from hfmem.units import GIB

UNITS = {"b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
SIZE = re.compile(r"(\d+(?:\.\d+)?)([kmgt]?i?b?)", re.ASCII)
NO_NUMBER = re.compile(r"[+-]?(?:nan|inf|infinity)(?:[kmgt]?i?b)?")
MOST_BYTES = 16 * 2**40
MOST_DEVICES = 16384


def stated_size(text: str) -> Device | None:
    """A device of a size, None where the text is no size; refused where it is a wrong one."""
    word = re.sub(r"[\s_]", "", text).casefold()
    if NO_NUMBER.fullmatch(word) or word.startswith(("-", "−")):
        raise refused(text, "is no amount of memory")
    found = SIZE.fullmatch(word)
    if found is None:
        return None
    number, unit = found.groups()
    if unit not in UNITS:
        raise refused(text, "says neither GB nor GiB" if unit else "has no unit", hint=f"{number}GiB")
    return plain(sized(text, number, UNITS[unit]))


def sized(text: str, number: str, unit: int) -> int:
    whole, _, part = number.partition(".")
    num_bytes: int = int(whole) * unit + int(f"{part}0") * unit // 10 ** (len(part) + 1)
    if not 0 < num_bytes <= MOST_BYTES:
        raise refused(text, "is not between 1 byte and 16 TiB")
    return num_bytes


def plain(num_bytes: int) -> Device:
    """So much memory, all of it a process's own: the user has said what there is."""
    return Device(
        name=f"{num_bytes / GIB:,.2f} GiB",
        vendor=None,
        family="size",
        memory_bytes=num_bytes,
        usable_bytes=num_bytes,
        memory_source="stated",
        source="--on",
    )


def device_count(text: str, digits: str) -> int:
    count = int(digits)
    if not 0 < count <= MOST_DEVICES:
        asked = f"{quoted(text)} asks for {quoted(digits)} devices; between 1 and {MOST_DEVICES:,} can be had"
        raise UsageError(asked, code="bad-device-count", hint="2xH100")
    return count


def refused(text: str, why: str, *, hint: str = "80GiB") -> UsageError:
    return UsageError(
        f"{quoted(text)} {why}", code="bad-device-size", hint=f'write "{hint}", or a name as hfmem devices lists it'
    )
