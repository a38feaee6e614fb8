"""Rows, files and tables of measured runs, and what nvidia-smi says; none of it needs torch or a device."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import measure_gpu
import measured_gpu
import nvidia_smi

MIB, CONTEXT = 2**20, 32
TINY = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128,
    "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 256,
    "max_position_embeddings": 128, "tie_word_embeddings": True,
}  # fmt: skip
CONFIGS = {"org/tiny": TINY, "org/huge": {**TINY, "vocab_size": 2**40}, "org/odd": {**TINY, "hidden_act": "no-such-function"}}
LAYER = {
    "self_attn.q_proj": [64, 64], "self_attn.k_proj": [32, 64], "self_attn.v_proj": [32, 64], "self_attn.o_proj": [64, 64],
    "mlp.gate_proj": [128, 64], "mlp.up_proj": [128, 64], "mlp.down_proj": [64, 128],
    "input_layernorm": [64], "post_attention_layernorm": [64],
}  # fmt: skip
TENSORS = [
    ["model.embed_tokens.weight", "BF16", [256, 64]],
    *([f"model.layers.{layer}.{name}.weight", "BF16", shape] for layer in range(2) for name, shape in LAYER.items()),
    ["model.norm.weight", "BF16", [64]],
]
SETTING = {"layers": 2, "context": CONTEXT, **measure_gpu.SETTING}


def configs(folder: Path) -> Path:
    for name, config in CONFIGS.items():
        place = folder / name.replace("/", "--")
        place.mkdir(parents=True)
        (place / "config.json").write_text(json.dumps(config))
    return folder


def by_group(tensors: list[list[Any]]) -> list[list[Any]]:
    """The same tensors with those of all layers beside each other."""
    order = list(dict.fromkeys(measured_gpu.NUMBER.sub("*", name) for name, _, _ in tensors))
    return sorted(tensors, key=lambda tensor: order.index(measured_gpu.NUMBER.sub("*", tensor[0])))


def test_the_grid_is_listed_without_a_device(capsys: pytest.CaptureFixture[str]) -> None:
    assert measure_gpu.main(["--list", "--models", "Qwen/Qwen3-0.6B"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 9 and lines[-1].split() == ["Qwen/Qwen3-0.6B", "serving"]


def test_a_model_without_a_configuration_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        measure_gpu.main(["--models", "org/nowhere"])
    assert "there is no configuration of org/nowhere" in capsys.readouterr().err


def data(**changed: Any) -> dict[str, Any]:
    found = {
        "gpu": "NVIDIA H100 80GB HBM3", "driver": "580.82", "cuda": "13.0", "total_bytes": 80 * 2**30,
        "versions": {"torch": "2.13.0+cu130", "transformers": "5.23.0"}, "setting": SETTING, "date": "2026-01-31",
        "command": "scripts/measure_gpu", "classes": {}, "rows": [],
    }  # fmt: skip
    return {**found, **changed}


def test_rows_of_another_device_or_version_are_not_mixed(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    assert measure_gpu.taken_over(data(), path) == []
    measure_gpu.save(data(rows=[{"model": "org/tiny"}]), path)
    same = data(date="2026-02-01")
    assert measure_gpu.taken_over(same, path) == []
    assert (same["rows"], same["date"]) == ([{"model": "org/tiny"}], "2026-01-31")
    assert measure_gpu.taken_over(data(driver="590", versions={"torch": "2.14.0"}), path) == ["driver", "versions"]


def test_a_file_is_named_by_its_device_and_torch() -> None:
    assert measure_gpu.slug(data()) == "nvidia-h100-80gb-hbm3-2.13.0+cu130"


def test_a_row_takes_the_place_of_an_earlier_one() -> None:
    found = data()
    for status in ("skipped", "measured"):
        row = {"model": "a", "workload": "serving", "status": status, "parameters": 9, "tensors": TENSORS}
        measure_gpu.keep(row, found)
    assert found["rows"] == [{"model": "a", "workload": "serving", "status": "measured", "parameters": 9}]
    assert found["classes"]["a"]["parameters"] == 9


def test_a_process_that_dies_or_hangs_is_a_failure(tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import os, sys\nprint('last words', file=sys.stderr, flush=True)\nos.kill(os.getpid(), 9)")
    assert measure_gpu.ask({}, worker) == {"status": "failed", "message": "its process ended with status -9: last words"}
    worker.write_text("import time\ntime.sleep(60)")
    started = time.monotonic()
    assert measure_gpu.ask({}, worker, seconds=0.3)["message"] == "was still at work after 0.3 seconds"
    assert time.monotonic() - started < 10


def test_the_measuring_process_gets_no_token_and_the_default_allocator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text("import json, os\nprint(json.dumps(dict(os.environ)))")
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")
    monkeypatch.setenv("HF_TOKEN", "secret")
    found = measure_gpu.ask({}, worker)
    assert "PYTORCH_CUDA_ALLOC_CONF" not in found and "HF_TOKEN" not in found
    assert found["HF_HUB_OFFLINE"] == "1"


def test_tensors_are_folded_by_layer_and_unfolded_again() -> None:
    folded = measured_gpu.folded(TENSORS)
    assert ["model.layers.*.mlp.up_proj.weight", "BF16", [128, 64], [0, 1]] in folded
    assert len(folded) == len(LAYER) + 2
    assert list(measured_gpu.unfolded(folded)) == by_group(TENSORS)
    experts = [["layers.1.experts.7.w", "BF16", [2, 2]]]
    assert list(measured_gpu.unfolded(measured_gpu.folded(experts))) == experts


def row(workload: str, **more: Any) -> dict[str, Any]:
    return {"model": "org/tiny", "workload": workload, "status": "measured", **more}


def test_a_table_puts_ours_beside_what_was_measured(tmp_path: Path) -> None:
    """What was measured is made up from our own answer, so that every error is known."""
    folder = configs(tmp_path / "configs")
    model = measured_gpu.model_of(measured_gpu.config_of("org/tiny", 2, folder), TENSORS)
    ours = measured_gpu.estimate(model, SETTING, "none full sdpa", "5.23.0").totals
    training = {"max_memory_allocated": int(ours["allocated_bytes"] / 1.25), "max_memory_reserved": ours["reserved_bytes"]}
    phases = measured_gpu.estimate(model, SETTING, "serving", "5.23.0").phases
    held = sum(item.num_bytes or 0 for item in phases[1].items if item.name in ("activations", "kv_cache"))
    serving = {
        "static": MIB, "prompt_cache_bytes": 2 * MIB, "cache_bytes": 3 * MIB, "device_bytes": 2**40,
        "phases": {"prefill": {"allocated": MIB + 2 * held}}, "max_memory_allocated": MIB, "max_memory_reserved": MIB,
    }  # fmt: skip
    rows = [
        row("none full sdpa", device_bytes=ours["device_bytes"], **training), row("serving", **serving),
        {**row("none full eager"), "status": "out of memory"}, {**row("none lora sdpa"), "status": "skipped"},
    ]  # fmt: skip
    found = data(rows=rows, classes={"org/tiny": {"parameters": 1, "tensors": measured_gpu.folded(TENSORS)}})
    measure_gpu.save(found, tmp_path / "measured" / "one.json")
    text = measured_gpu.table(tmp_path / "measured", folder)
    assert text.startswith("NVIDIA H100 80GB HBM3, driver 580.82, CUDA 13.0; torch 2.13.0+cu130, transformers 5.23.0; 2026-01-31")
    assert "| org/tiny | +25.0% | out of memory | skipped | — | — | — | — | — |" in text
    assert "1 runs: median of absolute 25.0%, largest +25.0% (org/tiny, none full sdpa)." in text
    assert "| reserved | 1 | 1 |" in text and "| device | 2 | 1 |" in text
    assert "| -50.0% | 3.0 | 0.0 |" in text


def test_no_file_and_a_file_without_rows_say_that_nothing_ran(tmp_path: Path) -> None:
    assert measured_gpu.table(tmp_path / "nowhere") == measured_gpu.NOTHING
    measure_gpu.save(data(), tmp_path / "one.json")
    assert measured_gpu.table(tmp_path) == measured_gpu.NOTHING


def test_a_file_where_everything_failed_still_has_a_table(tmp_path: Path) -> None:
    failed = {"model": "org/tiny", "workload": "none full sdpa", "status": "failed", "message": "why"}
    measure_gpu.save(data(rows=[failed]), tmp_path / "one.json")
    assert measured_gpu.table(tmp_path).endswith("| org/tiny | failed | — | — | — | — | — | — | — |")


def test_rendering_needs_no_torch(tmp_path: Path) -> None:
    code = f"import sys\nsys.path.insert(0, {str(measure_gpu.WORKER.parent)!r})\nimport measured_gpu\nprint(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"torch", "transformers", "accelerate", "peft", "typer", "rich", "huggingface_hub"} & set(loaded)


def test_the_measuring_process_imports_four_libraries_and_nothing_of_ours() -> None:
    files = [measure_gpu.WORKER.parent / name for name in ("measure_gpu_run.py", "measure_gpu_meters.py", "nvidia_smi.py")]
    nodes = [node for path in files for node in ast.walk(ast.parse(path.read_text()))]
    names = {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    allowed = sys.stdlib_module_names | {"torch", "transformers", "accelerate", "peft"} | {path.stem for path in files}
    assert {name.split(".")[0] for name in names} <= allowed


SMI = """#!/bin/sh
case "$1" in
--query-gpu=driver_version) echo 580.82;;
--query-gpu=uuid,memory.used) echo "GPU-aaaa, $(cat {used})"; echo "GPU-bbbb, [N/A]";;
--query-compute-apps=pid,used_memory) echo "12, 700"; echo "13, [N/A]";;
esac
"""


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program of nvidia-smi's name; answers the file in which the first device's use is written."""
    used = tmp_path / "used"
    used.write_text("100")
    program = tmp_path / "nvidia-smi"
    program.write_text(SMI.format(used=used))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return used


def test_nvidia_smi_is_asked_for_the_process_and_else_for_the_device(smi: Path) -> None:
    before = nvidia_smi.used_by_device()
    assert before == {"GPU-aaaa": 100 * MIB}
    smi.write_text("1024")
    assert nvidia_smi.driver() == "580.82"
    assert nvidia_smi.process_bytes(12, "aaaa", before) == (700 * MIB, "process")
    assert nvidia_smi.process_bytes(13, "aaaa", before) == (924 * MIB, "device less before")
    assert nvidia_smi.process_bytes(14, "bbbb", before) == (None, None)


def test_without_nvidia_smi_nothing_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (nvidia_smi.driver(), nvidia_smi.used_by_device()) == (None, {})
    assert nvidia_smi.process_bytes(1, "aaaa", {}) == (None, None)
