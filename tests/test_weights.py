"""Stored, logical and loaded weights against checkpoints made from the real classes, and the free witness on their shapes."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import checkpoints
import pytest

from hfmem import api
from hfmem.checkpoint.tensors import Checkpoint, Grouping, Tensor
from hfmem.memory.subject import Model
from hfmem.memory.weights import bytes_as, weigh
from hfmem.model.agreement import disagreements
from hfmem.model.read import read_model
from hfmem.sources.directory import DirectorySource

NAMES = checkpoints.names()
# The file holds heads of BertForPreTraining beside the class it names; nothing in headers or configuration says so.
OTHER_CLASS_IN_FILE = {"google-bert/bert-base-uncased": 592_130}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    """Every fixture, loaded once."""
    folder = tmp_path_factory.mktemp("checkpoints")
    paths = {name: checkpoints.write(name, folder / name.replace("/", "--")) for name in NAMES}
    return {name: api.load_source(DirectorySource(path)) for name, path in paths.items()}


@pytest.mark.parametrize("name", NAMES)
def test_stored_bytes_are_the_files_bytes(name: str, models: dict[str, Model]) -> None:
    weights = models[name].weights
    assert weights is not None
    assert weights.stored_bytes == checkpoints.expected(name)["stored_bytes"]


@pytest.mark.parametrize("name", NAMES)
def test_parameters_are_the_classes_unique_parameters(name: str, models: dict[str, Model]) -> None:
    weights = models[name].weights
    assert weights is not None
    unexplained = OTHER_CLASS_IN_FILE.get(name, 0)
    assert weights.num_parameters - unexplained == checkpoints.expected(name)["unique_parameters"]


@pytest.mark.parametrize("name", NAMES)
def test_every_difference_has_a_reason(name: str, models: dict[str, Model]) -> None:
    weights = models[name].weights
    assert weights is not None
    stored_elements = sum(portion.stored_elements for portion in weights.portions)
    assert stored_elements - sum(row.elements for row in weights.differences) == weights.num_parameters
    assert weights.stored_bytes - sum(row.num_bytes for row in weights.differences) == weights.loaded_bytes
    assert sum(weights.by_dtype.values()) == weights.stored_bytes
    assert sum(weights.by_role.values()) == weights.loaded_bytes


@pytest.mark.parametrize("name", NAMES)
def test_real_checkpoints_agree_with_their_configuration(name: str, models: dict[str, Model]) -> None:
    codes = {note.code for note in models[name].notes}
    assert not codes & {"config-disagrees", "index-mismatch", "unknown-dtype"}
    assert not models[name].spec.unknowns


def test_there_are_checkpoints_of_many_architectures() -> None:
    assert len({checkpoints.expected(name)["architecture"] for name in NAMES}) >= 30


# name, reason, bytes that are in the file and not loaded
NOT_LOADED = [
    ("Qwen/Qwen3-0.6B", "tied weights stored again", 151_936 * 1024 * 2),
    ("deepseek-ai/DeepSeek-V3", "draft layers", 15_424_227_552),
    ("Qwen/Qwen3.5-0.8B", "draft layers", None),
]


@pytest.mark.parametrize(("name", "reason", "num_bytes"), NOT_LOADED, ids=[row[0] for row in NOT_LOADED])
def test_what_is_not_loaded_is_named(name: str, reason: str, num_bytes: int | None, models: dict[str, Model]) -> None:
    weights = models[name].weights
    assert weights is not None
    found = {row.reason: row.num_bytes for row in weights.differences}
    assert found[reason] == (num_bytes or found[reason])
    assert weights.loaded_bytes == weights.stored_bytes - sum(found.values())


# fixture, change of its configuration, words of the note
WRONG_CONFIGS: list[tuple[str, dict[str, Any], str]] = [
    (
        "meta-llama/Llama-3.2-1B",
        {"num_key_value_heads": 4},
        "k_proj.weight is 512 × 2048, but config.json says 4 key-value heads × 64",
    ),
    (
        "meta-llama/Llama-3.2-1B",
        {"num_attention_heads": 16, "head_dim": None},
        "k_proj.weight is 512 × 2048, but config.json says 8 key-value heads × 128",
    ),
    (
        "meta-llama/Llama-3.2-1B",
        {"vocab_size": 200_000},
        "embed_tokens.weight is 128256 × 2048, but config.json says vocab_size = 200,000",
    ),
    ("meta-llama/Llama-3.2-1B", {"intermediate_size": 4096}, "config.json says intermediate_size = 4,096"),
    ("meta-llama/Llama-3.2-1B", {"num_hidden_layers": 20}, "the headers hold 16 layers, config.json says 20"),
    ("deepseek-ai/DeepSeek-V3", {"kv_lora_rank": 256}, "kv_lora_rank 256 + rotary 64"),
    ("mistralai/Mixtral-8x7B-v0.1", {"intermediate_size": 7168}, "the experts' intermediate size = 7,168"),
]


@pytest.mark.parametrize(("name", "change", "words"), WRONG_CONFIGS)
def test_a_configuration_of_another_model_is_noticed(
    name: str, change: dict[str, Any], words: str, models: dict[str, Model]
) -> None:
    found = next(known for known in NAMES if known.startswith(name))
    spec = read_model({**checkpoints.config(found), **change})
    messages = [remark.message for remark in disagreements(spec, models[found].checkpoint)]
    assert any(words in message for message in messages), messages


def tensors(*rows: tuple[str, str, tuple[int, ...], int]) -> Checkpoint:
    grouping = Grouping()
    for name, dtype, shape, num_bytes in rows:
        grouping.add(Tensor(name=name, dtype=dtype, shape=shape, stored_bytes=num_bytes, file="m"))
    return Checkpoint(format="safetensors", groups=tuple(grouping.groups()))


def llama(**fields: Any) -> Any:
    return read_model({"model_type": "llama", "architectures": ["LlamaForCausalLM"], "num_hidden_layers": 1, **fields})


PACKED = "model.layers.0.mlp.up_proj"
# format, quantization_config, tensors, parameters: a 256 × 512 matrix each
LAYOUTS: list[tuple[str, dict[str, Any], list[tuple[str, str, tuple[int, ...], int]]]] = [
    ("gptq 4", {"quant_method": "gptq", "bits": 4, "group_size": 128}, [
        (f"{PACKED}.qweight", "I32", (512 // 8, 256), 512 // 8 * 256 * 4), (f"{PACKED}.qzeros", "I32", (4, 32), 512),
        (f"{PACKED}.scales", "F16", (4, 256), 2048), (f"{PACKED}.g_idx", "I32", (512,), 2048)]),
    ("gptq 3", {"quant_method": "gptq", "bits": 3, "group_size": 128}, [
        (f"{PACKED}.qweight", "I32", (512 * 3 // 32, 256), 48 * 256 * 4), (f"{PACKED}.scales", "F16", (4, 256), 2048)]),
    ("awq 4", {"quant_method": "awq", "bits": 4, "group_size": 128}, [
        (f"{PACKED}.qweight", "I32", (512, 256 // 8), 512 * 32 * 4), (f"{PACKED}.scales", "F16", (4, 256), 2048)]),
    ("bitsandbytes nf4", {"quant_method": "bitsandbytes", "load_in_4bit": True}, [
        (f"{PACKED}.weight", "U8", (65_536, 1), 65_536), (f"{PACKED}.weight.absmax", "U8", (2048,), 2048),
        (f"{PACKED}.weight.quant_map", "F32", (16,), 64),
        (f"{PACKED}.weight.quant_state.bitsandbytes__nf4", "U8", (100,), 100)]),
    ("bitsandbytes int8", {"quant_method": "bitsandbytes", "load_in_8bit": True}, [
        (f"{PACKED}.weight", "I8", (256, 512), 131_072), (f"{PACKED}.SCB", "F32", (256,), 1024),
        (f"{PACKED}.weight_format", "U8", (), 1)]),
    ("fp8 with block scales", {"quant_method": "fp8", "weight_block_size": [128, 128]}, [
        (f"{PACKED}.weight", "F8_E4M3", (256, 512), 131_072), (f"{PACKED}.weight_scale_inv", "F32", (2, 4), 32)]),
    ("compressed-tensors pack", {"quant_method": "compressed-tensors", "config_groups": {"g": {"weights": {"num_bits": 4}}}}, [
        (f"{PACKED}.weight_packed", "I32", (256, 64), 65_536), (f"{PACKED}.weight_scale", "BF16", (256, 4), 2048),
        (f"{PACKED}.weight_shape", "I64", (2,), 16)]),
    ("nvfp4", {"quant_method": "modelopt", "quant_algo": "NVFP4"}, [
        (f"{PACKED}.weight", "U8", (256, 256), 65_536), (f"{PACKED}.weight_scale", "F8_E4M3", (256, 32), 8192),
        (f"{PACKED}.weight_scale_2", "F32", (), 4), (f"{PACKED}.input_scale", "F32", (), 4)]),
    ("mxfp4", {"quant_method": "mxfp4"}, [
        (f"{PACKED}_blocks", "U8", (256, 16, 16), 65_536), (f"{PACKED}_scales", "U8", (256, 16), 4096)]),
    ("mlx 4", {"bits": 4, "group_size": 64}, [
        (f"{PACKED}.weight", "U32", (256, 64), 65_536), (f"{PACKED}.scales", "BF16", (256, 8), 4096),
        (f"{PACKED}.biases", "BF16", (256, 8), 4096)]),
    ("hqq 4", {"quant_method": "hqq", "quant_config": {"weight_quant_params": {"nbits": 4, "group_size": 64}}}, [
        (f"{PACKED}.W_q", "U8", (32, 2048), 65_536), (f"{PACKED}.scale", "F16", (1, 2048), 4096),
        (f"{PACKED}.zero", "F16", (1, 2048), 4096)]),
    ("bitnet", {"quant_method": "bitnet"}, [
        (f"{PACKED}.weight", "U8", (64, 512), 32_768), (f"{PACKED}.weight_scale", "BF16", (1,), 2)]),
    ("eetq", {"quant_method": "eetq"}, [
        (f"{PACKED}.weight", "I8", (512, 256), 131_072), (f"{PACKED}.weight_scales", "F16", (256,), 512)]),
    ("quanto int4", {"quant_method": "quanto", "weights": "int4"}, [
        (f"{PACKED}.weight._data", "U8", (128, 512), 65_536), (f"{PACKED}.weight._scale", "BF16", (256, 1), 512)]),
    ("aqlm 2x8", {"quant_method": "aqlm", "nbits_per_codebook": 8}, [
        (f"{PACKED}.codes", "I8", (256, 64, 2), 32_768), (f"{PACKED}.codebooks", "F16", (2, 256, 1, 8), 8192),
        (f"{PACKED}.scales", "F16", (256, 1, 1, 1), 512)]),
]  # fmt: skip


@pytest.mark.parametrize(("quantization", "rows"), [row[1:] for row in LAYOUTS], ids=[row[0] for row in LAYOUTS])
def test_a_packed_matrix_counts_its_weights(quantization: dict[str, Any], rows: Any) -> None:
    weights = weigh(tensors(*rows), llama(quantization_config=quantization))
    assert weights is not None
    assert weights.num_parameters == 256 * 512
    assert weights.stored_bytes == sum(row[3] for row in rows)


# model type, tensor, whether its class registers it as a parameter
REGISTERED = [
    ("afmoe", ("model.layers.0.mlp.expert_bias", "F32", (64,), 256), True),
    ("deepseek_v3", ("model.layers.0.mlp.gate.e_score_correction_bias", "F32", (64,), 256), False),
    ("llama", ("model.layers.0.self_attn.rotary_emb.inv_freq", "F32", (64,), 256), False),
    ("llama", ("model.layers.0.self_attn.sinks", "F32", (64,), 256), True),
]


@pytest.mark.parametrize(("model_type", "row", "counts"), REGISTERED, ids=[f"{row[0]} {row[1][0]}" for row in REGISTERED])
def test_a_buffer_is_what_the_class_registers_as_one(model_type: str, row: tuple[str, str, Any, int], counts: bool) -> None:
    weights = weigh(tensors(row), read_model({"model_type": model_type}))
    assert weights and weights.num_parameters == 64 * counts


def layer_norm(prefix: str, layers: int) -> list[tuple[str, str, tuple[int, ...], int]]:
    return [(f"{prefix}.{layer}.input_norm.weight", "BF16", (8,), 16) for layer in range(layers)]


MARKER = ("model.layers.1.eh_proj.weight", "BF16", (8, 16), 256)
# tensors beside one decoder layer, bytes that are a draft's
BEYOND = [
    ("a layer past the last with a projection of drafts", [*layer_norm("model.layers", 2), MARKER], 16 + 256),
    ("layers past the last without one", layer_norm("model.layers", 3), 0),
    ("deeper layers of another module", [*layer_norm("encoder.layers", 3), *layer_norm("model.layers", 2), MARKER], 16 + 256),
]


@pytest.mark.parametrize(("rows", "num_bytes"), [row[1:] for row in BEYOND], ids=[row[0] for row in BEYOND])
def test_a_draft_is_known_by_its_own_tensors(rows: Any, num_bytes: int) -> None:
    weights = weigh(tensors(*rows), llama())
    assert weights and weights.stored_bytes - weights.loaded_bytes == num_bytes


# model type and fields, tensors of it whose shape is no disagreement
AGREEING: list[tuple[str, dict[str, Any], list[tuple[str, str, tuple[int, ...], int]]]] = [
    ("an attention output is no head", {"hidden_size": 64}, [("model.layers.0.attention.output.weight", "F32", (64, 64), 16_384)]),
    ("a tower's layers are not the decoder's", {"hidden_size": 64, "num_attention_heads": 4}, [
        ("model.resampler.layers.0.self_attn.q_proj.weight", "F32", (96, 96), 36_864)]),
    ("a second width beside the right one", {"hidden_size": 64, "intermediate_size": 128}, [
        ("model.layers.0.mlp.up_proj.weight", "F32", (96, 64), 24_576),
        ("model.layers.0.mlp.gate_proj.weight", "F32", (128, 64), 32_768)]),
    ("two attentions in a layer", {"model_type": "longcat_flash", "num_layers": 2}, [
        *layer_norm("model.layers", 2), ("model.layers.1.other.weight", "BF16", (8,), 16)]),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "rows"), [row[1:] for row in AGREEING], ids=[row[0] for row in AGREEING])
def test_what_only_looks_like_a_disagreement_is_not_reported(fields: dict[str, Any], rows: Any) -> None:
    assert disagreements(llama(**fields), tensors(*rows)) == []


# architecture, model type, names of equal matrices in its file, how many of them are one
SHARED = [
    ("M2M100ForConditionalGeneration", "m2m_100", ["model.shared", "model.encoder.embed_tokens", "model.decoder.embed_tokens",
                                                   "lm_head"], 1),
    ("Qwen2_5OmniForConditionalGeneration", "qwen2_5_omni", ["thinker.model.embed_tokens", "thinker.lm_head"], 2),
    ("BigBirdPegasusForCausalLM", "bigbird_pegasus", ["model.decoder.embed_tokens", "lm_head"], 2),
    ("LlamaForCausalLM", "llama", ["model.embed_tokens", "lm_head"], 2),
    ("Gemma2ForCausalLM", "gemma2", ["model.embed_tokens", "lm_head"], 1),
]  # fmt: skip


@pytest.mark.parametrize(("architecture", "model_type", "names", "kept"), SHARED, ids=[row[0] for row in SHARED])
def test_matrices_that_are_another_are_loaded_once(architecture: str, model_type: str, names: list[str], kept: int) -> None:
    rows: list[Any] = [(f"{name}.weight", "F32", (8, 4), 128) for name in names]
    weights = weigh(tensors(*rows), read_model({"model_type": model_type, "architectures": [architecture]}))
    assert weights and (weights.loaded_bytes, weights.num_parameters) == (kept * 128, kept * 32)


def test_tied_heads_are_kept_where_the_flag_is_off(models: dict[str, Model]) -> None:
    model = models["Qwen/Qwen3-0.6B"]
    weights = weigh(model.checkpoint, replace(model.spec, tied_embeddings=False))
    assert weights is not None
    assert weights.loaded_bytes == weights.stored_bytes


def test_a_what_if_dtype_scales_matrices_and_leaves_the_rest_at_16_bits(models: dict[str, Model]) -> None:
    weights = next(model.weights for name, model in models.items() if name.startswith("meta-llama/Llama-3.2-1B"))
    assert weights is not None
    matrices = 16 * (2048 * (2048 + 512 + 512 + 2048) + 3 * 2048 * 8192)
    assert bytes_as(weights, "float32") == weights.num_parameters * 4
    assert bytes_as(weights, "bfloat16") == weights.loaded_bytes
    assert bytes_as(weights, "int8") == matrices + (weights.num_parameters - matrices) * 2
    assert bytes_as(weights, "nvfp4") == matrices * 9 // 16 + (weights.num_parameters - matrices) * 2


def test_splitting_a_checkpoint_into_shards_changes_nothing(tmp_path: Path) -> None:
    rows = [(f"model.layers.{i}.mlp.up_proj.weight", "BF16", (8, 8), 128) for i in range(12)]
    whole = weigh(tensors(*rows), llama(num_hidden_layers=12))
    halves = [tensors(*rows[:5]), tensors(*rows[5:])]
    parts = weigh(Checkpoint(format="diffusers", components=tuple(halves)), llama(num_hidden_layers=12))
    assert whole is not None
    assert parts is not None
    assert (whole.stored_bytes, whole.num_parameters) == (parts.stored_bytes, parts.num_parameters)
