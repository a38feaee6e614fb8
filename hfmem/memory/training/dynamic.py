"""Bytes that depend on the tokens: what every stack of layers keeps, the largest layer at work, and the loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

from hfmem.memory.training.activations import LayerBytes, layer_bytes
from hfmem.memory.training.experts import Merged, merged
from hfmem.memory.training.extras import extra_bytes
from hfmem.memory.training.loss import SEQUENCES, loss_bytes, loss_path, vocab_bytes
from hfmem.memory.training.matrices import TOWERS, Tensors, scores_vocabulary, with_attention
from hfmem.memory.training.mixing import Tokens
from hfmem.memory.training.numerics import Numerics, numerics_of
from hfmem.memory.training.passing import NONE, TRAINED, passing
from hfmem.memory.training.workload import Training
from hfmem.model.kinds import RecurrentState
from hfmem.model.spec import Layer, ModelSpec, Stack
from hfmem.tables.traits import TRAITS, Traits, traits

DEFAULT_ENCODER_TOKENS = 512
REPEATS_KEYS_UNTIL = (4, 48)  # transformers before it wrote keys and values out for every head in its sdpa path


class Dynamic(NamedTuple):
    """Bytes of one micro-batch on one device."""

    checkpoints: int = 0  # inputs of the layers, kept until their backward pass
    activations: int = 0  # everything saved, where nothing is recomputed
    at_block: int = 0  # the largest layer while its block's backward pass runs, with what it saved
    at_mixer: int = 0  # the same while its mixer's runs
    saved: int = 0  # what the largest layer has saved, where nothing is recomputed
    input: int = 0  # one layer's input, or its gradient
    num_layers: int = 1
    waiting_gradients: int = 0  # those of all but two layers' inputs
    logits: int = 0
    formulas: Mapping[str, str] = MappingProxyType({})  # item → how the largest stack's bytes come about

    @property
    def layer(self) -> int:
        return max(self.at_block, self.at_mixer)


def dynamic_state(
    model: ModelSpec, tensors: Sequence[Tensors], workload: Training, context: int, packed: bool = False
) -> Dynamic:
    """All stacks of a model. Raises `ConfigError` for a layer without a formula."""
    stacks = [stack_state(stack, model, tensors, workload, context, packed) for stack in model.stacks if stack.layers]
    return Dynamic(
        checkpoints=sum(state.checkpoints for state in stacks),
        activations=sum(state.activations for state in stacks),
        at_block=max((state.at_block for state in stacks), default=0),
        at_mixer=max((state.at_mixer for state in stacks), default=0),
        saved=max((state.saved for state in stacks), default=0),
        num_layers=model.num_layers or 1,
        input=max((state.input for state in stacks), default=0),
        waiting_gradients=max((state.waiting_gradients for state in stacks), default=0),
        logits=logits_bytes(model, workload, context, packed),
        formulas={**largest_formulas(stacks), "logits": logits_formula(model, workload, context)},
    )


def largest_formulas(stacks: Sequence[Dynamic]) -> Mapping[str, str]:
    return max(stacks, key=lambda state: state.checkpoints + state.activations).formulas if stacks else {}


def logits_formula(model: ModelSpec, workload: Training, context: int) -> str:
    path = loss_path(workload, traits_of(model))
    each = vocab_bytes(path, workload, model.caps_logits)
    entries = model.vocab_size or 0 if workload.task == "causal-lm" else workload.num_labels
    return f"{token_count(workload, context):,} tokens × ({entries:,} entries × {each:g} B + hidden states), {workload.loss} loss"


def logits_bytes(model: ModelSpec, workload: Training, context: int, packed: bool) -> int:
    """The loss of the stack that writes; a model without a vocabulary head scores nothing."""
    written = model.decoder or (model.stacks[0] if model.stacks else None)
    if written is None or not (scores_vocabulary(model) or workload.task != "causal-lm"):
        return 0
    numerics, tokens = numerics_of(workload, traits_of(model), packed), token_count(workload, context)
    found = loss_bytes(workload, numerics, tokens, model.vocab_size or 0, written.hidden_size, model.caps_logits)
    return found // workload.tensor_parallel


def token_count(workload: Training, context: int) -> int:
    """Tokens one device works on: every sequence of every sample, cut where sequences are split over devices."""
    return -(-workload.batch * SEQUENCES[workload.objective] * context // workload.context_parallel)


def stack_state(
    stack: Stack, model: ModelSpec, tensors: Sequence[Tensors], workload: Training, context: int, packed: bool
) -> Dynamic:
    """One stack; a tower reads its own tokens, and a stack no gradient passes through keeps nothing."""
    length, how = stack_tokens(stack, model, workload, context), passing(stack, tensors, workload)
    if not length or how == NONE:
        return Dynamic()
    whole = replace(stack, layers=with_attention(stack))
    numerics = numerics_of(workload, traits_of(model), packed, trains=how == TRAINED)
    adapts = workload.trains_adapters and stack.role == "decoder"
    extra = adapted(tensors, whole, workload, numerics) if adapts else (0, 0)
    more = merged(tensors, whole, workload, numerics.compute) if adapts else Merged()
    numerics = numerics._replace(trains_experts=bool(more.kept))
    found = list(each_layer(whole, model, numerics, tokens_of(whole, tensors, model, workload, length), extra))
    return with_merged(summed(found, whole, numerics, workload, token_count(workload, length)), more, workload)


def with_merged(state: Dynamic, more: Merged, workload: Training) -> Dynamic:
    """Besides, what PEFT merges adapters on fused experts into; it does not depend on the tokens."""
    held = 0 if workload.recomputes else more.kept
    return state._replace(
        activations=state.activations + held * more.layers,
        saved=state.saved + held,
        at_block=state.at_block + more.kept + more.temporary,
    )


def adapted(tensors: Sequence[Tensors], stack: Stack, workload: Training, numerics: Numerics) -> tuple[int, int]:
    from hfmem.memory.training.adapted import adapters_per_layer  # full training has none

    return adapters_per_layer(tensors, stack, workload, numerics)


def summed(found: list[LayerBytes], stack: Stack, numerics: Numerics, workload: Training, count: int) -> Dynamic:
    """A stack's layers over `count` tokens."""
    edge = numerics.stream * stack.hidden_size // (workload.tensor_parallel if workload.sequence_parallel else 1)
    saved = [part(layer.saved, layer.norms, workload) for layer in found]
    recomputes, plain = workload.recomputes, workload.checkpointing == "none"
    edges = edge * (2 if workload.is_reentrant and not plain else 1)
    held = [0 if plain else layer.shared for layer in found]  # a checkpoint is the layer's input already
    at_block, at_mixer = (
        edges + max(part(bytes_ - less, layer.norms, workload) for bytes_, less, layer in zip(moment, held, found, strict=True))
        for moment in ([layer.at_block for layer in found], [layer.at_mixer for layer in found])
    )
    kept = selective(stack, numerics, workload) if workload.checkpointing == "selective" else sum(saved)
    return Dynamic(
        checkpoints=kept_inputs(stack.layers, workload) * edge * count if recomputes else 0,
        activations=0 if recomputes else kept * count,
        at_block=at_block * count,
        at_mixer=at_mixer * count,
        saved=max(saved) * count if plain else 0,
        input=edge * count,
        waiting_gradients=max(0, len(found) - 2) * edge * count,
        formulas=stack_formulas(max(found, key=lambda layer: layer.saved), stack, edge, count, recomputes),
    )


def stack_formulas(layer: LayerBytes, stack: Stack, edge: int, count: int, recomputes: bool) -> Mapping[str, str]:
    """The sums with their numbers, for the largest layer."""
    parts = {
        "norms": layer.norms,
        "mixer": layer.mixer,
        "block": layer.ffn,
        "adapters and the type's own": layer.adapters + layer.block_adapters,
    }
    what = "one layer, with its parts' gradients" if recomputes else f"{len(stack.layers)} layers, the largest"
    saved = " + ".join(f"{name} {size:,}" for name, size in parts.items() if size)
    return {
        "checkpoints": f"inputs of {len(stack.layers)} layers, one in the first's backward pass; {edge:,} B × {count:,} tokens",
        "activations": f"{what}: {saved} B a token; {count:,} tokens",
    }


def selective(stack: Stack, numerics: Numerics, workload: Training) -> int:
    from hfmem.memory.training.selective import selective_bytes  # few runs ask for it

    return selective_bytes(stack, numerics) // workload.tensor_parallel


def each_layer(
    stack: Stack, model: ModelSpec, numerics: Numerics, tokens: Tokens, adapters: tuple[int, int]
) -> Iterator[LayerBytes]:
    """Alike layers are worked out once."""
    known: dict[Layer, LayerBytes] = {}
    for layer in stack.layers:
        if layer not in known:
            extra = extra_bytes(model, layer, stack.hidden_size, numerics.trains) if stack.role == "decoder" else 0
            own = adapters[0] + (extra or 0) * numerics.compute // 2
            known[layer] = layer_bytes(layer, stack.hidden_size, numerics, tokens, own, adapters[1])
        yield known[layer]


def part(num_bytes: int, norms: int, workload: Training) -> int:
    """A tensor-parallel device's part: everything, or without sequence parallelism all but the norms."""
    whole = 0 if workload.sequence_parallel else norms
    return whole + (num_bytes - whole) // workload.tensor_parallel


def kept_inputs(layers: Sequence[Layer], workload: Training) -> int:
    """Checkpoints on the device: one a layer, or two in flight where they are offloaded."""
    return min(len(layers), 2) if workload.checkpointing == "offloaded" else len(layers)


def stack_tokens(stack: Stack, model: ModelSpec, workload: Training, context: int) -> int:
    """Tokens of one sequence a stack reads; an encoder or tower without a decoder reads the sequence itself."""
    if stack.role == "draft":
        return 0
    if stack.role == "encoder" and model.decoder:
        return encoder_tokens(model, workload)
    if stack.role in TOWERS:
        return workload.image_tokens or (0 if len(model.stacks) > 1 else context)
    return context


def encoder_tokens(model: ModelSpec, workload: Training) -> int:
    return workload.encoder_tokens or model.encoder_positions or DEFAULT_ENCODER_TOKENS


def tokens_of(stack: Stack, tensors: Sequence[Tensors], model: ModelSpec, workload: Training, length: int) -> Tokens:
    recurring = sum(any(isinstance(mixer, RecurrentState) for mixer in layer.mixers) for layer in stack.layers)
    mixing = [tensor for tensor in tensors if tensor.role == "recurrent" and tensor.is_linear] if recurring else []
    repeats = workload.attention == "sdpa" or traits_of(model).repeats_keys
    return Tokens(
        context=length,
        encoder=encoder_tokens(model, workload),
        images=workload.image_tokens or 0,
        attention=workload.attention,
        padded=bool(workload.padded),
        repeats_keys=repeats and workload.transformers < REPEATS_KEYS_UNTIL,
        recurrent_outputs=sum(tensor.count * tensor.rows for tensor in mixing) // max(1, recurring),
        recurrent_inputs=sum(tensor.count * tensor.cols for tensor in mixing) // max(1, recurring),
    )


def is_read(model: ModelSpec) -> bool:
    """Whether the architecture's modules were read or traced; others are built as Llama's are."""
    layers = model.decoder.layers if model.decoder else ()
    traced = all(extra_bytes(model, layer, 0, True) is not None for layer in dict.fromkeys(layers))
    return bool(layers) and (model.built_as in TRAITS or traced)


def traits_of(model: ModelSpec) -> Traits:
    return traits(model.built_as)
