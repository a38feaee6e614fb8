"""The model's tensors as training sees them: matrices that can be trained, adapted or packed, and everything else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hfmem.memory.weights import Weights
from hfmem.model.kinds import Attention, CrossAttention, LatentAttention
from hfmem.model.spec import Dense, Experts, Layer, ModelSpec, Stack
from hfmem.tables.packing import MATRIX_ROLES


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensors:
    """`count` alike tensors: the module's name, rows and columns (1 column for a vector), and what they are for."""

    module: str
    rows: int
    cols: int
    count: int
    role: str

    @property
    def elements(self) -> int:
        return self.rows * self.cols

    @property
    def total(self) -> int:
        return self.count * self.elements

    @property
    def is_linear(self) -> bool:
        """Whether it is the weight of a linear module inside a layer, which adapters and 4-bit packing take."""
        return self.role in MATRIX_ROLES and self.cols > 1


def tensors_of(spec: ModelSpec, weights: Weights | None) -> tuple[Tensors, ...]:
    """From the headers where they were read and are not packed, else from the geometry of the decoder."""
    if weights is not None and not any(portion.reason == "packed weights" for portion in weights.portions):
        return tuple(from_headers(weights))
    return tuple(from_geometry(spec))


def from_headers(weights: Weights) -> Iterator[Tensors]:
    for portion in weights.portions:
        if portion.elements:
            shape = portion.group.shape
            cols = shape[-1] if len(shape) > 1 else 1
            rows = portion.group.tensor_elements // max(1, cols)
            yield Tensors(module=module_of(portion.group.pattern), rows=rows, cols=cols, count=portion.count, role=portion.role)


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


def stack_tensors(stack: Stack) -> Iterator[Tensors]:
    """One stack's layers, alike ones once, with their two norms and the last one."""
    for layer, alike in Counter(stack.layers).items():
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
        yield Tensors(module="gate", rows=layer.ffn.num_experts, cols=hidden, count=1, role="mlp")
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
    yield from (Tensors(module=name, rows=out, cols=into, count=1, role="attention") for name, out, into in rows)


def latent_tensors(mixer: LatentAttention, hidden: int) -> Iterator[Tensors]:
    heads, latent = mixer.num_heads, mixer.latent_dim
    rows = (
        ("q_proj", heads * (mixer.content_dim + mixer.rotary_dim), hidden),
        ("kv_a_proj_with_mqa", latent + mixer.rotary_dim, hidden),
        ("kv_b_proj", heads * (mixer.content_dim + mixer.value_dim), latent),
        ("o_proj", hidden, heads * mixer.value_dim),
    )
    yield from (Tensors(module=name, rows=out, cols=into, count=1, role="attention") for name, out, into in rows)


def block_tensors(width: int, hidden: int, count: int, role: str, *, gated: bool) -> Iterator[Tensors]:
    if gated:
        yield Tensors(module="gate_proj", rows=width, cols=hidden, count=count, role=role)
    yield Tensors(module="up_proj", rows=width, cols=hidden, count=count, role=role)
    yield Tensors(module="down_proj", rows=hidden, cols=width, count=count, role=role)


def elements(tensors: Sequence[Tensors]) -> int:
    return sum(tensor.total for tensor in tensors)
