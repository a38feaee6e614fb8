"""Rows of a list as `hfmem.report.batch_rows` makes them, with the numbers a test wants, and their HTML report."""

from __future__ import annotations

from typing import Any

from hfmem.errors import AccessDenied, BrokenCheckpoint, HfmemError, NotFound
from hfmem.memory.outcome import Outcome
from hfmem.report.batch_html import render_batch_html
from hfmem.report.batch_rows import Row, row_of
from hfmem.units import GIB, MIB

USABLE = {("RTX 4090", 1): 23 * GIB, ("H100 80GB", 1): 79 * GIB, ("A100 80GB", 2): 80 * GIB}
HOSTILE = [
    "<script>window.hacked = 1</script>", "</script><script>window.hacked = 1</script>", "--><svg onload='window.hacked = 1'>",
    "\"><img src=x onerror='window.hacked = 1'>", "' onmouseover='window.hacked = 1", "javascript:window.hacked=1",
    "</style><style>*{display:none}</style>", "\x1b[31m\x00\x07", "\u202egnp.exe\u2066", "</td></table></tbody>", "&lt;b&amp;",
    "\ud800", "x" * 5000, "a/" * 50, "{0} %s ${1} {{7*7}}", "\u2028\u2029]]>", "`org`|=1+1", "مرحبا/نموذج", "😀" * 20,
]  # fmt: skip


def failed(error: HfmemError, *, reference: str = "org/failed") -> Row:
    return row_of(Outcome(index=0, reference=reference, error=error))


def device(key: tuple[str, int], required: int | None) -> dict[str, Any]:
    usable = USABLE[key]
    verdict = "unknown" if required is None else "no" if required > usable else "tight" if required > 0.9 * usable else "fits"
    return {
        "name": key[0], "num_devices": key[1], "memory_bytes": usable + GIB, "memory_source": "driver", "usable_bytes": usable,
        "required_bytes": required, "spare_bytes": None if required is None else usable - required, "verdict": verdict,
        "reason": "", "max_context": {"fits": 8192, "tight": 4096, "no": 0, "unknown": None}[verdict], "max_batch": 0 if verdict == "no" else 2,
        "capacity": None,
    }  # fmt: skip


def part(name: str, num_bytes: int | None) -> dict[str, Any]:
    high = None if num_bytes is None else 2 * num_bytes
    return {
        "name": name, "bytes": num_bytes, "low_bytes": num_bytes, "high_bytes": high, "basis": "derived", "formula": f"{name} × 1",
        "note": "of 2 layers",
    }  # fmt: skip


def ok(reference: str, gib: float, **changed: Any) -> Row:
    """A model of so many GiB of weights and one of everything else; it has numbers for three contexts."""
    weights, total = int(gib * GIB), int(gib * GIB) + GIB
    return failed(NotFound("", code="")) | {
        "reference": reference, "status": "ok", "code": None, "message": None, "source": "hub", "revision": "main",
        "commit": "c" * 40, "model_type": "llama", "architecture": "LlamaForCausalLM", "dtype": "bfloat16", "quantization": None,
        "num_parameters": weights // 2, "stored_bytes": weights, "loaded_bytes": weights, "mode": "inference",
        "engine": "transformers", "context": 8192, "batch": 1, "total_bytes": total, "low_bytes": weights,
        "high_bytes": total + GIB, "peak_phase": "prefill",
        "items": [part("weights", weights), part("kv_cache", 256 * MIB), part("activations", 256 * MIB), part("runtime", 512 * MIB)],
        "devices": [device(key, total // key[1]) for key in USABLE],
        "curve": [[1024, total], [4096, total + GIB], [16384, total + 5 * GIB]],
    } | changed  # fmt: skip


ROWS = [
    ok("org/medium", 22), ok("org/Small-2", 1), ok("org/small-10", 1.5, architecture="MambaForCausalLM"), ok("org/large", 140),
    failed(AccessDenied("org/gated is gated", code="gated", hint="request access"), reference="org/gated"),
    ok("org/partial", 4.5, status="partial", num_parameters=None, stored_bytes=None, loaded_bytes=None, quantization="gptq 4-bit",
       items=[part("weights", 4 * GIB), part("kv_cache", None)], devices=[device(key, None) for key in USABLE], curve=[],
       notes=[{"code": "kv", "message": "the cache is not known", "hint": "give --context"}]),
    failed(BrokenCheckpoint("the header is cut", code="truncated"), reference="org/broken"),
    *(ok(f"many/model-{number}", 2 + number) for number in range(8)),
]  # fmt: skip
BY_TOTAL = [
    "org/Small-2", "org/small-10", "many/model-0", "many/model-1", "many/model-2", "org/partial",
    *(f"many/model-{number}" for number in range(3, 8)), "org/medium", "org/large",
]  # fmt: skip
UNKNOWN = ["org/gated", "org/broken"]


def html(rows: list[Row], title: str = "Models") -> str:
    return "".join(render_batch_html(rows, title=title))
