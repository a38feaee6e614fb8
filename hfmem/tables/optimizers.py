"""
Optimizers as rows: what each keeps for a trained element, what it holds for a moment, and what it leaves in float32.

Sources: torch/optim (adam.py `_foreach_sqrt` copy, sgd.py, adafactor.py, muon.py), bitsandbytes optim (8-bit states of blocks
of 256, tensors under 4096 elements and embeddings in float32), torchao.optim (4-bit), galore_torch, lomo_optim, adam_mini;
names as in transformers' OptimizerNames where it has one.
"""

from __future__ import annotations

from typing import NamedTuple


class Optimizer(NamedTuple):
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


BLOCK_BITS = 8 + 32 / 256  # an 8-bit state and its float32 absmax a block of 256
_ADAMW_8BIT = Optimizer(copies=2, state_bits=2 * BLOCK_BITS, keeps_small_in_float32=True)
_LION_8BIT = Optimizer(copies=1, state_bits=BLOCK_BITS, keeps_small_in_float32=True)
_GALORE = Optimizer(copies=2, rank=128, temporary="tensor")

OPTIMIZERS: dict[str, Optimizer] = {
    "adamw_torch": Optimizer(copies=2, temporary="all"),
    "adamw_torch_fused": Optimizer(copies=2),
    "adamw_loop": Optimizer(copies=2, temporary="tensor"),
    "adamw_8bit": _ADAMW_8BIT,
    "adamw_torch_8bit": Optimizer(copies=2, state_bits=2 * BLOCK_BITS),
    "adamw_torch_4bit": Optimizer(copies=2, state_bits=8 + 2 * 32 / 128),
    "paged_adamw": Optimizer(copies=2, on_device=False),
    "paged_adamw_8bit": _ADAMW_8BIT._replace(on_device=False),
    "sgd": Optimizer(),
    "sgd_momentum": Optimizer(copies=1),
    "adagrad": Optimizer(copies=1, temporary="all"),
    "rmsprop": Optimizer(copies=1, temporary="all"),
    "adafactor": Optimizer(factored=True, temporary="tensor"),
    "lion": Optimizer(copies=1),
    "lion_8bit": _LION_8BIT,
    "paged_lion_8bit": _LION_8BIT._replace(on_device=False),
    "adam_mini": Optimizer(copies=1),
    "muon": Optimizer(orthogonal=True, temporary="tensor"),
    "galore_adamw": _GALORE,
    "galore_adamw_layerwise": _GALORE._replace(frees_gradients=True),
    "lomo": Optimizer(frees_gradients=True),
    "adalomo": Optimizer(factored=True, temporary="tensor", frees_gradients=True),
}

OPTIMIZER_ALIASES = {
    "adamw": "adamw_torch_fused",
    "adamw_bnb_8bit": "adamw_8bit",
    "adamw_4bit": "adamw_torch_4bit",
    "paged_adamw_32bit": "paged_adamw",
    "lion_32bit": "lion",
}
