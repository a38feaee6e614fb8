"""What would fit instead: single changes, cheapest first, each tried with the estimator itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from hfmem.errors import HfmemError
from hfmem.hardware.catalogue import next_larger
from hfmem.hardware.fit import Estimator, Fitting, largest, spread
from hfmem.hardware.judging import judge
from hfmem.hardware.values import Device, Target
from hfmem.memory.estimate import DeviceFit
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import Inference

SHORTEST_CONTEXT = 512  # a shorter one is no answer to anybody
KV_DTYPES = {"transformers": "float8", "vllm": "float8", "sglang": "float8", "llama.cpp": "q8_0"}
WEIGHTS = {"llama.cpp": ("Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "IQ3_M")}
PLAIN_WEIGHTS = ("float8", "int4")
MANY = (2, 4, 8, 16, 32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suggestion:
    """One change under which the workload fits: what to write, and how it fits then."""

    change: str  # in the words of the command line
    fit: DeviceFit


def suggestions(fitting: Fitting, siblings: Mapping[str, Estimator]) -> Iterator[Suggestion]:
    """Changes of the workload, other checkpoints of the model, more devices, a larger one."""
    if isinstance(fitting.workload, Training):
        yield from training_changes(fitting)
    else:
        yield from serving_changes(fitting, fitting.workload)
    yield from other_checkpoints(fitting, siblings)
    yield from more_devices(fitting)
    yield from larger_device(fitting)


def serving_changes(fitting: Fitting, workload: Inference) -> Iterator[Suggestion]:
    engine = workload.engine_name
    kv_dtype = KV_DTYPES[engine]
    if workload.kv_dtype is None:
        yield from tried(fitting, f"--kv-dtype {kv_dtype}", kv_dtype=kv_dtype)
    yield from shorter(fitting)
    dtypes = WEIGHTS.get(engine, PLAIN_WEIGHTS) if workload.weights_dtype is None else ()
    for dtype in dtypes:
        found = list(tried(fitting, f"--weights-dtype {dtype}", weights_dtype=dtype))
        yield from found
        if found:
            return
    if dtypes and workload.kv_dtype is None:
        both: dict[str, Any] = {"weights_dtype": dtypes[-1], "kv_dtype": kv_dtype}
        words = f"--weights-dtype {dtypes[-1]} --kv-dtype {kv_dtype}"
        found = list(tried(fitting, words, **both))
        yield from found or shorter(fitting, words, **both)


def shorter(fitting: Fitting, words: str = "", **fields: Any) -> Iterator[Suggestion]:
    """The longest context that fits, where one is left worth having."""
    asked = context_of(fitting)
    longest = largest(lambda value: fitting.margin(context=value, **fields), asked - 1) if asked > SHORTEST_CONTEXT else 0
    if longest >= SHORTEST_CONTEXT:
        yield from tried(fitting, f"{words} --context {longest}".lstrip(), context=longest, **fields)


def context_of(fitting: Fitting) -> int:
    return int(str(fitting.answer()[0].resolved["context"]))


def training_changes(fitting: Fitting) -> Iterator[Suggestion]:
    """The levers of the training estimate that save enough, and the longest context."""
    changes: tuple[tuple[str, dict[str, Any]], ...] = (
        ("--checkpointing full", {"checkpointing": "full"}),
        ("--loss chunked", {"loss": "chunked"}),
        ("--optimizer adamw_8bit", {"optimizer": "adamw_8bit"}),
        ("--method lora", {"method": "lora"}),
        ("--method qlora", {"method": "qlora"}),
        ("--method qlora --checkpointing full", {"method": "qlora", "checkpointing": "full"}),
    )
    for words, fields in changes:
        if any(getattr(fitting.workload, name) != value for name, value in fields.items()):
            yield from tried(fitting, words, **fields)
    yield from shorter(fitting)


def other_checkpoints(fitting: Fitting, siblings: Mapping[str, Estimator]) -> Iterator[Suggestion]:
    for name, estimator in siblings.items():
        yield from tried(replace(fitting, estimator=estimator), name)


def more_devices(fitting: Fitting) -> Iterator[Suggestion]:
    """The fewest of the same devices that do; nobody couples slices of one card, or boards that share a processor's memory."""
    device = fitting.target.device
    counts = () if device.unified or "MIG" in device.name else MANY
    for count in counts:
        if count > asked_count(fitting):
            target = replace(fitting.target, count=count, text=f"{count}x{device.name}")
            shared, words = sharing(replace(fitting, target=target))
            found = list(tried(shared, f'{words}--on "{target.text}"'))
            yield from found
            if found:
                return


def asked_count(fitting: Fitting) -> int:
    """Devices the workload is spread over already."""
    return spread(fitting.workload, fitting.target)[1].count


def sharing(fitting: Fitting) -> tuple[Fitting, str]:
    """The workload on that many devices, and the options that have to be said for it."""
    workload, count = fitting.workload, fitting.target.count
    if isinstance(workload, Training):
        shard = "fsdp" if workload.shard in ("none", "ddp") else workload.shard
        words = f"--shard {shard} " if shard != workload.shard else ""
        words += f"--gpus {count} " if workload.gpus != 1 else ""
        return replace(fitting, workload=replace(workload, shard=shard, gpus=count)), words
    if workload.num_devices == 1:
        return fitting, ""
    tp = max(1, count // (workload.num_devices // workload.tp))
    return replace(fitting, workload=replace(workload, tp=tp)), f"--tp {tp} "


def larger_device(fitting: Fitting) -> Iterator[Suggestion]:
    """The smallest device of the same make that does: more memory never fits less, so halves are left out."""
    larger = list(replacements(fitting.target.device))
    low, high, found = 0, len(larger), None
    while low < high:
        middle = (low + high) // 2
        answer = next(tried(*moved(fitting, larger[middle])), None)
        low, high, found = (low, middle, answer) if answer else (middle + 1, high, found)
    yield from [found] if found else []


def moved(fitting: Fitting, device: Device) -> tuple[Fitting, str]:
    """The workload on as many of another device, and the words for it."""
    count = fitting.target.count
    text = f"{count}x{device.name}" if count > 1 else device.name
    return replace(fitting, target=Target(device=device, count=count, text=text)), f'--on "{text}"'


def replacements(device: Device) -> Iterator[Device]:
    """Larger devices that could take a device's place, one of each size."""
    seen = {device.usable_bytes}
    for larger in next_larger(device) if device.vendor else ():
        if larger.usable_bytes not in seen and is_of_a_kind(device, larger):
            seen.add(larger.usable_bytes)
            yield larger


def is_of_a_kind(device: Device, larger: Device) -> bool:
    """A card is not answered with a laptop's, an older one, or a board that shares the processor's memory."""
    return larger.unified == device.unified and "laptop" not in larger.name.lower() and generation(larger) >= generation(device)


def generation(device: Device) -> int:
    """The first number of a compute capability; Blackwell's cards are 10 and 12. Makers that number otherwise have none."""
    first = (device.compute_capability or "").partition(".")[0]
    return min(10, int(first)) if first.isdigit() else 0


def tried(fitting: Fitting, change: str, **fields: Any) -> Iterator[Suggestion]:
    """The change, where the workload fits under it; what an engine refuses is no suggestion."""
    try:
        workload, target = spread(replace(fitting.workload, **fields), fitting.target)
        found = judge(fitting.estimator(workload, fitting.card), workload, target)
    except HfmemError:
        return
    if found.verdict in ("fits", "tight"):
        yield Suggestion(change=change, fit=found)
