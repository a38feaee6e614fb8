"""A linear module that stands in for bitsandbytes': packed weights, and a 16-bit copy for as long as a product takes."""

from __future__ import annotations

from typing import Any

import torch

BLOCK = 64  # weights that share a scale


class Multiplied(torch.autograd.Function):
    """The weight is unpacked for the product and again for the input's gradient; neither copy is kept."""

    @staticmethod
    def forward(ctx: Any, inputs: Any, module: Any) -> Any:
        ctx.module = module
        return torch.nn.functional.linear(inputs, unpacked(module, inputs.dtype))

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        return gradients[0] @ unpacked(ctx.module, gradients[0].dtype), None


def unpacked(module: Any, dtype: Any) -> Any:
    return torch.empty((module.out_features, module.in_features), dtype=dtype)


class PackedLinear(torch.nn.Linear):
    """Half a byte a weight, and its scales: 4 bytes a block, or one and a 256th of 4 where scales are quantised too."""

    def __init__(self, like: Any, double: bool) -> None:
        super().__init__(like.in_features, like.out_features, bias=False, device="meta", dtype=like.weight.dtype)
        count = like.weight.numel()
        scales = count // BLOCK + 4 * (count // BLOCK // 256) if double else 4 * (count // BLOCK)
        self.weight = torch.nn.Parameter(torch.empty((count // 2, 1), dtype=torch.uint8, device="meta"), requires_grad=False)
        self.register_buffer("scales", torch.empty(scales, dtype=torch.uint8, device="meta"))
        self.bias = like.bias

    def forward(self, inputs: Any) -> Any:
        out = Multiplied.apply(inputs, self)
        return out if self.bias is None else out + self.bias


def pack_linears(model: Any, double: bool) -> None:
    """Every linear module but the head, as transformers' bitsandbytes integration replaces them."""
    head = model.get_output_embeddings()
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if type(child) is torch.nn.Linear and child is not head:
                setattr(module, name, PackedLinear(child, double))
