"""
Compare `hfmem train` and the activations of `hfmem estimate` with dry runs of the real code.

    python scripts/dry_runs.py [MODEL …]     # without names: all of them, into fixtures/dry_runs.json for docs/method.md

Configurations are those of fixtures/, cut to six layers so that what a layer holds weighs as much as it can; widths, vocabularies
and everything else are the real ones. Both sides count the class's own tensors, so that no formula hides behind the weights.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from hfmem.api import load_source
from hfmem.memory.serving import estimate_inference
from hfmem.memory.subject import Model
from hfmem.memory.training.estimate import estimate_training
from hfmem.memory.training.items import WORKSPACE_BYTES
from hfmem.memory.training.workload import Training
from hfmem.memory.weights import TORCH_NAMES
from hfmem.memory.workload import Inference
from hfmem.sources.memory import MemorySource
from hfmem.witness.class_count import counted, with_class_weights

RESULTS = ROOT / "fixtures" / "dry_runs.json"
LAYERS, CONTEXT = 6, 2048
DEPTHS = ("num_hidden_layers", "n_layer", "num_layers", "decoder_layers", "n_layers", "num_decoder_layers")
MODELS = (
    "meta-llama/Llama-3.2-1B", "Qwen/Qwen3-0.6B", "Qwen/Qwen2.5-1.5B", "google/gemma-3-1b-it", "mistralai/Mistral-7B-v0.3",
    "microsoft/phi-2", "microsoft/Phi-3-mini-4k-instruct", "allenai/OLMo-2-1124-7B", "bigcode/starcoder2-3b",
    "stabilityai/stablelm-2-1_6b-chat", "openai-community/gpt2", "facebook/opt-125m", "EleutherAI/pythia-1.4b",
    "tiiuae/falcon-7b-instruct", "CohereLabs/c4ai-command-r-v01", "HuggingFaceTB/SmolLM3-3B-Base", "swiss-ai/Apertus-8B-2509",
    "LiquidAI/LFM2-1.2B", "google/gemma-2-2b-it", "bigscience/bloomz-560m", "openai/gpt-oss-20b", "mistralai/Mixtral-8x7B-v0.1",
    "allenai/OLMoE-1B-7B-0924-Instruct", "Qwen/Qwen3-30B-A3B", "ibm-granite/granite-3.0-1b-a400m-base",
    "deepseek-ai/DeepSeek-V2-Lite", "deepseek-ai/DeepSeek-V3", "zai-org/GLM-4.5",
)  # fmt: skip
GRID = tuple(
    {"checkpointing": checkpointing, "method": method, "attention": attention}
    for checkpointing, method, attention in product(("none", "full"), ("full", "lora"), ("sdpa", "eager"))
)


class Run(NamedTuple):
    """One workload: bytes the dry run had at its peak, and ours."""

    name: str
    workload: str
    dry: int
    ours: int

    @property
    def error(self) -> float:
        return self.ours / self.dry - 1


def main() -> int:
    names = tuple(sys.argv[1:]) or MODELS
    models = {name: subject(name) for name in names}
    runs = [run for name in names for run in (*training_runs(name, models[name]), serving_run(name, models[name]))]
    if names == MODELS:
        RESULTS.write_text("[\n" + ",\n".join(json.dumps(run) for run in runs) + "\n]\n")
    print(tables(runs))
    return 0


def recorded() -> list[Run]:
    """What the last whole run found."""
    return [Run(*row) for row in json.loads(RESULTS.read_text())]


def tables(runs: list[Run]) -> str:
    serving = [run for run in runs if run.workload == "prefill"]
    return f"{table([run for run in runs if run not in serving])}\n\n{activation_table(serving)}"


def subject(name: str, layers: int | None = LAYERS) -> Model:
    """A bundled configuration, cut to some layers, with the tensors its class has."""
    from hfmem.witness.meta import count

    text = (ROOT / "fixtures" / name.replace("/", "--") / "config.json").read_text()
    raw = json.loads(text) if layers is None else shortened(json.loads(text), layers)
    raw.pop("quantization_config", None)
    raw |= {"dtype": "bfloat16", "torch_dtype": "bfloat16"}  # what nearly everyone serves in, whatever was stored
    model = load_source(MemorySource({"config.json": json.dumps(raw).encode()}))
    return with_class_weights(model, counted(count({"config": raw, "dtype": "bfloat16"})))


def shortened(config: dict[str, Any], layers: int) -> dict[str, Any]:
    """The same model with fewer layers; lists with an entry a layer are cut too."""
    found = deepcopy(config)
    for name in [*found]:
        if isinstance(found[name], dict) and name in ("text_config", "llm_config"):
            found[name] = shortened(found[name], layers)
    depth = next((found[name] for name in DEPTHS if isinstance(found.get(name), int)), None)
    if "first_k_dense_replace" in found:
        found["first_k_dense_replace"] = min(
            found["first_k_dense_replace"], 1
        )  # of sixty to ninety layers one to three are dense
    for name, value in found.items():
        if name in DEPTHS and isinstance(value, int):
            found[name] = min(value, layers)
        elif isinstance(value, list) and depth and len(value) == depth:
            found[name] = value[:layers]
    return found


def training_runs(name: str, model: Model) -> Iterator[Run]:
    """The grid; workloads that a class refuses, such as sdpa for Gemma 2, are left out."""
    from hfmem.witness.training_run import train

    for options in GRID:
        estimate = estimate_training(model, Training(context=CONTEXT, **options))
        try:
            found = train({"config": dict(model.spec.raw), "workload": dict(estimate.resolved)})
        except ValueError as error:
            if "does not support an attention implementation" not in str(error):
                raise
            continue
        dry = max(phase["total_bytes"] for phase in found["phases"].values())
        yield Run(name, " ".join(options.values()), dry, estimate.totals["allocated_bytes"] - WORKSPACE_BYTES)


def serving_run(name: str, model: Model) -> Run:
    """What a prompt's forward pass holds beside weights and caches."""
    from hfmem.witness.inference_run import serve

    estimate = estimate_inference(model, Inference(context=CONTEXT))
    setting = {"dtype": TORCH_NAMES[str(estimate.resolved["model_dtype"])], "batch": 1, "context": CONTEXT}
    prefill = serve({"config": dict(model.spec.raw), "encoder_tokens": CONTEXT, **setting})["phases"]["prefill"]
    held = sum(prefill["by_category"].get(part, 0) for part in ("weights", "kv_cache"))
    ours = next(item.num_bytes or 0 for item in estimate.phases[1].items if item.name == "activations")
    return Run(name, "prefill", prefill["total_bytes"] - held, ours)


def table(runs: list[Run]) -> str:
    """Errors of every model over the grid, and over all of them."""
    columns = [" ".join(options.values()) for options in GRID]
    lines = ["| six layers of | " + " | ".join(columns) + " |", "|---|" + "--:|" * len(columns)]
    for name in dict.fromkeys(run.name for run in runs):
        found = {run.workload: f"{run.error:+.1%}" for run in runs if run.name == name}
        lines.append(f"| {name} | " + " | ".join(found.get(column, "refused") for column in columns) + " |")
    return "\n".join([*lines, "", summary(runs)])


def activation_table(runs: list[Run]) -> str:
    lines = ["| activations of a prompt | dry run, MiB | ours | error |", "|---|--:|--:|--:|"]
    lines += [f"| {run.name} | {run.dry / 2**20:,.0f} | {run.ours / 2**20:,.0f} | {run.error:+.1%} |" for run in runs]
    return "\n".join([*lines, "", summary(runs)])


def summary(runs: list[Run]) -> str:
    errors = sorted(abs(run.error) for run in runs)
    worst = max(runs, key=lambda run: abs(run.error))
    where = f"{worst.name}, {worst.workload}"
    return f"{len(runs)} runs: median of absolute {statistics.median(errors):.1%}, largest {worst.error:+.1%} ({where})."


if __name__ == "__main__":
    sys.exit(main())
