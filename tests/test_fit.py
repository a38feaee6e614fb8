"""Fitting devices: verdicts by hand, an exact solver, suggestions that hold, reports, and the command line."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import checkpoints
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from hfmem import api
from hfmem.cli import app
from hfmem.errors import UsageError
from hfmem.hardware import Device, Target, devices, parse_target
from hfmem.hardware.fit import Fitting, fit_target, largest, spread
from hfmem.hardware.judging import judge
from hfmem.hardware.report import fit_report
from hfmem.hardware.suggest import suggestions
from hfmem.memory.estimate import DeviceFit
from hfmem.memory.subject import Model
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import Inference
from hfmem.report.device_lines import device_rows, device_table
from hfmem.report.fit_json import render_fit_json
from hfmem.report.fit_markdown import render_fit_markdown
from hfmem.report.fit_text import render_fit
from hfmem.units import GIB

ROOT = Path(__file__).parent.parent
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"
RUNNER = CliRunner()


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write(LLAMA, tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def model(directory: Path) -> Model:
    return api.load(directory)


def fitting(model: Model, device: str, workload: Inference | Training | None = None) -> Fitting:
    return Fitting(estimator=api.estimator_of(model), workload=workload or Inference(), target=parse_target(device))


def brute(fitting: Fitting, name: str, ceiling: int) -> int:
    """The largest number that fits, by halving alone."""
    low, high = 0, ceiling + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fitting.margin(**{name: middle}) >= 0 else (low, middle)
    return low


@pytest.mark.parametrize(
    ("device", "workload", "verdict"),
    [
        ("RTX 3090", Inference(), "fits"),
        ("RTX 4080", Inference(), "no"),
        ("RTX 3090", Inference(context=131072), "no"),
        ("2xRTX 3090", Inference(context=65536), "fits"),
        ("17.4GiB", Inference(), "tight"),  # 17.39 GiB needed, 18.0 at most
        ("H100", Inference(engine="vllm", context=131072), "fits"),
        ("RTX 4090", Inference(engine="vllm", context=131072), "no"),
        ("RTX 4090", Inference(engine="vllm", context=32768, batch=2), "no"),  # the pool holds one and a half
        ("H100", Training(method="qlora", checkpointing="full"), "fits"),
        ("RTX 4090", Training(), "no"),
    ],
)
def test_verdicts(model: Model, device: str, workload: Inference | Training, verdict: str) -> None:
    assert fitting(model, device, workload).answer()[1].verdict == verdict


def test_an_unknown_part_is_no_verdict(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no-such-type"}')
    found = api.fit(tmp_path, Inference(), ["H100"])
    assert found.rows[0].fit.verdict == "unknown" and found.rows[0].fit.required_bytes is None
    assert not found.fits


@pytest.mark.parametrize("engine", ["transformers", "vllm@0.19", "vllm", "sglang"])
@pytest.mark.parametrize("device", ["RTX 4090", "A100 40GB", "H200", "T4"])
def test_the_solver_is_exact(model: Model, engine: str, device: str) -> None:
    """The longest context and the largest batch are those that halving finds, and one more does not fit."""
    asked = fitting(model, device, Inference(engine=engine))
    found = fit_target(asked, 131072)
    assert found.max_context == brute(asked, "context", 131072)
    assert found.max_batch == brute(asked, "batch", 2**16)


def test_the_solver_is_exact_for_training(model: Model) -> None:
    asked = fitting(model, "H100", Training(method="lora", checkpointing="full"))
    found = fit_target(asked, 131072)
    assert found.max_context == brute(asked, "context", 131072) > 8192
    assert found.max_batch == brute(asked, "batch", 2**16) >= 1


@given(threshold=st.integers(0, 2000), ceiling=st.integers(1, 2000), slope=st.integers(1, 10**12), power=st.integers(1, 3))
def test_largest_finds_the_last_number_of_any_falling_margin(threshold: int, ceiling: int, slope: int, power: int) -> None:
    def margin(value: int) -> int:
        left: int = threshold**power - value**power
        return left * slope if left >= 0 else left * slope - 1

    assert largest(margin, ceiling) == min(threshold, ceiling)


@given(steps=st.lists(st.integers(0, 10), min_size=1, max_size=60))
def test_largest_finds_it_for_steps_and_refusals(steps: list[int]) -> None:
    """Margins with plateaus, and −1 where an engine refuses."""
    heights = [sum(steps[index:]) - 5 for index in range(len(steps))]
    margins = [height if height >= 0 else -1 for height in heights]
    expected = next((index for index, margin in enumerate(margins) if margin < 0), len(margins))
    assert largest(lambda value: margins[value - 1], len(margins)) == expected


@settings(max_examples=25, deadline=None)
@given(context=st.integers(1, 100_000), more=st.integers(1, 10_000), batch=st.integers(1, 32))
def test_margins_fall(model: Model, context: int, more: int, batch: int) -> None:
    for engine in ("transformers", "vllm", "sglang"):
        asked = fitting(model, "H100", Inference(engine=engine))
        assert asked.margin(context=context, batch=batch) >= asked.margin(context=context + more, batch=batch)
        assert asked.margin(context=context, batch=batch) >= asked.margin(context=context, batch=batch + 1)


@pytest.mark.parametrize(
    ("workload", "device", "expected"),
    [
        (Inference(engine="vllm"), "4xH100", {"tp": 4}),
        (Inference(engine="vllm", tp=2, pp=2), "4xH100", {"tp": 2, "pp": 2}),
        (Inference(engine="sglang", tp=4, dp=2), "4xH100", {"tp": 4, "dp": 2}),
        (Inference(), "4xH100", {"tp": 1}),
        (Training(), "8xH100", {"gpus": 8, "shard": "ddp"}),
        (Training(shard="fsdp", gpus=8), "8xH100", {"gpus": 8, "shard": "fsdp"}),
    ],
)
def test_devices_become_ranks(workload: Inference | Training, device: str, expected: dict[str, Any]) -> None:
    found, target = spread(workload, parse_target(device))
    assert target.count == parse_target(device).count
    assert {name: getattr(found, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("workload", "device"), [(Inference(engine="vllm", tp=2), "4xH100"), (Training(shard="fsdp", gpus=2), "4xH100")]
)
def test_counts_that_contradict_are_refused(workload: Inference | Training, device: str) -> None:
    with pytest.raises(UsageError, match="4xH100 is 4 devices"):
        spread(workload, parse_target(device))


def test_a_card_stands_for_as_many_as_there_are_ranks(model: Model) -> None:
    for workload, count in ((Inference(engine="vllm", tp=4), 4), (Training(shard="fsdp", gpus=8), 8)):
        assert fitting(model, "H100", workload).answer()[1].num_devices == count


def test_a_suggestion_means_what_it_says(model: Model, directory: Path) -> None:
    """Each suggestion, put into the command line, gives the verdict it promised."""
    cases: tuple[tuple[str, Inference | Training, list[str]], ...] = (
        ("2xRTX 4060 8GB", Inference(engine="vllm", context=32768), ["--engine", "vllm", "--context", "32768"]),
        ("2xT4", Inference(engine="vllm", tp=2, context=65536), ["--engine", "vllm", "--tp", "2", "--context", "65536"]),
        ("RTX 4090", Inference(engine="sglang", context=131072), ["--engine", "sglang", "--context", "131072"]),
        ("2xH100", Training(shard="fsdp", gpus=2, context=32768),
         ["--train", "--shard", "fsdp", "--gpus", "2", "--context", "32768"]),
    )  # fmt: skip
    for device, workload, options in cases:
        for one in suggestions(fitting(model, device, workload), {}):
            words = shlex.split(one.change)
            on = [] if "--on" in words else ["--on", device]
            kept = [part for part in options if not drops(part, options, words)]
            found = RUNNER.invoke(app, ["fit", str(directory), *kept, *words, *on, "-q"])
            assert found.output.strip() == one.fit.verdict, (device, one.change, found.output)


def drops(part: str, options: list[str], words: list[str]) -> bool:
    """Whether a suggestion says an option, or the value of one, anew."""
    at = options.index(part)
    return part in words or (at > 0 and options[at - 1] in words)


def test_slices_and_shared_memory_are_not_multiplied(model: Model) -> None:
    for device in ("H100 MIG 1g.10gb", "M2 16GB"):
        changes = [one.change for one in suggestions(fitting(model, device, Inference(context=65536)), {})]
        assert not any(change.startswith(('--on "2x', '--on "4x')) for change in changes)


@pytest.mark.parametrize(
    ("name", "device", "reason"),
    [
        ("Qwen/Qwen3-8B-FP8", "V100 32GB", "compute capability 7.5"),
        ("openai/gpt-oss-20b", "V100 32GB", "compute capability 8.0"),
        ("Qwen/Qwen3-8B-FP8", "M3 Max 128GB", "no backend"),
    ],
)
def test_what_a_server_cannot_load_is_no(name: str, device: str, reason: str, tmp_path: Path) -> None:
    other = api.load(checkpoints.write(name, tmp_path))
    found = fitting(other, device, Inference(engine="vllm")).answer()[1]
    assert found.verdict == "no" and reason in found.reason
    assert reason not in fitting(other, device, Inference()).answer()[1].reason


def test_an_encoder_fits_as_often_as_sequences_run(tmp_path: Path) -> None:
    found = fitting(api.load(checkpoints.write("google-bert/bert-base-uncased", tmp_path)), "H100", Inference(engine="vllm"))
    assert found.answer()[1].verdict == "fits" and fit_target(found, 512).max_batch == 1024


def test_no_more_run_than_max_num_seqs(model: Model) -> None:
    asked = fitting(model, "H100", Inference(engine="vllm", max_num_seqs=4, context=1024))
    assert fit_target(asked, 131072).max_batch == 4
    assert "4 of any length" in asked.answer(batch=32)[1].reason


def test_replicas_share_the_batch(model: Model) -> None:
    one = fit_target(fitting(model, "H100", Inference(engine="vllm")), 131072)
    eight = fit_target(fitting(model, "8xH100", Inference(engine="vllm", dp=8)), 131072)
    assert eight.max_batch and one.max_batch and eight.max_batch > 7 * one.max_batch


def test_a_pool_with_nothing_to_spare_is_tight(model: Model) -> None:
    asked = fitting(model, "H100", Inference(engine="vllm", gpu_memory_utilization=0.3))
    longest = fit_target(asked, 131072).max_context or 0
    assert asked.answer(context=longest)[1].verdict == "tight"
    assert asked.answer(context=longest // 4)[1].verdict == "fits"


def test_a_sibling_that_cannot_be_read_is_a_note(model: Model) -> None:
    report = api.fit(model, Inference(), ["RTX 4060 8GB"], siblings=["./no-such-directory"])
    assert report.rows[0].fit.verdict == "no" and "was not tried" in report.notes[0].message
    assert "was not tried" in render_fit(report)


def test_a_local_device_is_judged_by_what_is_free(model: Model) -> None:
    whole = parse_target("RTX 4090").device
    busy = Device(
        name="RTX 4090", vendor="nvidia", family="geforce", memory_bytes=whole.memory_bytes, usable_bytes=whole.usable_bytes,
        memory_source="driver", source="test", free_bytes=10 * GIB, compute_capability="8.9",
    )  # fmt: skip
    asked = Fitting(estimator=api.estimator_of(model), workload=Inference(), target=Target(device=busy, count=1, text="local"))
    estimate, found = asked.answer()
    assert (found.verdict, found.usable_bytes) == ("no", 10 * GIB)
    assert judge(estimate, Inference(), asked.target).spare_bytes == 10 * GIB - estimate.total_bytes


def test_a_card_without_bfloat16_is_said(model: Model) -> None:
    assert "computes no bfloat16" in fitting(model, "2xT4").answer()[1].reason
    assert fitting(model, "L4").answer()[1].reason == ""


@pytest.mark.parametrize("engine", ["transformers", "vllm", "sglang"])
@pytest.mark.parametrize("device", ["RTX 4060 8GB", "RTX 4090", "T4"])
def test_every_suggestion_holds_and_is_a_change(model: Model, engine: str, device: str) -> None:
    asked = fitting(model, device, Inference(engine=engine, context=131072))
    found = list(suggestions(asked, {}))
    assert found and all(one.fit.verdict in ("fits", "tight") for one in found)
    assert len({one.change for one in found}) == len(found)


def test_suggestions_come_cheapest_first(model: Model) -> None:
    changes = [one.change for one in suggestions(fitting(model, "RTX 4090", Inference(context=45000)), {})]
    kinds = [change.split(" ")[0] for change in changes]
    assert kinds == ["--kv-dtype", "--context", "--weights-dtype", "--on", "--on"]
    assert changes[3].startswith('--on "2xRTX 4090')


def test_siblings_are_tried(model: Model, tmp_path: Path) -> None:
    packed = checkpoints.write("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", tmp_path)
    report = api.fit(model, Inference(), ["RTX 4060 8GB"], siblings=[str(packed)])
    assert str(packed) in [one.change for one in report.rows[0].suggestions]


def test_training_suggests_levers_that_hold(model: Model) -> None:
    found = list(suggestions(fitting(model, "H100", Training()), {}))
    changes = [one.change for one in found]
    assert changes[0] == "--checkpointing full" and changes[-1].startswith('--on "')
    assert all(one.fit.spare_bytes is not None and one.fit.spare_bytes >= 0 for one in found)


def test_the_grid_has_the_models_limit_and_grows(model: Model) -> None:
    row = api.fit(model, Inference(engine="vllm"), ["H100"], grid=True).rows[0]
    contexts = sorted({cell.context for cell in row.grid})
    assert contexts[0] == 2048 and contexts[-1] == 131072
    at_8192 = [cell.required_bytes or 0 for cell in row.grid if cell.context == 8192]
    assert at_8192 == sorted(at_8192)


def test_a_hundred_devices_are_asked_few_questions(model: Model) -> None:
    """Engines and training alike are answered from few estimates: the solver asks under ten for each device and quantity."""
    asked = 0

    def counted(workload: Any, card: Any) -> Any:
        nonlocal asked
        asked += 1
        return estimator(workload, card)

    estimator = api.estimator_of(model)
    targets = [Target(device=device, count=1, text=device.name) for device in devices()[:100]]
    for target in targets:
        fit_target(Fitting(estimator=counted, workload=Inference(), target=target), 131072)
    assert asked <= 100 * 21


# -- reports and the command line ----------------------------------------------------------------------------------


def test_text_names_the_verdict_the_growth_and_the_way_out(model: Model) -> None:
    report = api.fit(model, Inference(engine="vllm", context=131072), ["RTX 4090", "2xH100"], grid=True)
    text = render_fit(report)
    assert "RTX 4090" in text and "✗ no −" in text and "2 × H100 80GB" in text and "✓ fits" in text
    assert "on RTX 4090 it would fit with" in text and "--context " in text
    assert "needed by context and batch" in text


def test_json_is_one_object_with_every_device(model: Model) -> None:
    report = api.fit(model, Inference(engine="vllm", context=131072), ["RTX 4090", "H100"])
    found = json.loads(render_fit_json(report))
    assert found["schema"] == "hfmem.fit/1" and found["fits"] is False
    first, second = found["devices"]
    assert (first["verdict"], second["verdict"]) == ("no", "fits")
    assert second["capacity"]["kv_cache_tokens"] > 131072 and second["max_context"] == 131072
    assert first["instead"][0]["change"].startswith("--")
    assert first["spare_bytes"] == first["usable_bytes"] - first["required_bytes"] < 0


def test_markdown_has_a_row_a_device(model: Model) -> None:
    text = render_fit_markdown(api.fit(model, Inference(), ["RTX 4090", "T4"]))
    assert text.count("\n| ") == 3 and "| RTX 4090 | 23.65 GiB |" in text and "- on T4: `" in text


def test_hostile_names_are_escaped() -> None:
    fit = DeviceFit(name="a|b\x1b[31m", num_devices=1, memory_bytes=GIB, usable_bytes=GIB, required_bytes=1, verdict="fits")
    assert "\x1b" not in "".join(device_table([fit])) and "a\\|b" in "".join(device_rows([fit]))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["fit", "DIR", "--on", "RTX 3090"], 0, "✓ fits"),
        (["fit", "DIR", "--on", "T4", "--exit-code"], 3, "✗ no"),
        (["fit", "DIR", "--on", "T4"], 0, "✗ no"),
        (["fit", "DIR", "--on", "T4", "--on", "H100", "-q"], 0, "no\nfits"),
        (["fit", "DIR", "--on", "H100", "--train", "--method", "qlora", "--checkpointing", "full", "-q"], 0, "fits"),
        (["fit", "DIR"], 2, "no device was named"),
        (["fit", "DIR", "--on", "4096"], 2, "unit"),
        (["fit", "DIR", "--on", "RTX 4091"], 2, "did you mean"),
        (["fit", "DIR", "--on", "H100", "--method", "lora"], 2, "is an option of training"),
        (["fit", "DIR", "--on", "H100", "--tp", "2"], 2, "serving engines"),
        (["fit", "DIR", "--on", "4xH100", "--engine", "vllm", "--tp", "2"], 2, "4 devices"),
        (["estimate", "DIR", "--engine", "vllm", "--tp", "3"], 2, "--tp may be 1, 2, 4"),
        (["estimate", "DIR", "--engine", "vllm@x"], 2, "names no version"),
        (["estimate", "DIR", "--engine", "tgi"], 2, "engines: transformers, vllm"),
        (["estimate", "DIR", "--kv-dtype", "q8_0"], 2, "not transformers's"),
        (["estimate", "DIR", "--engine", "vllm", "--kv-dtype", "int4"], 2, "vllm has float16"),
        (["estimate", "DIR", "--engine", "vllm@²"], 2, "names no version"),
        (["estimate", "DIR", "--engine", "vllm@"], 2, "names no version"),
        (["estimate", "DIR", "--engine", "vllm@999"], 0, "the newest version known"),
        (["fit", "DIR", "--train", "--on", "4xH100", "--tensor-parallel", "2", "--method", "lora", "-q"], 0, ""),
        (["devices", "--vendor", "foo"], 2, "one of amd, apple"),
        (["devices", "--vendor", "NVIDIA", "H200", "-q"], 0, "H200"),
        (["devices", "--min-memory", "2x80GiB", "-q"], 0, "B200"),
        (["estimate", "DIR", "--engine", "vllm", "--gpu-memory-utilization", "1.5"], 2, "at most 1"),
        (["estimate", "DIR", "--on", "T4", "--exit-code", "-q"], 3, ""),
        (["train", "DIR", "--on", "H100"], 0, "✗ no"),
        (["estimate", "DIR", "--on", "RTX 3090", "--format", "markdown"], 0, "| RTX 3090 |"),
        (["devices", "4090", "-q"], 0, "RTX 4090"),
        (["devices", "--vendor", "amd", "--min-memory", "128GiB", "--dtype", "fp8", "-q"], 0, "MI300X"),
        (["devices", "zzz"], 4, "error: no device is called 'zzz'\nhint: hfmem devices"),
        (["devices", "RTX 4099"], 4, 'did you mean "RTX 4090"'),
        (["devices", "p4d", "-q"], 4, 'did you mean "p4d.24xlarge"'),
        (["devices", "p5.48xlarge", "-q"], 0, "H100 80GB"),
        (["devices", "H100", "--vendor", "amd"], 4, "no device called 'H100' is of that vendor"),
        (["devices", "--vendor", "apple", "--min-memory", "8TiB"], 4, "hint: leave out an option"),
        (["devices", "--min-memory", "64"], 2, "unit"),
    ],
)
def test_commands(directory: Path, arguments: list[str], code: int, said: str) -> None:
    found = RUNNER.invoke(app, [str(directory) if part == "DIR" else part for part in arguments])
    assert found.exit_code == code, found.output
    assert said in found.output


def test_json_of_an_estimate_has_capacity_and_devices(directory: Path) -> None:
    found = RUNNER.invoke(app, ["estimate", str(directory), "--engine", "vllm", "--on", "H100", "--format", "json"])
    answer = json.loads(found.stdout)
    assert answer["capacity"]["starts"] is True and answer["capacity"]["max_concurrency"] > 1
    assert answer["devices"][0]["name"] == "H100 80GB" and answer["devices"][0]["max_batch"] > 1
    assert answer["workload"]["tp"] == 1 and answer["workload"]["gpu_memory_utilization"] == 0.92


def test_the_rows_of_several_targets_keep_their_order(model: Model) -> None:
    names = ["H200", "RTX 3060", "B200"]
    report = fit_report(api.estimator_of(model), Inference(), [parse_target(name) for name in names], {})
    assert [row.fit.name for row in report.rows] == [parse_target(name).device.name for name in names]


def test_an_estimate_loads_no_catalogue(directory: Path) -> None:
    code = f"import sys, hfmem.cli as c\ntry:\n    c.app(['estimate', {str(directory)!r}, '-q'])\nexcept SystemExit:\n    pass\n"
    program = code + "print('hfmem.hardware.catalogue' in sys.modules, 'hfmem.memory.engines.vllm' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout.split()[-2:] == ["False", "False"]
