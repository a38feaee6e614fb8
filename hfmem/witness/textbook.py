"""
The rules of thumb people know, as rows: what each says of this model and workload, beside what we say of the same part.

    N parameters, e bytes an element, b sequences of s tokens, L layers of width h with a heads, largest: the largest tensor
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from hfmem.memory.estimate import Estimate
from hfmem.memory.inference import model_dtype
from hfmem.witness.values import Rule

STATES = ("weights", "adapters", "master_weights", "gradients", "optimizer")
KEPT = ("activations", "checkpoints")


class Numbers(NamedTuple):
    """What the rules are made of."""

    N: int
    e: int
    b: int
    s: int
    L: int
    h: int
    a: int
    largest: int
    gpus: int


class Thumb(NamedTuple):
    """One rule: the formula in its own letters, and as arithmetic."""

    name: str
    formula: str
    source: str
    against: str  # "total", "states", "kept", or an item's name
    value: Callable[[Numbers], float]


INFERENCE = (
    Thumb("parameters × bytes", "N·e", "folklore", "weights", lambda n: n.N * n.e),
    Thumb(
        "weights and a fifth", "1.2·N·e", "accelerate docs, EleutherAI Transformer Math 101", "total", lambda n: 1.2 * n.N * n.e
    ),
    Thumb("keys and values", "2·b·s·L·h·2", "folklore, before grouped heads", "kv_cache", lambda n: 4 * n.b * n.s * n.L * n.h),
    Thumb(
        "activations of one layer",
        "32·s·b·h + 4·a·s²·b",
        "folklore, eager attention",
        "activations",
        lambda n: 32 * n.s * n.b * n.h + 4 * n.a * n.s**2 * n.b,
    ),
)
TRAINING = (
    Thumb("4 × for training", "4·N·e", "accelerate estimate-memory", "total", lambda n: 4 * n.N * n.e),
    Thumb("6 × for training", "6·N·e", "folklore", "total", lambda n: 6 * n.N * n.e),
    Thumb("16 bytes a parameter", "16·N", "ZeRO (1910.02054), mixed-precision AdamW", "states", lambda n: 16 * n.N),
    Thumb("18 bytes a parameter", "18·N", "transformers docs, model memory anatomy", "states", lambda n: 18 * n.N),
    Thumb("ZeRO-2 states", "2·N + 18·N/gpus", "DeepSpeed stage_1_and_2.py", "states", lambda n: 2 * n.N + 18 * n.N / n.gpus),
    Thumb(
        "ZeRO-3 states",
        "4·largest + 18·N/gpus",
        "DeepSpeed stage3.py",
        "states",
        lambda n: 4 * n.largest + 18 * n.N / n.gpus,
    ),
    Thumb(
        "activations, nothing recomputed",
        "L·s·b·h·(34 + 5·a·s/h)",
        "Korthikanti et al. (2205.05198)",
        "kept",
        lambda n: n.L * n.s * n.b * (34 * n.h + 5 * n.a * n.s),
    ),
    Thumb(
        "activations, attention recomputed",
        "34·L·s·b·h",
        "Korthikanti et al.; EleutherAI cookbook's checkpointing",
        "kept",
        lambda n: 34 * n.L * n.s * n.b * n.h,
    ),
    Thumb("activations, all recomputed", "2·L·s·b·h", "Korthikanti et al.", "kept", lambda n: 2 * n.L * n.s * n.b * n.h),
)


def rules(estimate: Estimate) -> Iterator[Rule]:
    """The rules for this workload's mode; those whose numbers the configuration does not give are left out."""
    numbers = numbers_of(estimate)
    if numbers is None:
        return
    for thumb in INFERENCE if estimate.resolved["mode"] == "inference" else TRAINING:
        ours = part(estimate, thumb.against)
        if ours:
            filled = ", ".join(f"{name} {value:,}" for name, value in numbers._asdict().items() if name in letters(thumb.formula))
            yield Rule(
                name=thumb.name,
                formula=f"{thumb.formula}; {filled}",
                source=thumb.source,
                num_bytes=round(thumb.value(numbers)),
                ours=ours,
                against=thumb.against,
            )


def letters(formula: str) -> set[str]:
    words = "".join(char if char.isalpha() else " " for char in formula)
    return set(words.split())


def numbers_of(estimate: Estimate) -> Numbers | None:
    """None where weights or geometry are unknown."""
    model, weights, asked = estimate.model, estimate.weights, estimate.resolved
    if weights is None or not (model.num_layers and model.hidden_size and model.num_attention_heads):
        return None
    return Numbers(
        N=weights.num_parameters,
        e=4 if model_dtype(model, weights) == "F32" else 2,
        b=int(str(asked["batch"])),
        s=int(str(asked["context"])),
        L=model.num_layers,
        h=model.hidden_size,
        a=model.num_attention_heads,
        largest=max(portion.group.tensor_elements for portion in weights.portions),
        gpus=int(str(asked.get("gpus", 1))),
    )


def part(estimate: Estimate, name: str) -> int:
    """What we say of the same part: an item, or several, each where it is largest."""
    if name == "total":
        return estimate.total_bytes
    names = {"states": STATES, "kept": KEPT}.get(name, (name,))
    return sum(
        max((item.num_bytes or 0 for phase in estimate.phases for item in phase.items if item.name == one), default=0)
        for one in names
    )
