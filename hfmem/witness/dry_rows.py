"""The second witness: a dry run of the real code beside the estimate, and what of a workload it can follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hfmem.errors import CannotTell
from hfmem.memory.estimate import Estimate
from hfmem.memory.subject import Model
from hfmem.memory.training.items import WORKSPACE_BYTES
from hfmem.memory.weights import Difference
from hfmem.witness.ask import Limits, ask
from hfmem.witness.class_count import TORCH_NAMES, dtype_of
from hfmem.witness.values import Row

WITNESS = "dry run"
TRAINING_TOLERANCE, ACTIVATIONS_TOLERANCE, STATIC_TOLERANCE = 0.05, 0.10, 0.01
# What the run follows; anything else is another program than the one that would be run.
FOLLOWED: dict[str, tuple[object, ...]] = {
    "method": ("full", "lora", "qlora"),
    "precision": ("bf16", "fp32"),
    "autocast": (False,),
    "master_weights": (False,),
    "gradient_dtype": (None,),
    "optimizer": ("adamw_torch_fused", "adamw_torch", "adamw_loop", "sgd", "sgd_momentum", "adagrad", "rmsprop"),
    "optimizer_in_backward": (False,),
    "checkpointing": ("none", "full"),
    "kernels": ("eager",),
    "loss": ("standard",),
    "keep_logits": (False,),
    "logits_to_keep": (None,),
    "task": ("causal-lm",),
    "objective": ("sft",),
    "freeze": ("",),
    "quantization": ("nf4", "fp4"),
    "float32_residual": (False,),
    "gpus": (1,),
    "offload": ("none",),
    "image_tokens": (None,),
}


def dry_run(model: Model, estimate: Estimate, limits: Limits | None, timeline: bool) -> tuple[list[Row], list[tuple[str, int]]]:
    """Rows, and bytes alive after each module. Raises `CannotTell` for a workload that is not followed, and as `ask` does."""
    request: dict[str, Any] = {"config": dict(model.spec.raw), "timeline": timeline}
    asked = estimate.resolved
    if asked["mode"] == "training":
        refuse_others(asked)
        found = ask("train", {**request, "workload": plain(asked)}, limits)
        rows = list(training_rows(found, estimate))
    else:
        setting = {name: asked[name] for name in ("batch", "context", "encoder_tokens")}
        found = ask("serve", {**request, **setting, "dtype": TORCH_NAMES[dtype_of(model)]}, limits)
        rows = list(serving_rows(found, estimate))
    return rows, [(name, size) for name, size in found["timeline"]]


def refuse_others(asked: Mapping[str, object]) -> None:
    """An option the run does not follow is named, so that nobody compares two different programs."""
    for name, followed in FOLLOWED.items():
        if name in asked and asked[name] not in followed:
            raise CannotTell(
                f"no dry run follows --{name.replace('_', '-')} {asked[name]}",
                code="not-followed",
                hint="it follows one device, transformers' eager modules, the standard loss and weights of one dtype",
            )


def plain(asked: Mapping[str, object]) -> dict[str, object]:
    """The workload as JSON holds it."""
    return {
        name: value if isinstance(value, (str, int, float, bool)) or value is None else str(value)
        for name, value in asked.items()
    }


def training_rows(found: Mapping[str, Any], estimate: Estimate) -> Iterator[Row]:
    """The peak, and what is there all the time."""
    name, peak = max(found["phases"].items(), key=lambda pair: pair[1]["total_bytes"])
    unseen = Difference(reason="cuBLAS workspaces, which it cannot see", elements=0, num_bytes=WORKSPACE_BYTES)
    yield Row(
        witness=WITNESS,
        quantity="allocated peak",
        counted=peak["total_bytes"],
        ours=estimate.totals.get("allocated_bytes"),
        reasons=(unseen,),
        tolerance=TRAINING_TOLERANCE,
        note=f"{name}: {breakdown(peak['by_category'])}",
    )
    for part in ("weights", "adapters", "optimizer"):
        if part in peak["by_category"]:
            ours = estimate.item(part)
            yield Row(
                witness=WITNESS,
                quantity=part,
                counted=peak["by_category"][part],
                ours=ours.num_bytes if ours else None,
                tolerance=STATIC_TOLERANCE,
            )


def breakdown(by_category: Mapping[str, int]) -> str:
    largest = sorted(by_category.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {size / 2**30:,.2f} GiB" for name, size in largest)


def serving_rows(found: Mapping[str, Any], estimate: Estimate) -> Iterator[Row]:
    """What the caches hold after the last token, and what a prompt's forward pass makes."""
    decode = {item.name: item.num_bytes for item in estimate.phases[-1].items}
    ours = [decode[name] for name in ("kv_cache", "recurrent_state") if name in decode]
    known = sum(size or 0 for size in ours) if None not in ours else None
    what_if = Difference(
        reason="--kv-dtype, which the run does not follow", elements=0, num_bytes=(known or 0) - found["cache_bytes"]
    )
    told = str(estimate.resolved["kv_dtype_reason"]) != "the model's dtype"
    yield Row(
        witness=WITNESS,
        quantity="caches",
        counted=found["cache_bytes"],
        ours=known,
        reasons=(what_if,) if told and what_if.num_bytes else (),
        note="the class's own cache after a prompt and one token",
    )
    prefill = found["phases"]["prefill"]
    held = sum(prefill["by_category"].get(part, 0) for part in ("weights", "kv_cache"))
    made = next(
        (item for phase in estimate.phases if phase.name == "prefill" for item in phase.items if item.name == "activations"), None
    )
    yield Row(
        witness=WITNESS,
        quantity="activations",
        counted=prefill["total_bytes"] - held,
        ours=made.num_bytes if made else None,
        tolerance=ACTIVATIONS_TOLERANCE,
        note=f"a prompt's forward pass, largest in {prefill['at'] or 'the model'}",
    )
