"""
The moments of a training step at which memory peaks, each with everything alive in it; the largest is the answer.

    forward+loss             checkpoints or saved activations of all layers, logits and their gradients
    backward (last layer)    the same without logits, one layer being recomputed, the head's gradient
    backward (first layer)   all gradients, one layer
    optimizer step           all gradients, what the optimizer makes for a moment; no activations

Gradients do not exist before the first backward pass (set_to_none); with accumulation they do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hfmem.memory.training.activations import adapter_bytes, recompute_bytes, saved_bytes, widest
from hfmem.memory.training.loss import loss_bytes, loss_path
from hfmem.memory.training.matrices import Tensors
from hfmem.memory.training.static import Static, adapter_tensors
from hfmem.memory.training.workload import Training
from hfmem.model.spec import Experts, Layer, ModelSpec
from hfmem.tables.traits import LLAMA, TRAITS, Traits


@dataclass(frozen=True, slots=True, kw_only=True)
class Dynamic:
    """Bytes of one micro-batch on one device."""

    checkpoints: int  # inputs of the layers, kept until their backward pass
    activations: int  # everything saved, where nothing is recomputed
    layer: int  # the largest layer while its backward pass runs
    logits: int
    head_gradient: int


def dynamic_state(model: ModelSpec, static: Static, tensors: Sequence[Tensors], workload: Training, context: int) -> Dynamic:
    """Activations of the decoder by its layers. Raises `ConfigError` for a layer without a formula."""
    hidden, layers = model.hidden_size or 0, model.decoder.layers if model.decoder else ()
    traits, tokens = traits_of(model), workload.batch * context
    extra = adapters_per_layer(tensors, workload, max(1, len(layers)), routed_share(layers))
    saved = [saved_bytes(layer, hidden, traits, workload, context) + extra for layer in layers]
    again = max((recompute_bytes(layer, hidden, traits, workload, context) + extra for layer in layers), default=0)
    kept = kept_inputs(len(layers), workload) * residual_bytes(workload) * hidden
    recomputes = workload.checkpointing != "none"
    return Dynamic(
        checkpoints=kept * tokens if recomputes else 0,
        activations=0 if recomputes else sum(saved) * tokens,
        layer=(again if recomputes else max((4 * widest(layer) for layer in layers), default=0)) * tokens,
        logits=loss_bytes(tokens, model.vocab_size or 0, hidden, loss_path(workload.loss, workload.transformers)),
        head_gradient=head_gradient(static, workload),
    )


def residual_bytes(workload: Training) -> int:
    """An element of the stream between layers."""
    return 4 if workload.float32_residual or workload.precision == "fp32" else 2


def kept_inputs(num_layers: int, workload: Training) -> int:
    """Checkpoints on the device: one a layer, or two in flight where they are offloaded."""
    return min(num_layers, 2) if workload.checkpointing == "offloaded" else num_layers


def has_traits(model: ModelSpec) -> bool:
    """Whether the architecture's modules were read; others are built as Llama's are."""
    return (model.read_as or model.text_type or model.model_type) in TRAITS


def traits_of(model: ModelSpec) -> Traits:
    return TRAITS.get(model.read_as or model.text_type or model.model_type, LLAMA)


def adapters_per_layer(tensors: Sequence[Tensors], workload: Training, num_layers: int, routed: float) -> int:
    """What LoRA modules save in one layer, a token."""
    if workload.method == "full":
        return 0
    first = [tensor for tensor in adapter_tensors(tensors, workload) if tensor.module.endswith("lora_A")]
    met = [(tensor, tensor.count * routed if tensor.role == "experts" else tensor.count) for tensor in first]
    inputs = sum(tensor.cols * count for tensor, count in met) / num_layers
    return adapter_bytes(round(inputs), round(sum(count for _, count in met) / num_layers), workload)


def routed_share(layers: Sequence[Layer]) -> float:
    """The part of the experts a token meets."""
    found = next((layer.ffn for layer in layers if isinstance(layer.ffn, Experts)), None)
    return found.experts_per_token / found.num_experts if found else 1.0


def head_gradient(static: Static, workload: Training) -> int:
    """The gradient that exists when the last layer's backward pass begins."""
    if workload.method != "full" or not static.trained_elements:
        return 0
    head = sum(tensor.total for tensor in static.trained if tensor.role == "head")
    return static.gradients * head // static.trained_elements


def moments(static: Static, dynamic: Dynamic, workload: Training) -> Iterator[tuple[str, dict[str, int]]]:
    """Phase name → item → bytes, beside what is always alive."""
    held = static.gradients if workload.grad_accum > 1 else 0
    saved = {"checkpoints": dynamic.checkpoints, "activations": dynamic.activations}
    yield "forward+loss", {**saved, "logits": dynamic.logits, "gradients": held}
    last = dynamic.activations + dynamic.layer
    yield "backward (last layer)", {**saved, "activations": last, "gradients": held or dynamic.head_gradient}
    yield "backward (first layer)", {"activations": dynamic.layer, "gradients": static.gradients}
    yield "optimizer step", {"gradients": static.gradients, "optimizer_temporary": static.step_temporary}
