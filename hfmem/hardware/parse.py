"""What users type for `--on`: `RTX 4090`, `2xA100-80GB`, `gpu:h100:8`, `40GiB`, `H100 1g.10gb`, `a10g-large`, `local`."""

from __future__ import annotations

import re

from hfmem.errors import UsageError
from hfmem.hardware.amounts import device_count, stated_size
from hfmem.hardware.catalogue import by_name, machine_named, named
from hfmem.hardware.local import local_targets
from hfmem.hardware.slices import PROFILE, mig_slice
from hfmem.hardware.values import Device, Target
from hfmem.hardware.wording import ambiguous, quoted, unknown

LONGEST = 200
QUOTES = re.compile("""['"“”„’]""")
SLURM = re.compile(r"(?:(?:--)?gres[=/])?gpu:([^:]+):(\d+)", re.ASCII | re.IGNORECASE)
COUNT_FIRST = re.compile(r"(\d+)\s*[x×*](.+)", re.ASCII | re.IGNORECASE | re.DOTALL)
COUNT_SPACED = re.compile(r"(\d+)\s+(.+)", re.ASCII | re.DOTALL)
COUNT_LAST = re.compile(r"(.+?)\s*[x×*:]\s*(\d+)", re.ASCII | re.IGNORECASE | re.DOTALL)


def parse_target(text: str) -> Target:
    """The devices a text names; `local` only where this machine's are all equal."""
    targets = parse_targets(text)
    if len(targets) > 1:
        which = ", ".join(each.device.name for each in targets)
        raise UsageError(
            f"this machine has different GPUs: {which}", code="several-local-devices", hint=f'"{targets[0].device.name}"'
        )
    return targets[0]


def parse_targets(text: str) -> tuple[Target, ...]:
    """The same, one target for each kind of GPU that `local` finds."""
    word = QUOTES.sub("", text[: LONGEST + 1]).strip()
    if len(text) > LONGEST or not word:
        raise UsageError(f"{quoted(text)} names no GPU", code="unknown-device", hint="hfmem devices")
    return local_targets() if word.casefold() == "local" else (target(word, text),)


def target(word: str, text: str) -> Target:
    """A name as a whole, else a count and a name: `RX 580` is not `R` times 580."""
    found = machine(word, text) or (None if named(word) else counted(word, text))
    return found or Target(device=one(word, text), count=1, text=text)


def machine(word: str, text: str) -> Target | None:
    """A rented machine by its provider's name for it."""
    found = machine_named(word)
    return Target(device=by_name()[found[0]], count=found[1], text=text) if found else None


def counted(word: str, text: str) -> Target | None:
    """The forms with a count: behind a name, which may be a number as in `4090x2`; before anything; behind a slice or a size."""
    last = SLURM.fullmatch(word) or COUNT_LAST.fullmatch(word)
    if last and is_name(last[1]):
        return several(last[1], last[2], text)
    if first := COUNT_FIRST.fullmatch(word):
        return several(first[2].strip(), first[1], text)
    if last and (PROFILE.search(last[1]) or stated_size(last[1])):
        return several(last[1], last[2], text)
    spaced = COUNT_SPACED.fullmatch(word)
    if spaced and not is_name(spaced[1]) and (is_name(spaced[2]) or PROFILE.search(spaced[2])):
        return several(spaced[2], spaced[1], text)
    return None


def several(word: str, digits: str, text: str) -> Target:
    """So many of a machine or a device."""
    count = device_count(text, digits)
    each = machine(word, text) or Target(device=one(word, text), count=1, text=text)
    return each.times(count)


def is_name(word: str) -> bool:
    return bool(named(word) or machine_named(word))


def one(word: str, text: str) -> Device:
    """The one device a name, a size or a slice stands for."""
    if found := named(word):
        if len(found) > 1:
            raise ambiguous(text, found)
        return found[0]
    device = mig_slice(word) or stated_size(word)
    if device is None:
        raise unknown(word)
    return device
