"""The witnesses: classes counted on the meta device, verify's rows, limits, memory of answers, and what is never run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import checkpoints
import pytest
from trees import safetensors
from typer.testing import CliRunner

from hfmem import api
from hfmem.cli import app
from hfmem.errors import CannotTell, ExitCode
from hfmem.memory.estimate import Estimate
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import Inference
from hfmem.sources.memory import MemorySource
from hfmem.witness import ask as asking
from hfmem.witness.ask import Limits, ask
from hfmem.witness.class_count import class_rows, count_class, counted
from hfmem.witness.sizing import sizing
from hfmem.witness.textbook import rules
from hfmem.witness.values import Row, Sizes

torch = pytest.importorskip("torch", reason="witnesses need the verify extra: pip install 'hfmem-cli[verify]'")
pytest.importorskip("transformers", reason="witnesses need the verify extra: pip install 'hfmem-cli[verify]'")

pytestmark = pytest.mark.filterwarnings("ignore")  # of transformers, on configurations that are not ours
SHARED = Path(__file__).parent.parent.parent / "shared" / "data" / "configs"
TINY: dict[str, Any] = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "hidden_size": 64,
    "intermediate_size": 128, "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 256, "torch_dtype": "bfloat16",
}  # fmt: skip
GIB, MIB = 2**30, 2**20


@pytest.fixture(autouse=True)
def assets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Answers are remembered in a folder of the test's own."""
    monkeypatch.setenv("HF_ASSETS_CACHE", str(tmp_path / "assets"))
    return tmp_path / "assets"


def model_of(config: dict[str, Any]) -> Any:
    return api.load_source(MemorySource({"config.json": json.dumps(config).encode()}))


def rows_of(name: str, folder: Path) -> list[Row]:
    """The rows of a bundled checkpoint, its class counted in this process."""
    from hfmem.memory.weights import TORCH_NAMES
    from hfmem.witness.class_count import dtype_of
    from hfmem.witness.meta import count

    model = api.load(checkpoints.write(name, folder / "checkpoint"))
    assert model.weights
    return list(class_rows(model, counted(count({"config": dict(model.spec.raw), "dtype": TORCH_NAMES[dtype_of(model)]}))))


@pytest.mark.parametrize("name", checkpoints.names())
def test_every_checkpoint_has_its_classes_parameters(name: str, tmp_path: Path) -> None:
    """Files of another class of the family hold parts that the class named has not; those are named, nothing is left over."""
    parameters, tensors, stored = rows_of(name, tmp_path)
    assert parameters.unexplained == tensors.unexplained == 0
    assert stored.is_account and stored.unexplained == 0
    if name != "google-bert/bert-base-uncased":
        assert parameters.difference == 0
    else:
        assert {reason.reason for reason in parameters.reasons} == {
            "not in the class: bert.pooler.dense",
            "not in the class: cls.seq_relationship",
        }


# What the library's own classes say to three published configurations.
REFUSED = {
    "fla-org__flame_mamba2_1B.json": "hidden_size * expand",
    "limloop__whiff-mamba2-20M-v2.json": "'expand' expected int, got float",
    "mistralai__Ministral-3-3B-Instruct-2512_MLC_preset.json": "'dict' object has no attribute 'to_dict'",
}


@pytest.mark.skipif(not SHARED.is_dir(), reason="published configurations are not beside this checkout")
def test_every_native_configuration_builds_or_its_refusal_is_quoted() -> None:
    from transformers.models.auto.configuration_auto import CONFIG_MAPPING

    from hfmem.witness.worker import answer

    built = 0
    refused: dict[str, str] = {}
    for path in sorted(SHARED.glob("*.json")):
        config = json.loads(path.read_text())
        if config.get("model_type") in CONFIG_MAPPING:
            found = answer({"kind": "count", "config": config, "dtype": "bfloat16"})
            built += "found" in found
            if "found" not in found:
                refused[path.name] = str(found["refused"])
    assert built >= 180
    assert {name: words in refused[name] for name, words in REFUSED.items()} == dict.fromkeys(refused, True)


LLAMA_2_7B = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 4096, "intermediate_size": 11008,
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 32, "vocab_size": 32000, "tie_word_embeddings": False,
    "max_position_embeddings": 4096, "torch_dtype": "float16",
}  # fmt: skip
LAYER = 4 * 4096 * 4096 + 3 * 4096 * 11008 + 2 * 4096  # attention, block and norms: 202,383,360 parameters
BASE = 32000 * 4096 + 32 * LAYER + 4096  # embeddings, layers, last norm: 6,607,343,616
ROTARY = 2 * 64 * 4  # float32 frequencies, and those they began as: the class's buffers


def test_accelerates_table_of_llama_2_7b() -> None:
    """Published in float16: 388.02 MB, 12.37 GB, and 24.74, 37.11, 49.48, 49.48 GB to train, where GB are GiB."""
    found = count_class(model_of(LLAMA_2_7B))
    half, whole = list(sizing(found.without_head))[1], list(sizing(found.whole))[1]
    assert half.largest_layer == 2 * LAYER and half.largest_layer / MIB == pytest.approx(386.02, abs=0.005)
    assert half.total == 2 * BASE + ROTARY // 2 and half.total / GIB == pytest.approx(12.31, abs=0.005)
    assert whole.total == half.total + 2 * 32000 * 4096 and whole.total / GIB == pytest.approx(12.55, abs=0.005)
    # classes of the time kept cosines and sines of 2,048 positions in every layer, as float32 2 MiB, here halved like all else
    rotary = 2 * 2048 * 128 * 4
    published = half.total + 32 * rotary
    assert (half.largest_layer + rotary) / MIB == pytest.approx(388.02, abs=0.005)
    assert published / GIB == pytest.approx(12.37, abs=0.005)
    trained = list(sizing(Sizes(total_bytes=2 * published, largest_bytes=0, largest="")))[1]
    figures = [size / GIB for size in (trained.model, trained.gradients, trained.backward, trained.step) if size]
    assert figures == pytest.approx([24.74, 37.11, 49.48, 49.48], abs=0.01)


def test_sizing_is_accelerates_own() -> None:
    from accelerate.commands.estimate import estimate_training_usage

    for row, name in zip(sizing(Sizes(total_bytes=1000, largest_bytes=10, largest="x")), ("float32", "float16"), strict=False):
        theirs = estimate_training_usage(1000, name)
        assert (row.model, row.gradients, row.backward, row.step) == tuple(
            theirs[key] for key in ("model", "gradients", "optimizer", "step")
        )


def test_weights_that_share_a_tensor_count_once() -> None:
    found = count_class(model_of({**TINY, "tie_word_embeddings": True}))
    assert found.tied == (("model.embed_tokens.weight", "lm_head.weight"),)
    assert found.parameters == 256 * 64 + 2 * (64 * 64 * 2 + 64 * 32 * 2 + 3 * 64 * 128 + 2 * 64) + 64


def test_a_model_without_files_is_weighed_as_its_class_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    found = api.estimate(model_of(TINY), Inference(context=10))
    weights = found.item("weights")
    assert weights and (weights.num_bytes, weights.basis) == (2 * 106_816, "derived")
    assert found.complete and found.weights and found.weights.num_parameters == 106_816
    monkeypatch.setattr(asking, "LIBRARIES", ("no_such_library",))
    without = api.estimate(model_of(TINY), Inference(context=10))
    assert not without.complete
    assert "verifying needs no_such_library: pip install 'hfmem-cli[verify]'" in [note.message for note in without.notes]


def test_training_without_files_counts_the_classes_tensors() -> None:
    found = api.estimate(model_of(TINY), Training(context=10))
    assert found.item("weights").num_bytes == 2 * 106_816  # type: ignore[union-attr]


def verify(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["verify", *arguments])


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    return checkpoints.write("HuggingFaceTB/SmolLM2-135M-Instruct", tmp_path / "smol")


def test_verify_says_what_agrees_and_remembers_it(directory: Path, assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = verify(str(directory), "--textbook", "--strict")
    assert first.exit_code == 0
    assert "agrees: all 2 counts explained" in first.stdout
    assert "keys and values" in first.stdout and "3.00 ×" in first.stdout  # 9 heads, 3 of keys

    def never(*_: object) -> None:
        raise AssertionError("asked again")

    monkeypatch.setattr(asking, "run", never)
    assert verify(str(directory), "--textbook").stdout == first.stdout
    (kept,) = (assets / "hfmem" / "witness").iterdir()
    assert json.loads(kept.read_text())["found"]["parameters"] == 134_515_008


@pytest.mark.parametrize("damage", ["{", "[]", '{"found": {}}', '{"refused": 1}', '{"found": {"parameters": 1}}'])
def test_a_damaged_answer_is_none(damage: str, tmp_path: Path) -> None:
    (tmp_path / "answer.json").write_text(damage)
    assert asking.recall(tmp_path / "answer.json", "count") is None


def test_a_damaged_answer_is_asked_again(directory: Path, assets: Path) -> None:
    first = verify(str(directory)).stdout
    (kept,) = (assets / "hfmem" / "witness").iterdir()
    kept.write_text("{")
    assert verify(str(directory)).stdout == first


def test_a_dry_run_of_a_training_step(directory: Path) -> None:
    options = ("--train", "--method", "lora", "--context", "256", "--checkpointing", "full", "--dry-run", "--format", "json")
    found = verify(str(directory), *options, "--timeline", "--strict")
    assert found.exit_code == 0, found.output
    answer = json.loads(found.stdout)
    rows = {(row["witness"], row["quantity"]): row for row in answer["rows"]}
    peak = rows["dry run", "allocated peak"]
    assert peak["unexplained"] / peak["counted"] == pytest.approx(0, abs=0.01) and peak["agrees"] and answer["agrees"]
    assert rows["dry run", "adapters"]["ours"] == pytest.approx(rows["dry run", "adapters"]["counted"], rel=1e-3)
    assert max(point["alive_bytes"] for point in answer["timeline"]) <= peak["counted"]
    assert answer["schema"] == "hfmem.verify/1" and set(answer["versions"]) == {
        "hfmem",
        "torch",
        "transformers",
        "accelerate",
        "peft",
    }


@pytest.mark.parametrize("attention", ["flash", "eager"])
def test_a_dry_run_with_other_attention(directory: Path, attention: str) -> None:
    found = verify(str(directory), "--train", "--context", "512", "--attention", attention, "--dry-run", "--strict")
    assert found.exit_code == 0, found.stdout
    assert "dry run         allocated peak" in found.stdout


def test_a_dry_run_of_serving(directory: Path) -> None:
    found = verify(str(directory), "--context", "300", "--dry-run", "--format", "markdown", "--strict")
    assert found.exit_code == 0
    assert "| dry run | caches | 6.59 MiB | 6.59 MiB | 0 |" in found.stdout


def test_a_file_that_contradicts_its_class_disagrees(tmp_path: Path) -> None:
    """Ten rows more in the embeddings than the vocabulary: loading would fail, and no reason is made up."""
    directory = checkpoints.write("HuggingFaceTB/SmolLM2-135M-Instruct", tmp_path / "smol")
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps({**config, "vocab_size": config["vocab_size"] - 10}))
    found = verify(str(directory), "--strict")
    assert found.exit_code == ExitCode.UNEXPECTED
    assert "UNEXPLAINED +5,760" in found.stdout and "disagrees: 2 of 2" in found.stdout
    assert "not in the files: model.embed_tokens.weight [49142, 576]" in found.stdout
    assert verify(str(directory)).exit_code == 0


def damaged(tensors: dict[str, Any], how: str) -> dict[str, Any]:
    """A header's tensors with one thing wrong."""
    found = {}
    for name, (dtype, shape) in tensors.items():
        if how == "gone" and "q_proj" in name:
            continue
        if how == "embeddings alone" and "embed" not in name:
            continue
        renamed = {
            "renamed": f"foo.{name.replace('layers', 'bars')}.x",
            "swapped": name.replace("layers.0.self_attn.q_proj", "x.0"),
        }
        found[renamed.get(how, name)] = (dtype, shape[::-1] if how == "transposed" else shape)
    return found


@pytest.mark.parametrize("how", ["gone", "embeddings alone", "renamed", "transposed", "swapped"])
def test_files_that_lack_what_the_class_has_disagree(how: str) -> None:
    """Whatever their totals are: what is not there under its name and shape would be initialised anew."""
    from hfmem.witness.meta import count

    found = counted(count(COUNT))
    tensors = {name: (group.dtype, list(group.shape)) for group in found.groups for name in names_of(group)}
    whole, broken = (api.load_source(files(shapes)) for shapes in (tensors, damaged(tensors, how)))
    assert all(row.agrees for row in class_rows(whole, found))
    assert not all(row.agrees for row in class_rows(broken, found) if not row.is_account)


def files(tensors: dict[str, Any]) -> MemorySource:
    return MemorySource({"config.json": json.dumps(TINY).encode(), "model.safetensors": safetensors(tensors)})


def names_of(group: Any) -> list[str]:
    return [group.pattern.replace("*", str(layer)) for layer in group.layers]


def test_nothing_compared_is_no_agreement(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**TINY, "num_attention_heads": 0}))
    found = verify(str(tmp_path), "--format", "json")
    assert found.exit_code == ExitCode.CANNOT_TELL
    assert json.loads(found.stdout)["agrees"] is None
    assert verify(str(tmp_path), "-q").stdout == "unknown\n"


def test_a_depth_no_model_has_is_refused_before_it_is_built() -> None:
    with pytest.raises(CannotTell, match="at most 1,000 layers"):
        ask("count", {**COUNT, "config": {**TINY, "num_hidden_layers": 100_000}})


MISPLACED = [
    (["--train", "--kv-dtype", "float8"], "--kv-dtype is an option of serving"),
    (["--dry-run", "--timeline"], "--timeline is written as JSON alone"),
    (["--memory-limit", "inf"], "memory-limit"),
]


@pytest.mark.parametrize(("options", "words"), MISPLACED)
def test_options_without_effect_are_refused(directory: Path, options: list[str], words: str) -> None:
    found = verify(str(directory), *options)
    assert found.exit_code == ExitCode.USAGE
    assert words in found.stderr


def test_estimate_has_the_witnesss_line(directory: Path) -> None:
    found = CliRunner().invoke(app, ["estimate", str(directory), "--verify"])
    assert "the class LlamaForCausalLM on the meta device has 134,515,008 parameters, as the headers have" in found.stdout


UNFOLLOWED = [
    (["--gpus", "2", "--shard", "fsdp"], "--shard fsdp"),
    (["--precision", "mixed"], "--precision mixed"),
    (["--loss", "fused"], "--loss fused"),
    (["--optimizer", "adamw_8bit"], "--optimizer adamw_8bit"),
    (["--transformers", "4.48"], "--transformers 4.48"),
]


@pytest.mark.parametrize(("options", "named"), UNFOLLOWED)
def test_what_no_dry_run_follows_is_named(directory: Path, options: list[str], named: str) -> None:
    found = verify(str(directory), "--train", "--dry-run", *options)
    assert found.exit_code == 0
    assert f"no dry run follows {named}" in found.stdout
    assert verify(str(directory), "--train", "--dry-run", "--strict", *options).exit_code == ExitCode.UNEXPECTED


def test_options_of_training_need_training(directory: Path) -> None:
    found = verify(str(directory), "--method", "lora")
    assert found.exit_code == ExitCode.USAGE
    assert "--method is an option of training" in found.stderr and "add --train" in found.stderr


def test_a_missing_extra_is_one_line_with_the_command(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "LIBRARIES", ("no_such_library",))
    found = verify(str(directory))
    assert found.exit_code == ExitCode.CANNOT_TELL
    assert found.stderr.splitlines() == ["error: verifying needs no_such_library: pip install 'hfmem-cli[verify]'"]


COUNT = {"config": TINY, "dtype": "bfloat16"}


def test_a_witness_that_takes_too_long_is_stopped(assets: Path) -> None:
    with pytest.raises(CannotTell, match=r"still at work after 0\.1 seconds") as caught:
        ask("count", COUNT, Limits(seconds=0.1))
    assert caught.value.code == "witness-timeout" and not assets.exists()


def test_a_witness_that_takes_too_much_memory_fails_alone(assets: Path) -> None:
    pytest.importorskip("resource", reason="this system cannot hold a process to a limit")
    with pytest.raises(CannotTell) as caught:
        ask("count", COUNT, Limits(memory_bytes=60 * MIB))
    assert caught.value.code in ("witness-memory", "witness-died")
    assert "--memory-limit" in (caught.value.hint or "")
    assert not list(assets.rglob("*.json"))


# architectures, model_type: none of them may be anything but a refusal or a class of transformers' own
STRANGE = [
    ({"architectures": ["pipeline"]}, "LlamaForCausalLM"),
    ({"architectures": ["PreTrainedModel", 7, None, "__builtins__", "../../x"]}, "LlamaForCausalLM"),
    ({"architectures": ["Custom"], "auto_map": {"AutoModelForCausalLM": "evil--model.Custom"}}, "LlamaForCausalLM"),
    ({"architectures": "LlamaForCausalLM"}, "LlamaForCausalLM"),
    ({"model_type": "no-such-type"}, None),
    ({"num_attention_heads": 0}, None),
    ({"hidden_size": "many"}, None),
]


@pytest.mark.parametrize(("fields", "architecture"), STRANGE)
def test_strange_configurations_are_refused_or_built_by_type(fields: dict[str, Any], architecture: str | None) -> None:
    from hfmem.witness.worker import answer

    found = answer({"kind": "count", **COUNT, "config": {**TINY, **fields}})
    assert found.get("found", {}).get("architecture") == architecture
    assert architecture or found["refused"]


def test_a_working_directory_is_never_imported_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "json", "transformers", "hfmem"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w').write('here')")
    monkeypatch.chdir(tmp_path)
    assert ask("count", COUNT)["parameters"] == 106_816
    assert not (tmp_path / "ran").exists()


def test_a_witness_sees_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("HUGGING_FACE_HUB_TOKEN", "hf_secret")
    assert "hf_secret" not in asking.surroundings().values()


def smol(workload: Inference | Training, tmp_path: Path) -> Estimate:
    return api.estimate(checkpoints.write("HuggingFaceTB/SmolLM2-135M-Instruct", tmp_path / "smol"), workload)


def test_rules_of_thumb_are_rows_with_their_arithmetic(tmp_path: Path) -> None:
    found = {rule.name: rule for rule in rules(smol(Inference(context=1024, batch=2), tmp_path))}
    assert found["parameters × bytes"].num_bytes == 134_515_008 * 2
    assert found["keys and values"].num_bytes == 2 * 2 * 1024 * 30 * 576 * 2
    assert found["keys and values"].ratio == pytest.approx(9 / 3, rel=0.001)
    assert "b 2, s 1,024, L 30, h 576" in found["keys and values"].formula


def test_rules_of_training(tmp_path: Path) -> None:
    found = {rule.name: rule for rule in rules(smol(Training(context=1024, precision="mixed"), tmp_path))}
    assert found["16 bytes a parameter"].num_bytes == 16 * 134_515_008
    assert found["16 bytes a parameter"].ratio == pytest.approx(1, rel=0.001)
    assert found["activations, nothing recomputed"].num_bytes == 30 * 1024 * (34 * 576 + 5 * 9 * 1024)
    assert found["ZeRO-3 states"].num_bytes == 4 * 49152 * 576 + 18 * 134_515_008
