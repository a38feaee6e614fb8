"""
Compare `hfmem train` with measured peaks and print the table of docs/method.md.

    python scripts/measured_training.py [MEASUREMENTS] [--rows]

MEASUREMENTS is a JSON list of runs with their settings (default ../shared/data/measured/training.json). Runs whose model is
not in GEOMETRIES, whose settings are not all stated, or whose software has no formula here are counted, not compared.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from hfmem.checkpoint.tensors import Checkpoint
from hfmem.memory.subject import Model
from hfmem.memory.training.estimate import without_levers
from hfmem.memory.training.workload import Training
from hfmem.model.read import read_model
from hfmem.sources.base import Origin

FIELDS = (
    "model_type", "num_hidden_layers", "hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads",
    "vocab_size", "tie_word_embeddings",
)  # fmt: skip
GEOMETRIES: dict[str, tuple[Any, ...]] = {
    "mistralai/Mistral-7B-v0.1": ("mistral", 32, 4096, 14336, 32, 8, 32000, False),
    "NousResearch/Llama-2-70b-hf": ("llama", 80, 8192, 28672, 64, 8, 32000, False),
    "ibm/PowerLM-3b": ("granite", 40, 2304, 9216, 36, 36, 49152, True),
    "TheBloke/Mistral-7B-v0.1-GPTQ": ("mistral", 32, 4096, 14336, 32, 8, 32000, False),
    "TheBloke/Mixtral-8x7B-Instruct-v0.1-GPTQ": ("mixtral", 32, 4096, 14336, 32, 8, 32000, False),
    "TheBloke/Llama-2-70B-GPTQ": ("llama", 80, 8192, 28672, 64, 8, 32000, False),
    "TechxGenus/Meta-Llama-3-8B-GPTQ": ("llama", 32, 4096, 14336, 32, 8, 128256, False),
    "bigcode/gpt_bigcode-santacoder": ("gpt_bigcode", 24, 2048, 8192, 16, 1, 49280, True),
    "meta-llama/Meta-Llama-3-8B": ("llama", 32, 4096, 14336, 32, 8, 128256, False),
    "mistralai/Mixtral-8x7B-Instruct-v0.1": ("mixtral", 32, 4096, 14336, 32, 8, 32000, False),
}
LOSSES = {"hf_fp32_upcast": "standard", "foak_fast_ce(fused,chunk-free)": "fused-ce", "liger_fused_linear_ce": "fused"}
METHODS = {"full": "full", "lora": "lora", "qlora": "qlora", "gptq-lora": "lora"}


def main() -> int:
    """Print the summary by group, and with --rows every comparison."""
    arguments = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    source = Path(arguments[0]) if arguments else ROOT.parent / "shared" / "data" / "measured" / "training.json"
    groups: dict[str, list[float]] = defaultdict(list)
    left_out: Counter[str] = Counter()
    for row in json.loads(source.read_text()):
        reason = why_not(row)
        if reason:
            left_out[reason] += 1
            continue
        error = 100 * (allocated(row) / row["peak"] - 1)
        groups[group_of(row)].append(error)
        if "--rows" in sys.argv:
            print(f"{row['id']:<20} {row['model'][-16:]:<16} {row['method']:<6} {row['micro_batch']:>3} {error:+6.1f} %")
    print("\n".join(table(groups)))
    print(f"\nNot compared: {', '.join(f'{count} {reason}' for reason, count in left_out.most_common())}.")
    return 0


def why_not(row: dict[str, Any]) -> str | None:
    """Why a run cannot be compared yet."""
    if row["stat"] != "max_memory_allocated" or row["grade"] != "A":
        return "are no allocated peak with every setting stated"
    if row["method"] not in METHODS or row["loss_impl"] not in LOSSES:
        return "are of another method or loss"
    return None if row["model"] in GEOMETRIES else "are of a model whose geometry is not in the script"


def allocated(row: dict[str, Any]) -> int:
    config = dict(zip(FIELDS, GEOMETRIES[row["model"]], strict=True))
    if row["quant"] == "gptq4":
        config |= {"quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}}
    if config["model_type"] == "mixtral":
        config |= {"num_local_experts": 8, "num_experts_per_tok": 2}
    origin = Origin(reference=row["model"], source="memory")
    model = Model(origin=origin, spec=read_model(config), checkpoint=Checkpoint(format="config-only"), weights=None)
    return without_levers(model, workload(row)).totals["allocated_bytes"]


def workload(row: dict[str, Any]) -> Training:
    version = row["versions"].split("transformers ")[1].split(",")[0].split(".")
    many = row["n_gpus"] > 1
    upcast = many and row["autocast"] == "bf16" and row["method"] == "full"
    return Training(
        batch=row["micro_batch"],
        context=row["seq_len"],
        method=METHODS[row["method"]],
        precision="mixed" if upcast else "bf16",
        autocast=row["autocast"] != "none",
        optimizer="adamw_torch",
        checkpointing="full",
        attention="flash",
        kernels="eager" if row["kernels"] == "hf eager" else "unsloth",
        loss=LOSSES[row["loss_impl"]],
        lora_rank=row["lora_r"] or 16,
        lora_targets=",".join(row["lora_targets"] or ["q_proj"]),
        lora_dropout=True,
        float32_residual="prepare_model_for_kbit" in (row["note"] or ""),
        shard="fsdp1" if many else "none",
        gpus=row["n_gpus"],
        transformers=(int(version[0]), int(version[1])),
    )


def group_of(row: dict[str, Any]) -> str:
    devices = "1 device" if row["n_gpus"] == 1 else f"FSDP on {row['n_gpus']}"
    kernels = "eager" if row["kernels"] == "hf eager" else "fused kernels"
    return f"{devices}, {row['method']}, {kernels}"


def table(groups: dict[str, list[float]]) -> list[str]:
    lines = ["| runs | number | median error | median of absolute errors | largest |", "|---|--:|--:|--:|--:|"]
    for name, errors in sorted(groups.items()):
        sizes = sorted(errors, key=abs)
        middle, typical = statistics.median(errors), statistics.median([abs(error) for error in errors])
        lines.append(f"| {name} | {len(errors)} | {middle:+.1f} % | {typical:.1f} % | {sizes[-1]:+.1f} % |")
    return lines


if __name__ == "__main__":
    sys.exit(main())
