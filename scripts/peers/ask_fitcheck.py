"""fitcheck-llm through its public functions, whose options are those of its commands."""

from __future__ import annotations

from asking import Answer, Question, Refused, main
from fitcheck import ServingConfig, TrainingConfig, estimate, estimate_inference, fetch_model_config, get_gpu

MIB = 2**20
PRECISIONS = {2: "bf16", 4: "fp32"}
QUANTIZATIONS = {None: ("none", False), "nf4": ("nf4", False), "nf4-dq": ("nf4", True)}


def cache(question: Question) -> Answer:
    """`fitcheck infer`: what it calls kv_cache."""
    serving = ServingConfig(
        precision=PRECISIONS[question["kv_bytes"]], seq_len=question["tokens"], num_concurrent=question["batch"]
    )
    found = estimate_inference(fetch_model_config(question["repo"]), serving, get_gpu("h200"))
    return {"bytes": found.kv_cache_mib * MIB}


def training(question: Question) -> Answer:
    """`fitcheck`: the sum of its parts without what it adds for the CUDA context and fragmentation."""
    if question["quantization"] not in QUANTIZATIONS:
        raise Refused(f"no option for {question['quantization']}")
    if question["beyond"]:
        raise Refused(f"no option for {question['beyond']}")
    quantization, double = QUANTIZATIONS[question["quantization"]]
    settings = TrainingConfig(
        precision=question["precision"],
        quantization=quantization,
        double_quant=double,
        optimizer="adam8bit" if question["state_bytes"] == 2 else "adamw",
        optimizer_dtype="bf16" if question["state_bytes"] == 4 else "fp32",
        batch_size=question["batch"],
        seq_len=question["tokens"],
        lora_rank=question["lora_rank"],
        lora_targets=question["lora_targets"] or [],
        grad_checkpoint=question["checkpointing"],
        flash_attn=True,
    )
    found = estimate(fetch_model_config(question["repo"]), settings, get_gpu("a100-80"))
    return {"bytes": (found.total_mib - found.overhead_mib) * MIB}


if __name__ == "__main__":
    main({"cache": cache, "training": training})
