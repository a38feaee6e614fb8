"""The verdict on one estimate and one target: does it fit, how surely, and if not, why."""

from __future__ import annotations

from hfmem.hardware.values import Device, Target
from hfmem.memory.estimate import DeviceFit, Estimate
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import Inference

Workload = Inference | Training
# Packing → the compute capability from which vLLM loads it (`get_min_capability` of its quantisation methods, 0.33).
NEEDS = {
    "fp8": (7, 5), "float8": (7, 5), "modelopt_fp8": (8, 0), "mxfp4": (8, 0), "modelopt": (7, 5), "nvfp4": (7, 5),
    "modelopt_fp4": (7, 5), "awq": (7, 5), "gptq": (6, 0), "int4": (6, 0), "compressed-tensors": (7, 0), "bitsandbytes": (7, 0),
}  # fmt: skip
SERVERS = ("vllm", "sglang")


def judge(estimate: Estimate, workload: Workload, target: Target) -> DeviceFit:
    """The verdict: "tight" where the estimate fits and the top of its range does not."""
    device = target.device
    required, high = needed(estimate, workload, target)
    verdict, reason = verdict_of(estimate, workload, device, required, high)
    return DeviceFit(
        name=device.name,
        num_devices=target.count,
        memory_bytes=device.memory_bytes,
        memory_source=device.memory_source,
        usable_bytes=usable(device),
        required_bytes=required if estimate.complete else None,
        verdict=verdict,
        capacity=estimate.capacity,
        reason=reason or missing_dtype(estimate, device),
    )


def verdict_of(estimate: Estimate, workload: Workload, device: Device, required: int, high: int) -> tuple[str, str]:
    """The word, and the reason where it is no."""
    room, capacity = usable(device), estimate.capacity
    if not estimate.complete:
        return "unknown", "a part of the estimate is unknown"
    refused = refusal(estimate, workload, device)
    if refused:
        return "no", refused
    if required > room or (capacity and not capacity.starts):
        return "no", capacity.shortage if capacity else ""
    if capacity and workload.batch > capacity.max_running:
        return "no", f"room for {capacity.max_concurrency:,.2f} such requests at a time{queued(capacity.max_sequences)}"
    return ("tight" if high > room or is_close(estimate) else "fits"), ""


def queued(sequences: int | None) -> str:
    return "" if sequences is None else f", {sequences:,} of any length"


def is_close(estimate: Estimate) -> bool:
    """Whether the pool would lack the room if what stands beside it took the top of its range."""
    capacity, keys = estimate.capacity, estimate.item("kv_cache")
    if capacity is None or keys is None:
        return False
    uncertain = estimate.peak.high_bytes - estimate.total_bytes
    return capacity.kv_cache_bytes - uncertain < (keys.num_bytes or 0)


def refusal(estimate: Estimate, workload: Workload, device: Device) -> str:
    """Why a server does not load the weights on this device, whatever its memory."""
    engine = workload.engine_name if isinstance(workload, Inference) else ""
    if engine not in SERVERS:
        return ""
    if device.vendor == "apple":
        return f"{engine} has no backend for {device.name}"
    asked = getattr(workload, "weights_dtype", None)
    packing = str(asked or (estimate.model.quantization.method if estimate.model.quantization else ""))
    since = NEEDS.get(packing)
    if since and device.vendor == "nvidia" and device.compute_capability and capability(device) < since:
        return f"{engine} loads {packing} weights from compute capability {since[0]}.{since[1]} on"
    return ""


def capability(device: Device) -> tuple[int, int]:
    major, _, minor = (device.compute_capability or "0.0").partition(".")
    return int(major), int(minor or 0)


def missing_dtype(estimate: Estimate, device: Device) -> str:
    """What the device does not compute in; engines then take float16."""
    if estimate.resolved.get("model_dtype") == "BF16" and not device.runs("bfloat16"):
        return f"{device.name} computes no bfloat16: load in float16"
    return ""


def usable(device: Device) -> int:
    """What a process may take: what is free now where that is known."""
    return device.usable_bytes if device.free_bytes is None else min(device.usable_bytes, device.free_bytes)


def needed(estimate: Estimate, workload: Workload, target: Target) -> tuple[int, int]:
    """Bytes of one device, and the top of their range; transformers spreads layers evenly over several."""
    total, high = estimate.total_bytes, estimate.peak.high_bytes
    if isinstance(workload, Training):
        return estimate.totals.get("device_bytes", total), max(high, estimate.totals.get("device_bytes", total))
    if workload.engine_name != "transformers" or target.count == 1:
        return total, high
    runtime = estimate.item("runtime")
    fixed = (runtime.num_bytes or 0) if runtime else 0
    each = fixed + -(-(total - fixed) // target.count)
    return each, each + (high - total)
