"""What is asked of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hfmem.errors import UsageError
from hfmem.tables.optimizers import OPTIMIZERS

METHODS = ("full", "lora", "qlora")
PRECISIONS = ("bf16", "fp16", "fp32", "mixed")
CHECKPOINTING = ("none", "full", "offloaded")
ATTENTIONS = ("flash", "sdpa", "eager")
LOSSES = ("standard", "fused-ce", "chunked", "fused")
QUANTIZATIONS = ("nf4", "fp4", "int8")
SHARDINGS = ("none", "ddp", "zero1", "zero2", "zero3", "fsdp")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """
    One optimizer step: `grad_accum` micro-batches of `batch` sequences of `context` tokens on each of `gpus`.

    `precision`: bf16, fp16 and fp32 hold weights, gradients and states in that dtype; mixed holds float32 weights and
    computes in 16 bits.
    """

    batch: int = 1
    context: int | None = None
    method: str = "full"
    precision: str = "bf16"
    optimizer: str = "adamw_torch_fused"
    checkpointing: str = "none"
    attention: str = "sdpa"
    loss: str = "standard"
    lora_rank: int = 16
    lora_targets: str = "all-linear"
    lora_dropout: bool = False
    quantization: str = "nf4"
    double_quantization: bool = True
    float32_residual: bool = False
    shard: str = "none"
    gpus: int = 1
    grad_accum: int = 1
    transformers: tuple[int, int] = (5, 23)

    def __post_init__(self) -> None:
        for name, limit in (("batch", 2**31), ("context", 2**31), ("lora_rank", 2**16), ("gpus", 2**20), ("grad_accum", 2**31)):
            value = getattr(self, name)
            if value is not None and not 1 <= value <= limit:
                raise UsageError(f"--{name.replace('_', '-')} is {value}; it should be from 1 to {limit}", code="bad-workload")
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                raise UsageError(
                    f"--{name} {getattr(self, name)!r} is not known", code="bad-workload", hint=f"one of: {', '.join(allowed)}"
                )
        if self.gpus > 1 and self.shard == "none":
            raise UsageError(
                f"--gpus {self.gpus} without --shard", code="bad-workload", hint=f"--shard {', '.join(SHARDINGS[1:])}"
            )


CHOICES: dict[str, tuple[Any, ...]] = {
    "method": METHODS,
    "precision": PRECISIONS,
    "optimizer": tuple(OPTIMIZERS),
    "checkpointing": CHECKPOINTING,
    "attention": ATTENTIONS,
    "loss": LOSSES,
    "quantization": QUANTIZATIONS,
    "shard": SHARDINGS,
}
