"""
MIG slices: a part of a card that is a device of its own.

Profiles and their eighths of memory: NVIDIA MIG User Guide, supported profiles. Sizes in MiB where `nvidia-smi mig -lgip`
or a log says them, else 91 % of the eighths: the smallest share measured (H200 1g.18gb, 16.00 of 17.55 GiB).
"""

from __future__ import annotations

import re
from dataclasses import replace

from hfmem.errors import UsageError
from hfmem.hardware.catalogue import named, table
from hfmem.hardware.sizes import reserve
from hfmem.hardware.values import Device
from hfmem.hardware.wording import ambiguous, quoted, unknown
from hfmem.units import MIB

PROFILE = re.compile(r"(?<![\d.])(\d{1,2}g\.\d{1,4}gb)(?:\+(?:me|gfx)(?:\.\w{1,4})?)?", re.ASCII | re.IGNORECASE)
AROUND = re.compile(r"(?<![a-z])mig(?![a-z])|@", re.IGNORECASE)
SHARE_PER_MILLE = 910


def mig_slice(text: str) -> Device | None:
    """The slice a text names with its card, None where it names no profile."""
    found = PROFILE.search(text)
    if found is None:
        return None
    card, profile = AROUND.sub(" ", text[: found.start()] + " " + text[found.end() :]), found[1].casefold()
    return cut(text, cards_with(text, card, profile), profile)


def cards_with(text: str, card: str, profile: str) -> Device:
    """The card meant; a bare A100 is the one that has the profile."""
    if not card.strip():
        raise UsageError(f"{quoted(text)} does not say of which card", code="bad-slice", hint=f'"H200 MIG {profile}"')
    cards = named(card)
    if not cards:
        raise unknown(card.strip())
    fitting = tuple(each for each in cards if profile in profiles(each)) or cards
    if len(fitting) > 1:
        raise ambiguous(text, fitting)
    return fitting[0]


def profiles(card: Device) -> dict[str, list[int]]:
    found: dict[str, list[int]] = table()["slices"].get(card.name, {})
    return found


def cut(text: str, card: Device, profile: str) -> Device:
    """One slice of a card."""
    legal = profiles(card)
    if profile not in legal:
        which = f"has {', '.join(legal)}" if legal else "is not known to have MIG slices"
        hint = f'"{card.name} MIG {next(iter(legal))}"' if legal else f'"{card.name}", or a size such as 10GiB'
        raise UsageError(f"{quoted(text)}: {card.name} {which}", code="bad-slice", hint=hint)
    eighths, *mib = legal[profile]
    memory = mib[0] * MIB if mib else card.memory_bytes * eighths // 8 * SHARE_PER_MILLE // 1000
    return replace(
        card,
        name=f"{card.name} MIG {profile}",
        marketing_gb=float(profile.partition(".")[2].removesuffix("gb")),
        memory_bytes=memory,
        usable_bytes=memory - reserve(memory),
        memory_source="driver" if mib else "spec",
        aliases=(),
        source="nvidia-smi mig -lgip" if mib else f"{eighths}/8 of the card, MIG User Guide",
    )
