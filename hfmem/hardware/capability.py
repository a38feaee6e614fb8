"""
Which dtypes a GPU computes in, from its compute capability.

NVIDIA: CUDA C++ Programming Guide, table of compute capabilities. AMD: ROCm's precision support page.
"""

from __future__ import annotations

from hfmem.errors import UsageError

# our word → others' words for it; a dtype that none has is a usage error
DTYPES = {
    "float32": ("fp32", "f32"),
    "float16": ("fp16", "f16", "half"),
    "bfloat16": ("bf16",),
    "int8": ("i8",),
    "fp8": ("float8", "f8", "f8_e4m3", "float8_e4m3fn", "f8_e5m2", "float8_e5m2"),
    "fp4": ("float4", "f4", "nvfp4", "mxfp4"),
}
NVIDIA_SINCE = {"bfloat16": (8, 0), "int8": (7, 5), "fp8": (8, 9), "fp4": (10, 0)}
MARLIN_SINCE = {"fp8": (8, 0), "fp4": (8, 0)}  # vLLM: weights alone in 8 or 4 bits, the product in 16
MATRIX_CORES = ("gfx908", "gfx90a", "gfx94", "gfx95", "gfx11", "gfx12")
AMD_CHIPS = {"bfloat16": MATRIX_CORES, "int8": MATRIX_CORES, "fp8": ("gfx942", "gfx950", "gfx12"), "fp4": ("gfx950",)}
FAMILIES_WITH = {"bfloat16": ("apple", "intel"), "int8": ("intel",), "fp8": ("gaudi",), "fp4": ()}


def runs(vendor: str, family: str, capability: str | None, dtype: str) -> bool:
    """Whether the units compute in it natively; float16 and float32 they all do."""
    name = dtype_name(dtype)
    if name in ("float32", "float16"):
        return True
    if vendor == "nvidia":
        return version(capability) >= NVIDIA_SINCE[name]
    if vendor == "amd":
        return (capability or "").startswith(AMD_CHIPS[name])
    return vendor in FAMILIES_WITH[name] or family in FAMILIES_WITH[name]


def runs_weight_only(vendor: str | None, capability: str | None, dtype: str) -> bool:
    """Whether vLLM's Marlin kernels read weights of this dtype there."""
    since = MARLIN_SINCE.get(dtype_name(dtype))
    return vendor == "nvidia" and since is not None and version(capability) >= since


def dtype_name(dtype: str) -> str:
    """Our word for a dtype."""
    word = dtype.casefold()
    for name, others in DTYPES.items():
        if word == name or word in others:
            return name
    raise UsageError(
        f"{dtype[:40]!r} is not a dtype a GPU is asked for", code="unknown-dtype", hint=f"one of {', '.join(DTYPES)}"
    )


def version(capability: str | None) -> tuple[int, int]:
    """Compute capability 8.9 as (8, 9), which sorts below 10.0; (0, 0) where it is unknown."""
    major, _, minor = (capability or "0.0").partition(".")
    return int(major), int(minor)
