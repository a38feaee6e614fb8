"""The report's lines of a training step, each with its basis and range."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hfmem.errors import HfmemError
from hfmem.memory.estimate import Item
from hfmem.memory.training.loss import REFERENCES
from hfmem.memory.training.static import Static
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import RUNTIME_BYTES, RUNTIME_HIGH, RUNTIME_LOW
from hfmem.units import GIB, MIB

WORKSPACE_BYTES = 17 * MIB  # two cuBLAS workspaces of 8.125 MiB, inside the allocator
# Percent reserved over allocated (low, nominal, high) from the readings in docs/method.md, by whether the lengths of batches
# differ (None: not said), on one device and on several.
SLACK_PERCENT: dict[bool | None, tuple[int, int, int]] = {False: (0, 10, 50), None: (0, 15, 105), True: (0, 30, 130)}
MANY_SLACK_PERCENT: dict[bool | None, tuple[int, int, int]] = {False: (3, 20, 75), None: (3, 20, 105), True: (3, 30, 130)}
NCCL_BYTES, NCCL_LOW, NCCL_HIGH = GIB, GIB // 2, 3 * GIB
MODELLED = ("checkpoints", "activations", "logits", "gathered")


class Confidence(NamedTuple):
    """Percent around modelled items, and why they are wide."""

    spread: int
    note: str = ""

    @classmethod
    def of(cls, workload: Training, is_known: bool) -> Confidence:
        """5 % where every module was read; wider where a compiler, an objective or the architecture is not."""
        if not is_known:
            return cls(spread=30, note="built as Llama is; this architecture's modules were not read")
        if workload.kernels == "compile" or workload.checkpointing == "selective":
            return cls(spread=20, note="what the compiler or the policy keeps is modelled")
        if workload.objective != "sft":
            return cls(spread=20, note=f"{workload.objective} loss as trl writes it")
        return cls(spread=5)


def modelled(name: str, num_bytes: int, sure: Confidence, formula: str = "") -> Item:
    """An item of a phase: exact, or with a range where it is a model."""
    if name not in MODELLED:
        return Item(name=name, num_bytes=num_bytes, basis="derived", formula=formula)
    low, high = num_bytes * (100 - sure.spread) // 100, num_bytes * (100 + sure.spread) // 100
    return Item(name=name, num_bytes=num_bytes, basis="modelled", formula=formula, low_bytes=low, high_bytes=high, note=sure.note)


def unknown_item(missing: HfmemError | None) -> Item:
    return Item(name="activations", num_bytes=None, basis="modelled", note=f"unknown: {missing}")


def static_items(static: Static, workload: Training, packed: bool = False) -> Iterator[Item]:
    """What is alive in every phase."""
    where = f" on each of {workload.gpus}" if workload.gpus > 1 else ""
    yield Item(name="weights", num_bytes=static.weights, basis="derived", note=f"{weights_note(workload, packed)}{where}")
    if workload.objective in REFERENCES and not workload.trains_adapters:
        yield Item(name="reference_model", num_bytes=static.weights, basis="derived", note=f"frozen, for {workload.objective}")
    if static.adapters:
        count = f"{static.trained_elements:,} parameters"
        yield Item(name="adapters", num_bytes=static.adapters, basis="derived", formula=count, note=count)
    if static.master_weights:
        yield Item(name="master_weights", num_bytes=static.master_weights, basis="derived", note="float32 copies")
    if static.optimizer:
        yield Item(name="optimizer", num_bytes=static.optimizer, basis="derived", note=f"{workload.optimizer} states{where}")


def weights_note(workload: Training, packed: bool) -> str:
    if packed:
        return "quantised, as they are stored"
    if workload.method != "qlora":
        return workload.precision
    double = ", double quantisation" if workload.double_quantization and workload.quantization != "int8" else ""
    return f"{workload.quantization}{double}; embeddings, head and norms in 16 bits"


def tail(items: Sequence[Item], workload: Training) -> Iterator[Item]:
    """Workspaces, what the allocator reserves beyond what is used, and what is outside it."""
    yield Item(name="workspaces", num_bytes=WORKSPACE_BYTES, basis="assumed", note="cuBLAS, inside the allocator")
    allocated = sum(item.num_bytes or 0 for item in items) + WORKSPACE_BYTES
    low, nominal, high = (allocated * percent // 100 for percent in slack(workload))
    note = "reserved by the allocator beyond what is allocated"
    yield Item(name="fragmentation", num_bytes=nominal, low_bytes=low, high_bytes=high, basis="modelled", note=note)
    network = (NCCL_BYTES, NCCL_LOW, NCCL_HIGH) if workload.gpus > 1 else (0, 0, 0)
    yield Item(
        name="runtime",
        num_bytes=RUNTIME_BYTES + network[0],
        low_bytes=RUNTIME_LOW + network[1],
        high_bytes=RUNTIME_HIGH + network[2],
        basis="assumed",
        note="CUDA context" + (" and NCCL" if workload.gpus > 1 else ""),
    )


def slack(workload: Training) -> tuple[int, int, int]:
    """Percent the allocator reserves beyond what is allocated: low, nominal, high."""
    return (MANY_SLACK_PERCENT if workload.gpus > 1 else SLACK_PERCENT)[workload.padded]
