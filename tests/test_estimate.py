"""What is always true of an estimate, and its lines as arithmetic."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import as_json, safetensors

from hfmem import api
from hfmem.checkpoint.json_text import MAX_CONFIG_BYTES
from hfmem.errors import UsageError
from hfmem.memory.estimate import BASES, Estimate, Item
from hfmem.memory.subject import Model
from hfmem.memory.workload import Inference
from hfmem.sources.memory import MemorySource

LLAMA = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 2, "hidden_size": 64,
    "num_attention_heads": 8, "num_key_value_heads": 2, "intermediate_size": 128, "vocab_size": 100, "dtype": "bfloat16",
    "max_position_embeddings": 4096,
}  # fmt: skip
GEMMA = {
    "model_type": "gemma3_text", "architectures": ["Gemma3ForCausalLM"], "num_hidden_layers": 6, "hidden_size": 64,
    "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 16, "sliding_window": 32, "vocab_size": 100,
    "intermediate_size": 128, "dtype": "bfloat16",
}  # fmt: skip
JAMBA = {"model_type": "jamba", "num_hidden_layers": 8, "hidden_size": 64, "num_attention_heads": 8, "num_key_value_heads": 2}
T5 = {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"], "dtype": "float32"}
BERT = {"model_type": "bert", "architectures": ["BertModel"], "dtype": "float32"}


def model(config: dict[str, Any], *shapes: tuple[str, tuple[int, ...]], dtype: str = "BF16") -> Model:
    """A model in memory with the tensors asked for."""
    tensors = {name: (dtype, list(shape)) for name, shape in shapes or (("model.norm.weight", (64,)),)}
    return loaded({"config.json": as_json(config), "model.safetensors": safetensors(tensors)})


def loaded(files: dict[str, bytes]) -> Model:
    return api.load_source(MemorySource(files))


def bytes_of(estimate: Estimate, name: str, phase: str = "decode") -> int | None:
    found = next(phase_ for phase_ in estimate.phases if phase_.name == phase)
    return next(item.num_bytes for item in found.items if item.name == name)


def test_lines_are_their_arithmetic() -> None:
    found = api.estimate(model(LLAMA), Inference(context=100, batch=3))
    assert bytes_of(found, "weights") == 64 * 2
    assert bytes_of(found, "kv_cache") == 3 * 2 * 2 * (8 + 8) * 100 * 2
    assert bytes_of(found, "logits") == 3 * 1 * 100 * (2 + 4)
    assert bytes_of(found, "activations", "prefill") == 3 * 100 * (4 * 64 + 3 * 128 + 2 * 8) * 2
    assert bytes_of(found, "runtime") == 530 * 2**20


def test_a_sliding_layer_keeps_its_window_and_its_prompt_belongs_to_prefill() -> None:
    found = api.estimate(model(GEMMA), Inference(context=100))
    token = 1 * (16 + 16) * 2
    assert bytes_of(found, "kv_cache") == token * (5 * 32 + 1 * 100)
    assert bytes_of(found, "prefill_cache", "prefill") == token * 5 * (100 - 32)


def test_states_do_not_grow_with_the_context() -> None:
    short, long = (api.estimate(model(JAMBA), Inference(context=tokens)) for tokens in (10, 1000))
    assert bytes_of(short, "recurrent_state") == bytes_of(long, "recurrent_state") == 7 * (128 * 4 * 2 + 128 * 16 * 4)
    assert bytes_of(long, "kv_cache") == 1 * 2 * (8 + 8) * 1000 * 2


def test_an_encoder_decoder_keeps_its_own_tokens_and_the_encoders() -> None:
    found = api.estimate(model(T5), Inference(context=100, encoder_tokens=30))
    assert bytes_of(found, "kv_cache") == 6 * 8 * (64 + 64) * (100 + 30) * 4


def test_an_encoder_keeps_no_cache() -> None:
    found = api.estimate(model(BERT), Inference(context=100))
    assert bytes_of(found, "kv_cache") == 0
    assert found.complete


# user's dtype, configuration's, bits of a cached value, reason
KV_DTYPES: list[tuple[str | None, dict[str, Any], int, str]] = [
    (None, {}, 16, "the model's dtype"),
    (None, {"dtype": "float32"}, 32, "the model's dtype"),
    ("fp8", {}, 8, "--kv-dtype"),
    ("int4", {}, 4, "--kv-dtype"),
    (None, {"quantization_config": {"quant_method": "fp8"}}, 16, "the model's dtype"),
    (
        None,
        {"quantization_config": {"quant_method": "compressed-tensors", "kv_cache_scheme": {"num_bits": 8, "type": "float"}}},
        8,
        "the checkpoint's kv_cache_scheme",
    ),
    ("bf16", {"quantization_config": {"quant_method": "modelopt", "kv_cache_quant_algo": "FP8"}}, 16, "--kv-dtype"),
]


@pytest.mark.parametrize(("asked", "changes", "bits", "reason"), KV_DTYPES)
def test_the_cache_dtype_is_decided_apart_from_the_weights(
    asked: str | None, changes: dict[str, Any], bits: int, reason: str
) -> None:
    found = api.estimate(model({**LLAMA, **changes}), Inference(context=8, kv_dtype=asked))
    assert bytes_of(found, "kv_cache") == 2 * 2 * (8 + 8) * 8 * bits // 8
    assert found.resolved["kv_dtype_reason"] == reason


def test_the_context_defaults_to_8192_or_the_models_maximum() -> None:
    assert api.estimate(model(LLAMA)).resolved["context"] == 4096
    assert api.estimate(model({**LLAMA, "max_position_embeddings": 131072})).resolved["context"] == 8192


def test_a_context_beyond_the_model_is_said() -> None:
    codes = {note.code for note in api.estimate(model(LLAMA), Inference(context=5000)).notes}
    assert "context-beyond-model" in codes


def test_an_unknown_part_keeps_the_weights() -> None:
    found = api.estimate(model({"model_type": "llama", "num_hidden_layers": "two"}))
    assert bytes_of(found, "weights") == 128
    assert bytes_of(found, "kv_cache") is None
    assert not found.complete
    assert any("num_hidden_layers should be a whole number, found 'two'" in note.message for note in found.notes)


def test_a_directory_without_weights_has_a_cache_and_an_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfmem.witness.ask.LIBRARIES", ("no_such_library",))
    found = api.estimate(loaded({"config.json": as_json(LLAMA)}), Inference(context=10))
    assert bytes_of(found, "weights") is None
    assert bytes_of(found, "kv_cache") == 2 * 2 * (8 + 8) * 10 * 2
    assert not found.complete


@pytest.mark.parametrize("fields", [{"batch": 0}, {"context": 0}, {"batch": 2**41}, {"engine": "vlm"}, {"kv_dtype": "f7"}])
def test_a_workload_that_makes_no_sense_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        Inference(**fields)


MODELS = [model(config) for config in (LLAMA, GEMMA, JAMBA, T5)]


@settings(max_examples=200, deadline=None)
@given(
    subject=st.sampled_from(MODELS),
    context=st.integers(1, 200_000),
    more=st.integers(0, 10_000),
    batch=st.integers(1, 64),
    dtype=st.sampled_from([None, "float8", "float32"]),
)
def test_more_never_needs_less(subject: Model, context: int, more: int, batch: int, dtype: str | None) -> None:
    less = api.estimate(subject, Inference(context=context, batch=batch, kv_dtype=dtype))
    longer = api.estimate(subject, Inference(context=context + more, batch=batch, kv_dtype=dtype))
    wider = api.estimate(subject, Inference(context=context, batch=batch + 1, kv_dtype=dtype))
    assert longer.total_bytes >= less.total_bytes
    assert wider.total_bytes >= less.total_bytes
    for phase in less.phases:
        assert phase.total_bytes == sum(item.num_bytes or 0 for item in phase.items)
        assert phase.low_bytes <= phase.total_bytes <= phase.high_bytes
        assert all(item.basis in BASES for item in phase.items)
    assert less.total_bytes == max(phase.total_bytes for phase in less.phases)


def test_a_masked_language_model_scores_every_token() -> None:
    masked = {**BERT, "architectures": ["BertForMaskedLM"], "dtype": "bfloat16"}
    found = api.estimate(model(masked), Inference(context=100, batch=3))
    assert bytes_of(found, "logits", "prefill") == 3 * 100 * 30522 * 2
    assert api.estimate(model({**masked, "architectures": ["BertModel"]}), Inference(context=100)).item("logits") is None


def test_items_say_how_they_are_known() -> None:
    peak = api.estimate(model(LLAMA)).peak
    assert {item.name: item.basis for item in peak.items} == {
        "weights": "measured", "kv_cache": "derived", "activations": "modelled", "logits": "derived", "runtime": "assumed",
    }  # fmt: skip
    assert all(item.low < item.high for item in peak.items if item.basis in ("modelled", "assumed"))


def test_an_item_outside_its_range_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="5 bytes are not between 6 and 7"):
        Item(name="x", num_bytes=5, basis="modelled", low_bytes=6, high_bytes=7)
    with pytest.raises(ValueError, match="basis 'guessed'"):
        Item(name="x", num_bytes=5, basis="guessed")


TWO_FLOATS = safetensors({"w": ("F32", [2])})


def test_pickled_parts_of_a_pipeline_are_in_the_weights() -> None:
    index = as_json({"_class_name": "P", "unet": ["diffusers", "U"], "vae": ["diffusers", "V"]})
    parts = {"unet/diffusion_pytorch_model.safetensors": TWO_FLOATS, "vae/diffusion_pytorch_model.bin": bytes(1000)}
    found = api.estimate(loaded({"model_index.json": index, **parts}), Inference(context=1))
    assert bytes_of(found, "weights") == 8 + 1000
    assert found.stored_bytes == 8 + 1000


def test_files_without_tensors_are_not_called_pickled() -> None:
    found = api.estimate(loaded({"config.json": as_json(LLAMA), "model.safetensors": safetensors({})}), Inference(context=1))
    assert found.phases[0].items[0].note == "the files hold no tensors"


def test_a_transformer_in_a_folder_has_its_configuration_there() -> None:
    modules = as_json([{"idx": 0, "name": "0", "path": "0_Transformer", "type": "sentence_transformers.models.Transformer"}])
    files = {"modules.json": modules, "0_Transformer/config.json": as_json(BERT), "0_Transformer/model.safetensors": TWO_FLOATS}
    assert loaded(files).spec.model_type == "bert"


def test_a_configuration_too_large_to_read_leaves_the_weights() -> None:
    found = loaded({"config.json": b" " * MAX_CONFIG_BYTES + as_json(LLAMA), "model.safetensors": TWO_FLOATS})
    assert [unknown.code for unknown in found.spec.unknowns] == ["too-big"]
    assert found.weights and found.weights.stored_bytes == 8


def test_the_base_of_an_adapter_is_never_a_folder_here_nor_an_adapter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"adapter_model.safetensors": TWO_FLOATS, "adapter_config.json": as_json({"base_model_name_or_path": "org/base"})}
    asked: list[str] = []

    def opened(reference: str, **_: object) -> MemorySource:
        asked.append(reference)
        return MemorySource(files)

    monkeypatch.setattr(api, "open_source", opened)
    (tmp_path / "org" / "base").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    found = api.load("org/adapter")
    assert asked == ["org/adapter", "hf://org/base"]
    assert found.base is None
    assert [note.message for note in found.notes] == ["the base model was not read: 'org/base' is an adapter itself"]


def test_the_quantization_modelopt_writes_beside_is_read() -> None:
    beside = as_json({"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"}})
    files = {"config.json": as_json(LLAMA), "model.safetensors": TWO_FLOATS, "hf_quant_config.json": beside}
    found = loaded(files).spec.quantization
    assert found and (found.method, found.bits, found.kv_cache_bits) == ("modelopt", 8, 8)
