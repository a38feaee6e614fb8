"""
Where llama.cpp puts the tensors of a model: the layers on their devices, what the first layer reads in host memory.

Source: `llama_model::load_tensors` and `llama_model_loader::create_tensor` of src/llama-model*.cpp (llama-cpp-python 0.3.36).
A model that ties its embedding has it twice: in host memory as the input, on a device as the output (`TENSOR_DUPLICATED`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hfmem.memory.weights import Portion, Weights
from hfmem.model.kinds import LatentAttention
from hfmem.model.spec import ModelSpec
from hfmem.tables.llama_cpp import HOST_TENSORS, LATENT_UP, PACKED_ROWS, PER_LAYER_EMBEDDING, SORTS
from hfmem.tables.roles import EMBEDDING, HEAD

TOWERS = ("vision", "audio")
OUTPUT = -1  # the layer of tensors behind the last one


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """Bytes of tensors: of each layer, of the output, and in host memory; an embedding used as both counts in two places."""

    total_bytes: int
    host_bytes: int
    layers: Mapping[int, int]

    @property
    def device_bytes(self) -> int:
        return sum(self.layers.values())

    def on_device(self, number: int, devices: int, num_layers: int) -> int:
        return sum(size for layer, size in self.layers.items() if device_of(layer, num_layers, devices) == number)


def device_of(layer: int, num_layers: int, devices: int) -> int:
    """The device of several equal ones that a layer lies on; the output counts as one behind the last."""
    return devices - 1 if layer in (OUTPUT, num_layers) else min(layer, num_layers) * devices // (num_layers + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The tensors of one group in one layer, as `llama-quantize` sees them. `row` is unknown of some packed tensors."""

    sort: str  # of `SORTS`; "head", "embedding", "per_layer", "float32", "other"
    layer: int
    elements: int
    row: int | None
    is_expert: bool = False


def stored(weights: Weights) -> Placed:
    """A GGUF file's tensors, in the types they have."""
    layers: Counter[int] = Counter()
    host = tied = 0
    portions = [portion for portion in weights.portions if portion.is_loaded and portion.role not in TOWERS]
    for portion in portions:
        if HOST_TENSORS.match(portion.group.pattern):
            host += portion.stored_bytes
            tied += portion.stored_bytes * portion.group.pattern.startswith("token_embd.")
        else:
            for layer, count in portion.group.layers.items():
                layers[layer] += count * portion.group.tensor_bytes
    total = host + sum(layers.values())
    if not any(portion.group.pattern == "output.weight" for portion in portions):
        layers[OUTPUT] += tied
    return Placed(total_bytes=total, host_bytes=host, layers=dict(layers))


def pieces(weights: Weights, model: ModelSpec) -> Iterator[Piece]:
    """Every tensor the text model has, by layer; a latent's up-projection is cut in two, as the conversion cuts it."""
    for portion in weights.portions:
        if not portion.is_loaded or not portion.elements or portion.role in TOWERS:
            continue
        each = portion.elements // portion.count
        for layer, count in portion.group.layers.items():
            if layer < (model.num_layers or 0) or portion.count == portion.group.count:
                yield from cut(portion, layer, each * count, model)


def cut(portion: Portion, layer: int, elements: int, model: ModelSpec) -> Iterator[Piece]:
    row = row_of(portion, model)
    parts = latent_parts(model) if LATENT_UP.search(portion.group.pattern) else None
    if parts is None:
        expert = portion.role == "experts"
        yield Piece(sort=sort_of(portion), layer=layer, elements=elements, row=row, is_expert=expert)
        return
    keys, values = parts
    share = elements * keys // (keys + values)
    yield Piece(sort="other", layer=layer, elements=share, row=keys)
    yield Piece(sort="other", layer=layer, elements=elements - share, row=row)


def row_of(portion: Portion, model: ModelSpec) -> int | None:
    """The elements of a matrix's row, which blocks must divide; None where a packed layout does not say."""
    shape = portion.group.shape
    if portion.reason != "packed weights":
        return shape[-1] if shape else None
    if portion.group.pattern.endswith("_blocks"):
        return shape[-2] * shape[-1] * 2 if len(shape) > 1 else None  # 90 blocks of 16 bytes are 2,880 elements
    method = model.quantization.method if model.quantization else ""
    if method not in PACKED_ROWS or len(shape) < 2:
        return None
    axis, is_shared = PACKED_ROWS[method]
    return shape[axis] * portion.elements // portion.stored_elements if is_shared else shape[axis]


def latent_parts(model: ModelSpec) -> tuple[int, int] | None:
    """The widths of a key's content and of a value, where a latent vector stands for both."""
    layers = model.decoder.layers if model.decoder else ()
    found = (mixer for layer in layers for mixer in layer.mixers if isinstance(mixer, LatentAttention))
    return next(((mixer.content_dim, mixer.value_dim) for mixer in found if mixer.content_dim and mixer.value_dim), None)


def sort_of(portion: Portion) -> str:
    """What `tensor_get_category` and `tensor_allows_quantization` make of a tensor."""
    is_packed = portion.reason == "packed weights"
    pattern, dims = portion.group.pattern, [dim for dim in portion.group.shape if dim != 1]
    if is_packed and not pattern.endswith("_blocks"):
        pattern = f"{pattern.rpartition('.')[0]}.weight"  # `qweight` and other words for it
    if PER_LAYER_EMBEDDING.search(pattern):
        return "per_layer"
    if EMBEDDING.search(pattern):
        return "embedding"
    if HEAD.search(pattern):
        return "head"
    if not (len(dims) > 1 or is_packed) or portion.role == "norms" or pattern.endswith("bias"):
        return "float32"
    found = next((sort for sort, words in SORTS if words.search(pattern)), "other")
    return "host" if found == "other" and portion.role == "embeddings" else found
