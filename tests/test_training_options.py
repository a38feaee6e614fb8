"""Options of a training run: what each changes, by how much, and what it must not change."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_training import MISTRAL, SMALL, model, train
from typer.testing import CliRunner

from hfmem import api
from hfmem.cli import app
from hfmem.errors import ExitCode, UsageError
from hfmem.memory.training.adapters import trained_groups
from hfmem.memory.training.dynamic import dynamic_state
from hfmem.memory.training.matrices import elements, tensors_of
from hfmem.memory.training.static import static_state
from hfmem.memory.training.workload import Training, parse_version
from hfmem.model.read import read_model

SQUARE = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "intermediate_size": 64, "num_attention_heads": 4,
    "num_key_value_heads": 4, "vocab_size": 100, "tie_word_embeddings": False,
}  # fmt: skip
MIB = 2**20


def dynamic(config: dict[str, Any], **options: Any) -> Any:
    spec, workload = read_model(config), Training(**{"context": 1024, **options})
    return dynamic_state(spec, tensors_of(spec, None), workload, 1024)


def items(config: dict[str, Any], phase: int = 0, **options: Any) -> dict[str, int]:
    return {item.name: item.num_bytes or 0 for item in train(config, **{"context": 1024, **options}).phases[phase].items}


def test_adapters_as_large_as_their_matrices_count_what_the_matrices_do() -> None:
    """Rank 32 on 64 × 64 matrices is 32 · (64 + 64) = 64 · 64 elements each."""
    tensors = tensors_of(read_model(SQUARE), None)
    matrices = [tensor for tensor in tensors if tensor.is_linear]
    workload = Training(method="lora", lora_rank=32, precision="fp32")
    adapters, whole = static_state(tensors, workload), static_state(matrices, Training(precision="fp32"))
    assert adapters.trained_elements == whole.trained_elements == elements(matrices)
    assert (adapters.adapters, adapters.gradients, adapters.optimizer) == (whole.weights, whole.gradients, whole.optimizer)


def test_master_weights_are_four_bytes_and_float32_states() -> None:
    tensors = tensors_of(read_model(MISTRAL), None)
    count = elements(tensors)
    found = static_state(tensors, Training(master_weights=True))
    assert (found.weights, found.gradients, found.master_weights, found.optimizer) == (2 * count, 2 * count, 4 * count, 8 * count)
    assert found.step_temporary == 4 * count


def test_dora_adds_a_magnitude_for_every_row() -> None:
    tensors = tensors_of(read_model(SQUARE), None)
    plain, dora = (trained_groups(tensors, Training(method="lora", dora=value))[0].elements for value in (False, True))
    assert dora - plain == 7 * 2 * 64


def test_saved_modules_are_trained_copies_of_their_own_dtype() -> None:
    tensors = tensors_of(read_model(SQUARE), None)
    plain, saved = (
        static_state(tensors, Training(method="lora", modules_to_save=names)) for names in ("", "embed_tokens,lm_head")
    )
    count = 2 * 100 * 64
    assert saved.adapters - plain.adapters == saved.gradients - plain.gradients == 2 * count
    assert saved.optimizer - plain.optimizer == 4 * count


def test_frozen_parts_have_no_gradients() -> None:
    tensors = tensors_of(read_model(SQUARE), None)
    found = static_state(tensors, Training(freeze="embeddings,head"))
    assert found.weights == 2 * elements(tensors)
    assert found.gradients == 2 * (elements(tensors) - 2 * 100 * 64)


# option, the phase it is seen in, the item, and what it changes there: (before, after)
CHANGES = [
    ("kept logits", {}, {"keep_logits": True}, "logits", 2 * 32000 * 1024),
    ("logits of the last 24 tokens", {}, {"logits_to_keep": 24}, "logits", -12 * 32000 * 1000),
    ("older transformers", {}, {"transformers": (4, 48)}, "logits", 2 * 32000 * 1024),
    ("autocast halves the adapters' copies", {"method": "lora", "lora_targets": "q_proj"}, {"autocast": True}, "activations",
     -32 * (2 * 4096 + 2 * 16) * 1024),
    ("dropout keeps a mask", {"method": "lora", "lora_targets": "q_proj"}, {"lora_dropout": True}, "activations", 32 * 4096 * 1024),
    ("liger recomputes", {}, {"kernels": "liger"}, "activations", -32 * (2 * 4 * 4096 + 2 * 14336) * 1024),
    ("eager scores", {}, {"attention": "eager"}, "activations", 32 * (2 * 2 * (4096 - 1024) + 32 * (6 * 1024 - 4)) * 1024),
    ("a mask for sdpa", {}, {"padded": True}, "activations", 32 * (2 * 2 * (4096 - 1024) + 2 * 1024) * 1024),
    ("a float32 stream", {"checkpointing": "full", "method": "qlora"}, {"float32_residual": True}, "checkpoints", 32 * 2 * 4096 * 1024),
    ("a second sequence a sample", {"checkpointing": "full"}, {"objective": "orpo"}, "checkpoints", 32 * 2 * 4096 * 1024),
]  # fmt: skip


@pytest.mark.parametrize(("before", "change", "item", "expected"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_an_option_changes_what_it_says(before: dict[str, Any], change: dict[str, Any], item: str, expected: int) -> None:
    assert items(MISTRAL, **{**before, **change})[item] - items(MISTRAL, **before)[item] == expected


def test_a_classifier_scores_its_labels() -> None:
    found = items(MISTRAL, task="sequence-classification", num_labels=3)
    assert found["logits"] == (3 * 12 + 8 * 4096) * 1024


def test_whole_model_preference_training_holds_a_reference() -> None:
    found = items(MISTRAL, objective="dpo", checkpointing="full")
    assert found["reference_model"] == found["weights"]
    assert "reference_model" not in items(MISTRAL, objective="dpo", checkpointing="full", method="lora")
    assert "reference_model" not in items(MISTRAL, objective="orpo", checkpointing="full")


def test_tensor_parallel_devices_share_matrices_activations_and_logits() -> None:
    whole, half = (items(MISTRAL, tensor_parallel=count, gpus=count) for count in (1, 2))
    for name in ("weights", "optimizer", "activations", "logits"):
        assert half[name] == pytest.approx(whole[name] / 2, rel=1e-6)


def test_without_sequence_parallelism_norms_stay_whole() -> None:
    options = {"tensor_parallel": 2, "gpus": 2}
    shared, apart = (dynamic(MISTRAL, **options, sequence_parallel=value).activations for value in (True, False))
    assert apart - shared == 32 * (16 * 4096 + 8) // 2 * 1024


def test_context_parallel_devices_share_tokens() -> None:
    whole, half = (dynamic(MISTRAL, context_parallel=count, gpus=count) for count in (1, 2))
    assert (half.activations * 2, half.logits * 2) == (whole.activations, whole.logits)


def test_offload_leaves_states_and_then_weights() -> None:
    states, everything = (items(MISTRAL, offload=name, shard="zero3") for name in ("optimizer", "parameters"))
    assert "optimizer" not in states and states["weights"] > 0
    assert everything["weights"] == 0
    assert everything["gathered"] >= 2 * 2 * 32000 * 4096  # embeddings and head come back for a while


def test_optimizer_in_backward_keeps_one_gradient() -> None:
    step = train(MISTRAL, context=128, checkpointing="full", optimizer_in_backward=True).phases[-1]
    gradient = next(item for item in step.items if item.name == "gradients")
    assert gradient.num_bytes == 2 * 32000 * 4096


def test_fsdp1_over_frozen_weights_holds_on_to_inputs_and_their_gradients() -> None:
    """2·(L − 1) inputs and gradients of 2h a token in the first layer's backward pass; FSDP2 holds one input."""
    options = {"method": "lora", "checkpointing": "full", "gpus": 2, "transformers": (4, 48)}
    one, two = (items(MISTRAL, 2, shard=shard, **options)["checkpoints"] for shard in ("fsdp1", "fsdp"))
    assert (one, two) == ((32 + 30) * 2 * 4096 * 1024, 2 * 4096 * 1024)


OPTIONS = st.fixed_dictionaries(
    {
        "shard": st.sampled_from(["ddp", "zero1", "zero2", "zero3", "fsdp", "fsdp1", "shard-grad-op", "no-reshard"]),
        "method": st.sampled_from(["full", "lora", "qlora"]),
        "kernels": st.sampled_from(["eager", "liger", "unsloth", "compile"]),
        "checkpointing": st.sampled_from(["none", "selective", "full", "offloaded"]),
        "objective": st.sampled_from(["sft", "dpo", "orpo", "grpo"]),
        "offload": st.sampled_from(["none", "optimizer", "parameters"]),
        "padded": st.sampled_from([None, True, False]),
        "lora_dropout": st.booleans(),
        "dora": st.booleans(),
        "autocast": st.booleans(),
    }
)


@settings(max_examples=150, deadline=None)
@given(options=OPTIONS, gpus=st.integers(1, 8), batch=st.integers(1, 4), context=st.integers(1, 512))
def test_what_is_true_of_sharded_steps(options: dict[str, Any], gpus: int, batch: int, context: int) -> None:
    if options["shard"] in ("ddp", "zero1", "zero2") and options["offload"] == "parameters":
        options["offload"] = "none"
    found = train(SMALL, batch=batch, context=context, gpus=gpus, **options)
    for phase in found.phases:
        assert phase.total_bytes == sum(item.num_bytes or 0 for item in phase.items)
        assert all(item.num_bytes is not None and item.num_bytes >= 0 for item in phase.items)
    longer = train(SMALL, batch=batch, context=context + 1, gpus=gpus, **options)
    assert longer.total_bytes >= found.total_bytes
    alone = train(SMALL, batch=batch, context=context, gpus=1, **options)
    if gpus == 1 and options["offload"] != "parameters":
        assert alone.phases == train(SMALL, batch=batch, context=context, **{**options, "shard": "none"}).phases


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"gpus": 3, "tensor_parallel": 2}, "no multiple"),
        ({"gpus": 4, "tensor_parallel": 2}, "without --shard"),
        ({"kernels": "triton"}, "--kernels 'triton' is not known"),
        ({"gradient_dtype": "fp8"}, "--gradient-dtype 'fp8' is not known"),
        ({"logits_to_keep": 0}, "--logits-to-keep is 0"),
        ({"task": "token-classification", "objective": "dpo"}, "has no --objective"),
        ({"optimizer": "lomo", "grad_accum": 2}, "--grad-accum"),
        ({"offload": "parameters", "shard": "zero1"}, "does not go with --shard zero1"),
        ({"method": "lora", "freeze": "head"}, "without --freeze"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Training(**options)


@pytest.mark.parametrize("options", [{"freeze": "wings"}, {"method": "lora", "modules_to_save": "wings"}])
def test_parts_that_are_not_there_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="wings") as caught:
        train(SMALL, **options)
    assert caught.value.hint


def test_names_other_tools_use_are_ours() -> None:
    found = Training(attention="flash_attention_2", optimizer="adamw_bnb_8bit", shard="full_shard")
    assert (found.attention, found.optimizer, found.shard) == ("flash", "adamw_8bit", "fsdp1")


def test_versions_are_read() -> None:
    assert [parse_version(text) for text in ("4.48", "5", "v4.48.1", "5.23.0.dev0")] == [(4, 48), (5, 0), (4, 48), (5, 23)]
    with pytest.raises(UsageError, match="no version"):
        parse_version("latest")


def test_a_model_that_is_packed_itself_keeps_its_bytes_under_lora() -> None:
    packed = {**MISTRAL, "quantization_config": {"quant_method": "gptq", "bits": 4, "group_size": 128}}
    linear = sum(tensor.total for tensor in tensors_of(model(packed).spec, None) if tensor.is_linear)
    rest = elements(tensors_of(model(packed).spec, None)) - linear
    found = items(packed, method="lora", checkpointing="full")
    assert found["weights"] == round(linear * (4 + 20 / 128) / 8) + 2 * rest


def test_wrong_words_on_the_command_line_are_one_line_and_a_hint() -> None:
    for words in (["--transformers", "new"], ["--shard", "zero4"], ["--freeze", "wings"], ["--gpus", "2"]):
        result = CliRunner().invoke(app, ["train", "fixtures/meta-llama--Llama-3.2-1B", *words])
        assert result.exit_code == ExitCode.USAGE
        assert result.stderr.count("error: ") == 1
        assert "hint: " in result.stderr


def test_fused_experts_and_routers_are_no_modules_since_transformers_5() -> None:
    config = {**MISTRAL, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2}
    tensors = tensors_of(read_model(config), None)
    linear = {tensor.module for tensor in tensors if tensor.is_linear}
    assert {"gate", "gate_proj"} <= linear
    older, newer = (static_state(tensors, Training(method="qlora", transformers=version)) for version in ((4, 57), (5, 23)))
    experts = 32 * 8 * 3 * 4096 * 14336
    assert newer.weights - older.weights > 1.4 * experts  # 2 bytes an element instead of half a byte


def test_ddp_keeps_its_buckets_in_every_phase() -> None:
    found = train(MISTRAL, context=128, shard="ddp", gpus=2, checkpointing="full")
    sizes = [{item.name: item.num_bytes for item in phase.items}["gathered"] for phase in found.phases]
    assert sizes == [2 * 7_241_732_096] * 5


def test_autocast_over_float32_weights_copies_every_matrix() -> None:
    """2 bytes an element of what linear modules multiply with, until their backward pass or the end of the forward one."""
    copies = 2 * (32 * (4096 * (4096 + 1024 + 1024 + 4096) + 3 * 4096 * 14336) + 32000 * 4096)
    assert items(MISTRAL, precision="mixed")["autocast_copies"] == copies
    assert items(MISTRAL, 1, precision="mixed")["autocast_copies"] == copies
    assert "autocast_copies" not in items(MISTRAL, 1, precision="mixed", checkpointing="full")
    assert "autocast_copies" not in items(MISTRAL, precision="mixed", shard="fsdp", gpus=2)


def test_a_tower_sees_no_gradient_where_it_is_frozen() -> None:
    config = {
        "model_type": "llava", "text_config": MISTRAL, "image_seq_length": 576,
        "vision_config": {"model_type": "clip_vision_model", "hidden_size": 1024, "num_hidden_layers": 4, "intermediate_size": 4096,
                          "num_attention_heads": 16, "image_size": 336, "patch_size": 14},
    }  # fmt: skip
    plain, seen, frozen, adapted = (
        dynamic(config, **options).activations
        for options in (
            {},
            {"image_tokens": 576},
            {"image_tokens": 576, "freeze": "vision"},
            {"image_tokens": 576, "method": "lora"},
        )
    )
    assert plain == frozen < seen
    assert adapted == dynamic(config, method="lora").activations


def test_without_checkpointing_the_first_layer_still_has_what_it_saved() -> None:
    recomputed, kept = (items(MISTRAL, 2, checkpointing=how)["activations"] for how in ("full", "none"))
    assert kept >= recomputed - 2 * 2 * 4096 * 1024


def test_options_without_effect_and_targets_that_are_not_there_are_remarks() -> None:
    found = train(SMALL, context=16, dora=True, image_tokens=5)
    assert [
        word.strip(",") for note in found.notes if note.code == "no-effect" for word in note.message.split() if "--" in word
    ] == ["--dora", "--image-tokens"]
    found = train(SMALL, context=16, method="lora", lora_targets="q_proj,typo")
    assert any(note.code == "no-such-module" and "typo" in note.message for note in found.notes)


def test_what_cannot_be_read_is_unknown_and_no_zero() -> None:
    found = train({"model_type": "resnet"}, context=16)
    assert not found.complete
    assert found.phases[0].items[0].num_bytes is None


def test_a_classifier_has_no_vocabulary_head() -> None:
    whole, scored = (items(SQUARE, task=task)["weights"] for task in ("causal-lm", "token-classification"))
    assert whole - scored == 2 * 64 * (100 - 2)


def test_float32_logits_need_no_copies() -> None:
    """Logits, log-softmax and gradient of 4 bytes, whatever the loss; in 16 bits preferences take 6."""
    single, half = (items(MISTRAL, objective="dpo", precision=name)["logits"] for name in ("fp32", "bf16"))
    assert (single - half) // (2 * 1024) == (12 - 6) * 32000 + (12 - 8) * 4096


def test_markdown_tells_phases_readings_and_changes() -> None:
    result = CliRunner().invoke(app, ["train", "fixtures/meta-llama--Llama-3.2-1B", "--format", "markdown"])
    assert "| forward+loss |" in result.stdout
    assert "allocated " in result.stdout
    assert "| `--checkpointing full` |" in result.stdout


BERT = {
    "model_type": "bert", "architectures": ["BertForMaskedLM"], "num_hidden_layers": 12, "hidden_size": 768, "vocab_size": 30522,
    "intermediate_size": 3072, "num_attention_heads": 12,
}  # fmt: skip


def test_an_encoder_has_attention_though_it_keeps_no_cache() -> None:
    """Eager scores: a 16-bit softmax, 2 bytes a head and key, and 3 for what dropout keeps, of 12 heads of 64."""
    eager, flash = (dynamic(BERT, attention=name).activations for name in ("eager", "flash"))
    assert eager - flash == 12 * 12 * (5 * 1024 - 4) * 1024
    assert flash > 12 * (8 * 768 + 4 * 3072) * 1024


def test_only_heads_over_the_vocabulary_score_it() -> None:
    assert dynamic(BERT).logits > 6 * 30522 * 1024
    assert dynamic({**BERT, "architectures": ["BertModel"]}).logits == 0


@settings(max_examples=100, deadline=None)
@given(
    method=st.sampled_from(["full", "lora", "qlora"]),
    kernels=st.sampled_from(["eager", "liger", "unsloth", "compile"]),
    attention=st.sampled_from(["flash", "sdpa", "eager"]),
    precision=st.sampled_from(["bf16", "fp32", "mixed"]),
    batch=st.integers(1, 8),
    context=st.integers(1, 1024),
)
def test_more_checkpointing_never_raises_the_forward_peak(batch: int, context: int, **options: str) -> None:
    kept = [
        train(SMALL, batch=batch, context=context, checkpointing=how, **options).phases[0].total_bytes
        for how in ("none", "selective", "full", "offloaded")
    ]
    assert kept == sorted(kept, reverse=True)


def test_an_adapter_trains_on_with_its_base() -> None:
    base = model(SMALL)
    adapter = replace(model({"model_type": "adapter"}), base=base)
    workload = Training(method="lora", context=16)
    assert api.estimate(adapter, workload).phases == api.estimate(base, workload).phases


def test_the_answer_says_what_every_option_was() -> None:
    found = train(SMALL, context=16, precision="mixed", transformers=(4, 48)).resolved
    assert {name: found[name] for name in ("autocast", "reentrant", "master_weights", "transformers", "context")} == {
        "autocast": True, "reentrant": True, "master_weights": False, "transformers": "4.48", "context": 16,
    }  # fmt: skip
    assert set(found) >= set(Training.__slots__)
