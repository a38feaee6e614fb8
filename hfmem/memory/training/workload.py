"""What is asked of a training run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from hfmem.errors import UsageError
from hfmem.tables.kernels import KERNELS
from hfmem.tables.optimizers import OPTIMIZER_ALIASES, OPTIMIZERS

SHARDINGS = ("none", "ddp", "zero1", "zero2", "zero3", "fsdp", "fsdp1", "shard-grad-op", "no-reshard")
CHOICES: dict[str, tuple[str, ...]] = {
    "method": ("full", "lora", "qlora"),
    "precision": ("bf16", "fp16", "fp32", "mixed"),
    "optimizer": tuple(OPTIMIZERS),
    "checkpointing": ("none", "selective", "full", "offloaded"),
    "attention": ("flash", "sdpa", "eager"),
    "kernels": tuple(KERNELS),
    "loss": ("standard", "bf16", "fused-ce", "chunked", "fused"),
    "task": ("causal-lm", "sequence-classification", "token-classification"),
    "objective": ("sft", "dpo", "orpo", "grpo"),
    "adapter_dtype": ("fp32", "bf16"),
    "quantization": ("nf4", "fp4", "int8"),
    "shard": SHARDINGS,
    "offload": ("none", "optimizer", "parameters"),
}
ALIASES: dict[str, dict[str, str]] = {
    "attention": dict.fromkeys(("flash_attention_2", "flash_attention_3", "flash_attention", "flex_attention"), "flash"),
    "optimizer": OPTIMIZER_ALIASES,
    "shard": {"fsdp2": "fsdp", "full_shard": "fsdp1", "shard_grad_op": "shard-grad-op"},
    "kernels": {"foak": "unsloth"},
}
LIMITS = {
    "batch": 2**31, "context": 2**31, "lora_rank": 2**16, "gpus": 2**20, "tensor_parallel": 2**10, "context_parallel": 2**10,
    "grad_accum": 2**31, "logits_to_keep": 2**31, "num_labels": 2**31, "image_tokens": 2**31, "encoder_tokens": 2**31,
}  # fmt: skip
SHARDS_WEIGHTS = ("zero3", "fsdp", "fsdp1", "shard-grad-op", "no-reshard")


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """
    One optimizer step: `grad_accum` micro-batches of `batch` sequences of `context` tokens on each data-parallel device.

    `precision`: bf16, fp16 and fp32 hold weights, gradients and states in that dtype; mixed holds float32 weights and
    computes in 16 bits. `autocast` None is what the precision says. `master_weights`: 16-bit weights with a float32
    copy in the optimizer, which None takes for the ZeRO stages. `padded`: sequences of many lengths, filled up and masked; False:
    packed or of one length; None: not known, which widens the range. `reentrant` None follows the version of transformers.
    """

    batch: int = 1
    context: int | None = None
    method: str = "full"
    precision: str = "bf16"
    autocast: bool | None = None
    master_weights: bool | None = None
    gradient_dtype: str | None = None
    optimizer: str = "adamw_torch_fused"
    optimizer_in_backward: bool = False
    checkpointing: str = "none"
    reentrant: bool | None = None
    attention: str = "sdpa"
    padded: bool | None = None
    kernels: str = "eager"
    loss: str = "standard"
    keep_logits: bool = False
    logits_to_keep: int | None = None
    task: str = "causal-lm"
    num_labels: int = 2
    objective: str = "sft"
    lora_rank: int = 16
    lora_targets: str = "all-linear"
    lora_dropout: bool = False
    dora: bool = False
    adapter_dtype: str = "fp32"
    modules_to_save: str = ""
    freeze: str = ""
    quantization: str = "nf4"
    double_quantization: bool = True
    float32_residual: bool = False
    shard: str = "none"
    gpus: int = 1
    tensor_parallel: int = 1
    sequence_parallel: bool = True
    context_parallel: int = 1
    offload: str = "none"
    grad_accum: int = 1
    image_tokens: int | None = None
    encoder_tokens: int | None = None
    transformers: tuple[int, int] = (5, 23)

    def __post_init__(self) -> None:
        for name, others in ALIASES.items():
            object.__setattr__(self, name, others.get(getattr(self, name), getattr(self, name)))
        for name, limit in LIMITS.items():
            check_range(name, getattr(self, name), limit)
        if self.gpus == 1:  # a group of model-parallel devices is as many
            object.__setattr__(self, "gpus", self.tensor_parallel * self.context_parallel)
        for name, allowed in CHOICES.items():
            check_choice(name, getattr(self, name), allowed)
        if self.gradient_dtype is not None:
            check_choice("gradient_dtype", self.gradient_dtype, ("bf16", "fp16", "fp32"))
        self.check_devices()
        self.check_together()

    def check_together(self) -> None:
        """Options that contradict each other."""
        found = next((message for holds, message in self.contradictions() if holds), None)
        if found:
            raise UsageError(found, code="bad-workload", hint="leave one of the two out")

    def contradictions(self) -> tuple[tuple[bool, str], ...]:
        gathers = self.shard in SHARDS_WEIGHTS
        frees = self.frees_gradients and self.grad_accum > 1
        return (
            (self.task != "causal-lm" and self.objective != "sft", f"--task {self.task} has no --objective {self.objective}"),
            (frees, "gradients that are freed in the backward pass leave nothing for --grad-accum to add to"),
            (
                self.offload == "parameters" and not gathers,
                f"--offload parameters does not go with --shard {self.shard}",
            ),
            (self.trains_adapters and bool(self.freeze), f"--method {self.method} freezes all but adapters, without --freeze"),
        )

    def check_devices(self) -> None:
        """The devices have to be a whole number of model-parallel groups, and to share something."""
        group = self.tensor_parallel * self.context_parallel
        if self.gpus % group:
            found = f"--tensor-parallel {self.tensor_parallel} times --context-parallel {self.context_parallel}"
            raise UsageError(f"--gpus {self.gpus} is no multiple of {found}", code="bad-workload")
        if self.gpus > group and self.shard == "none":
            hint = f"--shard {', '.join(SHARDINGS[1:])}"
            raise UsageError(f"--gpus {self.gpus} without --shard", code="bad-workload", hint=hint)

    @property
    def trains_adapters(self) -> bool:
        return self.method != "full"

    @property
    def autocasts(self) -> bool:
        return self.precision == "mixed" if self.autocast is None else self.autocast

    @property
    def is_single(self) -> bool:
        """Whether everything is computed in float32."""
        return self.precision == "fp32" and not self.autocasts

    @property
    def fuses_experts(self) -> bool:
        """Classes hold experts and routers as parameters, which one kernel runs, since transformers 5."""
        return self.transformers >= (5, 0)

    @property
    def keeps_master(self) -> bool:
        """Whether the optimizer holds a float32 copy of 16-bit weights: DeepSpeed's stages do, whatever the method."""
        is_deepspeed = self.shard.startswith("zero") and self.replicas > 1
        return self.precision in ("bf16", "fp16") and (is_deepspeed if self.master_weights is None else self.master_weights)

    @property
    def is_reentrant(self) -> bool:
        """transformers asked for reentrant checkpointing until version 5."""
        return self.transformers < (5, 0) if self.reentrant is None else self.reentrant

    @property
    def recomputes(self) -> bool:
        return self.checkpointing in ("full", "offloaded")

    @property
    def frees_gradients(self) -> bool:
        """Whether each gradient is used and freed within the backward pass, so that no step follows."""
        return self.optimizer_in_backward or OPTIMIZERS[self.optimizer].frees_gradients

    @property
    def replicas(self) -> int:
        """Devices over which states are sharded: all but those that split the same matrices."""
        return self.gpus // self.tensor_parallel

    @property
    def shards_weights(self) -> bool:
        return self.shard in SHARDS_WEIGHTS and self.replicas > 1

    def changed_options(self) -> dict[str, Any]:
        """Every option that is not at its default."""
        return {f.name: getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != f.default}


def parse_training(options: Mapping[str, Any]) -> Training:
    """
    The workload of command-line options, of which those that are none of its fields are left out.

    `transformers` is text such as 4.48. Raises `UsageError` for a value that makes no sense.
    """
    known = {field.name: options[field.name] for field in fields(Training) if field.name in options}
    return Training(**{**known, "transformers": parse_version(str(options["transformers"]))})


def parse_version(text: str) -> tuple[int, int]:
    """The first two numbers of a version."""
    found = re.fullmatch(r"v?(\d{1,3})(?:\.(\d{1,3}))?(?:\..*)?", text)
    if not found:
        raise UsageError(f"--transformers {text!r} is no version", code="bad-workload", hint="such as 4.48 or 5.23")
    return int(found[1]), int(found[2] or 0)


def check_range(name: str, value: int | None, limit: int) -> None:
    if value is not None and not 1 <= value <= limit:
        raise UsageError(f"--{name.replace('_', '-')} is {value}; it should be from 1 to {limit}", code="bad-workload")


def check_choice(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        hint = f"one of: {', '.join(allowed)}"
        raise UsageError(f"--{name.replace('_', '-')} {value!r} is not known", code="bad-workload", hint=hint)
