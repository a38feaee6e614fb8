"""
How quantised files pack several weights into one stored element, and which tensors beside them are no weights.

Layouts: AutoGPTQ/AutoAWQ (`qweight`), bitsandbytes 0.4x (`weight` U8 + `absmax`), compressed-tensors (`weight_packed`),
NVIDIA ModelOpt NVFP4 (`weight` U8 + `weight_scale_2`), OpenAI MXFP4 (`_blocks` + `_scales`), MLX (`weight` U32 + `scales`),
HQQ (`W_q`), AQLM (`codes`), quanto (`_data`), BitNet (`weight` U8 + `weight_scale`).
"""

from __future__ import annotations

# Last part of the name → the sibling that proves it, for tensors that hold packed weights.
PACKED: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("qweight", ()),
    ("weight_packed", ()),
    ("W_q", ()),
    ("codes", ("codebooks",)),
    ("weight._data", ()),
    ("weight", ("weight.absmax", "weight_scale", "weight_scale_2", "scales", "weight_scales", "weight.quant_map")),
)

# Last parts that belong to a packed or scaled weight beside them and are no parameters of the model.
AUXILIARY = frozenset(
    (
        "qzeros scales zeros g_idx weight_scale weight_scale_inv weight_scale_2 weight_scales input_scale "
        "weight_zero_point weight_shape weight_global_scale input_global_scale absmax quant_map nested_absmax "
        "nested_quant_map SCB weight_format k_scale v_scale q_scale kv_scale zero_point scale_inv output_scale "
        "codebooks _scale _zero_point _shift quant_state.bitsandbytes__nf4 quant_state.bitsandbytes__fp4 "
        "input_zero_point smooth_scale act_scale"
    ).split()
)
# These are auxiliary only beside a weight of the same module, for other modules may use the words for parameters.
AUXILIARY_BESIDE_WEIGHT = frozenset(("biases", "scale", "zero", "meta", "bias_scale"))

# What-if dtypes of --weights-dtype: bits of a matrix weight, overhead included, and of everything else.
WHAT_IF: dict[str, tuple[float, int]] = {
    "float32": (32, 32),
    "float16": (16, 16),
    "bfloat16": (16, 16),
    "float8": (8, 16),  # one scale a tensor
    "int8": (8, 16),  # one float16 scale a row
    "int4": (4 + 16 / 128 + 4 / 128, 16),  # groups of 128: a float16 scale and a 4-bit zero each
    "nf4": (
        4 + 8 / 64 + 32 / (64 * 256),
        16,
    ),  # bitsandbytes with double quantisation: blocks of 64, absmax in blocks of 256
    "mxfp4": (4 + 8 / 32, 16),  # blocks of 32 with an 8-bit exponent
    "nvfp4": (4 + 8 / 16, 16),  # blocks of 16 with an 8-bit scale
}
SPELLINGS: dict[str, str] = {
    "fp32": "float32", "f32": "float32", "fp16": "float16", "f16": "float16", "half": "float16", "bf16": "bfloat16",
    "fp8": "float8", "float8_e4m3fn": "float8", "q8": "int8", "8bit": "int8", "4bit": "nf4", "q4": "int4", "awq": "int4",
    "gptq": "int4", "fp4": "nvfp4",
}  # fmt: skip
MATRIX_ROLES = frozenset(("attention", "mlp", "experts", "recurrent"))
