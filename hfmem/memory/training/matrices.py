"""The model's tensors as training sees them: matrices that can be trained, adapted or packed, and everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hfmem.memory.weights import Weights
from hfmem.model.kinds import Attention, CrossAttention, LatentAttention
from hfmem.model.spec import Dense, Experts, Layer, ModelSpec, Stack
from hfmem.tables.experts import FUSED_INTO, WRAPPED_TYPES
from hfmem.tables.packing import MATRIX_ROLES

TOWERS = ("vision", "audio")
LINEAR_ROLES = MATRIX_ROLES.union(TOWERS)
ENCODER_HEAD = 64
VOCABULARY_HEADS = ("LM", "Generation", "PreTraining", "Seq2Seq")
NO_MODULE = ("embed", "pos", "table", "conv", "A_log", "norm", "token", "latents")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensors:
    """
    `count` alike tensors: the module's name, rows and columns (1 column for a vector), and what they are for.

    `is_linear`: it is the weight of a linear module, which adapters and 4-bit packing take. `is_wrapped`: PEFT adapts it as a
    parameter; `parts`: experts stacked in one tensor.
    """

    module: str
    rows: int
    cols: int
    count: int
    role: str
    is_linear: bool = False
    is_wrapped: bool = False
    parts: int = 1

    @property
    def elements(self) -> int:
        return self.rows * self.cols

    @property
    def total(self) -> int:
        return self.count * self.elements


def tensors_of(spec: ModelSpec, weights: Weights | None) -> tuple[Tensors, ...]:
    """From the headers where they were read and are not packed, else from the geometry of the stacks."""
    known = weights is not None and not weights.is_packed
    found = from_headers(weights) if weights is not None and known else from_geometry(spec)
    is_wrapped = (spec.read_as or spec.model_type) in WRAPPED_TYPES
    return tuple(replace(tensor, is_wrapped=True) if is_wrapped and is_expert(tensor) else tensor for tensor in found)


def is_expert(tensor: Tensors) -> bool:
    """Whether a tensor is of the experts or their router, which newer classes hold as parameters."""
    return tensor.module == "gate" or (tensor.role == "experts" and tensor.module in FUSED_INTO | {"gate_up_proj": ""})


def from_headers(weights: Weights) -> Iterator[Tensors]:
    for portion in weights.portions:
        if portion.elements:
            shape = portion.group.shape
            cols = shape[-1] if len(shape) > 1 else 1
            rows = portion.group.tensor_elements // max(1, cols)
            name, role = module_of(portion.group.pattern), portion.role
            linear = len(shape) == 2 and is_module(name, role)
            parts = shape[0] if len(shape) == 3 and role == "experts" else 1
            yield Tensors(module=name, rows=rows, cols=cols, count=portion.count, role=role, is_linear=linear, parts=parts)


def is_module(name: str, role: str) -> bool:
    """Whether a matrix is a linear module: inside layers and towers all but those that are tables or states by their name."""
    return role in LINEAR_ROLES and not any(word in name for word in NO_MODULE)


def module_of(pattern: str) -> str:
    """`model.layers.*.self_attn.q_proj.weight` is the module q_proj."""
    parts = [part for part in pattern.split(".") if part not in ("weight", "bias", "*")]
    return parts[-1] if parts else pattern


def from_geometry(spec: ModelSpec) -> Iterator[Tensors]:
    """Projections, blocks, norms and embeddings of stacks built as Llama is; biases and projectors are left out."""
    hidden = spec.hidden_size or (spec.stacks[0].hidden_size if spec.stacks else 0)
    for stack in spec.stacks:
        if stack.role != "draft":
            yield from stack_tensors(stack)
    if spec.vocab_size:
        yield Tensors(module="embed_tokens", rows=spec.vocab_size, cols=hidden, count=1, role="embeddings")
        if not spec.tied_embeddings:
            yield Tensors(module="lm_head", rows=spec.vocab_size, cols=hidden, count=1, role="head")


def with_attention(stack: Stack) -> tuple[Layer, ...]:
    """
    A stack that keeps no cache says nothing of its attention: taken to have as many keys as queries, in heads of 64.

    Source: BERT, RoBERTa, ViT, CLIP, SigLIP, T5 and Whisper encoders, whose heads are 64 wide but for SigLIP's largest.
    """
    heads = max(1, stack.hidden_size // ENCODER_HEAD)
    width = stack.hidden_size // heads
    whole = Attention(num_heads=heads, num_kv_heads=heads, key_dim=width, value_dim=width)
    keeps_cache = any(layer.mixers for layer in stack.layers)
    return stack.layers if keeps_cache else tuple(replace(layer, mixers=(whole,)) for layer in stack.layers)


def stack_tensors(stack: Stack) -> Iterator[Tensors]:
    """One stack's layers, alike ones once, with their two norms and the last one."""
    for layer, alike in Counter(with_attention(stack)).items():
        yield from (replace(tensor, count=tensor.count * alike) for tensor in layer_tensors(layer, stack.hidden_size))
    yield Tensors(module="norm", rows=stack.hidden_size, cols=1, count=2 * len(stack.layers) + 1, role="norms")


def layer_tensors(layer: Layer, hidden: int) -> Iterator[Tensors]:
    for mixer in layer.mixers:
        if isinstance(mixer, (Attention, CrossAttention)):
            yield from attention_tensors(mixer, hidden)
        elif isinstance(mixer, LatentAttention):
            yield from latent_tensors(mixer, hidden)
    if isinstance(layer.ffn, Dense):
        yield from block_tensors(layer.ffn.intermediate_size, hidden, 1, "mlp", gated=layer.ffn.gated)
    elif isinstance(layer.ffn, Experts):
        yield linear("gate", layer.ffn.num_experts, hidden, 1, "mlp")
        yield from block_tensors(layer.ffn.intermediate_size, hidden, layer.ffn.num_experts, "experts", gated=True)
        if layer.ffn.shared_intermediate_size:
            yield from block_tensors(layer.ffn.shared_intermediate_size, hidden, 1, "mlp", gated=True)


def attention_tensors(mixer: Attention | CrossAttention, hidden: int) -> Iterator[Tensors]:
    rows = (
        ("q_proj", mixer.num_heads * mixer.key_dim, hidden),
        ("k_proj", mixer.num_kv_heads * mixer.key_dim, hidden),
        ("v_proj", mixer.num_kv_heads * mixer.value_dim, hidden),
        ("o_proj", hidden, mixer.num_heads * mixer.value_dim),
    )
    yield from (linear(name, out, into, 1, "attention") for name, out, into in rows)


def latent_tensors(mixer: LatentAttention, hidden: int) -> Iterator[Tensors]:
    heads, latent, queries = mixer.num_heads, mixer.latent_dim, mixer.query_latent_dim
    if queries:
        yield linear("q_a_proj", queries, hidden, 1, "attention")
    rows = (
        ("q_b_proj" if queries else "q_proj", heads * (mixer.content_dim + mixer.rotary_dim), queries or hidden),
        ("kv_a_proj_with_mqa", latent + mixer.rotary_dim, hidden),
        ("kv_b_proj", heads * (mixer.content_dim + mixer.value_dim), latent),
        ("o_proj", hidden, heads * mixer.value_dim),
    )
    yield from (linear(name, out, into, 1, "attention") for name, out, into in rows)


def block_tensors(width: int, hidden: int, count: int, role: str, *, gated: bool) -> Iterator[Tensors]:
    if gated:
        yield linear("gate_proj", width, hidden, count, role)
    yield linear("up_proj", width, hidden, count, role)
    yield linear("down_proj", hidden, width, count, role)


def linear(module: str, rows: int, cols: int, count: int, role: str) -> Tensors:
    return Tensors(module=module, rows=rows, cols=cols, count=count, role=role, is_linear=True)


def scores_vocabulary(spec: ModelSpec) -> bool:
    """Whether an architecture has a head over the vocabulary, by its name; one that is not named writes tokens or has none."""
    return any(word in spec.architecture for word in VOCABULARY_HEADS) if spec.architecture else spec.writes_tokens


def for_task(tensors: Sequence[Tensors], num_labels: int | None) -> tuple[Tensors, ...]:
    """A classifier's tensors: scores of its labels in the place of the head."""
    if num_labels is None:
        return tuple(tensors)
    hidden = next((tensor.cols for tensor in tensors if tensor.role in ("embeddings", "head") and tensor.cols > 1), 0)
    kept = [tensor for tensor in tensors if tensor.role != "head"]
    return (*kept, Tensors(module="score", rows=num_labels, cols=hidden, count=1, role="head"))


def elements(tensors: Sequence[Tensors]) -> int:
    return sum(tensor.total for tensor in tensors)
