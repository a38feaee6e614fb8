"""
Bytes a token leaves saved for the backward pass, layer by layer, in eager transformers code computing in 16 bits.

Formulas are those of Llama, Mistral, Qwen2 and Qwen3 modules, tensor by tensor; q, k, v and o are heads × width.

    norm       RMS 4h (float32 copy) + 2h (normalised) + 2h (output), frozen 4h; in float32 throughout 4h + 4h + 2h;
               LayerNorm 2h (input) + 2h (output), frozen 2h
    attention  queries, keys, values, output 2·(q + k + v + o), log-sum-exp 4 a head; eager: 6 a head and key instead
    block      gate, activation, up, product 8f, frozen 6f; ungated 2f a tensor the activation keeps
    experts    8·k·f + 6·k·h + 4·E, frozen 6·k·f; the shared expert as a block

Leaves out kernels' own workspaces. A layer whose mixers are recurrent has no formula yet: its activations are unknown.
"""

from __future__ import annotations

from hfmem.errors import ConfigError
from hfmem.memory.training.workload import Training
from hfmem.model.kinds import Attention, LatentAttention, Mixer
from hfmem.model.spec import Dense, Experts, Layer
from hfmem.tables.traits import Traits


def saved_bytes(layer: Layer, hidden: int, traits: Traits, workload: Training, context: int) -> int:
    """Bytes a token of one layer leaves until its backward pass."""
    trains = workload.method == "full"
    norms = traits.norms_per_layer * norm_bytes(hidden, traits, trains)
    mixing = sum(mixer_bytes(mixer, traits, workload, context) for mixer in layer.mixers)
    return norms + mixing + ffn_bytes(layer.ffn, hidden, traits, trains) + traits.hidden_dropouts * hidden + 8


def norm_bytes(width: int, traits: Traits, trains: bool) -> int:
    """One norm over `width` elements, its output included where a trained projection reads it."""
    if traits.norm == "layer":
        return (4 if trains else 2) * width
    return ((10 if traits.norm == "gemma" else 8) if trains else 4) * width


def mixer_bytes(mixer: Mixer, traits: Traits, workload: Training, context: int) -> int:
    if isinstance(mixer, Attention):
        return attention_bytes(mixer, traits, workload, context)
    if isinstance(mixer, LatentAttention):
        return latent_bytes(mixer)
    raise ConfigError(f"activations of a {type(mixer).__name__} layer in training are not modelled yet", code="not-modelled")


def attention_bytes(mixer: Attention, traits: Traits, workload: Training, context: int) -> int:
    queries, keys = mixer.num_heads * mixer.key_dim, mixer.num_kv_heads * mixer.key_dim
    values, output = mixer.num_kv_heads * mixer.value_dim, mixer.num_heads * mixer.value_dim
    total = 2 * (queries + keys + values + output)
    if workload.attention == "eager":
        total += 2 * (queries + output - keys - values) + 6 * mixer.num_heads * context
    else:
        total += 4 * mixer.num_heads
    if traits.head_norms:
        total += (6 if workload.method == "full" else 4) * (queries + keys)
    if traits.fused_projections:
        total += 2 * (queries + keys)  # the projection's own storage outlives its rotated parts
    return total


def latent_bytes(mixer: LatentAttention) -> int:
    """Expanded queries, keys, values and output of every head, and the latents with their norms."""
    key = mixer.content_dim + mixer.rotary_dim
    expanded = mixer.num_heads * (2 * key + 2 * key + 2 * mixer.value_dim + 2 * mixer.value_dim + 4)
    return expanded + 8 * (mixer.latent_dim + mixer.rotary_dim)


def ffn_bytes(ffn: Dense | Experts | None, hidden: int, traits: Traits, trains: bool) -> int:
    if ffn is None:
        return 0
    if isinstance(ffn, Dense):
        return block_bytes(ffn.intermediate_size, ffn.gated, traits, trains)
    routed = ffn.experts_per_token * ffn.intermediate_size * (8 if trains else 6)
    copies = ffn.experts_per_token * hidden * (6 if trains else 4)
    shared = block_bytes(ffn.shared_intermediate_size, True, traits, trains) if ffn.shared_intermediate_size else 0
    return routed + copies + 4 * ffn.num_experts + shared


def block_bytes(width: int, gated: bool, traits: Traits, trains: bool) -> int:
    if gated:
        return (8 if trains else 6) * width
    return 2 * traits.activation_tensors * width


def adapter_bytes(layer_inputs: int, num_modules: int, workload: Training) -> int:
    """What LoRA adds: each module's float32 copy of its input, a dropout mask, and the rank's activations."""
    if workload.method == "full":
        return 0
    return (5 if workload.lora_dropout else 4) * layer_inputs + 4 * workload.lora_rank * num_modules


def recompute_bytes(layer: Layer, hidden: int, traits: Traits, workload: Training, context: int) -> int:
    """One checkpointed layer run again, with the temporaries of its backward pass: + 6f + 2h frozen, + 4f − 2h trained."""
    saved = saved_bytes(layer, hidden, traits, workload, context)
    width = widest(layer)
    return saved + (4 * width - 2 * hidden if workload.method == "full" else 6 * width + 2 * hidden)


def widest(layer: Layer) -> int:
    if isinstance(layer.ffn, Experts):
        return layer.ffn.experts_per_token * layer.ffn.intermediate_size
    return layer.ffn.intermediate_size if layer.ffn else 0
