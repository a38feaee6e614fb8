"""A workload with llama.cpp's defaults filled in, and what of a model each of several devices gets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from hfmem.errors import CannotTell, UsageError
from hfmem.memory.engines.llama_cpp_cache import Cells, head_widths, kv_bytes, state_bytes, widest
from hfmem.memory.engines.llama_cpp_graph import Graph, copied_bytes, graph_bytes
from hfmem.memory.engines.llama_cpp_quantise import quantised
from hfmem.memory.engines.llama_cpp_tensors import Placed, device_of, stored
from hfmem.memory.engines.values import Card
from hfmem.memory.inference import Setting, settle
from hfmem.memory.subject import Model
from hfmem.memory.workload import KV_BITS, KV_DTYPES, Inference, named_dtype
from hfmem.model.spec import Layer
from hfmem.tables.llama_cpp import (
    COMMON_TYPES,
    FILE_SPELLINGS,
    FLOAT_TYPES,
    GGUF_TYPES,
    NEAREST,
    PIPELINE_COPIES,
    UBATCH_TOKENS,
    WINDOWED_TYPES,
)
from hfmem.tables.packing import SPELLINGS

KV_TYPES = KV_DTYPES["llama.cpp"]
KV_BLOCK = 32  # elements of a block, in every quantised cache type
FLOATS = ("float32", "float16", "bfloat16")  # the cache types that need no flash attention
FLASH_MASK_BYTES, PLAIN_MASK_BYTES, OLD_FLASH_MASK_BYTES = 2, 4, 6
ASSUMED_CARD = Card(name="24 GB class", total_bytes=int(23.5 * 2**30))


@dataclass(frozen=True, slots=True, kw_only=True)
class LlamaSetting:
    """A workload with llama.cpp's defaults. `file_type` is None where a GGUF file is taken as it is."""

    base: Setting
    cells: Cells
    devices: int
    file_type: str | None
    card: Card

    @property
    def options(self) -> dict[str, object]:
        return {
            "file_type": self.file_type or "stored",
            "kv_dtype": self.cells.kv_type,
            "n_ubatch": self.cells.ubatch,
            "n_ctx": self.cells.full * self.cells.sequences,
            "flash_attention": self.cells.flash_attention,
            "gpus": self.devices,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """
    What one device holds. `buffer_low` is with one token scored a sequence; `buffer_high` with masks as in older builds and, on
    several devices, inputs copied for several batches at once.
    """

    index: int
    weights: int | None
    kv: int
    state: int
    buffer: int
    buffer_low: int
    buffer_high: int

    @property
    def total(self) -> int:
        return (self.weights or 0) + self.kv + self.state + self.buffer


def settle_llama_cpp(model: Model, workload: Inference, card: Card | None) -> LlamaSetting:
    """llama.cpp's defaults for a model: half-precision keys, 512 tokens a micro-batch, flash attention."""
    refuse(workload)
    asked = named_dtype("kv-dtype", workload.kv_dtype, KV_BITS)
    kv_type, file_type = kv_type_of(asked, workload.flash_attention), file_type_of(model, workload.weights_dtype)
    check_widths(model, kv_type)
    base = settle(model.spec, model.weights, replace(workload, weights_dtype=None, kv_dtype=None))
    reason = "--kv-dtype" if asked else "llama.cpp's default"
    cells = Cells(
        context=base.context,
        sequences=base.batch,
        ubatch=workload.max_num_batched_tokens or UBATCH_TOKENS,
        kv_type=kv_type,
        flash_attention=workload.flash_attention,
        knows_windows=model.checkpoint.format == "gguf" or bool(WINDOWED_TYPES & set(model.spec.types)),
    )
    return LlamaSetting(
        base=replace(base, weights_dtype=file_type, kv_bits=KV_BITS[kv_type], kv_reason=reason),
        cells=cells,
        devices=workload.tp,
        file_type=file_type,
        card=card or ASSUMED_CARD,
    )


def refuse(workload: Inference) -> None:
    """Raises `UsageError` for what llama.cpp does not have; `tp` is the number of devices its layers are shared out to."""
    given = {"pp": workload.pp > 1, "dp": workload.dp > 1, "ep": workload.ep, "enforce-eager": workload.enforce_eager}
    given["max-num-seqs"] = workload.max_num_seqs is not None
    given["gpu-memory-utilization"] = workload.gpu_memory_utilization is not None
    found = next((name for name, value in given.items() if value), None)
    if found:
        hint = "--tp N shares the layers out to N devices (-sm layer), --batch N serves N at once (-np)"
        raise UsageError(f"llama.cpp has no --{found}", code="bad-workload", hint=hint)


def kv_type_of(asked: str | None, flash_attention: bool) -> str:
    found = asked or "float16"
    if found not in KV_TYPES:
        raise UsageError(f"llama.cpp keeps no {found} cache", code="bad-dtype", hint=f"one of: {', '.join(KV_TYPES)}")
    if found not in FLOATS and not flash_attention:
        message = f"llama.cpp keeps values as {found} only with flash attention"
        raise UsageError(message, code="bad-dtype", hint="--kv-dtype float16, or flash attention on")
    return found


def check_widths(model: Model, kv_type: str) -> None:
    """Raises `UsageError` where heads are no whole blocks of a quantised cache, at which `llama_init_from_model` gives up."""
    if kv_type in FLOATS or not model.spec.decoder or not model.spec.writes_tokens:
        return
    width = next((width for width in sorted(head_widths(model.spec.decoder.layers)) if width % KV_BLOCK), None)
    if width is not None:
        message = f"llama.cpp keeps no {kv_type} cache of heads {width} wide: its blocks have {KV_BLOCK} elements"
        raise UsageError(message, code="bad-dtype", hint="--kv-dtype float16")


def file_type_of(model: Model, asked: str | None) -> str | None:
    """The file type asked for, or the one a conversion of these weights would give; None for GGUF files as they are."""
    if asked not in (None, "auto", "stored"):
        return named_file_type(asked)
    if model.checkpoint.format == "gguf":
        return None
    if model.spec.quantization and model.spec.quantization.method == "mxfp4":
        return "MXFP4_MOE"
    found = (model.weights.main_float if model.weights else None) or model.spec.dtype
    return "BF16" if found == "BF16" else "F16"  # convert_hf_to_gguf.py --outtype auto: by the tensors, not by config.json


def named_file_type(text: str) -> str:
    """The file type of that name: `q4-k-m` is Q4_K_M, `bf16` BF16. Raises `UsageError` listing those there are."""
    spelled = text.lower().replace("-", "_")
    name = SPELLINGS.get(spelled, spelled)
    found = FILE_SPELLINGS.get(spelled) or COMMON_TYPES.get(name) or (name.upper() if name in GGUF_TYPES else None)
    if found is None:
        nearest = f"{NEAREST[name]} has about as many bits; " if name in NEAREST else ""
        hint = f"{nearest}one of: {', '.join((*map(str.upper, GGUF_TYPES), *FLOAT_TYPES))}"
        raise UsageError(f"llama.cpp has no {name} weights", code="bad-dtype", hint=hint)
    return found


@lru_cache(maxsize=256)  # a fit asks thousands of times for one model
def placed(model: Model, file_type: str | None) -> Placed | None:
    """The tensors where llama.cpp puts them; None where no header was read."""
    if model.weights is None:
        return None
    return quantised(model.weights, model.spec, file_type) if file_type else stored(model.weights)


def layers_of(model: Model) -> tuple[Layer, ...]:
    """The text model's layers. Raises `CannotTell` where none can be read."""
    stack = model.spec.decoder or next((stack for stack in model.spec.stacks if stack.role == "encoder"), None)
    if stack is None:
        unknown = next((part.message for part in model.spec.unknowns), "the configuration describes no layers")
        raise CannotTell(unknown, code="no-layers", hint="--engine transformers --partial")
    return stack.layers


def shares(model: Model, setting: LlamaSetting) -> tuple[Share, ...]:
    """Every device's part: layers and, last, the output in equal runs (`get_layer_buft_list`, devices equally free)."""
    where = placed(model, setting.file_type)
    return tuple(share(model, setting, number, own, where) for number, own in enumerate(runs(model, setting.devices)))


@lru_cache(maxsize=64)
def runs(model: Model, devices: int) -> tuple[tuple[tuple[Layer, int], ...], ...]:
    """The layers of each device, those that are alike once and how often."""
    layers = layers_of(model)
    found: list[Counter[Layer]] = [Counter() for _ in range(devices)]
    for index, layer in enumerate(layers):
        found[device_of(index, len(layers), devices)][layer] += 1
    return tuple(tuple(own.items()) for own in found)


def share(model: Model, setting: LlamaSetting, number: int, own: tuple[tuple[Layer, int], ...], where: Placed | None) -> Share:
    layers, is_last, cells = layers_of(model), number == setting.devices - 1, setting.cells
    now, old = (FLASH_MASK_BYTES, OLD_FLASH_MASK_BYTES) if cells.flash_attention else (PLAIN_MASK_BYTES, PLAIN_MASK_BYTES)
    every, found = min(cells.ubatch, cells.full) * is_last, graph(model, [layer for layer, _ in own], cells)
    usual, low, high = graph_bytes(found, ((every, now), (min(cells.sequences, every), now), (every, old)))
    value = 0 if cells.flash_attention else widest(layers)
    return Share(
        index=number,
        weights=where.on_device(number, setting.devices, len(layers)) if where else None,
        kv=sum(count * kv_bytes([layer], cells, value) for layer, count in own) if model.spec.writes_tokens else 0,
        state=sum(count * state_bytes([layer], cells.sequences) for layer, count in own),
        buffer=usual,
        buffer_low=low,
        buffer_high=high + (copied_bytes(found, now, PIPELINE_COPIES) if setting.devices > 1 else 0),
    )


def graph(model: Model, layers: Sequence[Layer], cells: Cells) -> Graph:
    stack = model.spec.decoder
    return Graph(
        hidden=stack.hidden_size if stack else model.spec.stacks[0].hidden_size,
        vocabulary=model.spec.vocab_size or 0 if model.spec.writes_tokens else 0,
        cells=cells,
        layers=layers,
        is_cached=model.spec.writes_tokens,
    )
