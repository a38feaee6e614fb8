"""AMD's GPUs in this machine, by what the amdgpu driver shows under /sys; ROCm need not be installed."""

from __future__ import annotations

import re
from pathlib import Path

from hfmem.hardware.detected import detected
from hfmem.hardware.probes import Roots, read_text, whole_number
from hfmem.hardware.values import Device

CARD = re.compile(r"card\d+", re.ASCII)
PROPERTY = re.compile(r"^(\w+) (\d{1,20})$", re.ASCII | re.MULTILINE)


def amd_devices(roots: Roots) -> tuple[Device, ...]:
    """A device for each card that the driver says the memory of; one made of system memory has what it may map too."""
    cards = sorted(path for path in (roots.sys / "class/drm").glob("card*") if CARD.fullmatch(path.name))
    return tuple(device for card in cards if (device := described(card / "device", compute_nodes(roots))))


def described(card: Path, nodes: dict[int, dict[str, int]]) -> Device | None:
    total, free = memory(card, "vram")
    if not total:
        return None
    node = next((nodes[minor] for minor in render_minors(card) if minor in nodes), {})
    unified = bool(node.get("cpu_cores_count"))
    mapped, mapped_free = memory(card, "gtt") if unified else (None, None)
    # what the firmware set apart is the larger part or a token; of the two, a process gets the sum only of the latter
    if mapped and mapped > total:
        total, free = total + mapped, None if free is None or mapped_free is None else free + mapped_free
    gfx = chip(node.get("gfx_target_version"))
    return detected(
        (read_text(card / "product_name") or "").strip() or f"AMD {gfx or 'GPU'}",
        vendor="amd",
        rule="amd",
        total=total,
        free=free,
        source="/sys/class/drm",
        capability=gfx,
        unified=unified,
    )


def memory(card: Path, kind: str) -> tuple[int | None, int | None]:
    total = whole_number(read_text(card / f"mem_info_{kind}_total"))
    used = whole_number(read_text(card / f"mem_info_{kind}_used"))
    return total, None if total is None or used is None or used > total else total - used


def render_minors(card: Path) -> list[int]:
    """The render nodes of a card, by which the compute driver names it."""
    found = (whole_number(path.name.removeprefix("renderD")) for path in (card / "drm").glob("renderD*"))
    return [minor for minor in found if minor is not None]


def compute_nodes(roots: Roots) -> dict[int, dict[str, int]]:
    """What the compute driver says of each of its nodes, by render node."""
    files = (roots.sys / "class/kfd/kfd/topology/nodes").glob("*/properties")
    nodes = [{name: int(number) for name, number in PROPERTY.findall(read_text(path) or "")} for path in files]
    return {node["drm_render_minor"]: node for node in nodes if node.get("drm_render_minor") and node.get("simd_count")}


def chip(number: int | None) -> str | None:
    """90402 is gfx942, 90010 is gfx90a: major, minor, and stepping in hexadecimal."""
    return f"gfx{number // 10000}{number // 100 % 100}{number % 100:x}" if number else None
