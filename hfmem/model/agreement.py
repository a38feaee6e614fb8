"""
A free witness on every run: tensor shapes in the headers against the geometry read from config.json.

A disagreement is a remark with both numbers and the tensor's name; for weights the headers win.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from hfmem.checkpoint.tensors import Checkpoint, Remark, TensorGroup
from hfmem.model.families import family_of
from hfmem.model.kinds import Attention, LatentAttention, Mixer
from hfmem.model.spec import Dense, Experts, Layer, ModelSpec
from hfmem.tables.roles import role_of

UNPACKED = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2", "I8"}
# Module paths that lead to the text decoder; anything under another name may have a geometry of its own.
TEXT = r"(?:(?:model|language_model|transformer|text_model|thinker|llm|base_model|gpt_neox|decoder|backbone)\.)*"
DECODER_LAYER = re.compile(TEXT + r"(?:layers|h)\.\*\.(?P<rest>.+)\.weight")
EXPERT = re.compile(TEXT + r"(?:layers|h)\.\*\.(?:mlp|block_sparse_moe|feed_forward|moe)\.experts\.\*\.\w+\.weight")
FUSED = re.compile(TEXT + r"(?:layers|h)\.\*\.(?:mlp|block_sparse_moe|feed_forward|moe)\.experts\.\w+")
WHOSE = "the checkpoint may be incomplete, or the config.json belongs to another model"
VOCABULARY = re.compile(
    TEXT + r"(?:embed_tokens|wte|tok_embeddings|word_embeddings|embed_in|shared|lm_head|embed_out|output)\.weight"
)
TOWERS = ("vision", "audio", "draft")

Expected = Callable[[Layer, Mixer | None], "tuple[str, set[int]] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A tensor's name inside its layer, and what its first dimension should be."""

    name: re.Pattern[str]
    expected: Expected


def disagreements(model: ModelSpec, checkpoint: Checkpoint) -> list[Remark]:
    """One remark for each sort of tensor whose shape contradicts the configuration."""
    if model.decoder is None or model.hidden_size is None or checkpoint.format not in ("safetensors",):
        return []
    groups = [group for group in checkpoint.groups if group.dtype in UNPACKED and role_of(group.pattern) not in TOWERS]
    counts = expert_counts(model, checkpoint.groups)
    found = [*layer_shapes(model, groups), *vocabulary(model, groups), *depth(model, groups), *counts]
    unique = {remark.message: remark for remark in found}
    return list(unique.values())


def layer_shapes(model: ModelSpec, groups: Iterable[TensorGroup]) -> Iterator[Remark]:
    """The first mismatch of each check that no tensor of its sort agrees with: a mixed width is not another model's."""
    found: dict[Expected, Remark | None] = {}
    for group in groups:
        for check, layer in checked(model, group):
            mixers = (mixer for mixer in layer.mixers if isinstance(mixer, (Attention, LatentAttention)))
            expected = check.expected(layer, next(mixers, None))
            if expected and expected[1] & {group.shape[0], group.shape[-1]}:
                found[check.expected] = None
            elif expected:
                found.setdefault(check.expected, mismatch(group, expected[0], min(expected[1])))
    yield from filter(None, found.values())


def checked(model: ModelSpec, group: TensorGroup) -> Iterator[tuple[Check, Layer]]:
    """The check a tensor is due, and the first layer it is in."""
    layers = model.decoder.layers if model.decoder else ()
    match, per_block = DECODER_LAYER.fullmatch(group.pattern), blocks(model)
    check = next((check for check in CHECKS if match and check.name.search(match["rest"])), None)
    number = next((number * per_block for number in group.layers if 0 <= number * per_block < len(layers)), None)
    if check is not None and number is not None and len(group.shape) == 2:
        yield check, layers[number]


def blocks(model: ModelSpec) -> int:
    """Attending layers in one layer of the files."""
    return family_of(model.text_type or "").layers_per_block


def mismatch(group: TensorGroup, what: str, expected: int) -> Remark:
    shape = " × ".join(str(dim) for dim in group.shape)
    return Remark(
        code="config-disagrees",
        message=f"{group.first_name} is {shape}, but config.json says {what} = {expected:,}; the header is right for weights",
        hint="the config.json may belong to another model",
    )


def query(layer: Layer, mixer: Mixer | None) -> tuple[str, set[int]] | None:
    """Heads × width; twice that where the projection also makes an output gate."""
    if not isinstance(mixer, Attention):
        return None
    width = mixer.num_heads * mixer.key_dim
    return f"{mixer.num_heads} heads × {mixer.key_dim}", {width, 2 * width}


def key(layer: Layer, mixer: Mixer | None) -> tuple[str, set[int]] | None:
    if not isinstance(mixer, Attention) or mixer.shares_cache:
        return None
    return f"{mixer.num_kv_heads} key-value heads × {mixer.key_dim}", {mixer.num_kv_heads * mixer.key_dim}


def value(layer: Layer, mixer: Mixer | None) -> tuple[str, set[int]] | None:
    if not isinstance(mixer, Attention) or mixer.shares_cache:
        return None
    return f"{mixer.num_kv_heads} key-value heads × {mixer.value_dim}", {mixer.num_kv_heads * mixer.value_dim}


def latent(layer: Layer, mixer: Mixer | None) -> tuple[str, set[int]] | None:
    if not isinstance(mixer, LatentAttention):
        return None
    return f"kv_lora_rank {mixer.latent_dim} + rotary {mixer.rotary_dim}", {mixer.latent_dim + mixer.rotary_dim}


def block(layer: Layer, mixer: Mixer | None) -> tuple[str, set[int]] | None:
    return ("intermediate_size", {layer.ffn.intermediate_size}) if isinstance(layer.ffn, Dense) else None


def expert(layer: Layer, mixer: Mixer | None) -> tuple[str, set[int]] | None:
    if not isinstance(layer.ffn, Experts):
        return None
    return "the experts' intermediate size", {layer.ffn.intermediate_size}


CHECKS = (
    Check(name=re.compile(r"^(self_attn|attention|attn)\.(q_proj|wq)$"), expected=query),
    Check(name=re.compile(r"^(self_attn|attention|attn)\.(k_proj|wk)$"), expected=key),
    Check(name=re.compile(r"^(self_attn|attention|attn)\.(v_proj|wv)$"), expected=value),
    Check(name=re.compile(r"kv_a_proj_with_mqa$"), expected=latent),
    Check(name=re.compile(r"^mlp\.(gate_proj|up_proj)$"), expected=block),
    Check(name=re.compile(r"experts\.\*\.(gate_proj|up_proj|w1|w3)$"), expected=expert),
)


def vocabulary(model: ModelSpec, groups: Iterable[TensorGroup]) -> Iterator[Remark]:
    """Embedding and head: vocabulary × hidden size. Files may pad their vocabulary, never fall short of it."""
    size = model.vocab_size or 0
    for group in groups:
        is_text = VOCABULARY.fullmatch(group.pattern) and len(group.shape) == 2 and group.shape[1] == model.hidden_size
        if is_text and group.shape[0] < size:
            yield mismatch(group, "vocab_size", size)


def depth(model: ModelSpec, groups: Iterable[TensorGroup]) -> Iterator[Remark]:
    """The highest layer number in the files + 1; draft layers may follow, and a depth walked in cycles has no such number."""
    counted = [group for group in groups if DECODER_LAYER.fullmatch(group.pattern)]
    highest = max((layer for group in counted for layer in group.layers), default=-1)
    expected = (model.num_layers or 0) // blocks(model)
    if 0 <= highest < expected - 1 and len(counted) > 1 and not family_of(model.text_type or "").counts_cycles:
        first = max(counted, key=lambda group: max(group.layers))
        yield Remark(
            code="config-disagrees",
            message=f"{first.first_name}: the headers hold {highest + 1} layers, config.json says {expected}",
            hint=WHOSE,
        )


def expert_counts(model: ModelSpec, groups: Iterable[TensorGroup]) -> Iterator[Remark]:
    """Experts of a layer, each in tensors of its own or all in one: as many as the configuration says, in one layer at least."""
    met: dict[str, Counter[int]] = {}
    for group in groups:
        if EXPERT.fullmatch(group.pattern):
            met.setdefault(group.pattern, Counter()).update(group.layers)
        elif FUSED.fullmatch(group.pattern) and len(group.shape) > 2:
            met.setdefault(group.pattern, Counter()).update(dict.fromkeys(group.layers, group.shape[0]))
    layers, per_block = model.decoder.layers if model.decoder else (), blocks(model)
    for pattern, counts in met.items():
        said = {n: layers[n * per_block].ffn for n in counts if 0 <= n * per_block < len(layers)}
        wanted = {n: ffn.num_experts for n, ffn in said.items() if isinstance(ffn, Experts)}
        if wanted and all(counts[n] != number for n, number in wanted.items()):
            layer, number = next(iter(wanted.items()))
            message = f"{pattern}: layer {layer} has {counts[layer]} experts, config.json says {number}"
            yield Remark(code="config-disagrees", message=message, hint=WHOSE)
            return


def extra_layers(model: ModelSpec, checkpoint: Checkpoint) -> Iterator[Remark]:
    """Layers past the last of the configuration that are no draft's: whoever loads them leaves them out."""
    expected = (model.num_layers or 0) // blocks(model)
    if not expected or model.decoder is None or family_of(model.text_type or "").counts_cycles:
        return
    drafts = {n for group in checkpoint.groups if role_of(group.pattern) == "draft" for n in group.layers}
    counted = [group for group in checkpoint.groups if DECODER_LAYER.fullmatch(group.pattern)]
    beyond = {n for group in counted for n in group.layers if n >= expected} - drafts
    if beyond:
        message = f"the headers hold {max(beyond) + 1} layers, config.json says {expected}; the ones past it are not loaded"
        yield Remark(code="extra-layers", message=message, hint=WHOSE)
