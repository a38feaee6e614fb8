"""The dry run of the real code as an oracle: caches to the byte, training peaks and activations to a few percent."""

from __future__ import annotations

import gzip
import json
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the dry run needs the verify extra: pip install 'hfmem-cli[verify]'")
pytest.importorskip("transformers", reason="the dry run needs the verify extra: pip install 'hfmem-cli[verify]'")
pytest.importorskip("peft", reason="the dry run needs the verify extra: pip install 'hfmem-cli[verify]'")

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from dry_runs import GRID, MODELS, serving_run, subject, training_runs  # noqa: E402 - found by the path above

from hfmem.memory.serving import estimate_inference  # noqa: E402
from hfmem.memory.subject import Model  # noqa: E402
from hfmem.memory.training.items import WORKSPACE_BYTES  # noqa: E402
from hfmem.memory.training.workload import Training  # noqa: E402
from hfmem.memory.weights import TORCH_NAMES  # noqa: E402
from hfmem.memory.workload import Inference  # noqa: E402
from hfmem.tables.experts import WRAPPED_TYPES  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and torch, on configurations that are not ours
ROWS = json.loads(gzip.decompress((ROOT / "fixtures" / "caches.json.gz").read_bytes()))
KNOWN: dict[str, dict[str, Any]] = {row["type"]: row["full"] for row in ROWS if row["variant"] == "default"}
CONTEXT, ENCODER = 40, 32
TYPES = (
    "llama", "gpt2", "qwen3", "cohere2", "olmo3", "exaone4", "gemma3_text", "gpt_oss", "mimo_v2_flash", "phimoe", "gpt_bigcode",
    "llama4_text", "deepseek_v3", "deepseek_v32", "glm_moe_dsa", "gemma3n_text", "gemma4_text", "minimax", "qwen3_next",
    "kimi_linear", "bailing_hybrid", "mamba", "mamba2", "falcon_mamba", "jamba", "bamba", "zamba2", "falcon_h1", "nemotron_h",
    "granitemoehybrid", "lfm2", "rwkv", "xlstm", "t5", "bart", "marian", "mllama",
)  # fmt: skip
CHECKPOINTS = (
    "google/gemma-3-4b-it", "llava-hf/llava-1.5-7b-hf", "Qwen/Qwen2-VL-2B-Instruct", "google/paligemma-3b-mix-224",
    "HuggingFaceTB/SmolVLM-256M-Instruct", "openai/whisper-tiny", "google/gemma-4-26B-A4B",
)  # fmt: skip


def both(model: Model) -> tuple[int, int]:
    """Bytes the caches hold after a prompt and one token: the dry run's, and ours."""
    from hfmem.witness.inference_run import serve

    tokens = None if model.spec.encoder_positions else ENCODER
    estimate = estimate_inference(model, Inference(context=CONTEXT, encoder_tokens=tokens))
    asked = {name: estimate.resolved[name] for name in ("batch", "context", "encoder_tokens")}
    found = serve({"config": dict(model.spec.raw), "dtype": TORCH_NAMES[str(estimate.resolved["model_dtype"])], **asked})
    items = {item.name: item.num_bytes or 0 for item in estimate.phases[2].items}
    return found["cache_bytes"], items.get("kv_cache", 0) + items.get("recurrent_state", 0)


@pytest.mark.parametrize("name", TYPES)
def test_caches_equal_the_real_ones(name: str) -> None:
    from hfmem.api import load_source
    from hfmem.sources.memory import MemorySource

    dry, ours = both(load_source(MemorySource({"config.json": json.dumps({**KNOWN[name], "dtype": "bfloat16"}).encode()})))
    assert ours == dry > 0


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_caches_of_checkpoints_equal_the_real_ones(name: str) -> None:
    dry, ours = both(subject(name, layers=None))
    assert ours == dry > 0


ERRORS: dict[str, list[float]] = {"training": [], "activations": []}


@pytest.mark.parametrize("name", MODELS)
def test_training_peaks_are_those_of_the_dry_run(name: str) -> None:
    """Without one fitted constant: parameters, gradients, states, what layers save, the loss, the order things go in."""
    model = subject(name)
    runs = list(training_runs(name, model))
    assert len(runs) == len(GRID) or "eager" in runs[0].workload  # a class that refuses sdpa runs eagerly
    ERRORS["training"] += [abs(run.error) for run in runs]
    assert {run.workload: round(run.error, 3) for run in runs if abs(run.error) > 0.05} == {}
    serving = serving_run(name, model)
    ERRORS["activations"].append(abs(serving.error))
    assert abs(serving.error) <= 0.10


def test_most_of_them_are_closer() -> None:
    if len(ERRORS["activations"]) < len(MODELS):
        pytest.skip("the medians are those of the whole grid, and a part of it was run")
    assert statistics.median(ERRORS["training"]) <= 0.01
    assert statistics.median(ERRORS["activations"]) <= 0.03


# Options beyond the grid, on one dense model, and what an encoder-decoder reads
OTHERS: list[tuple[str, dict[str, Any]]] = [
    ("meta-llama/Llama-3.2-1B", {"method": "qlora", "checkpointing": "full"}),
    ("meta-llama/Llama-3.2-1B", {"precision": "fp32", "optimizer": "sgd"}),
    ("meta-llama/Llama-3.2-1B", {"optimizer": "adamw_torch", "context": 256}),
    ("meta-llama/Llama-3.2-1B", {"grad_accum": 4}),
    ("meta-llama/Llama-3.2-1B", {"padded": True, "batch": 2}),
    ("meta-llama/Llama-3.2-1B", {"attention": "flash", "batch": 4, "context": 512}),
    ("meta-llama/Llama-3.2-1B", {"method": "lora", "dora": True, "lora_targets": "q_proj,v_proj"}),
    ("meta-llama/Llama-3.2-1B", {"method": "lora", "lora_dropout": True, "adapter_dtype": "bf16"}),
    ("Qwen/Qwen3-0.6B", {"checkpointing": "full", "reentrant": True}),
    ("mistralai/Mixtral-8x7B-v0.1", {"method": "lora", "lora_targets": "q_proj,v_proj"}),
    ("facebook/bart-base", {"context": 512, "encoder_tokens": 256}),
    ("facebook/bart-base", {"context": 512, "encoder_tokens": 512, "method": "lora"}),
]


@pytest.mark.parametrize(("name", "options"), OTHERS)
def test_other_options_are_those_of_the_dry_run(name: str, options: dict[str, Any]) -> None:
    from hfmem.memory.training.estimate import estimate_training
    from hfmem.witness.training_run import train

    model = subject(name)
    estimate = estimate_training(model, Training(**{"context": 1024, **options}))
    found = train({"config": dict(model.spec.raw), "workload": dict(estimate.resolved)})
    dry = max(phase["total_bytes"] for phase in found["phases"].values())
    assert estimate.totals["allocated_bytes"] - WORKSPACE_BYTES == pytest.approx(dry, rel=0.05)


def test_experts_pefts_own_table_names_are_ours() -> None:
    from peft.utils import transformers_weight_conversion

    patterns = vars(transformers_weight_conversion)["_MODEL_TO_CONVERSION_PATTERN"]
    theirs = {name for name, base in patterns.items() if base in ("mixtral", "qwen2_moe") and name.islower()}
    assert theirs == WRAPPED_TYPES
