"""
One training step of the real code on fake tensors: forward, loss, backward, optimizer step.

Optimizer states exist before the step, as they do from the second step on. The caller keeps the loss and lets go of the
model's output, as transformers' Trainer does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

from hfmem.memory.training.dynamic import DEFAULT_ENCODER_TOKENS
from hfmem.witness.build import build
from hfmem.witness.fake import faking, make_fake
from hfmem.witness.gpu_path import FLASH, gpu_path, use_gpu_kernels
from hfmem.witness.liveness import Liveness
from hfmem.witness.quantised import pack_linears
from hfmem.witness.recorded import report, watch_modules

DTYPES = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
# transformers' names → torch.optim's class and how it is asked to step
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "adamw_torch_fused": ("AdamW", {"fused": True}),
    "adamw_torch": ("AdamW", {"foreach": True}),
    "adamw_loop": ("AdamW", {"foreach": False}),
    "sgd": ("SGD", {"foreach": True}),
    "sgd_momentum": ("SGD", {"foreach": True, "momentum": 0.9}),
    "adagrad": ("Adagrad", {"foreach": True}),
    "rmsprop": ("RMSprop", {"foreach": True}),
}


def train(request: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to {"config", "workload", "timeline"}: peaks of each phase by what the bytes are for."""
    workload = request["workload"]
    model = prepared(build(request["config"], DTYPES[workload["precision"]], attention_of(workload)), workload)
    live = Liveness()
    with faking():
        make_fake(model)
        optimizer = with_states(model, workload)
        with gpu_path(padded=bool(workload["padded"])), live, named_gradients(model, live):
            note_static(model, optimizer, live)
            step(model, optimizer, workload, live, request.get("timeline", False))
        return report(live, request.get("timeline", False))


def attention_of(workload: Mapping[str, Any]) -> str:
    """`flash` is the fused kernel that needs no mask, whatever the window."""
    return FLASH if workload["attention"] == "flash" else str(workload["attention"])


def prepared(model: Any, workload: Mapping[str, Any]) -> Any:
    """In training mode, with adapters and checkpointing as Trainer and PEFT set them up."""
    use_gpu_kernels(model)
    model.train()
    if workload["checkpointing"] == "full":
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": workload["reentrant"]})
    if workload["method"] == "qlora":
        pack_linears(model, double=workload["double_quantization"])
    return with_adapters(model, workload) if workload["method"] != "full" else model


def with_adapters(model: Any, workload: Mapping[str, Any]) -> Any:
    """LoRA as PEFT injects it."""
    from peft import LoraConfig, get_peft_model

    targets = workload["lora_targets"]
    config = LoraConfig(
        r=workload["lora_rank"],
        target_modules=targets if targets == "all-linear" else [name.strip() for name in targets.split(",")],
        lora_dropout=0.05 if workload["lora_dropout"] else 0.0,
        use_dora=workload["dora"],
        modules_to_save=[name.strip() for name in workload["modules_to_save"].split(",") if name.strip()] or None,
        init_lora_weights=False,
    )
    return get_peft_model(model, config, autocast_adapter_dtype=workload["adapter_dtype"] == "fp32")


def with_states(model: Any, workload: Mapping[str, Any]) -> Any:
    """The optimizer after a step, with its states made and no gradients left."""
    name, options = OPTIMIZERS[workload["optimizer"]]
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = getattr(torch.optim, name)(trained, lr=1e-4, **options)
    for parameter in trained:
        parameter.grad = torch.empty_like(parameter)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    return optimizer


def note_static(model: Any, optimizer: Any, live: Liveness) -> None:
    """What is alive before the step; adapters are told from weights by their name."""
    for name, parameter in model.named_parameters():
        live.note(parameter, "adapters" if "lora_" in name or "modules_to_save" in name else "weights")
    live.note_all(model.buffers(), "weights")
    states = (value for state in optimizer.state.values() for value in state.values())
    live.note_all((value for value in states if isinstance(value, torch.Tensor)), "optimizer")


@contextmanager
def named_gradients(model: Any, live: Liveness) -> Iterator[None]:
    """A gradient is known as one when its parameter has it."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    hooks = [p.register_post_accumulate_grad_hook(lambda p: live.note(p.grad, "gradients")) for p in trained]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def step(model: Any, optimizer: Any, workload: Mapping[str, Any], live: Liveness, timeline: bool) -> None:
    """Forward, backward for every micro-batch; then the optimizer."""
    given = inputs(model, workload)
    for _ in range(min(2, workload["grad_accum"])):  # from the second on, all are alike
        with watch_modules(model, live, timeline), live.during("forward+loss"):
            loss = model(**given, use_cache=False).loss
        live.name_alive("forward+loss", "activations")
        with live.during("backward"):
            loss.backward()
        del loss
    with live.during("optimizer step"):
        optimizer.step()


def inputs(model: Any, workload: Mapping[str, Any]) -> dict[str, Any]:
    """Token ids and labels, and a padding mask where sequences are padded; an encoder reads tokens of its own."""
    labels = torch.zeros((workload["batch"], workload["context"]), dtype=torch.long)
    reads = workload["encoder_tokens"] or DEFAULT_ENCODER_TOKENS
    ids = torch.zeros((workload["batch"], reads), dtype=torch.long) if model.config.is_encoder_decoder else labels
    given = {"input_ids": ids, "labels": labels}
    return given | {"attention_mask": torch.ones_like(ids)} if workload["padded"] else given
