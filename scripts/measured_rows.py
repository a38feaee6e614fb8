"""Measured training runs as our workloads: one row of published settings and its model's configuration."""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from hfmem.checkpoint.tensors import Checkpoint
from hfmem.memory.subject import Model
from hfmem.memory.training.workload import Training
from hfmem.model.read import read_model
from hfmem.sources.base import Origin

CONFIGS: dict[str, dict[str, Any]] = json.loads((ROOT / "fixtures" / "training_models.json").read_text())
SUFFIXES = ("", "-Chat", "-Chat-Int4", "-Instruct", "-Base")
METHODS = {"full": "full", "lora": "lora", "qlora": "qlora", "gptq-lora": "lora", "dora": "lora", "lora_emb": "lora"}
LOSSES = (
    ("foak", "fused-ce"), ("unsloth", "fused"), ("liger_fused", "fused"), ("cut_cross", "fused"), ("Chunked", "chunked"),
    ("vocab-parallel", "fused-ce"), ("hf_fp32", "standard"), ("CrossEntropy", "standard"),
)  # fmt: skip
KERNELS = (("foak", "unsloth"), ("unsloth", "unsloth"), ("liger", "liger"), ("axolotl", "unsloth"), ("compile", "compile"))
SHARDS = (("FSDP1", "fsdp1"), ("FSDP2", "fsdp"), ("ZeRO-3", "zero3"), ("ZeRO-2", "zero2"), ("zero2", "zero2"), ("ddp", "ddp"))
OPTIMIZERS = (
    ("PagedAdamW8bit", "paged_adamw_8bit"), ("PagedAdamW", "paged_adamw"), ("torchao AdamW8bit", "adamw_torch_8bit"),
    ("AdamW4bit", "adamw_torch_4bit"), ("8-bit AdamW", "adamw_8bit"), ("8bit", "adamw_8bit"),
    ("per-parameter", "galore_adamw_layerwise"), ("galore", "galore_adamw"), ("muon", "muon"),
    ("HybridAdam", "adamw_torch_fused"), ("DeepSpeed", "adamw_torch_fused"), ("fused", "adamw_torch_fused"),
    ("adam", "adamw_torch"),
)  # fmt: skip
UNITS = {"bytes": 1, "GiB": 2**30, "MiB": 2**20, "MB_binary": 2**20, "GB": 10**9, "G?": 2**30, "GB?": 2**30}


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Measured runs, from a JSON list that may be compressed."""
    data = path.read_bytes()
    rows: list[dict[str, Any]] = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    return rows


def model_of(row: dict[str, Any]) -> Model | None:
    """The model of a row; a repository that only differs by its tuning has its base's geometry."""
    plain = row["model"].replace("Meta-Llama-3.1-8B", "Llama-3.1-8B")
    names = (re.sub(f"{suffix}$", "", plain) for suffix in SUFFIXES)
    config = next((CONFIGS[name] for name in (plain, *names) if name in CONFIGS), None)
    if config is None:
        return None
    if row["quant"] == "gptq4":
        config = {**config, "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}}
    origin = Origin(reference=row["model"], source="memory")
    return Model(origin=origin, spec=read_model(config), checkpoint=Checkpoint(format="config-only"), weights=None)


def measured_bytes(row: dict[str, Any]) -> int:
    """Bytes on one device."""
    peak: float = row["peak"]
    return round(peak * UNITS[row["unit"]] / (1 if row["per_gpu"] else row["n_gpus"]))


def workload(row: dict[str, Any]) -> Training:
    """The options a row's settings mean. What a row does not say keeps its default."""
    versions, note, many = row["versions"] or "", row["note"] or "", row["n_gpus"] > 1
    method, shard = METHODS[row["method"]], first(SHARDS, row["sharding"] or "", "none") if many else "none"
    found = re.search(r"transformers (\d+)\.(\d+)", versions)
    upcast = shard == "fsdp1" and row["autocast"] == "bf16" and method == "full"
    return Training(
        batch=row["micro_batch"],
        context=row["seq_len"],
        method=method,
        precision="mixed" if upcast else "bf16",
        autocast=row["autocast"] in ("bf16", "fp16"),
        master_weights=method == "full" and "fp32" in str(row["master_weights"]) and not upcast,
        optimizer=optimizer(row),
        optimizer_in_backward="backward" in str(row["optimizer"]),
        checkpointing=checkpointing(row),
        reentrant=False if "torchtune" in row["framework"] else None,
        attention={"eager": "eager", "sdpa": "sdpa"}.get(str(row["attn"]), "flash"),
        padded=None if row["packing"] is None else not row["packing"],
        kernels=first(KERNELS, str(row["kernels"]), "eager"),
        loss=first(LOSSES, str(row["loss_impl"]), "standard"),
        lora_rank=row["lora_r"] or 16,
        lora_targets=",".join(row["lora_targets"] or ["all-linear"]),
        lora_dropout="dropout" in note or "swift" in row["id"] or "qwen1" in row["id"],
        dora=row["method"] == "dora",
        modules_to_save="embed_tokens,lm_head" if row["method"] == "lora_emb" else "",
        adapter_dtype="bf16" if str(row["optimizer_state_dtype"]).startswith("bf") and method != "full" else "fp32",
        double_quantization=row["quant"] != "nf4",
        float32_residual="prepare_model_for_kbit" in note,
        shard=shard,
        gpus=row["n_gpus"],
        offload=offload(row),
        transformers=(int(found[1]), int(found[2])) if found else version_of(versions),
    )


def first(table: tuple[tuple[str, str], ...], text: str, default: str) -> str:
    return next((value for word, value in table if word in text), default)


def optimizer(row: dict[str, Any]) -> str:
    """torchtune's configurations ask for the fused AdamW of torch, other trainers of that time for its default."""
    found = first(OPTIMIZERS, str(row["optimizer"]), "adamw_torch")
    return "adamw_torch_fused" if found == "adamw_torch" and "torchtune" in row["framework"] else found


def checkpointing(row: dict[str, Any]) -> str:
    if "activations" in str(row["offload"]):
        return "offloaded"
    return "full" if str(row["grad_ckpt"]).startswith("full") else "none"


def offload(row: dict[str, Any]) -> str:
    text = str(row["offload"])
    return "parameters" if "params" in text else "optimizer" if "ptimizer" in text else "none"


def version_of(versions: str) -> tuple[int, int]:
    """The transformers of the time, from the year or the torch it was used with."""
    old = re.search(r"torch 2\.[0-3]|2024-0|2023", versions)
    return (4, 37) if old else (4, 44) if "2024" in versions else (5, 0)
