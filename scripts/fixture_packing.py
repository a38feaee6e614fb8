"""How quantised checkpoints store a linear weight: one function per format, each a list of named changes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from fixture_classes import Change, Tensor, Tensors

LINEARS = r"\.layers\.\d+\.(self_attn|mlp)\..*proj(_with_mqa)?\.weight$"


@dataclass(frozen=True, slots=True)
class Packing:
    """A format, the weights it applies to, and what config.json says about it."""

    format: Callable[[Tensors], Iterator[Change]]
    config: dict[str, Any]
    weights: str = LINEARS
    config_keys: tuple[str, ...] = ("quantization_config",)

    def changes(self, tensors: Tensors) -> list[Change]:
        return list(self.format({name: tensor for name, tensor in tensors.items() if re.search(self.weights, name)}))


def swap(weights: Tensors, suffix: str, *, to: str, make: Callable[[int, int], Tensor]) -> Tensors:
    """For each weight of out × in, the tensor of another name that `make` gives for those two sizes."""
    return {name.removesuffix(suffix) + to: make(*tensor.shape) for name, tensor in weights.items()}


def beside(weights: Tensors, to: str, make: Callable[[int, int], Tensor]) -> Tensors:
    return swap(weights, ".weight", to=f".{to}", make=make)


def blocks(size: int, block: int) -> int:
    return -(-size // block)


def fp8_blocks(scale_dtype: str) -> Callable[[Tensors], Iterator[Change]]:
    """FP8 weights with one scale for each 128 × 128 block."""

    def pack(weights: Tensors) -> Iterator[Change]:
        scale = beside(weights, "weight_scale_inv", lambda o, i: Tensor(scale_dtype, (blocks(o, 128), blocks(i, 128))))
        yield Change("weights in FP8", weights, beside(weights, "weight", lambda o, i: Tensor("F8_E4M3", (o, i))))
        yield Change("FP8 block scales", {}, scale)

    return pack


def fp8_channels(weights: Tensors) -> Iterator[Change]:
    """FP8 weights with one scale for each output channel, as compressed-tensors writes them."""
    yield Change("weights in FP8", weights, beside(weights, "weight", lambda o, i: Tensor("F8_E4M3", (o, i))))
    yield Change("FP8 channel scales", {}, beside(weights, "weight_scale", lambda o, i: Tensor("BF16", (o, 1))))


def nvfp4(weights: Tensors) -> Iterator[Change]:
    """Two 4-bit values a byte, an FP8 scale for each 16 values and two scales for the whole weight (modelopt)."""
    packed = beside(weights, "weight", lambda o, i: Tensor("U8", (o, i // 2), packs=2))
    yield Change("weights in NVFP4, two values a byte", weights, packed)
    yield Change("NVFP4 group scales", {}, beside(weights, "weight_scale", lambda o, i: Tensor("F8_E4M3", (o, i // 16))))
    for name in ("weight_scale_2", "input_scale"):
        yield Change(f"NVFP4 {name}", {}, beside(weights, name, lambda o, i: Tensor("F32", ())))


def mxfp4(weights: Tensors) -> Iterator[Change]:
    """gpt-oss: experts as 16-byte blocks of 32 values, one 8-bit exponent for each block."""
    for to, reason, packs in (
        ("_blocks", "experts in MXFP4, two values a byte", 2),
        ("_scales", "MXFP4 block exponents", 1),
    ):
        added = {}
        for name, tensor in weights.items():
            experts, inputs, outputs = tensor.shape
            shape = (experts, outputs, inputs // 32)
            added[name + to] = Tensor("U8", (*shape, 16) if packs == 2 else shape, packs)
        yield Change(reason, weights if packs == 2 else {}, added)


def awq(weights: Tensors) -> Iterator[Change]:
    """AWQ 4-bit in groups of 128 inputs: eight values an I32 along the outputs."""
    packed = beside(weights, "qweight", lambda o, i: Tensor("I32", (i, o // 8), packs=8))
    yield Change("weights in 4 bits, eight values an I32", weights, packed)
    yield Change("AWQ zero points", {}, beside(weights, "qzeros", lambda o, i: Tensor("I32", (i // 128, o // 8))))
    yield Change("AWQ group scales", {}, beside(weights, "scales", lambda o, i: Tensor("F16", (i // 128, o))))


def gptq(*, bias: bool) -> Callable[[Tensors], Iterator[Change]]:
    """GPTQ 4-bit in groups of 128 inputs: eight values an I32 along the inputs, the group of each input in `g_idx`."""

    def pack(weights: Tensors) -> Iterator[Change]:
        packed = beside(weights, "qweight", lambda o, i: Tensor("I32", (i // 8, o), packs=8))
        yield Change("weights in 4 bits, eight values an I32", weights, packed)
        yield Change("GPTQ zero points", {}, beside(weights, "qzeros", lambda o, i: Tensor("I32", (i // 128, o // 8))))
        yield Change("GPTQ group scales", {}, beside(weights, "scales", lambda o, i: Tensor("F16", (i // 128, o))))
        yield Change("GPTQ group indices", {}, beside(weights, "g_idx", lambda o, i: Tensor("I32", (i,))))
        if bias:
            yield Change("zero biases that AutoGPTQ writes", {}, beside(weights, "bias", lambda o, i: Tensor("F16", (o,))))

    return pack


def nf4(weights: Tensors) -> Iterator[Change]:
    """bitsandbytes NF4, doubly quantised: 64 values share an 8-bit scale, 256 scales share an F32 one."""
    packed = beside(weights, "weight", lambda o, i: Tensor("U8", (o * i // 2, 1), packs=2))
    yield Change("weights in NF4, two values a byte", weights, packed)
    for name, dtype, size in (("absmax", "U8", 64), ("nested_absmax", "F32", 64 * 256)):
        yield Change(f"bitsandbytes {name}", {}, nf4_scales(weights, name, dtype, size))
    for name, code in (("quant_map", Tensor("F32", (16,))), ("nested_quant_map", Tensor("F32", (256,)))):
        yield Change(f"bitsandbytes {name}", {}, {f"{weight}.{name}": code for weight in weights})
    state = beside(weights, "weight.quant_state.bitsandbytes__nf4", quant_state)
    yield Change("bitsandbytes quant_state", {}, state)


def nf4_scales(weights: Tensors, name: str, dtype: str, size: int) -> Tensors:
    return beside(weights, f"weight.{name}", lambda o, i: Tensor(dtype, (blocks(o * i, size),)))


def quant_state(outputs: int, inputs: int) -> Tensor:
    """The JSON text, as bytes, that says how to undo NF4; its length depends on the digits in it."""
    text = (
        '{"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": '
        f'[{outputs}, {inputs}], "nested_blocksize": 256, "nested_dtype": "float32", '
        '"nested_offset": 0.03125762939453125}'
    )
    return Tensor("U8", (len(text),))


def int8(weights: Tensors) -> Iterator[Change]:
    """bitsandbytes LLM.int8: one F32 scale a row and a byte that names the layout."""
    yield Change("weights in 8 bits", weights, beside(weights, "weight", lambda o, i: Tensor("I8", (o, i))))
    yield Change("bitsandbytes row scales", {}, beside(weights, "SCB", lambda o, i: Tensor("F32", (o,))))
    yield Change("bitsandbytes weight_format", {}, beside(weights, "weight_format", lambda o, i: Tensor("U8", ())))


def mlx(bits: int) -> Callable[[Tensors], Iterator[Change]]:
    """MLX in groups of 64 inputs: the bits in U32s, a scale and a bias for each group."""

    def pack(weights: Tensors) -> Iterator[Change]:
        packed = beside(weights, "weight", lambda o, i: Tensor("U32", (o, i * bits // 32)))
        yield Change(f"weights in {bits} bits, in U32s", weights, packed)
        for name in ("scales", "biases"):
            yield Change(f"MLX group {name}", {}, beside(weights, name, lambda o, i: Tensor("BF16", (o, i // 64))))

    return pack


BLOCK_FP8 = {"activation_scheme": "dynamic", "fmt": "e4m3", "quant_method": "fp8", "weight_block_size": [128, 128]}
CHANNEL_FP8 = {
    "quant_method": "compressed-tensors",
    "format": "float-quantized",
    "ignore": ["lm_head"],
    "config_groups": {
        "group_0": {
            "targets": ["Linear"],
            "weights": {"num_bits": 8, "type": "float", "strategy": "channel", "dynamic": False, "symmetric": True},
            "input_activations": {
                "num_bits": 8,
                "type": "float",
                "strategy": "token",
                "dynamic": True,
                "symmetric": True,
            },
        }
    },
}
NVFP4_CONFIG = {"quant_method": "modelopt", "quant_algo": "NVFP4", "group_size": 16, "ignore": ["lm_head"]}
AWQ_CONFIG = {"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True}
GPTQ_CONFIG = {
    "quant_method": "gptq",
    "bits": 4,
    "group_size": 128,
    "desc_act": True,
    "sym": True,
    "true_sequential": True,
}
NF4_CONFIG = {
    "quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": "nf4",
    "bnb_4bit_use_double_quant": True, "bnb_4bit_compute_dtype": "bfloat16", "bnb_4bit_quant_storage": "uint8",
}  # fmt: skip
INT8_CONFIG = {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": True, "llm_int8_threshold": 6.0}
MXFP4_CONFIG = {
    "quant_method": "mxfp4",
    "modules_to_not_convert": [
        "model.layers.*.self_attn",
        "model.layers.*.mlp.router",
        "model.embed_tokens",
        "lm_head",
    ],
}
EVERY_MATRIX = r"(proj|embed_tokens|lm_head)\.weight$"
EXPERTS = r"\.experts\.(gate_up|down)_proj$"
