"""What a download would bring, as people read it: a line a question, then the files and the command."""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.doctor.values import Preflight
from hfmem.report.escape import terminal
from hfmem.units import disk, memory

ROW = "{:<10} {}"
MOST_FILES = 12


def preflight_lines(found: Preflight) -> Iterator[str]:
    """Every line without its end."""
    for name, text in facts(found):
        yield ROW.format(name, terminal(text))
    yield ""
    yield from files(found)
    if not found.is_listed:
        return
    yield ""
    yield ROW.format("get it" if found.missing else "get again", terminal(found.command))


def facts(found: Preflight) -> Iterator[tuple[str, str]]:
    """What is asked most, and its answer."""
    yield "download", f"{disk(found.num_bytes)} in {len(found.files):,} files · {state(found)}"
    commit = f" ({found.commit[:7]})" if found.commit else ""
    licence = found.license or ("no licence stated" if found.is_listed else "licence not known offline")
    yield "revision", f"{found.revision}{commit} · {access(found)} · {licence}"
    yield "formats", ", ".join(found.formats) or "no weights"
    yield "disk", f"{found.target}: {room(found)}"
    if found.host_mapped_bytes:
        yield "loading", loading(found)
    if found.left_out:
        yield "left out", ", ".join(f"{ending} {disk(size)}" for ending, size in found.left_out.items())
    if found.vllm_bytes is not None:
        yield "vLLM", f"fetches consolidated*.safetensors instead: {disk(found.vllm_bytes)} of weights"


def state(found: Preflight) -> str:
    if not found.is_listed:
        return "these are here; offline nobody knows what else there is"
    if not found.missing:
        return "all of it is here"
    here = found.num_bytes - found.missing_bytes
    return f"{disk(found.missing_bytes)} to fetch" + (f", {disk(here)} here already" if here else "")


def access(found: Preflight) -> str:
    """Who may read it, and whether this token may."""
    if not found.is_listed:
        return "access not known offline"
    kind = "private" if found.private else "gated" if found.gated else "public"
    if kind == "public" or found.may_read is None:
        return kind
    return f"{kind}, and you may read it" if found.may_read else f"{kind}, and you may not read it"


def loading(found: Preflight) -> str:
    """Main memory while from_pretrained loads."""
    mapped = f"maps {disk(found.host_mapped_bytes)} of files, which the system may drop again"
    if found.host_converted_bytes is None:
        return mapped
    own = memory(found.host_converted_bytes) if found.host_converted_bytes else "nothing"
    return f"{mapped}; takes {own} of main memory of its own"


def room(found: Preflight) -> str:
    if found.free_bytes is None:
        return "free space unknown"
    after = found.free_bytes - found.missing_bytes
    return f"{disk(found.free_bytes)} free, " + (f"{disk(after)} after it" if after >= 0 else f"{disk(-after)} too little")


def files(found: Preflight) -> Iterator[str]:
    """The largest files; JSON has all."""
    shown = sorted(found.files, key=lambda each: -(each.num_bytes or 0))[:MOST_FILES]
    width = max((len(terminal(each.name)) for each in shown), default=4)
    yield f"{'FILE':<{width}}  {'SIZE':>10}  STATE"
    for each in shown:
        size = "unknown" if each.num_bytes is None else disk(each.num_bytes)
        yield f"{terminal(each.name):<{width}}  {size:>10}  {'here' if each.is_here else 'to fetch'}"
    if len(found.files) > MOST_FILES:
        rest = sum(each.num_bytes or 0 for each in found.files) - sum(each.num_bytes or 0 for each in shown)
        yield f"… and {len(found.files) - MOST_FILES:,} more, {disk(rest)}"
