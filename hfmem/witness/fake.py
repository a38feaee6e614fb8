"""A model whose tensors are fake: shapes, dtypes and storages without bytes, on which its real code runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode


@contextmanager
def faking() -> Iterator[None]:
    """Every tensor made while entered is fake."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def make_fake(model: Any) -> None:
    """Replace what was built on the meta device; call it while `faking`. A tied parameter stays one."""
    made: dict[int, Any] = {}
    for module in model.modules():
        for name, tensor in module._parameters.items():
            if tensor is not None:
                module._parameters[name] = made.setdefault(id(tensor), torch.nn.Parameter(like(tensor), tensor.requires_grad))
        for name, tensor in module._buffers.items():
            if tensor is not None:
                module._buffers[name] = made.setdefault(id(tensor), like(tensor))


def like(tensor: Any) -> Any:
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
