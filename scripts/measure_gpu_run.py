"""
One workload for real, in a process of its own: a request on stdin, an answer on stdout, both JSON.

    {"device", "probe": true}                                  what the device and the libraries are
    {"device", "config", "setting", "workload": {…} or null}   a training step, or without a workload a prompt and one token

Imports torch, transformers and peft, and nothing of hfmem: what is measured owes nothing to what it is compared with.
"""

from __future__ import annotations

import inspect
import json
import logging
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any

import measure_gpu_meters
import torch

LIBRARIES = ("torch", "transformers", "accelerate", "peft")
NOT_GEOMETRY = ("quantization_config", "auto_map", "architectures", "_attn_implementation", "attn_implementation")
DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16, "fp32": torch.float32}
OPTIMIZERS = {"adamw_torch_fused": (torch.optim.AdamW, {"fused": True})}
CACHES = ("past_key_values", "cache_params", "past_buckets_states", "mems", "state")
NO_MEMORY = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
WORDS = {"bfloat16": "BF16", "float16": "F16", "float32": "F32", "float64": "F64"}  # torch's dtypes in safetensors' words
WARM_TOKENS = 16


def main() -> None:
    """Answer one request. Whatever the libraries print goes to stderr."""
    answer_to = os.dup(1)
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    with os.fdopen(answer_to, "w") as out:
        json.dump(answer(request), out)


def answer(request: Mapping[str, Any]) -> dict[str, Any]:
    """What was found with its status, or what went wrong in the library's words."""
    try:
        return {"status": "measured", **(probe(request["device"]) if request.get("probe") else measured(request))}
    except Exception as error:
        return {"status": status_of(error), "message": f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"}


def status_of(error: Exception) -> str:
    """Memory that was not there and an attention the class does not have are answers; everything else is a failure."""
    text = str(error)
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)) or any(sign in text for sign in NO_MEMORY):
        return "out of memory"
    return "refused" if "does not support an attention implementation" in text else "failed"


def probe(device: str) -> dict[str, Any]:
    """The device and the versions of what runs on it."""
    facts = measure_gpu_meters.METERS[device].facts()
    python = ".".join(map(str, sys.version_info[:3]))
    return {**facts, "versions": {"python": python, **{name: version(name) for name in LIBRARIES}}}


def measured(request: Mapping[str, Any]) -> dict[str, Any]:
    """One workload: what the class holds, and every peak."""
    meter = measure_gpu_meters.METERS[request["device"]]()
    return (train if request["workload"] else serve)(request, meter)


def train(request: Mapping[str, Any], meter: Any) -> dict[str, Any]:
    """The second step of two: optimizer states and the libraries' workspaces exist, as they do from then on."""
    setting, workload = request["setting"], request["workload"]
    model = build(request, workload["attention"])
    found = described(model)
    model = prepared(model, setting, workload)
    made, options = OPTIMIZERS[setting["optimizer"]]
    optimizer = made([parameter for parameter in model.parameters() if parameter.requires_grad], lr=1e-4, **options)
    ids = token_ids(model, setting["batch"], setting["context"])
    meter.settle()
    for _ in range(2):
        step(model, optimizer, ids, meter)
    return {**found, **meter.report()}


def build(request: Mapping[str, Any], attention: str | None = None) -> Any:
    """The class with random weights, made on the device itself; `attention` None is what the class takes."""
    config, made = parse_config(request["config"]), class_of(request["config"])
    config.architectures = [made.__name__]
    torch.manual_seed(0)
    with torch.device(request["device"]):
        model = made._from_config(config, dtype=DTYPES[request["setting"]["precision"]], attn_implementation=attention)
    if model._can_set_experts_implementation():
        model.set_experts_implementation("grouped_mm")
    return model


def parse_config(values: Mapping[str, Any]) -> Any:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    return CONFIG_MAPPING[values["model_type"]].from_dict({k: v for k, v in values.items() if k not in NOT_GEOMETRY})


def class_of(values: Mapping[str, Any]) -> Any:
    """The class that `architectures` names, else the one that writes text of the type."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES as CAUSAL

    names = (*(values.get("architectures") or ()), CAUSAL.get(values["model_type"]))
    found = next((getattr(transformers, name) for name in names if name and hasattr(transformers, name)), None)
    if found is None:
        raise ValueError(f"transformers has no model class for {values['model_type']!r}")
    return found


def described(model: Any) -> dict[str, Any]:
    """Parameters with their names, dtypes and shapes, a tied one once; a table beside the runs keeps them."""
    named = dict(model.named_parameters())
    words = {name: str(tensor.dtype).removeprefix("torch.") for name, tensor in named.items()}
    return {
        "parameters": sum(tensor.numel() for tensor in named.values()),
        "tensors": [[name, WORDS.get(words[name], words[name]), list(tensor.shape)] for name, tensor in named.items()],
    }


def prepared(model: Any, setting: Mapping[str, Any], workload: Mapping[str, Any]) -> Any:
    """In training mode, with checkpointing and adapters as Trainer and PEFT set them up."""
    model.train()
    if workload["checkpointing"] == "full":
        model.activation_checkpointing_enable(activation_checkpointing_kwargs={"use_reentrant": setting["reentrant"]})
    if workload["method"] == "full":
        return model
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=setting["lora_rank"], target_modules=setting["lora_targets"], lora_dropout=0.0)
    return get_peft_model(model, config, autocast_adapter_dtype=setting["adapter_dtype"] == "fp32")


def step(model: Any, optimizer: Any, ids: Any, meter: Any) -> None:
    """Forward, backward, optimizer; the model's output is let go of, the loss is kept, as transformers' Trainer does."""
    meter.note_static()
    with meter.during("forward+loss"):
        loss = model(input_ids=ids, labels=ids, use_cache=False).loss
    with meter.during("backward"):
        loss.backward()
    del loss
    with meter.during("optimizer step"):
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def serve(request: Mapping[str, Any], meter: Any) -> dict[str, Any]:
    """A prompt of all tokens but one, then that one, after a few tokens that make the libraries' workspaces."""
    setting = request["setting"]
    model = build(request)
    found = described(model)
    model.train(False)
    with torch.no_grad():
        ids = token_ids(model, setting["batch"], setting["context"])
        forward(model, ids[:, :WARM_TOKENS], {})
        meter.settle()
        meter.note_static()
        with meter.during("prefill"):
            fresh = forward(model, ids[:, :-1], {})
        prompt_bytes = cache_bytes(fresh)
        with meter.during("decode"):
            kept = forward(model, ids[:, -1:], fresh)
    return {**found, **meter.report(), "prompt_cache_bytes": prompt_bytes, "cache_bytes": cache_bytes(kept)}


def token_ids(model: Any, batch: int, tokens: int) -> Any:
    """Tokens that differ, so that experts are chosen as they would be; there is no padding."""
    return torch.randint(0, model.config.get_text_config().vocab_size, (batch, tokens), device=model.device)


def forward(model: Any, ids: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    """One pass as `generate` runs it; what it hands on to the next."""
    takes = inspect.signature(model.forward).parameters
    last = {"logits_to_keep": 1} if "logits_to_keep" in takes else {}
    out = model(input_ids=ids, **last, **{key: value for key, value in given.items() if key in takes}, use_cache=True)
    return {key: out[key] for key in CACHES if out.get(key) is not None}


def cache_bytes(handed_on: Mapping[str, Any]) -> int:
    """Bytes of all storages a cache leads to, each once; a counter of 8 bytes is no state."""
    storages = {tensor.untyped_storage()._cdata: tensor for tensor in reachable(dict(handed_on), set()) if tensor.dim()}
    return sum(tensor.untyped_storage().nbytes() for tensor in storages.values())


def reachable(value: Any, seen: set[int]) -> Iterator[Any]:
    """Every tensor in lists, dictionaries and objects, none of them twice."""
    if id(value) in seen or isinstance(value, (type, torch.nn.Module)):
        return
    seen.add(id(value))
    if isinstance(value, torch.Tensor):
        yield value
        return
    for part in parts(value):
        yield from reachable(part, seen)


def parts(value: Any) -> Iterable[Any]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, (list, tuple)) else getattr(value, "__dict__", {}).values()


if __name__ == "__main__":
    main()
