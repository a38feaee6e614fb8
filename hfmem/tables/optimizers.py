"""
Optimizers as rows: what each keeps for a trained element, what it holds for a moment, and what it leaves in float32.

Sources: torch/optim (adam.py `_foreach_sqrt` copy, sgd.py, adafactor.py, muon.py), bitsandbytes optim (8-bit states of blocks
of 256, tensors under 4096 elements and embeddings in float32), torchao.optim (4-bit), transformers trainer (names).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """
    `copies`: states of the parameter's own dtype and shape; `state_bits`: bits an element where states are quantised.

    `temporary`: what `step` makes besides: "none", "tensor" (the largest trained tensor at a time) or "all".
    """

    copies: int = 0
    state_bits: float | None = None
    temporary: str = "none"
    keeps_small_in_float32: bool = False
    factored: bool = False  # rows and columns of each matrix instead of the matrix
    rank: int | None = None  # states of a projection of this rank
    on_device: bool = True  # False: states live in memory the device only borrows
    frees_gradients: bool = False  # each gradient is used and freed within the backward pass
    orthogonal: bool = False  # one momentum for hidden matrices, two moments for everything else


OPTIMIZERS: dict[str, Optimizer] = {
    "adamw_torch": Optimizer(copies=2, temporary="all"),
    "adamw_torch_fused": Optimizer(copies=2),
    "adamw_loop": Optimizer(copies=2, temporary="tensor"),
    "adamw_8bit": Optimizer(state_bits=16 + 2 * 32 / 256, keeps_small_in_float32=True),
    "adamw_4bit": Optimizer(state_bits=8 + 2 * 32 / 128),
    "paged_adamw": Optimizer(copies=2, on_device=False),
    "paged_adamw_8bit": Optimizer(state_bits=16 + 2 * 32 / 256, keeps_small_in_float32=True, on_device=False),
    "sgd": Optimizer(),
    "sgd_momentum": Optimizer(copies=1),
    "adafactor": Optimizer(factored=True, temporary="tensor"),
    "lion": Optimizer(copies=1),
    "lion_8bit": Optimizer(state_bits=8 + 32 / 256, keeps_small_in_float32=True),
    "adam_mini": Optimizer(copies=1),
    "muon": Optimizer(orthogonal=True, temporary="tensor"),
    "galore_adamw": Optimizer(copies=2, rank=128, temporary="tensor"),
    "galore_adamw_layerwise": Optimizer(copies=2, rank=128, temporary="tensor", frees_gradients=True),
    "lomo": Optimizer(frees_gradients=True),
}
