"""The measured training runs that every tool is asked about, and how far answers are off."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from measured_rows import CONFIGS, ROOT, SUFFIXES, measured_bytes, model_of, read_rows, workload
from measured_training import estimated, is_allocated

from hfmem.memory.training.estimate import estimate_training

STATES = {"bfloat16": 4, "bf16": 4, "fp32": 8, "int8": 2}  # bytes a parameter of Adam's two moments


def training_questions() -> list[dict[str, Any]]:
    """The measured steps on one device, of grade A and of torch's allocator, with hfmem's error on each."""
    rows = [
        row for row in read_rows(ROOT / "fixtures" / "training_measured.json.gz") if row["grade"] == "A" and row["n_gpus"] == 1
    ]
    return [training_question(row) for row in rows if is_allocated(row) and estimated(row)[1] is not None]


def training_question(row: Mapping[str, Any]) -> dict[str, Any]:
    full, states = row["method"] == "full", str(row["optimizer_state_dtype"])
    size = measured_bytes(dict(row))
    return {
        "id": row["id"],
        "repo": f"training/{row['model'].replace('/', '-')}",
        "config": config_of(row),
        "method": row["method"],
        "quantization": row["quant"],
        "lora_rank": None if full else row["lora_r"] or 16,
        "lora_targets": row["lora_targets"],
        "precision": "fp16" if row["autocast"] == "fp16" else "bf16",
        "state_bytes": STATES[states],
        "batch": row["micro_batch"],
        "tokens": row["seq_len"],
        "checkpointing": str(row["grad_ckpt"]).startswith("full"),
        "beyond": beyond(row),
        "fused": not str(row["loss_impl"]).startswith("hf_fp32"),
        "measured": size,
        "hfmem": own_error(dict(row), size),
    }


def beyond(row: Mapping[str, Any]) -> str:
    """A setting that changes how much is kept and for which no peer has an option."""
    if "backward" in str(row["optimizer"]):
        return "an optimizer in the backward pass"
    return "offloading" if row["offload"] else ""


def config_of(row: Mapping[str, Any]) -> dict[str, Any]:
    names = (re.sub(f"{suffix}$", "", row["model"]) for suffix in SUFFIXES)
    return next(CONFIGS[name] for name in (row["model"], *names) if name in CONFIGS)


def own_error(row: dict[str, Any], measured: int) -> float:
    model = model_of(row)
    assert model is not None
    return 100 * (estimate_training(model, workload(row)).totals["allocated_bytes"] / measured - 1)


def percent_errors(
    answers: Sequence[Mapping[str, Any]], questions: Sequence[Mapping[str, Any]]
) -> list[tuple[float, float, bool]]:
    """(the peer's error, hfmem's on the same run, whether the run had a fused loss) of every run the peer answered for."""
    sizes = {answer["id"]: answer["bytes"] for answer in answers if "bytes" in answer}
    asked = [question for question in questions if question["id"] in sizes]
    return [(100 * (sizes[run["id"]] / run["measured"] - 1), run["hfmem"], run["fused"]) for run in asked]
