"""Serving with transformers' own engine: weights, caches, activations and runtime, phase by phase."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hfmem.checkpoint.tensors import DTYPE_BITS, Checkpoint
from hfmem.memory.activations import forward_bytes, logits_bytes, ranged, recurrent_layers
from hfmem.memory.caches import cache_items, prefill_extra
from hfmem.memory.estimate import Item, Note, Phase
from hfmem.memory.weights import FLOATS, Weights, bytes_as
from hfmem.memory.workload import DEFAULT_CONTEXT, KV_BITS, RUNTIME_BYTES, RUNTIME_HIGH, RUNTIME_LOW, Inference, named_dtype
from hfmem.model.kinds import CacheDtypes, Usage
from hfmem.model.spec import ModelSpec
from hfmem.tables.packing import WHAT_IF

ENCODER_DEFAULT_TOKENS = 512
PACKED_DTYPES = {"F4", "F8_E4M3"}  # what packed tensors of a class are written as


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A workload with every open question answered for one model, and how it was answered."""

    batch: int
    context: int
    weights_dtype: str | None
    model_dtype: str  # in safetensors' words
    kv_bits: float
    kv_reason: str
    encoder_tokens: int

    @property
    def dtypes(self) -> CacheDtypes:
        return CacheDtypes(kv_bits=int(self.kv_bits), model_bytes=DTYPE_BITS[self.model_dtype] // 8)

    @property
    def usage(self) -> Usage:
        """All of the context seen, the last token of it decoded."""
        return Usage(batch=self.batch, tokens=self.context, prompt_tokens=self.context - 1, encoder_tokens=self.encoder_tokens)


def settle(model: ModelSpec, weights: Weights | None, workload: Inference) -> Setting:
    """Resolve what the workload leaves open: context, dtypes, tokens of an encoder."""
    asked = named_dtype("kv-dtype", workload.kv_dtype, KV_BITS)
    dtype = model_dtype(model, weights)
    scheme = model.quantization.kv_cache_bits if model.quantization else None
    kv_bits = KV_BITS[asked] if asked else scheme or DTYPE_BITS[dtype]
    context = workload.context or min(DEFAULT_CONTEXT, model.max_position_embeddings or DEFAULT_CONTEXT)
    has_encoder = any(stack.role == "encoder" for stack in model.stacks) or model.encoder_positions is not None
    default_tokens = model.encoder_positions or min(ENCODER_DEFAULT_TOKENS, context)
    return Setting(
        batch=workload.batch,
        context=context,
        weights_dtype=named_dtype("weights-dtype", workload.weights_dtype, WHAT_IF),
        model_dtype=dtype,
        kv_bits=kv_bits,
        kv_reason="--kv-dtype" if asked else "the checkpoint's kv_cache_scheme" if scheme else "the model's dtype",
        encoder_tokens=workload.encoder_tokens or (default_tokens if has_encoder else 0),
    )


def model_dtype(model: ModelSpec, weights: Weights | None) -> str:
    """The dtype the model computes in: config.json's, else that of most stored floats, else bfloat16."""
    stored = weights.main_float if weights else None
    return next(dtype for dtype in (model.dtype, stored, "BF16") if dtype in FLOATS)


def phases(model: ModelSpec, checkpoint: Checkpoint, weights: Weights | None, setting: Setting) -> tuple[Phase, ...]:
    """load, prefill and decode, each with everything that is alive in it."""
    held = (weights_item(checkpoint, weights, setting), runtime_item())
    caches = tuple(cache_items(model, setting.usage, setting.dtypes, setting.kv_reason))
    tokens = {"decoder": setting.batch * setting.context, "encoder": setting.batch * setting.encoder_tokens}
    step = {"decoder": setting.batch}
    return (
        Phase(name="load", items=held),
        Phase(
            name="prefill",
            items=(held[0], *caches, *transients(model, setting, tokens), *extra(model, setting), held[1]),
        ),
        Phase(name="decode", items=(held[0], *caches, *transients(model, setting, step), held[1])),
    )


def weights_item(checkpoint: Checkpoint, weights: Weights | None, setting: Setting) -> Item:
    """The weights as loaded, or under the what-if dtype; from file sizes where headers were not read."""
    if weights is None:
        return unread_weights(checkpoint)
    files = sum(len(part.files) for part in checkpoint.parts() if part.groups)
    pickled = sum(part.files_bytes or 0 for part in checkpoint.parts() if not part.groups)
    if setting.weights_dtype:
        size = bytes_as(weights, setting.weights_dtype) + pickled
        formula = f"{weights.num_parameters:,} parameters, matrices at {WHAT_IF[setting.weights_dtype][0]:g} bits"
        return Item(
            name="weights",
            num_bytes=size,
            basis="derived",
            formula=formula,
            note=f"if loaded as {setting.weights_dtype}",
        )
    if checkpoint.format == "class":
        return class_weights(weights, checkpoint)
    less = "".join(f" − {row.num_bytes:,} ({row.reason})" for row in weights.differences if row.num_bytes)
    more = f" + {pickled:,} in pickled files, not opened" if pickled else ""
    return Item(
        name="weights",
        num_bytes=weights.loaded_bytes + pickled,
        basis="measured",
        formula=f"{weights.stored_bytes:,} stored{less}{more}",
        note=f"{files} safetensors header{'s' if files != 1 else ''}, {checkpoint.num_tensors:,} tensors",
    )


def class_weights(weights: Weights, checkpoint: Checkpoint) -> Item:
    """No file was read: the tensors are those the model's class makes."""
    how = "packed as quantization_config says" if PACKED_DTYPES & weights.by_dtype.keys() else "in the model's dtype"
    formula = f"{weights.num_parameters:,} parameters of {checkpoint.num_tensors:,} tensors, {how}"
    return Item(
        name="weights", num_bytes=weights.loaded_bytes, basis="derived", formula=formula, note="as the class is built; no file"
    )


def unread_weights(checkpoint: Checkpoint) -> Item:
    """Weights without one header: from the files' sizes, where there are files."""
    size = checkpoint.stored_bytes
    if size is None:
        return Item(name="weights", num_bytes=None, basis="measured", note="unknown: there are no weight files")
    is_pickled = any(part.format == "pytorch" for part in checkpoint.parts())
    note = "not opened: pickled" if is_pickled else "the files hold no tensors"
    return Item(name="weights", num_bytes=size, basis="measured", formula="sum of file sizes", note=note)


def runtime_item() -> Item:
    return Item(
        name="runtime",
        num_bytes=RUNTIME_BYTES,
        low_bytes=RUNTIME_LOW,
        high_bytes=RUNTIME_HIGH,
        basis="assumed",
        formula="530 MiB",
        note="CUDA context and workspaces",
    )


def transients(model: ModelSpec, setting: Setting, tokens: dict[str, int]) -> Iterator[Item]:
    """Activations of the widest layer, and the logits of the last token."""
    if not model.stacks:
        yield Item(name="activations", num_bytes=None, basis="modelled", note="unknown: config.json describes no layers")
        return
    alive, element = sum(tokens.values()), setting.dtypes.model_bytes
    size = forward_bytes(model, tokens, setting.context, element)
    low, high = ranged(size)
    note = "widest layer, no gradients"
    if any(stack.role in ("vision", "audio") for stack in model.stacks):
        note += "; text alone"
    if recurrent_layers(model.decoder):
        note += "; without the recurrent layers' scan"
    yield Item(
        name="activations",
        num_bytes=size,
        low_bytes=low,
        high_bytes=high,
        basis="modelled",
        formula=f"{alive:,} tokens × {size // max(1, alive * element):,} elements × {element} B",
        note=note,
    )
    if model.vocab_size and scores_every_token(model):
        formula = f"{alive:,} tokens × {model.vocab_size:,} × {element} B"
        every = alive * model.vocab_size * element
        yield Item(name="logits", num_bytes=every, basis="derived", formula=formula, note="every token is scored")
    elif model.vocab_size and model.writes_tokens:
        scores = logits_bytes(setting.batch, 1, model.vocab_size, setting.model_dtype)
        formula = f"{setting.batch} × 1 token × {model.vocab_size:,} × ({setting.dtypes.model_bytes} + 4 B)"
        yield Item(name="logits", num_bytes=scores, basis="derived", formula=formula, note="the last token is scored")


def scores_every_token(model: ModelSpec) -> bool:
    """Whether a class gives scores for each token it reads, as masked language models do."""
    return bool(model.architecture and model.architecture.endswith(("ForMaskedLM", "ForPreTraining")))


def extra(model: ModelSpec, setting: Setting) -> Iterator[Item]:
    """What windowed layers hold of the fresh prompt, on top of `kv_cache`."""
    size = prefill_extra(model, setting.usage, setting.dtypes)
    if size:
        note = "windows still hold the whole prompt"
        yield Item(
            name="prefill_cache",
            num_bytes=size,
            basis="derived",
            formula="cache after the prompt − kv_cache",
            note=note,
        )


def setting_notes(model: ModelSpec, weights: Weights | None, setting: Setting) -> Iterator[Note]:
    """Answers a user should know were given for them."""
    if model.dtype not in FLOATS and (weights is None or weights.main_float is None):
        yield Note(code="assumed-dtype", message="config.json names no dtype and no header shows one: bfloat16 is assumed")
    limit = model.max_position_embeddings
    if limit and setting.context > limit:
        yield Note(
            code="context-beyond-model",
            message=f"context {setting.context:,} is beyond the model's {limit:,} positions",
            hint=f"--context {limit}",
        )
