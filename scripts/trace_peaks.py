"""
Compare `hfmem train` with whole training steps of the real code, traced on small geometries: bytes a token at the peak.

    python scripts/trace_peaks.py [TYPE …]

Runs forward and backward of transformers' own classes on the CPU at two lengths and prints the slope of the peak beside ours.
Weights are real here, so that experts run in one kernel as on a GPU. Where they are trained, lengths have to be large beside the
weights for the slope to be that of the tokens: 6144 and 8192 (slow); frozen ones take 256 and 512.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import torch
from generate_activations import small
from trace_layers import LiveBytes, require_gradient
from transformers import AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from hfmem.memory.training.dynamic import dynamic_state
from hfmem.memory.training.matrices import tensors_of
from hfmem.memory.training.workload import Training
from hfmem.model.read import read_model

TYPES = (
    "llama", "qwen3", "gemma2", "gemma3_text", "glm4", "starcoder2", "phi3", "olmo2", "granite", "gpt_neox", "mixtral",
    "qwen3_moe", "deepseek_v3", "glm4_moe", "olmoe",
)  # fmt: skip
LENGTHS = {False: (256, 512), True: (6144, 8192)}


class Peak(LiveBytes):
    """The most bytes that were alive at once."""

    highest: int = 0

    def note(self, storage: Any) -> None:
        super().note(storage)
        self.highest = max(self.highest, self.live)


def main() -> int:
    rows = json.loads(gzip.decompress((ROOT / "fixtures" / "caches.json.gz").read_bytes()))
    known = {row["type"]: small(row["full"]) for row in rows if row["variant"] == "default"}
    print("| type | weights | checkpointing | traced B a token | ours | ratio |\n|---|---|---|--:|--:|--:|")
    for name in sys.argv[1:] or TYPES:
        for trains in (False, True):
            for checkpointing in ("none", "full"):
                found, ours = traced(known[name], trains, checkpointing), ours_of(known[name], trains, checkpointing)
                how = "trained" if trains else "frozen"
                print(f"| {name} | {how} | {checkpointing} | {found:,.0f} | {ours:,} | {ours / found:.3f} |", flush=True)
    return 0


def traced(config: dict[str, Any], trains: bool, checkpointing: str) -> float:
    few, many = LENGTHS[trains]
    return (peak(config, many, trains, checkpointing) - peak(config, few, trains, checkpointing)) / (many - few)


def peak(config: dict[str, Any], tokens: int, trains: bool, checkpointing: str) -> int:
    """Bytes at the peak of one forward and backward pass, weights and their gradients aside."""
    model = real_model(config)
    if checkpointing == "full":
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    known = [*model.parameters(), *model.buffers()]
    for parameter in model.parameters():
        parameter.requires_grad_(trains)
        if trains:
            parameter.grad = torch.zeros_like(parameter)
            known.append(parameter.grad)
    if not trains:
        model.get_input_embeddings().register_forward_hook(require_gradient)
    ids = torch.randint(0, config["vocab_size"], (1, tokens))
    with Peak([*known, ids]) as live:
        model(input_ids=ids, labels=ids, use_cache=False).loss.backward()
    highest: int = live.highest
    return highest


def real_model(config: dict[str, Any]) -> Any:
    torch.manual_seed(0)
    parsed = CONFIG_MAPPING[config["model_type"]].from_dict({k: v for k, v in config.items() if k != "dtype"})
    return AutoModelForCausalLM.from_config(parsed, attn_implementation="recorded", dtype=torch.bfloat16).train()


def ours_of(config: dict[str, Any], trains: bool, checkpointing: str) -> int:
    """Our bytes a token at the larger of the loss and the last layer's backward pass; the trace has no adapters."""
    workload = Training(
        freeze="" if trains else "attention,mlp,experts,norms", checkpointing=checkpointing, attention="flash", context=1
    )
    spec = read_model(config)
    found = dynamic_state(spec, tensors_of(spec, None), workload, 1)
    kept = found.checkpoints + found.activations
    return kept + max(found.logits, found.layer)


if __name__ == "__main__":
    sys.exit(main())
