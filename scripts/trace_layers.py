"""
Run real transformers layers on small tensors and count what each leaves saved for its backward pass.

Weights are one element expanded to their shape, so that any size builds; attention saves what flash attention saves. Storages are
watched as in a dry run, to the byte.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from hfmem.witness.gpu_path import FLASH, register_flash
from hfmem.witness.liveness import Liveness

register_flash()
SETTLED = 2  # layers until callers' variables no longer hold on to the embeddings and the first output


def build(config: dict[str, Any]) -> Any:
    """The causal model of a configuration, in 16 bits. Raises what the class raises."""
    parsed = CONFIG_MAPPING[config["model_type"]].from_dict({k: v for k, v in config.items() if k != "dtype"})
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(parsed, attn_implementation=FLASH, dtype=torch.bfloat16)
    if hasattr(model, "set_experts_implementation"):
        model.set_experts_implementation("eager")
    for module in model.modules():
        expand(module)
    model.tie_weights()
    return model.train()


def expand(module: Any) -> None:
    """Give a module made on the meta device values that take no memory."""
    for name, tensor in list(module._parameters.items()):
        if tensor is not None:
            module._parameters[name] = torch.nn.Parameter(torch.zeros((), dtype=tensor.dtype).expand(tensor.shape))
    for name, tensor in list(module._buffers.items()):
        if tensor is not None and tensor.device.type == "meta":
            module._buffers[name] = torch.zeros(tensor.shape, dtype=tensor.dtype)


def layers_of(model: Any, count: int) -> Any:
    """The outermost list of that many modules that is no tower's."""
    found = [
        (name.count("."), name, module)
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.ModuleList) and len(module) == count and not any(t in name for t in ("vision", "audio"))
    ]
    return min(found)[2]


def saved_bytes(model: Any, count: int, tokens: int, trains: bool) -> list[int]:
    """
    Bytes each layer from the third on adds to what is alive.

    Its input counts where it stays alive for the backward pass, its output does not.
    """
    for parameter in model.parameters():
        parameter.requires_grad_(trains)
    ids, after = torch.ones((1, tokens), dtype=torch.long), []
    hooks = [] if trains else [model.get_input_embeddings().register_forward_hook(require_gradient)]
    with Liveness(block=1) as live, hooked(hooks):
        live.note_all([*model.parameters(), *model.buffers(), ids], "weights")
        layers = layers_of(model, count)
        hooks.append(layers[0].register_forward_pre_hook(lambda *_: after.append(live.alive_bytes())))
        hooks.extend(layer.register_forward_hook(lambda *_: after.append(live.alive_bytes())) for layer in layers)
        model(input_ids=ids, use_cache=False)
    return [last - before for before, last in pairwise(after)][SETTLED:]


def require_gradient(module: Any, inputs: Any, output: Any) -> None:
    """Frozen models begin their graph at the embeddings, as with `enable_input_require_grads`."""
    output.requires_grad_()


@contextmanager
def hooked(hooks: list[Any]) -> Iterator[None]:
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def bytes_a_token(config: dict[str, Any], count: int, trains: bool, tokens: tuple[int, int, int] = (16, 32, 64)) -> list[float]:
    """Bytes a token of each layer. Raises `ValueError` where they are not proportional to the tokens."""
    model = build(config)
    few, some, many = (saved_bytes(model, count, number, trains) for number in tokens)
    slopes = [(b - a) / (tokens[1] - tokens[0]) for a, b in zip(few, some, strict=True)]
    if slopes != [(b - a) / (tokens[2] - tokens[1]) for a, b in zip(some, many, strict=True)]:
        raise ValueError("what a layer saves is not proportional to the tokens")
    return slopes
