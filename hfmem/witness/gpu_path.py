"""
Make code that runs on fake CPU tensors take the path it takes on a CUDA device.

    masks      a fake tensor is no reason to write a causal mask out, which `is_causal` spares on a device
    attention  the fused kernels' tensors: flash without a mask, memory-efficient with one
    dropout    one kernel that keeps a mask of a byte an element
    experts    one grouped product over all experts

Sources: transformers masking_utils.py and integrations/moe.py; torch flash_attn/flash_api.cpp, attention.cu and
attention_backward.cu.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch.nn import functional

FLASH = "fused_kernel"  # its name among transformers' attention functions, which must not say flash: that loads flash-attn
FLASH_WIDTH = 256  # the widest head flash attention takes
REPEATED = 128  # rows its accumulators are rounded up to


@contextmanager
def gpu_path(padded: bool = False) -> Iterator[None]:
    """All of it, while entered; `padded`: a padding mask is not all ones, so that masks are written out."""
    from transformers import masking_utils

    with ExitStack() as stack:
        stack.enter_context(patch.object(masking_utils, "is_tracing", lambda *_: padded))
        stack.enter_context(patch.object(masking_utils, "fast_all", lambda *_: not padded))
        stack.enter_context(patch.object(masking_utils, "find_packed_sequence_indices", lambda *_: None))
        stack.enter_context(patch.object(functional, "scaled_dot_product_attention", attention))
        stack.enter_context(patch.object(functional, "dropout", dropout))
        yield


def attention(
    query: Any, key: Any, value: Any, attn_mask: Any = None, dropout_p: float = 0.0, is_causal: bool = False, **_: Any
) -> Any:
    """What CUDA's fused attention makes and keeps; [batch, heads, tokens, width] each, of which keys may have fewer heads."""
    if attn_mask is not None and attn_mask.dtype == torch.bool:
        attn_mask = torch.empty(attn_mask.shape, dtype=query.dtype)  # the kernels take a bias
    return Fused.apply(query, key, value, attn_mask)


class Fused(torch.autograd.Function):
    """Keeps queries, keys, values, bias, output, and a float32 log-sum-exp a head and token."""

    @staticmethod
    def forward(ctx: Any, query: Any, key: Any, value: Any, bias: Any) -> Any:
        batch, heads, tokens, _ = query.shape
        out = query.new_empty(batch, tokens, heads, value.shape[-1]).transpose(1, 2)
        ctx.is_flash = bias is None and query.shape[-1] == value.shape[-1] <= FLASH_WIDTH and query.dtype != torch.float32
        ctx.save_for_backward(query, key, value, bias, out, query.new_empty(batch, heads, tokens, dtype=torch.float32))
        return out

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        query, key, value = ctx.saved_tensors[:3]
        found = [torch.empty_like(tensor) for tensor in (query, key, value)]
        sums = gradients[0].new_empty(query.shape[:3], dtype=torch.float32)
        if ctx.is_flash:
            batch, heads, tokens, width = query.shape
            rows = -(-tokens // REPEATED) * REPEATED
            accumulator = query.new_empty(batch, heads, rows, -(-width // 32) * 32, dtype=torch.float32)
            if key.shape[1] != heads:  # one gradient a query head, then summed
                spread = [query.new_empty(batch, key.shape[2], heads, width) for _ in range(2)]
                del spread
            del accumulator
        del sums
        return *found, torch.empty_like(ctx.saved_tensors[3]) if ctx.needs_input_grad[3] else None


def use_gpu_kernels(model: Any) -> None:
    """Experts in one grouped product, as transformers picks on a device that has it."""
    if model._can_set_experts_implementation():
        model.set_experts_implementation("grouped_mm")


def flash(module: Any, query: Any, key: Any, value: Any, attention_mask: Any = None, **_: Any) -> tuple[Any, None]:
    """flash-attn's interface: no mask, windows inside the kernel; answers [batch, tokens, heads, width]."""
    return Fused.apply(query, key, value, None).transpose(1, 2), None


def register_flash() -> None:
    from transformers import AttentionInterface
    from transformers.masking_utils import AttentionMaskInterface

    AttentionInterface.register(FLASH, flash)
    AttentionMaskInterface.register(FLASH, lambda *_, **__: None)


def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:
    return torch.native_dropout(input, p, True)[0] if training and p > 0 else input
