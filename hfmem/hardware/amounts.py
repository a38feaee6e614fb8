"""Counts and sizes a user types: `2x`, `80GiB`, `24GB`; a bare number is neither."""

from __future__ import annotations

import re

from hfmem.errors import UsageError
from hfmem.hardware.catalogue import named
from hfmem.hardware.values import Device
from hfmem.hardware.wording import quoted
from hfmem.units import GIB, MIB

UNITS = {"kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}
SIZE = re.compile(r"(\d+(?:\.\d+)?)((?:[kmgt]i?b?)?)", re.ASCII)
NO_NUMBER = re.compile(r"[+-]?(?:nan|inf|infinity)(?:[kmgt]?i?b)?")
LEAST_BYTES = 64 * MIB  # less is a slip of the unit; no device is so small
MOST_BYTES = 16 * 2**40
MOST_DEVICES = 16384
TIB = 2**40


def stated_size(text: str) -> Device | None:
    """A device of a size, None where the text is no size; refused where it is a wrong one."""
    word = re.sub(r"[\s_]", "", text).casefold()
    if NO_NUMBER.fullmatch(word) or word.startswith(("-", "−")):
        raise refused(text, "is no amount of memory")
    found = SIZE.fullmatch(word)
    if found is None:
        return None
    number, unit = found.groups()
    if not unit:
        raise refused(text, "has no unit", hint=f"{number}GiB")
    if unit not in UNITS:
        if is_near_a_name(number, unit):
            return None
        letter = unit[0].upper()
        raise refused(text, f"says neither {letter}B nor {letter}iB", hint=f"{number}{letter}iB")
    if unit in ("gb", "gib") and (cards := named(number)):
        raise numbered(text, cards[0].name, sized(text, number, UNITS[unit]))
    return plain(sized(text, number, UNITS[unit]))


def is_near_a_name(number: str, unit: str) -> bool:
    """`4090m` and `4099 ti` are a card's number or no possible size, so a name spelt wrong; `80G` is neither."""
    return bool(named(number)) or bytes_of(number, UNITS[f"{unit[0]}b"]) > MOST_BYTES


def numbered(text: str, card: str, num_bytes: int) -> UsageError:
    """Nobody has 4090 GB in one device, and whoever writes it means the card."""
    hint = f'write --on "{card}", or "{num_bytes / TIB:.1f}TiB" for so much memory'
    return UsageError(f"{quoted(text)} is the number of a card, {card}, with a unit", code="bad-device-size", hint=hint)


def sized(text: str, number: str, unit: int) -> int:
    num_bytes = bytes_of(number, unit)
    if not LEAST_BYTES <= num_bytes <= MOST_BYTES:
        raise refused(text, "is not between 64 MiB and 16 TiB")
    return num_bytes


def bytes_of(number: str, unit: int) -> int:
    whole, _, part = number.partition(".")
    num_bytes: int = int(whole) * unit + int(f"{part}0") * unit // 10 ** (len(part) + 1)
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
