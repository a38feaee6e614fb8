"""
What vLLM's profile run and its CUDA graphs take: fitted to start-up logs, with the range those show.

The run reads `max_num_batched_tokens` tokens and then samples `max_num_seqs` rows; the larger of the two peaks counts.
On 58 half-precision logs of 0.19 the mean error is 0.02 GiB and the worst 0.16; see docs/method.md.
"""

from __future__ import annotations

from collections.abc import Iterator

from hfmem.memory.engines.shards import Split
from hfmem.model.spec import Dense, Experts, Layer, ModelSpec
from hfmem.tables.engines import (
    EXPERT_GRAPHS,
    FORWARD_HIDDEN,
    FORWARD_INNER,
    GRAPH_BYTES,
    GRAPH_SIZES,
    LARGEST_GRAPH,
    PROFILE_CONSTANT,
    SAMPLED_HIDDEN,
    TOWER_CONSTANT,
    Release,
)


def profile_bytes(model: ModelSpec, release: Release, split: Split, tokens: int, sequences: int, element: int) -> int:
    """The peak of the profile run on the last stage, where logits are sampled."""
    hidden = model.hidden_size or 0
    sampled = release.sampler_bytes * min(sequences, tokens) * (model.vocab_size or 0) if samples(model) else 0
    sampler = sampled + SAMPLED_HIDDEN * tokens * hidden * element
    return round(max(sampler, forward_bytes(model, split, tokens, element)) + PROFILE_CONSTANT) + extras(
        model, release, split, tokens, element
    )


def stage_bytes(model: ModelSpec, release: Release, split: Split, tokens: int, element: int) -> int:
    """The same on a stage that samples nothing."""
    forward = forward_bytes(model, split, tokens, element) + PROFILE_CONSTANT
    return round(forward) + extras(model, release, split, tokens, element)


def forward_bytes(model: ModelSpec, split: Split, tokens: int, element: int) -> float:
    inner = max((size for size in dense_sizes(model)), default=0)
    return tokens * element * (FORWARD_INNER * inner / split.tp + FORWARD_HIDDEN * (model.hidden_size or 0))


def extras(model: ModelSpec, release: Release, split: Split, tokens: int, element: int) -> int:
    """The experts' workspace, and a tower's output for the images of one batch."""
    hidden = model.hidden_size or 0
    block = next((layer.ffn for layer in decoder_layers(model) if isinstance(layer.ffn, Experts)), None)
    found = 0.0
    packed = model.quantization.method if model.quantization else None
    if block and release.expert_workspace and packed != "mxfp4":
        inner = 2 * block.intermediate_size / (1 if split.expert else split.tp)
        found += tokens * block.experts_per_token * (inner + hidden) * element
    if any(stack.role in ("vision", "audio") for stack in model.stacks):
        found += tokens * hidden * element + TOWER_CONSTANT
    return round(found)


def graph_bytes(model: ModelSpec, sequences: int, eager: bool) -> int:
    """The pool of captured graphs, one for each batch size in two modes."""
    if eager:
        return 0
    layers = tuple(decoder_layers(model))
    more = EXPERT_GRAPHS if any(isinstance(layer.ffn, Experts) for layer in layers) else 1
    return round(len(captured_sizes(sequences)) * len(layers) * GRAPH_BYTES * more)


def captured_sizes(sequences: int) -> list[int]:
    """Batch sizes that are captured: 1, 2, 4, every eighth to 256, every sixteenth to twice the sequences or 512."""
    largest = min(2 * sequences, LARGEST_GRAPH)
    every = [1, 2, 4, *range(8, 256, 8), *range(256, LARGEST_GRAPH + 1, GRAPH_SIZES)]
    return [size for size in every if size <= largest]


def samples(model: ModelSpec) -> bool:
    """Whether the class scores tokens: one without a head, served for embeddings, samples nothing."""
    return model.writes_tokens and not (model.architecture or "").endswith("Model")


def decoder_layers(model: ModelSpec) -> Iterator[Layer]:
    yield from model.decoder.layers if model.decoder else ()


def dense_sizes(model: ModelSpec) -> Iterator[int]:
    for layer in decoder_layers(model):
        if isinstance(layer.ffn, Dense):
            yield layer.ffn.intermediate_size
        elif isinstance(layer.ffn, Experts):
            yield layer.ffn.shared_intermediate_size
