"""Training: identities that must hold, arithmetic written out, and peaks that other people measured."""

from typing import Any

import checkpoints
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from hfmem import api
from hfmem.checkpoint.tensors import Checkpoint
from hfmem.cli import app
from hfmem.errors import ExitCode, UsageError
from hfmem.memory.estimate import Estimate
from hfmem.memory.subject import Model
from hfmem.memory.training.adapters import adapter_tensors
from hfmem.memory.training.matrices import elements, tensors_of
from hfmem.memory.training.static import static_state
from hfmem.memory.training.workload import Training
from hfmem.model.read import read_model
from hfmem.sources.base import Origin
from hfmem.sources.directory import DirectorySource
from hfmem.tables.optimizers import OPTIMIZERS

MISTRAL = {
    "model_type": "mistral", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336,
    "num_attention_heads": 32, "num_key_value_heads": 8, "vocab_size": 32000,
}  # fmt: skip
SMALL = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 160, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 1000,
}  # fmt: skip
QKVO = "q_proj,k_proj,v_proj,o_proj"


def model(config: dict[str, Any]) -> Model:
    origin = Origin(reference="model", source="memory")
    return Model(origin=origin, spec=read_model(config), checkpoint=Checkpoint(format="none"), weights=None)


def train(config: dict[str, Any], **options: Any) -> Estimate:
    return api.estimate(model(config), Training(**options))


# Peaks torch.cuda.max_memory_allocated gave on one A100, sequences of 4096 packed tokens, every layer checkpointed,
# transformers 4.48.1 (foundation-model-stack/fms-acceleration, scripts/benchmarks/refs/a100_80gb.csv).
MEASURED = [
    ("full, 4 sequences", {"batch": 4}, 72_434_837_504),
    ("full, 8 sequences", {"batch": 8}, 72_435_230_720),
    ("LoRA, 4 sequences", {"batch": 4, "method": "lora"}, 26_704_571_904),
    ("LoRA, 8 sequences", {"batch": 8, "method": "lora"}, 38_742_912_512),
    ("QLoRA, 4 sequences", {"batch": 4, "method": "qlora"}, 16_373_838_336),
    ("QLoRA, float32 residual", {"batch": 4, "method": "qlora", "float32_residual": True}, 20_669_338_112),
    ("QLoRA, float32 residual, 8", {"batch": 8, "method": "qlora", "float32_residual": True}, 37_002_646_016),
]


@pytest.mark.parametrize(("options", "measured"), [row[1:] for row in MEASURED], ids=[row[0] for row in MEASURED])
def test_measured_peaks_of_mistral_are_met(options: dict[str, Any], measured: int) -> None:
    found = train(
        MISTRAL, context=4096, optimizer="adamw_torch", checkpointing="full", attention="flash", lora_rank=16,
        lora_targets=QKVO, lora_dropout=True, transformers=(4, 48), **options,
    )  # fmt: skip
    assert found.totals["allocated_bytes"] == pytest.approx(measured, rel=0.003)


def test_static_state_is_its_arithmetic() -> None:
    tensors = tensors_of(read_model(MISTRAL), None)
    attention = 4096 * (4096 + 1024 + 1024 + 4096)
    count = 32 * (attention + 3 * 4096 * 14336 + 2 * 4096) + 2 * 32000 * 4096 + 4096
    assert elements(tensors) == count == 7_241_732_096
    full = static_state(tensors, Training(optimizer="adamw_torch"))
    assert (full.weights, full.gradients, full.optimizer, full.step_temporary) == (2 * count, 2 * count, 4 * count, 2 * count)
    mixed = static_state(tensors, Training(precision="mixed"))
    assert mixed.weights + mixed.gradients + mixed.optimizer == 16 * count


def test_adapters_count_rank_times_rows_and_columns() -> None:
    tensors = tensors_of(read_model(MISTRAL), None)
    adapters = adapter_tensors(tensors, Training(method="lora", lora_rank=16, lora_targets=QKVO))
    assert elements(adapters) == 32 * 16 * (8192 + 5120 + 5120 + 8192) == 13_631_488


def test_headers_and_geometry_count_the_same_matrices(tmp_path: Any) -> None:
    name = "meta-llama/Llama-3.2-1B"
    loaded = api.load_source(DirectorySource(checkpoints.write(name, tmp_path)))
    from_headers = tensors_of(loaded.spec, loaded.weights)
    from_geometry = tensors_of(loaded.spec, None)
    assert elements(from_headers) == elements(from_geometry) == 1_235_814_400
    linear = [sum(t.total for t in tensors if t.is_linear) for tensors in (from_headers, from_geometry)]
    assert linear[0] == linear[1]


# optimizer, bytes of state an element of a large matrix trained in bf16
STATES = [
    ("adamw_torch", 4.0), ("adamw_torch_fused", 4.0), ("adamw_8bit", 2.0312), ("adamw_torch_4bit", 1.0625), ("sgd", 0.0), ("lion", 2.0),
    ("sgd_momentum", 2.0), ("lion_8bit", 1.0156), ("paged_adamw_8bit", 0.0), ("lomo", 0.0), ("adam_mini", 2.0), ("muon", 2.0),
]  # fmt: skip


@pytest.mark.parametrize(("name", "each"), STATES)
def test_optimizer_states_have_their_size(name: str, each: float) -> None:
    tensors = [t for t in tensors_of(read_model(MISTRAL), None) if t.is_linear]
    found = static_state(tensors, Training(optimizer=name))
    assert found.optimizer / elements(tensors) == pytest.approx(each, abs=0.001)


@pytest.mark.parametrize("stage", ["ddp", "zero1", "zero2", "zero3", "fsdp"])
def test_one_device_keeps_everything_whatever_the_stage(stage: str) -> None:
    alone = train(SMALL, context=128)
    staged = train(SMALL, context=128, shard=stage)
    assert staged.phases == alone.phases


def test_more_sharding_keeps_less() -> None:
    peaks = [train(MISTRAL, context=512, checkpointing="full", shard=s, gpus=8).total_bytes for s in ("zero1", "zero3")]
    assert peaks[1] < peaks[0] < train(MISTRAL, context=512, checkpointing="full").total_bytes


CHOICES = st.fixed_dictionaries(
    {
        "method": st.sampled_from(["full", "lora", "qlora"]),
        "optimizer": st.sampled_from(sorted(OPTIMIZERS)),
        "checkpointing": st.sampled_from(["none", "full", "offloaded"]),
        "attention": st.sampled_from(["flash", "sdpa", "eager"]),
        "loss": st.sampled_from(["standard", "fused-ce", "chunked", "fused"]),
        "precision": st.sampled_from(["bf16", "fp16", "fp32", "mixed"]),
        "batch": st.integers(1, 16),
        "context": st.integers(1, 4096),
        "grad_accum": st.integers(1, 4),
    }
)


@settings(max_examples=150, deadline=None)
@given(options=CHOICES)
def test_what_is_always_true_of_a_training_step(options: dict[str, Any]) -> None:
    if OPTIMIZERS[options["optimizer"]].frees_gradients:
        options["grad_accum"] = 1
    found = train(SMALL, **options)
    for phase in found.phases:
        assert phase.total_bytes == sum(item.num_bytes or 0 for item in phase.items)
        assert phase.low_bytes <= phase.total_bytes <= phase.high_bytes
    totals = found.totals
    assert totals["allocated_bytes"] <= totals["reserved_bytes"] <= totals["device_bytes"] == found.total_bytes
    assert totals["reserved_low_bytes"] <= totals["reserved_bytes"] <= totals["reserved_high_bytes"]
    assert found.total_bytes <= train(SMALL, **{**options, "batch": options["batch"] + 1}).total_bytes
    assert all(lever.saves_bytes > 0 for lever in found.levers)


@settings(max_examples=50, deadline=None)
@given(batch=st.integers(1, 8), context=st.integers(1, 512))
def test_tokens_are_tokens_where_attention_is_flash(batch: int, context: int) -> None:
    wide = train(SMALL, batch=batch, context=context, attention="flash")
    long = train(SMALL, batch=1, context=batch * context, attention="flash")
    assert wide.totals == long.totals


def test_levers_are_estimates_of_their_own_largest_first() -> None:
    found = train(MISTRAL, context=2048)
    sizes = [lever.saves_bytes for lever in found.levers]
    assert sizes == sorted(sizes, reverse=True)
    saved = {lever.name: lever.saves_bytes for lever in found.levers}
    assert saved["--method lora"] == found.total_bytes - train(MISTRAL, context=2048, method="lora").total_bytes


def test_a_layer_without_a_formula_is_a_named_unknown() -> None:
    found = train({"model_type": "mamba"}, context=128)
    assert not found.complete
    assert any("recurrent layers need the shapes of their weights" in note.message for note in found.notes)


@pytest.mark.parametrize(
    "options", [{"method": "prompt"}, {"optimizer": "adam"}, {"gpus": 2}, {"batch": 0}, {"lora_rank": 0}, {"shard": "zero9"}]
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Training(**options)


def test_a_target_that_is_no_module_lists_the_modules() -> None:
    with pytest.raises(UsageError, match="no module of this model is a LoRA target") as caught:
        train(MISTRAL, method="lora", lora_targets="attn")
    assert caught.value.hint == "its linear modules: down_proj, gate_proj, k_proj, o_proj, q_proj, up_proj, v_proj"


def test_the_command_reports_phases_readings_and_levers(tmp_path: Any) -> None:
    path = checkpoints.write("meta-llama/Llama-3.2-1B", tmp_path)
    result = CliRunner().invoke(app, ["train", str(path), "--method", "lora", "--context", "2048"])
    assert result.exit_code == ExitCode.OK
    assert "forward+loss" in result.stdout
    assert "← peak" in result.stdout
    assert "allocated " in result.stdout
    assert "levers: " in result.stdout
