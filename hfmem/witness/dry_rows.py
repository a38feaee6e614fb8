"""The second witness: a dry run of the real code beside the estimate, and what of a workload it can follow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hfmem.errors import CannotTell
from hfmem.memory.estimate import Estimate
from hfmem.memory.subject import Model
from hfmem.memory.training.items import WORKSPACE_BYTES
from hfmem.memory.training.matrices import TOWERS
from hfmem.memory.weights import TORCH_NAMES, Difference
from hfmem.model.spec import Experts
from hfmem.witness.ask import Limits, ask
from hfmem.witness.class_count import dtype_of
from hfmem.witness.values import Row

WITNESS = "dry run"
TRAINING_TOLERANCE, ACTIVATIONS_TOLERANCE, STATIC_TOLERANCE = 0.05, 0.10, 0.01
STATIC = ("weights", "adapters", "optimizer")
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
    "shard": ("none",),
    "gpus": (1,),
    "offload": ("none",),
    "image_tokens": (None,),
    "weights_dtype": ("stored",),
    "kv_dtype_reason": ("the model's dtype",),
}


def dry_run(model: Model, estimate: Estimate, limits: Limits | None, timeline: bool) -> tuple[list[Row], list[tuple[str, int]]]:
    """Rows, and bytes alive after each module. Raises `CannotTell` for a workload that is not followed, and as `ask` does."""
    request: dict[str, Any] = {"config": dict(model.spec.raw), "timeline": timeline}
    asked = estimate.resolved
    refuse_others(asked)
    refuse_model(model, asked)
    if asked["mode"] == "training":
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


def refuse_model(model: Model, asked: Mapping[str, object]) -> None:
    """What a text-only run of the unpacked class cannot stand for."""
    spec, trains = model.spec, asked["mode"] == "training"
    roles = {stack.role for stack in spec.stacks}
    experts = any(isinstance(layer.ffn, Experts) for stack in spec.stacks for layer in stack.layers)
    named = (
        (trains and spec.quantization is not None, "training of packed weights: the class is run unpacked"),
        (trains and bool(roles & set(TOWERS)) and asked["method"] == "full", "training of towers: the run reads text alone"),
        (trains and experts and asked["precision"] == "fp32", "experts in float32: CUDA's grouped product is for 16 bits"),
        (
            trains and str(asked.get("transformers")).split(".")[0] != "5",
            f"--transformers {asked.get('transformers')}: 5 is installed",
        ),
        (not trains and asked["context"] == 1, "a prompt of no tokens"),
        (bool(roles) and roles <= set(TOWERS), "a model that reads no text"),
    )
    found = next((why for holds, why in named if holds), None)
    if found:
        raise CannotTell(f"no dry run follows {found}", code="not-followed")


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
    held = {part: peak["by_category"][part] for part in STATIC if part in peak["by_category"]}
    ours = {item.name: item.num_bytes for item in estimate.peak.items if item.name in STATIC}
    yield Row(  # apart, so that a large model's weights do not hide it
        witness=WITNESS,
        quantity="what moves",
        counted=peak["total_bytes"] - sum(held.values()),
        ours=estimate.totals["allocated_bytes"] - WORKSPACE_BYTES - sum(size or 0 for size in ours.values()),
        tolerance=ACTIVATIONS_TOLERANCE,
        note="activations, gradients, logits and temporaries at the peak",
    )
    for part, size in held.items():
        yield Row(witness=WITNESS, quantity=part, counted=size, ours=ours.get(part), tolerance=STATIC_TOLERANCE)


def breakdown(by_category: Mapping[str, int]) -> str:
    largest = sorted(by_category.items(), key=lambda pair: -pair[1])
    return ", ".join(f"{name} {size / 2**30:,.2f} GiB" for name, size in largest)


def serving_rows(found: Mapping[str, Any], estimate: Estimate) -> Iterator[Row]:
    """What the caches hold after the last token, and what a prompt's forward pass makes."""
    decode = {item.name: item.num_bytes for item in estimate.phases[-1].items}
    ours = [decode[name] for name in ("kv_cache", "recurrent_state") if name in decode]
    known = sum(size or 0 for size in ours) if None not in ours else None
    yield Row(
        witness=WITNESS,
        quantity="caches",
        counted=found["cache_bytes"],
        ours=known,
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
