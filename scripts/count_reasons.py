"""Named reasons why a published total differs from the parameters of the class, each with its exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from fixture_classes import Built, Tensor, count, weigh
from fixture_packing import EVERY_MATRIX, EXPERTS, Packing, fp8_blocks, int8, mlx, mxfp4, nvfp4
from fixture_rows import matching

MAXIMUM = 6  # reasons that may act together


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing a file or a count may have, or lack, beside the parameters."""

    text: str
    elements: int
    num_bytes: float


def explain(built: Built, config: dict[str, Any], gap: float, *, unit: str) -> list[Reason] | None:
    """The fewest reasons whose elements (or bytes) sum to the gap, or None."""
    candidates = [reason for rule in RULES for reason in rule(built, config)]
    for size in range(MAXIMUM + 1):
        for chosen in combinations(candidates, size):
            if sum(reason.elements if unit == "elements" else reason.num_bytes for reason in chosen) == gap:
                return list(chosen)
    return None


def sized(text: str, tensors: list[Tensor]) -> Reason:
    return Reason(f"{text} ({count(tensors):+,})", count(tensors), weigh(tensors))


def tied_head(built: Built, config: dict[str, Any]) -> Iterator[Reason]:
    heads = {kept for name, kept in built.tied if name.startswith("lm_head.weight")}
    embeddings = [tensor for name, tensor in built.stored.items() if name.endswith("embed_tokens.weight")]
    if heads and embeddings:
        vocab_size, hidden_size = embeddings[0].shape
        yield sized(f"tied head counted or stored twice: {vocab_size:,} × {hidden_size:,}", embeddings[:1])


def buffers(built: Built, config: dict[str, Any]) -> Iterator[Reason]:
    if built.buffers:
        yield sized(f"{len(built.buffers)} persistent buffers", list(built.buffers.values()))


def draft_layer(built: Built, config: dict[str, Any]) -> Iterator[Reason]:
    """A draft layer as DeepSeek-V3 stores it: one more layer, its joining parts, and copies of embedding and head."""
    if not config.get("num_nextn_predict_layers"):
        return
    last, hidden_size = config["num_hidden_layers"] - 1, config["hidden_size"]
    layer = list(matching(built.stored, rf"^model\.layers\.{last}\.").values())
    parts = [Tensor("BF16", (hidden_size, 2 * hidden_size)), *[Tensor("BF16", (hidden_size,))] * 3]
    ends = list(matching(built.stored, r"^(model\.embed_tokens|lm_head)\.weight$").values())
    yield sized(f"draft layer {last + 1}, with its own embedding and head", [*layer, *parts, *ends])


def packed(built: Built, config: dict[str, Any]) -> Iterator[Reason]:
    """What each change of the format adds or takes away; which of them a total counts is for the sum to say."""
    for packing in formats(config):
        for change in packing.changes(built.stored):
            if change.added:
                text = f"{change.reason}, in {len(change.added):,} tensors ({change.elements:+,})"
                yield Reason(text, change.elements, change.num_bytes)


def formats(config: dict[str, Any]) -> Iterator[Packing]:
    quantization = config.get("quantization_config") or config.get("quantization") or {}
    method = quantization.get("quant_method")
    if method == "mxfp4":
        yield Packing(mxfp4, {}, EXPERTS)
    if method == "fp8":
        yield Packing(fp8_blocks("F32"), {})
    if quantization.get("load_in_8bit"):
        yield Packing(int8, {})
    if config.get("quantization"):
        yield Packing(mlx(quantization["bits"]), {}, EVERY_MATRIX)
    if "NVFP4" in config["model_id"]:
        yield Packing(nvfp4, {}, r"^(?!.*vision).*\.layers\.\d+\.(mlp|block_sparse_moe)\..*(proj|\.w[123])\.weight$")
        yield Packing(nvfp4, {}, r"^(?!.*vision).*\.self_attn\.o_proj\.weight$")


def rotary_frequencies(built: Built, config: dict[str, Any]) -> Iterator[Reason]:
    """Old Llama files: F32 inverse frequencies in every layer."""
    if config.get("model_type") == "llama":
        layers, half = config["num_hidden_layers"], config["hidden_size"] // config["num_attention_heads"] // 2
        yield Reason(f"inv_freq in F32 in {layers} layers of {half} ({layers * half:+,})", layers * half, layers * half * 4)


def neox_buffers(built: Built, config: dict[str, Any]) -> Iterator[Reason]:
    """GPT-NeoX files: mask, fill value and frequencies in each layer; transformers once counted a bool as one bit."""
    if config.get("model_type") != "gpt_neox":
        return
    layers, mask = config["num_hidden_layers"], config["max_position_embeddings"] ** 2
    rotary = int(config["hidden_size"] // config["num_attention_heads"] * config.get("rotary_pct", 0.25)) // 2
    yield Reason(f"{layers} causal masks of {mask:,} bytes", layers * mask, layers * mask)
    yield Reason(f"{layers} causal masks of {mask:,}, a bool counted as one bit", layers * mask, layers * mask / 8)
    yield Reason(f"{layers} masked_bias in F16", layers, layers * 2)
    for dtype, width in (("F16", 2), ("F32", 4)):
        yield Reason(f"inv_freq of {rotary} in {dtype} in {layers} layers", layers * rotary, layers * rotary * width)


RULES: list[Callable[[Built, dict[str, Any]], Iterator[Reason]]] = [
    tied_head, buffers, draft_layer, packed, rotary_frequencies, neox_buffers,
]  # fmt: skip
