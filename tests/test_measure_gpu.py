"""Measuring on a device: every process and its row, with the CPU in the device's place."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="measuring needs the verify extra: pip install 'hfmem-cli[verify]'")
pytest.importorskip("transformers", reason="measuring needs the verify extra: pip install 'hfmem-cli[verify]'")
pytest.importorskip("peft", reason="measuring needs the verify extra: pip install 'hfmem-cli[verify]'")

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

import measure_gpu
import measure_gpu_meters
import measure_gpu_run
import measured_gpu
from test_measured_gpu import CONFIGS, CONTEXT, MIB, SETTING, TENSORS, TINY, by_group, configs, data, smi

__all__ = ["smi"]  # a fixture is found by its name

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers and torch, on configurations that are not ours


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two calls of the script on the CPU: the second finds a part of its rows there."""
    folder = tmp_path_factory.mktemp("measured")
    output = folder / "measured" / "cpu.json"
    common = ["--device", "cpu", "--configs", str(configs(folder / "configs")), "--output", str(output)]
    common += ["--layers", "2", "--context", str(CONTEXT), "--limit-gib", "1e9"]
    assert measure_gpu.main([*common, "--models", *CONFIGS, "--workloads", "serving"]) == 0
    first = json.loads(output.read_text())
    assert measure_gpu.main([*common, "--models", "org/tiny", "--workloads", "serving", "full lora sdpa"]) == 0
    return {"first": first, "second": json.loads(output.read_text()), "folder": folder}


def test_a_failure_is_a_row_and_not_the_end(recorded: dict[str, Any]) -> None:
    rows = {row["model"]: row for row in recorded["first"]["rows"]}
    assert {name: row["status"] for name, row in rows.items()} == {
        "org/tiny": "measured", "org/huge": "out of memory", "org/odd": "failed",
    }  # fmt: skip
    assert "can't allocate memory" in rows["org/huge"]["message"]
    assert rows["org/odd"]["message"].startswith("KeyError: ") and "no-such-function" in rows["org/odd"]["message"]


def test_a_second_call_goes_on_where_the_first_one_ended(recorded: dict[str, Any]) -> None:
    first, second = recorded["first"], recorded["second"]
    assert second["rows"][:3] == first["rows"]
    assert [(row["model"], row["workload"]) for row in second["rows"][3:]] == [("org/tiny", "full lora sdpa")]
    assert {key: second[key] for key in measure_gpu.HEADER} == {key: first[key] for key in measure_gpu.HEADER}
    assert [path.name for path in (recorded["folder"] / "measured").iterdir()] == ["cpu.json"]


def test_a_row_has_every_reading(recorded: dict[str, Any]) -> None:
    serving, training = recorded["second"]["rows"][0], recorded["second"]["rows"][3]
    assert list(training["phases"]) == ["forward+loss", "backward", "optimizer step"]
    assert list(serving["phases"]) == ["prefill", "decode"]
    for row in (serving, training):
        assert row["max_memory_reserved"] >= row["max_memory_allocated"] >= row["static"] > 0
        assert row["parameters"] == 2 * (2 * 64 * 64 + 2 * 32 * 64 + 3 * 128 * 64 + 2 * 64) + 256 * 64 + 64
        assert {"device_bytes", "device_reading", "retries", "seconds"} <= set(row)
    assert serving["cache_bytes"] == 2 * 2 * CONTEXT * 32 * 2  # layers × keys and values × tokens × width × bytes
    assert serving["prompt_cache_bytes"] == 2 * 2 * (CONTEXT - 1) * 32 * 2


def test_the_header_says_what_ran(recorded: dict[str, Any]) -> None:
    found = recorded["second"]
    assert list(found["versions"]) == ["python", "torch", "transformers", "accelerate", "peft"]
    assert found["gpu"] == "cpu" and found["setting"] == SETTING
    assert found["command"].startswith("scripts/measure_gpu --device cpu ") and found["date"].count("-") == 2
    assert list(measured_gpu.unfolded(found["classes"]["org/tiny"]["tensors"])) == by_group(TENSORS)


def test_a_recorded_run_becomes_tables(recorded: dict[str, Any], tmp_path: Path) -> None:
    rows = [{**row, "static": 0} for row in recorded["second"]["rows"]]  # the process's own peak may stay where it was
    measure_gpu.save({**recorded["second"], "rows": rows}, tmp_path / "cpu.json")
    text = measured_gpu.table(tmp_path, recorded["folder"] / "configs")
    assert "| 2 layers of, 1 × 32 tokens |" in text and "| org/tiny | — | — | — | — | — | — | " in text
    assert "| a prompt of 31 |" in text and "| reserved | 1 |" in text


@pytest.mark.parametrize("workload", ["none full sdpa", "full lora eager"])
def test_the_real_run_does_what_the_dry_run_does(workload: str) -> None:
    """The measuring process's own code on real tensors holds the dry run's bytes, where both are counted alike."""
    import peft  # noqa: F401 - so that what it makes for itself is not counted

    from hfmem.witness.gpu_path import gpu_path
    from hfmem.witness.liveness import Liveness
    from hfmem.witness.training_run import train

    config, live = {**TINY, "num_hidden_layers": 2, "dtype": "bfloat16"}, Liveness()
    with gpu_path(), live:
        request = {"device": "cpu", "config": config, "setting": SETTING, "workload": measured_gpu.WORKLOADS[workload]}
        measure_gpu_run.train(request, Watched(live))
    estimate = measured_gpu.estimate(measured_gpu.model_of(config, TENSORS), SETTING, workload, "5.23.0")
    dry = train({"config": config, "workload": dict(estimate.resolved)})["phases"]
    peaks = live.peaks()
    for phase in ("forward+loss", "backward"):
        assert peaks[phase].total_bytes == dry[phase]["total_bytes"]


class Watched:
    """A meter that leaves the counting to whoever watches the storages."""

    def __init__(self, live: Any) -> None:
        self.during = live.during

    def settle(self) -> None: ...

    def note_static(self) -> None: ...

    def report(self) -> dict[str, Any]:
        return {}


def test_without_a_device_there_is_one_line_and_an_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    output = tmp_path / "none.json"
    assert measure_gpu.main(["--output", str(output)]) == 2
    said = capsys.readouterr()
    assert (
        said.err.startswith("error: nothing can be measured: there is no CUDA device that torch ") and said.err.count("\n") == 1
    )
    assert not said.out and not output.exists()


def test_a_workload_that_does_not_fit_is_skipped_with_its_size_and_tried_again() -> None:
    config = {**TINY, "num_hidden_layers": 2, "dtype": "bfloat16"}
    found = measure_gpu.result(config, data(), "full lora sdpa", 100 * MIB, "cpu")
    assert found == {"status": "skipped", "message": found["message"]}
    assert found["message"].startswith("estimated 0.5 GiB, of 0.1 GiB")
    assert "skipped" in measure_gpu.TRIED_AGAIN


class Counters:
    """torch.cuda with counters that are set by hand."""

    def __init__(self) -> None:
        self.allocated, self.peak, self.reserved = 0, 0, 0

    def take(self, size: int) -> None:
        self.allocated += size
        self.peak, self.reserved = max(self.peak, self.allocated), max(self.reserved, self.allocated)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers: dict[str, Any] = {
            "synchronize": lambda: None, "empty_cache": lambda: None, "memory_allocated": lambda: self.allocated,
            "reset_peak_memory_stats": lambda: setattr(self, "peak", self.allocated), "max_memory_allocated": lambda: self.peak,
            "max_memory_reserved": lambda: self.reserved, "memory_stats": lambda: {"num_alloc_retries": 1},
            "get_device_properties": lambda _: SimpleNamespace(uuid="aaaa", name="GPU"),
        }  # fmt: skip
        for name, answer in answers.items():
            monkeypatch.setattr(f"torch.cuda.{name}", answer)


def test_every_phase_has_a_peak_of_its_own(smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counters = Counters()
    counters.install(monkeypatch)
    meter = measure_gpu_meters.Cuda()
    counters.take(100)
    for temporary in (700, 500):  # the second time is what counts
        meter.note_static()
        with meter.during("forward+loss"):
            counters.take(temporary)
            counters.take(-temporary)
        with meter.during("backward"):
            counters.take(50)
            counters.take(-50)
    smi.write_text("600")
    assert meter.report() == {
        "static": 100, "max_memory_allocated": 600, "max_memory_reserved": 800, "device_bytes": 500 * MIB,
        "device_reading": "device less before", "retries": 1,
        "phases": {"forward+loss": {"allocated": 600, "reserved": 800}, "backward": {"allocated": 150, "reserved": 800}},
    }  # fmt: skip


STATUSES = [
    ("CUDA out of memory. Tried to allocate 2.00 GiB", "out of memory"),
    ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", "out of memory"),
    ("Gemma2ForCausalLM does not support an attention implementation through sdpa", "refused"),
    ("CUDA error: an illegal memory access was encountered", "failed"),
]


@pytest.mark.parametrize(("message", "status"), STATUSES, ids=[status for _, status in STATUSES])
def test_what_goes_wrong_has_a_status(message: str, status: str) -> None:
    assert measure_gpu_run.status_of(RuntimeError(message)) == status
