"""A line a device, as every report has them: verdict, growth, and what the pool holds."""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.memory.estimate import DeviceFit
from hfmem.report.escape import markdown, terminal
from hfmem.units import memory

ROW = "{:<26}  {:>11}  {:>11}  {:<16}  {:>9}  {:>9}  {}"
SIGNS = {"fits": "✓", "tight": "≈", "no": "✗", "unknown": "?"}


def device_table(fits: list[DeviceFit]) -> Iterator[str]:
    """A line a device; bytes are those of one of them."""
    yield ROW.format("DEVICE", "USABLE", "NEEDED", "VERDICT", "CONTEXT", "BATCH", "NOTE").rstrip()
    for fit in fits:
        needed = "unknown" if fit.required_bytes is None else memory(fit.required_bytes)
        growth = [shown(fit.max_context), shown(fit.max_batch)]
        yield ROW.format(name_of(fit), memory(fit.usable_bytes), needed, verdict(fit), *growth, note_of(fit)).rstrip()


def name_of(fit: DeviceFit) -> str:
    return terminal(device_name(fit.name, fit.num_devices))


def device_name(name: str, num_devices: int) -> str:
    """A device as people read it, and how many of it where they are several."""
    return f"{num_devices} × {name}" if num_devices > 1 else name


def verdict(fit: DeviceFit) -> str:
    """The sign, the word, and how full the device is or what is missing."""
    spare = fit.spare_bytes
    if spare is None or fit.required_bytes is None:
        return f"{SIGNS[fit.verdict]} {fit.verdict}"
    if spare < 0:
        return f"{SIGNS[fit.verdict]} {fit.verdict} −{memory(-spare)}"
    return f"{SIGNS[fit.verdict]} {fit.verdict} {100 * fit.required_bytes / fit.usable_bytes:.0f}%"


def shown(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def note_of(fit: DeviceFit) -> str:
    """What a pool holds, why not, and whether the size is the box's alone."""
    parts = [fit.reason] if fit.reason else []
    if fit.capacity and fit.capacity.kv_cache_tokens:
        pool = fit.capacity
        parts.append(f"pool {memory(pool.kv_cache_bytes)}, {pool.kv_cache_tokens:,} tokens, {pool.max_concurrency:,.2f} at once")
    parts += ["size from the box"] if fit.memory_source == "spec" else []
    return terminal("; ".join(parts))


def device_rows(fits: list[DeviceFit]) -> Iterator[str]:
    yield "| device | usable | needed | verdict | longest context | largest batch | note |"
    yield "|---|--:|--:|---|--:|--:|---|"
    for fit in fits:
        needed = "unknown" if fit.required_bytes is None else memory(fit.required_bytes)
        growth = f"{shown(fit.max_context)} | {shown(fit.max_batch)}"
        cells = f"{memory(fit.usable_bytes)} | {needed} | {verdict(fit)} | {growth} | {markdown(note_of(fit))}"
        yield f"| {markdown(name_of(fit))} | {cells} |"
