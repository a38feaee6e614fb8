"""
The table accelerate estimate-memory prints, from the same count: the largest layer, the model, and training it with Adam.

    float32            model 4N, gradients 4N, backward pass 8N, step 16N
    float16, bfloat16  model 4N (float32 weights), gradients 6N, backward pass 8N, step 8N
    int8, int4         a quarter and an eighth of float32; not trained

Source: accelerate commands/estimate.py, `estimate_training_usage`. It sizes AutoModel, which has no head: `without_head`. Its GB
are GiB, and a step is neither a peak nor all of one: activations and logits are in none of its figures.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hfmem.witness.values import Sizes

DIVISORS = {"float32": 1, "float16/bfloat16": 2, "int8": 4, "int4": 8}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizing:
    """One dtype's row, in bytes; the training columns None where accelerate gives none."""

    dtype: str
    largest_layer: int
    total: int
    model: int | None = None
    gradients: int | None = None
    backward: int | None = None
    step: int | None = None


def sizing(sizes: Sizes) -> Iterator[Sizing]:
    """The rows for one way of counting, with the head or without it."""
    for dtype, divisor in DIVISORS.items():
        row = {"dtype": dtype, "largest_layer": sizes.largest_bytes // divisor, "total": sizes.total_bytes // divisor}
        yield Sizing(**row, **training(sizes.total_bytes, divisor))  # type: ignore[arg-type]


def training(single: int, divisor: int) -> dict[str, int]:
    """Columns of Adam training; `single` is the model in float32."""
    if divisor > 2:
        return {}
    mixed = divisor == 2
    return {
        "model": single,
        "gradients": single + single // 2 if mixed else single,
        "backward": 2 * single,
        "step": 2 * single if mixed else 4 * single,
    }
