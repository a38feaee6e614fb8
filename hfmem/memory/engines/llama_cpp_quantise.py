"""
What `llama-quantize` would make of a model: each tensor's type by the recipe of a file type, and the bytes that takes.

Source: `llama_tensor_get_type` of src/llama-quant.cpp (llama-cpp-python 0.3.36); `tables/llama_cpp.py` has its rows. Left out:
the exceptions of glm5-next, and the metadata and vocabulary of the file, which are no tensors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

from hfmem.checkpoint.gguf_types import MAIN_TYPES
from hfmem.memory.engines.llama_cpp_tensors import OUTPUT, Piece, Placed, pieces
from hfmem.memory.weights import Weights
from hfmem.model.spec import Experts, ModelSpec
from hfmem.tables.llama_cpp import (
    FALCON,
    FALCON_HEAD,
    FALCON_TYPES,
    FALLBACKS,
    FLOAT_TYPES,
    LAYERS_OF_70B,
    MORE_OF_70B,
    RECIPES,
    Recipe,
)

BLOCKS = {kind.name: (kind.block_elements, kind.block_bytes) for kind in MAIN_TYPES.values()}
HOST_SORTS = ("embedding", "per_layer", "host")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the rules ask about a model beside the tensor's name."""

    num_layers: int
    num_experts: int
    queries_per_key: int
    is_70b: bool
    is_tied: bool
    is_falcon: bool
    mixes_by_layer: dict[str, tuple[int, ...]]  # sort → the layers that have such a tensor, in order

    @classmethod
    def of(cls, model: ModelSpec, found: Iterable[Piece]) -> Facts:
        layers = model.decoder.layers if model.decoder else ()
        heads, keys = model.num_attention_heads or 1, model.num_key_value_heads or model.num_attention_heads or 1
        blocks = [layer.ffn.num_experts for layer in layers if isinstance(layer.ffn, Experts)]
        seen: dict[str, set[int]] = {}
        for piece in found:
            seen.setdefault(piece.sort, set()).add(piece.layer)
        family = {"llama", "qwen2", "olmo", "deci", "mistral"} & set(model.types)
        return cls(
            num_layers=len(layers),
            num_experts=max(blocks, default=0),
            queries_per_key=heads // keys,
            is_70b=len(layers) == LAYERS_OF_70B and heads != keys and bool(family),
            is_tied="head" not in seen,
            is_falcon=bool(FALCON_TYPES & set(model.types)),
            mixes_by_layer={sort: tuple(sorted(numbers)) for sort, numbers in seen.items()},
        )

    def position(self, piece: Piece) -> tuple[int, int]:
        """A tensor's place among those of its sort, and out of how many; with experts, projections go by the layer."""
        places = self.mixes_by_layer[piece.sort]
        if piece.sort == "value":
            return places.index(piece.layer), len(places)
        return (piece.layer if self.num_experts > 1 else places.index(piece.layer)), self.num_layers


def quantised_bytes(weights: Weights, model: ModelSpec, file_type: str) -> tuple[int, int]:
    """Bytes of all tensors of the text model, and of those on the devices when every layer is."""
    placed = quantised(weights, model, file_type)
    return placed.total_bytes, placed.device_bytes


def quantised(weights: Weights, model: ModelSpec, file_type: str) -> Placed:
    """The tensors as a file of that type would hold them, and where they would lie."""
    found = list(pieces(weights, model))
    facts, layers, host, tied = Facts.of(model, found), Counter[int](), 0, 0
    for piece in found:
        size = type_bytes(type_of(piece, facts, file_type), piece.elements)
        if piece.sort in HOST_SORTS:
            host += size
            tied += size * (facts.is_tied and piece.sort == "embedding")
        else:
            layers[piece.layer] += size
    total = host + sum(layers.values())
    layers[OUTPUT] += tied
    return Placed(total_bytes=total, host_bytes=host, layers=dict(layers))


def type_bytes(name: str, elements: int) -> int:
    block, size = BLOCKS[name]
    return -(-elements // block) * size


def type_of(piece: Piece, facts: Facts, file_type: str) -> str:
    """The type a tensor ends up with, where its rows are whole blocks of it."""
    recipe = recipe_of(file_type, facts)
    if piece.sort in ("float32", "host") or file_type == "F32":
        return "F32"
    if piece.sort == "float16" or file_type in FLOAT_TYPES:
        return recipe.default if file_type in FLOAT_TYPES else "F16"
    return fitting(wanted(piece, facts, file_type, recipe), piece.row)


def recipe_of(file_type: str, facts: Facts) -> Recipe:
    found = RECIPES[file_type]
    return replace(found, head=FALCON_HEAD, **FALCON.get(file_type, {})) if facts.is_falcon else found


def fitting(name: str, row: int | None) -> str:
    """The type itself, or what `tensor_type_fallback` puts in its place."""
    if row is None or row % BLOCKS[name][0] == 0:
        return name
    other = FALLBACKS.get(name, name)
    return other if row % BLOCKS[other][0] == 0 else "F16"


def wanted(piece: Piece, facts: Facts, file_type: str, recipe: Recipe) -> str:
    sort = piece.sort
    if sort == "head" or (facts.is_tied and sort in ("embedding", "per_layer")):
        return "Q8_0" if piece.row is not None and piece.row % BLOCKS[recipe.default][0] else recipe.head
    if file_type == "MXFP4_MOE":
        return "MXFP4" if piece.is_expert else "Q8_0"
    if sort in ("embedding", "per_layer"):
        return recipe.embedding or recipe.default
    if sort == "other":
        return recipe.default
    of_eight = eight(sort, recipe) if facts.num_experts == 8 else ""
    found = of_eight or ruled(getattr(recipe, sort), piece, facts) or recipe.default
    is_more = sort == "value" and facts.is_70b and recipe.of_eight == "Q8_0" and not of_eight
    return MORE_OF_70B.get(found, found) if is_more else found


def eight(sort: str, recipe: Recipe) -> str:
    """Keys, values and the output of attention cost little beside eight experts."""
    return recipe.of_eight if sort in ("key", "value") else recipe.output_of_eight if sort == "attn_output" else ""


def ruled(rules: str, piece: Piece, facts: Facts) -> str:
    """The type of the first rule that holds; nothing where none does."""
    for rule in rules.split():
        condition, _, name = rule.rpartition(":")
        if not condition or holds(condition, piece, facts):
            return name
    return ""


def holds(condition: str, piece: Piece, facts: Facts) -> bool:
    index, count = facts.position(piece)
    more = index < count // 8 or index >= 7 * count // 8 or (index - count // 8) % 3 == 2
    return {
        "more": more,
        "more8": more and facts.num_experts == 8,
        "eighth": index < count // 8,
        "sixteenth": index < count // 16,
        "middle": count // 8 <= index < 7 * count // 8,
        "first2": index < 2,
        "first4": index < 4,
        "gqa4": facts.queries_per_key >= 4,
        "shared": facts.queries_per_key >= 4 or facts.num_experts >= 4,
    }[condition]
