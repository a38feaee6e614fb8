"""config.json as data: what is wrong in it becomes a named unknown, and the weights are still there."""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from trees import as_json, safetensors

import hfmem.tables
from hfmem import api
from hfmem.memory.subject import Model
from hfmem.memory.workload import Inference
from hfmem.model.kinds import CacheDtypes, Usage
from hfmem.model.quantization import read_quantization
from hfmem.model.read import read_model
from hfmem.model.spec import ModelSpec, Unknown
from hfmem.sources.memory import MemorySource
from hfmem.tables.aliases import ALIASES

CONFIGS = Path(__file__).parent.parent.parent / "shared" / "data" / "configs"
WEIGHTS = safetensors({"model.layers.0.mlp.up_proj.weight": ("BF16", [16, 8])})
BF16 = CacheDtypes(kv_bits=16, model_bytes=2)
USAGE = Usage(batch=1, tokens=100, prompt_tokens=99, encoder_tokens=11)
# Two layers of 4 heads, 2 of them with keys and values, of 64 // 4 = 16: 2 * 2 * (16 + 16) * 2 bytes a token.
LLAMA: dict[str, Any] = {
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
    "intermediate_size": 128, "vocab_size": 100, "max_position_embeddings": 512, "torch_dtype": "bfloat16",
}  # fmt: skip
TOKEN = 2 * 2 * (16 + 16) * 2


def load(config: object) -> Model:
    return api.load_source(MemorySource({"config.json": as_json(config), "model.safetensors": WEIGHTS}))


def with_text(**changes: Any) -> bytes:
    """The configuration with some values as JSON text of their own: `with_text(hidden_size="NaN")`."""
    kept = {key: json.dumps(value) for key, value in LLAMA.items()} | changes
    return ("{" + ", ".join(f'"{key}": {text}' for key, text in kept.items()) + "}").encode()


def unknown_parts(spec: ModelSpec) -> dict[str, str]:
    return {unknown.part: unknown.code for unknown in spec.unknowns}


def only(spec: ModelSpec) -> Unknown:
    assert len(spec.unknowns) == 1, spec.unknowns
    return spec.unknowns[0]


def cache_bytes(spec: ModelSpec) -> int | None:
    if spec.decoder is None:
        return None
    return sum(spec.decoder.cache_bytes(item, USAGE, BF16) for item in ("kv_cache", "recurrent_state"))


def weighs_the_same(model: Model) -> bool:
    return model.weights is not None and model.weights.loaded_bytes == 16 * 8 * 2


# -- the file as a whole ---------------------------------------------------------------------------------------------

DEEP = b"[" * 100_000 + b"]" * 100_000
# name, file, code
BROKEN: list[tuple[str, bytes, str]] = [
    ("nothing", b"", "bad-json"),
    ("cut short", as_json(LLAMA)[:40], "bad-json"),
    ("a web page", b"<!DOCTYPE html><html><body>Sign in</body></html>", "bad-json"),
    ("an LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "bad-json"),
    ("a comma too many", b'{"model_type": "llama",}', "bad-json"),
    ("single quotes", b"{'model_type': 'llama'}", "bad-json"),
    ("a comment", b'{"model_type": "llama" // the best\n}', "bad-json"),
    ("UTF-16", json.dumps(LLAMA).encode("utf-16"), "not-utf8"),
    ("Latin-1", '{"model_type": "llama", "name": "modèle"}'.encode("latin-1"), "not-utf8"),
    ("a list", as_json([LLAMA]), "not-an-object"),
    ("a string", b'"llama"', "not-an-object"),
    ("null", b"null", "not-an-object"),
    ("a number", b"12", "not-an-object"),
    ("nested 100,000 deep", b'{"x": ' + DEEP + b"}", "too-deep"),
    ("nested 900 deep", b'{"x": ' + b"[" * 900 + b"]" * 900 + b"}", "too-deep"),
    ("objects nested 65 deep", b'{"a":' * 65 + b"1" + b"}" * 65, "too-deep"),
    ("5,000 digits", with_text(hidden_size="9" * 5000), "number-too-large"),
]


@pytest.mark.parametrize(("content", "code"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_a_file_that_cannot_be_read_leaves_the_weights(content: bytes, code: str) -> None:
    model = load(content)
    assert weighs_the_same(model)
    assert unknown_parts(model.spec) == {"config": code}
    assert only(model.spec).message.startswith("config.json ")
    found = api.estimate(model)
    assert not found.complete
    assert found.phases[0].items[0].num_bytes == 16 * 8 * 2


def test_what_the_file_is_instead_is_the_hint() -> None:
    assert "web page" in str(only(load(b"<html>").spec).hint)
    assert "LFS pointer" in str(only(load(b"version https://git-lfs.github.com/spec/v1").spec).hint)


# name, file: each is read as LLAMA
ODD: list[tuple[str, bytes]] = [
    ("a byte-order mark", b"\xef\xbb\xbf" + as_json(LLAMA)),
    ("leading and trailing space", b"\r\n\t " + as_json(LLAMA) + b"\n\n"),
    ("Infinity in a field that is not needed", with_text(time_step_limit="[0.0, Infinity]", rope_theta="NaN")),
    ("nested 60 deep", with_text(x="[" * 60 + "]" * 60)),
    ("half a character", with_text(name='"\\ud800"')),
    ("an escape in a key", as_json(LLAMA).replace(b'"hidden_size"', b'"hidden\\u005fsize"')),
    ("whole floats", with_text(num_hidden_layers="2.0", hidden_size="64.0", num_attention_heads="4.0", num_key_value_heads="2e0")),
    ("a key twice: the last wins, as in transformers", b'{"num_hidden_layers": 80, ' + as_json(LLAMA)[1:]),
    ("code of another kind", with_text(auto_map='"modeling.py"', _attn_implementation='"attacker/evil-kernel"', trust_remote_code="true")),
]  # fmt: skip


@pytest.mark.parametrize("content", [row[1] for row in ODD], ids=[row[0] for row in ODD])
def test_an_odd_but_readable_file_is_read(content: bytes) -> None:
    spec = load(content).spec
    assert spec.unknowns == ()
    assert cache_bytes(spec) == 100 * TOKEN


# -- values of needed fields -------------------------------------------------------------------------------------------

NEEDED = ("num_hidden_layers", "hidden_size", "num_attention_heads", "num_key_value_heads")
# value as JSON text, how the message shows it
NOT_COUNTS = [
    ('"64"', "'64'"), ("true", "True"), ("false", "False"), ("[64]", "[64]"), ("{}", "{}"), ("NaN", "nan"), ("Infinity", "inf"),
    ("-Infinity", "-inf"), ("2.5", "2.5"), ("-4", "-4"), ("1" + "0" * 30, "1000000000"), ("1e30", "1000000000"), ('""', "''"),
]  # fmt: skip


@pytest.mark.parametrize("field", NEEDED)
@pytest.mark.parametrize(("text", "shown"), NOT_COUNTS, ids=[row[0][:12] for row in NOT_COUNTS])
def test_a_needed_count_that_is_none_is_refused_by_name_and_value(field: str, text: str, shown: str) -> None:
    model = load(with_text(**{field: text}))
    found = next(unknown for unknown in model.spec.unknowns if unknown.part == "kv_cache")
    assert found.code == "bad-field"
    assert field in found.message
    assert shown in found.message
    assert model.spec.decoder is None
    assert weighs_the_same(model)
    assert not api.estimate(model).complete


@pytest.mark.parametrize("field", ["hidden_size", "num_attention_heads"])
@pytest.mark.parametrize("text", ["0", "null"])
def test_zero_and_null_are_no_widths(field: str, text: str) -> None:
    spec = load(with_text(**{field: text})).spec
    assert unknown_parts(spec)["kv_cache"] in ("bad-field", "missing-field")
    assert field in spec.unknowns[0].message
    assert cache_bytes(spec) is None


# name, changes, bytes of one token's cache, or the code of the unknown
GEOMETRIES: list[tuple[str, dict[str, Any], float | str]] = [
    ("no layers", {"num_hidden_layers": 0}, "bad-field"),
    ("10^9 layers", {"num_hidden_layers": 10**9}, "bad-field"),
    ("10,001 layers", {"num_hidden_layers": 10_001}, "bad-field"),
    ("layers as null", {"num_hidden_layers": None}, "missing-field"),
    ("heads that do not divide the hidden size", {"num_attention_heads": 6, "num_key_value_heads": 2}, "bad-field"),
    ("the same with a head_dim", {"num_attention_heads": 6, "num_key_value_heads": 2, "head_dim": 20}, 2 * 2 * (20 + 20) * 2),
    ("head_dim 0", {"head_dim": 0}, "bad-field"),
    ("head_dim null", {"head_dim": None}, TOKEN),
    ("key-value heads that do not divide the heads", {"num_key_value_heads": 3}, "bad-field"),
    ("key-value heads 0", {"num_key_value_heads": 0}, "bad-field"),
    ("key-value heads null: one for each head", {"num_key_value_heads": None}, 2 * 4 * (16 + 16) * 2),
    ("layer_types", {"layer_types": ["full_attention", "sliding_attention"], "sliding_window": 40}, TOKEN / 2 * 1.4),
    ("layer_types too short", {"layer_types": ["full_attention"]}, "bad-field"),
    ("layer_types too long: draft layers may follow", {"layer_types": ["full_attention"] * 3}, TOKEN),
    ("layer_types of an unknown kind", {"layer_types": ["full_attention", "quantum_attention"]}, "unknown-layer-kind"),
    ("layer_types that are no names", {"layer_types": [1, 2]}, "bad-field"),
    ("layer_types with a null", {"layer_types": ["full_attention", None]}, "bad-field"),
    ("a window of 0", {"sliding_window": 0}, TOKEN),
    ("a window of null", {"sliding_window": None}, TOKEN),
    ("a window of 40", {"sliding_window": 40}, TOKEN * 0.4),
    ("a negative window", {"sliding_window": -1}, "bad-field"),
    ("a window as text", {"sliding_window": "40"}, "bad-field"),
    ("an empty per_layer_config", {"per_layer_config": {}}, TOKEN),
    ("per_layer_config of one layer", {"per_layer_config": {"1": {"num_key_value_heads": 4}}}, TOKEN // 2 * 3),
    ("per_layer_config with zeros before", {"per_layer_config": {"001": {"num_key_value_heads": 4}}}, TOKEN // 2 * 3),
    ("per_layer_config of a layer there is not", {"per_layer_config": {"9": {"num_key_value_heads": 4}}}, TOKEN),
    ("per_layer_config a list", {"per_layer_config": [1, 2]}, "bad-field"),
    ("per_layer_config a string", {"per_layer_config": "x"}, "bad-field"),
    ("per_layer_config of numbers", {"per_layer_config": {"0": 7}}, "bad-field"),
    ("per_layer_config with nonsense in it", {"per_layer_config": {"1": {"num_key_value_heads": "4"}}}, "bad-field"),
    ("a text part that is a list", {"model_type": "gemma3", "text_config": [1]}, "bad-field"),
    ("indexes that are lists", {"model_type": "x", "full_attn_idxs": [[1]]}, "bad-field"),
    ("a recurrent field nobody can read", {"model_type": "x", "ssm_cfg": {}}, "unknown-layer-kind"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "expected"), [row[1:] for row in GEOMETRIES], ids=[row[0] for row in GEOMETRIES])
def test_a_geometry_is_read_or_refused_and_never_guessed(changes: dict[str, Any], expected: float | str) -> None:
    model = load({**LLAMA, **changes})
    assert weighs_the_same(model)
    if not isinstance(expected, str):
        assert (cache_bytes(model.spec), model.spec.unknowns) == (round(100 * expected), ())
    else:
        assert unknown_parts(model.spec).get("kv_cache", unknown_parts(model.spec).get("config")) == expected
        assert not api.estimate(model).complete


# name, changes, part and code of the unknown, which leaves the cache as it was
BESIDE: list[tuple[str, dict[str, Any], str, str]] = [
    ("more key-value heads than heads", {"num_attention_heads": 4, "num_key_value_heads": 8, "head_dim": 4}, "num_key_value_heads", "bad-field"),
    ("positions as text", {"max_position_embeddings": "128"}, "max_position_embeddings", "bad-field"),
    ("positions 10^30", {"max_position_embeddings": 10**30}, "max_position_embeddings", "bad-field"),
    ("vocabulary 0", {"vocab_size": 0}, "vocab_size", "bad-field"),
    ("vocabulary 10^15", {"vocab_size": 10**15}, "vocab_size", "bad-field"),
    ("a feed-forward width as text", {"intermediate_size": "128"}, "activations", "bad-field"),
    ("10^15 experts", {"num_local_experts": 10**15}, "activations", "bad-field"),
    ("a dtype that is code", {"torch_dtype": "__import__('os').system('true')"}, "dtype", "unknown-dtype"),
    ("a dtype that is a number", {"torch_dtype": 7}, "dtype", "unknown-dtype"),
    ("a dtype that is a list", {"torch_dtype": ["bfloat16"]}, "dtype", "unknown-dtype"),
    ("an integer dtype", {"torch_dtype": "int8"}, "dtype", "unknown-dtype"),
    ("tied embeddings as text", {"tie_word_embeddings": "false"}, "tie_word_embeddings", "bad-field"),
    ("quantization_config a list", {"quantization_config": [4]}, "quantization", "unknown-quant"),
    ("quantization_config a string", {"quantization_config": "awq"}, "quantization", "unknown-quant"),
    ("a quantisation nobody knows", {"quantization_config": {"quant_method": "magic"}}, "quantization", "unknown-quant"),
    ("a method that is a number", {"quantization_config": {"quant_method": 4}}, "quantization", "unknown-quant"),
    ("no method at all", {"quantization_config": {"x": 1}}, "quantization", "unknown-quant"),
    ("no model type", {"model_type": None}, "model_type", "missing-field"),
    ("a number for a model type", {"model_type": 7}, "model_type", "missing-field"),
    ("an empty model type", {"model_type": ""}, "model_type", "missing-field"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "part", "code"), [row[1:] for row in BESIDE], ids=[row[0] for row in BESIDE])
def test_what_the_cache_does_not_need_is_unknown_alone(changes: dict[str, Any], part: str, code: str) -> None:
    model = load({**LLAMA, **changes})
    assert weighs_the_same(model)
    assert unknown_parts(model.spec) == {part: code}
    assert cache_bytes(model.spec) == 100 * TOKEN
    assert code in {note.code for note in model.notes}


# name, changes that leave the reading as it was
HARMLESS: list[tuple[str, dict[str, Any]]] = [
    ("architectures a string", {"architectures": "LlamaForCausalLM"}),
    ("architectures null", {"architectures": None}),
    ("architectures a number in a list", {"architectures": [1]}),
    ("architectures an object", {"architectures": {"a": 1}}),
    ("an unknown model type", {"model_type": "llama_of_tomorrow"}),
    ("a path for a model type", {"model_type": "../../etc/passwd"}),
    ("another repo's name", {"_name_or_path": "../../api/whoami-v2"}),
    ("dtype auto", {"torch_dtype": "auto"}),
    ("dtype with its module", {"torch_dtype": "torch.bfloat16"}),
    ("no dtype", {"torch_dtype": None}),
    ("quantization_config null", {"quantization_config": None}),
    ("quantization_config empty", {"quantization_config": {}}),
    ("0 for false", {"tie_word_embeddings": 0}),
]


@pytest.mark.parametrize("changes", [row[1] for row in HARMLESS], ids=[row[0] for row in HARMLESS])
def test_what_memory_does_not_depend_on_may_be_anything(changes: dict[str, Any]) -> None:
    spec = load({**LLAMA, **changes}).spec
    assert (spec.unknowns, cache_bytes(spec)) == ((), 100 * TOKEN)


def test_an_unknown_type_is_labelled() -> None:
    model = load({**LLAMA, "model_type": "llama_of_tomorrow"})
    assert [note.message for note in model.notes if note.code == "not-in-transformers"] == [
        "transformers has no model type 'llama_of_tomorrow': read from its fields alone"
    ]


def test_custom_code_is_mentioned_and_not_run() -> None:
    model = load({**LLAMA, "auto_map": {"AutoModel": "other/repo--modeling.Model"}})
    assert model.spec.runs_remote_code
    assert "custom-code" in {note.code for note in model.notes}
    assert cache_bytes(model.spec) == 100 * TOKEN


def test_a_field_missing_from_an_unknown_type_names_what_was_looked_for() -> None:
    spec = load({"model_type": "x", "num_hidden_layers": 2, "num_attention_heads": 4}).spec
    assert unknown_parts(spec) == {"kv_cache": "missing-field"}
    assert "has none of: hidden_size, d_model, n_embd" in only(spec).message
    assert "aliases" in str(only(spec).hint)


def test_a_hidden_size_missing_beside_a_head_dim_is_a_named_unknown_too() -> None:
    spec = load({"model_type": "x", "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 16}).spec
    assert "missing-field" in unknown_parts(spec).values()
    assert "hidden_size" in spec.unknowns[0].message


def test_a_field_missing_from_a_known_type_is_its_class_default() -> None:
    spec = load({"model_type": "llama", "num_hidden_layers": 2}).spec
    assert (spec.hidden_size, spec.num_attention_heads, spec.num_key_value_heads) == (4096, 32, 32)
    assert cache_bytes(spec) == 2 * 32 * (128 + 128) * 2 * 100
    assert spec.sources["hidden_size"] == "llama class default"
    assert spec.sources["num_hidden_layers"] == "config.json:num_hidden_layers"


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_a_text_part_may_be_nested(depth: int) -> None:
    raw: dict[str, Any] = dict(LLAMA)
    for _ in range(depth):
        raw = {"model_type": "x", "text_config": raw}
    assert cache_bytes(load(raw).spec) == 100 * TOKEN


def test_a_text_part_nested_in_itself_is_bounded() -> None:
    raw: dict[str, Any] = dict(LLAMA)
    for _ in range(50):
        raw = {"model_type": "x", "text_config": raw}
    model = load(raw)
    assert weighs_the_same(model)
    assert unknown_parts(model.spec)["config"] == "too-deep"
    assert cache_bytes(model.spec) is None


@pytest.mark.parametrize(
    "raw",
    [
        {**LLAMA, "num_hidden_layers": 10**9},
        {**LLAMA, "model_type": "hrm_text", "H_cycles": 10**6, "L_cycles": 10**6},
        {**LLAMA, "model_type": "nemotron_h", "hybrid_override_pattern": "M" * 1_000_000},
        {**LLAMA, "num_hidden_layers": None, "layer_types": ["full_attention"] * 1_000_000},
        {**LLAMA, "model_type": "nemotron-nas", "block_configs": [{}] * 1_000_000},
        {**LLAMA, "model_type": "minimax_m1", "attn_type_list": [1] * 1_000_000},
    ],
    ids=["layers", "cycles", "letters", "kinds", "blocks", "flags"],
)
def test_more_layers_than_anything_real_has_are_refused_before_they_are_made(raw: dict[str, Any]) -> None:
    spec = read_model(raw)
    assert unknown_parts(spec)["kv_cache"] == "bad-field"
    assert spec.decoder is None


def test_a_tower_of_a_thousand_million_layers_is_a_named_unknown() -> None:
    spec = read_model({"model_type": "llava", "vision_config": {"num_hidden_layers": 10**9}})
    assert unknown_parts(spec) == {"towers": "bad-field"}
    assert cache_bytes(spec) is not None


def test_ten_thousand_layers_of_their_own_take_no_time() -> None:
    overrides = {str(layer): {"num_key_value_heads": 4} for layer in range(10_000)}
    spec = read_model({**LLAMA, "num_hidden_layers": 10_000, "per_layer_config": overrides})
    assert cache_bytes(spec) == 10_000 * 4 * (16 + 16) * 2 * 100


# -- quantisation --------------------------------------------------------------------------------------------------------


def groups(*weights: dict[str, Any] | None) -> dict[str, Any]:
    return {f"group_{i}": {"targets": ["Linear"], "weights": part} for i, part in enumerate(weights)}


INT4, FP4, FP8 = (
    {"num_bits": 4, "group_size": 32, "type": "int"},
    {"num_bits": 4, "group_size": 16},
    {"num_bits": 8, "type": "float"},
)
HQQ = {"nbits": 4, "group_size": 64, "axis": 1}
TORCHAO_INT4 = {"default": {"_type": "Int4WeightOnlyConfig", "_version": 1, "_data": {"group_size": 128}}}
TORCHAO_MIXED = {"default": {"_type": "Int8DynamicActivationInt4WeightConfig", "_data": {"group_size": 32}}}
TORCHAO_INTX = {
    "default": {"_type": "IntxWeightOnlyConfig", "_data": {"weight_dtype": {"_type": "torch.dtype", "_data": "int2"}}}
}
TORCHAO_BY_NAME = {
    "default": {
        "_type": "ModuleFqnToConfig",
        "_data": {"module_fqn_to_config": {"_default": TORCHAO_INT4["default"], "lm_head": None}},
    }
}
VPTQ = {"model.layers.0": {"vector_lens": [-1, 8], "num_centroids": [-1, 65536]}}
# quantization_config, (method, bits, group size, bits of cached keys)
SPELLINGS: list[tuple[dict[str, Any], tuple[str, int | None, int | None, int | None]]] = [
    ({"quant_method": "bitsandbytes", "load_in_4bit": True, "load_in_8bit": False, "bnb_4bit_quant_type": "nf4"}, ("bitsandbytes", 4, None, None)),
    ({"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": True}, ("bitsandbytes", 8, None, None)),
    ({"load_in_8bit": True}, ("bitsandbytes", 8, None, None)),
    ({"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False}, ("gptq", 4, 128, None)),
    ({"quant_method": "gptq", "bits": 3, "group_size": -1, "desc_act": True}, ("gptq", 3, None, None)),
    ({"bits": 4, "group_size": 128, "desc_act": True}, ("gptq", 4, 128, None)),
    ({"quant_method": "awq", "bits": 4, "group_size": 128, "version": "gemm", "zero_point": True}, ("awq", 4, 128, None)),
    ({"quant_method": "awq", "w_bit": 4, "q_group_size": 64}, ("awq", 4, 64, None)),
    ({"zero_point": True, "q_group_size": 128, "w_bit": 4, "version": "GEMM"}, ("awq", 4, 128, None)),
    ({"bits": 4, "group_size": 128, "zero_point": True, "version": "gemm"}, ("awq", 4, 128, None)),
    ({"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [128, 128], "activation_scheme": "dynamic"}, ("fp8", 8, None, None)),
    ({"quant_method": "fp8", "weight_block_size": None}, ("fp8", 8, None, None)),
    ({"quant_method": "fbgemm_fp8", "activation_scale_ub": 1200.0}, ("fbgemm_fp8", 8, None, None)),
    ({"quant_method": "compressed-tensors", "config_groups": groups(INT4), "format": "pack-quantized"}, ("compressed-tensors", 4, 32, None)),
    ({"quant_method": "compressed_tensors", "config_groups": groups(FP8), "format": "float-quantized"}, ("compressed-tensors", 8, None, None)),
    ({"quant_method": "compressed-tensors", "config_groups": groups(FP4), "format": "nvfp4-pack-quantized"}, ("compressed-tensors", 4, 16, None)),
    ({"quant_method": "compressed-tensors", "format": "nvfp4-pack-quantized"}, ("compressed-tensors", 4, None, None)),
    ({"quant_method": "compressed-tensors", "format": "int-quantized"}, ("compressed-tensors", 8, None, None)),
    ({"quant_method": "compressed-tensors", "config_groups": groups(FP8), "kv_cache_scheme": FP8}, ("compressed-tensors", 8, None, 8)),
    ({"quant_method": "compressed-tensors", "config_groups": groups(FP8, INT4)}, ("compressed-tensors", 4, 32, None)),
    ({"quant_method": "compressed-tensors", "config_groups": groups(None)}, ("compressed-tensors", None, None, None)),
    ({"quant_method": "compressed-tensors", "config_groups": {"W8A16": ["Linear"]}}, ("compressed-tensors", 8, None, None)),
    ({"quant_method": "modelslim", "config_groups": groups(INT4), "format": "pack-quantized"}, ("modelslim", 4, 32, None)),
    ({"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]}, ("mxfp4", 4, None, None)),
    ({"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8", "group_size": 16}, ("modelopt", 4, 16, 8)),
    ({"quant_method": "modelopt", "quant_algo": "FP8", "kv_cache_quant_algo": None}, ("modelopt", 8, None, None)),
    ({"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "NVFP4"}, ("modelopt", 4, None, 4)),
    ({"quant_method": "modelopt", "quant_algo": "NVFP4", "config_groups": groups(FP4), "kv_cache_scheme": FP8}, ("modelopt", 4, 16, 8)),
    ({"quant_method": "modelopt", "quant_algo": "MIXED_PRECISION", "config_groups": groups(FP8, FP4)}, ("modelopt", 4, 16, None)),
    ({"quant_algo": "W4A16_AWQ", "group_size": 128}, ("modelopt", 4, 128, None)),
    (
        {"producer": {"name": "modelopt"}, "quantization": {"quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8", "group_size": 16}},
        ("modelopt", 4, 16, 8),
    ),
    ({"quant_method": "fp8", "fmt": "e4m3", "config_groups": groups(FP4), "quant_algo": "MIXED_PRECISION"}, ("fp8", 4, 16, None)),
    ({"quant_method": "hqq", "quant_config": {"weight_quant_params": HQQ, "scale_quant_params": None}}, ("hqq", 4, 64, None)),
    ({"quant_method": "hqq", "quant_config": {"self_attn.q_proj": {"weight_quant_params": HQQ}}}, ("hqq", 4, 64, None)),
    ({"quant_method": "quanto", "weights": "int4", "activations": None}, ("quanto", 4, None, None)),
    ({"quant_method": "quanto", "weights": "float8"}, ("quanto", 8, None, None)),
    ({"quant_method": "torchao", "quant_type": "int4_weight_only", "quant_type_kwargs": {"group_size": 128}}, ("torchao", 4, 128, None)),
    ({"quant_method": "torchao", "quant_type": "int8_dynamic_activation_int8_weight"}, ("torchao", 8, None, None)),
    ({"quant_method": "torchao", "quant_type": TORCHAO_INT4}, ("torchao", 4, 128, None)),
    ({"quant_method": "torchao", "quant_type": TORCHAO_MIXED}, ("torchao", 4, 32, None)),
    ({"quant_method": "torchao", "quant_type": TORCHAO_INTX}, ("torchao", 2, None, None)),
    ({"quant_method": "torchao", "quant_type": TORCHAO_BY_NAME}, ("torchao", 4, 128, None)),
    ({"quant_method": "torchao", "quant_type": "autoquant"}, ("torchao", None, None, None)),
    ({"quant_method": "aqlm", "in_group_size": 8, "out_group_size": 1, "num_codebooks": 1, "nbits_per_codebook": 16}, ("aqlm", 2, 8, None)),
    ({"quant_method": "aqlm", "in_group_size": 8, "num_codebooks": 2, "nbits_per_codebook": 12}, ("aqlm", 3, 8, None)),
    ({"quant_method": "eetq", "weights": "int8"}, ("eetq", 8, None, None)),
    ({"quant_method": "bitnet", "linear_class": "autobitlinear", "quantization_mode": "offline"}, ("bitnet", 2, None, None)),
    ({"quant_method": "auto-round", "bits": 4, "group_size": 128, "packing_format": "auto_round:auto_gptq"}, ("auto-round", 4, 128, None)),
    ({"quant_method": "intel/auto-round", "bits": 2, "group_size": 32}, ("auto-round", 2, 32, None)),
    ({"bits": 3, "group_size": 64}, ("mlx", 3, 64, None)),
    ({"group_size": 64, "bits": 4, "mode": "affine"}, ("mlx", 4, 64, None)),
    ({"quant_method": "spqr", "bits": 3, "beta1": 16, "beta2": 16}, ("spqr", 3, None, None)),
    ({"quant_method": "vptq", "config_for_layers": VPTQ}, ("vptq", None, None, None)),
    ({"quant_method": "higgs", "bits": 4, "p": 2, "group_size": 256, "hadamard_size": 512}, ("higgs", 4, 256, None)),
    ({"quant_method": "higgs"}, ("higgs", 4, None, None)),
    ({"quant_method": "fp_quant", "forward_dtype": "mxfp4"}, ("fp_quant", 4, None, None)),
    ({"quant_method": "quark", "global_quant_config": {"weight": {"dtype": "fp8_e4m3"}}}, ("quark", 8, None, None)),
    ({"quant_method": "GPTQ", "bits": 4}, ("gptq", 4, None, None)),
    ({"quant_method": "gptq", "bits": 0, "group_size": 0}, ("gptq", None, None, None)),
    ({"quant_method": "gptq", "bits": "4", "group_size": True}, ("gptq", None, None, None)),
    ({"quant_method": "gptq", "bits": 10**30}, ("gptq", None, None, None)),
    ({"quant_method": "magic"}, ("magic", None, None, None)),
    ({"quant_method": "hqq", "quant_config": [1], "config_groups": "x", "quant_type": 4, "kv_cache_scheme": 7}, ("hqq", None, None, None)),
]  # fmt: skip


@pytest.mark.parametrize(("section", "expected"), SPELLINGS, ids=[f"{i}-{row[1][0]}" for i, row in enumerate(SPELLINGS)])
def test_every_spelling_of_a_quantisation(
    section: dict[str, Any], expected: tuple[str, int | None, int | None, int | None]
) -> None:
    found = read_quantization({"quantization_config": section})
    assert found is not None
    assert (found.method, found.bits, found.group_size, found.kv_cache_bits) == expected


@pytest.mark.parametrize(
    "raw",
    [
        {**LLAMA, "quantization_config": {"quant_method": "awq", "bits": 4}},
        {"model_type": "x", "text_config": {**LLAMA, "quantization_config": {"quant_method": "awq", "bits": 4}}},
        {**LLAMA, "compression_config": {"quant_method": "awq", "bits": 4}},
    ],
    ids=["at the top", "in the text part", "under its older name"],
)
def test_a_quantisation_is_found_where_files_keep_it(raw: dict[str, Any]) -> None:
    found = read_model(raw).quantization
    assert found is not None
    assert (found.method, found.bits) == ("awq", 4)


def test_mlx_and_modelopt_write_a_section_of_their_own() -> None:
    mlx, modelopt = (
        read_quantization({"quantization": {"bits": 8, "group_size": 64}}),
        read_quantization({"quantization": {"quant_algo": "FP8"}}),
    )
    assert mlx is not None
    assert modelopt is not None
    assert (mlx.method, mlx.bits, modelopt.method, modelopt.bits) == ("mlx", 8, "modelopt", 8)
    assert read_quantization({"quantization": {"mode": "none"}}) is None


def test_a_checkpoint_that_asks_for_8_bit_keys_gets_them() -> None:
    section = {"quant_method": "modelopt", "quant_algo": "NVFP4", "kv_cache_quant_algo": "FP8"}
    found = api.estimate(load({**LLAMA, "quantization_config": section}), Inference(context=100)).item("kv_cache")
    assert found is not None
    assert found.num_bytes == 100 * TOKEN // 2


# -- real files and random ones --------------------------------------------------------------------------------------------

FILES = sorted(path for path in CONFIGS.glob("*.json") if path.name != "SOURCES.json") if CONFIGS.is_dir() else []
WITH_UNKNOWNS: frozenset[str] = frozenset()  # real configurations that leave something open: none at present
WITHOUT_HEADS = {"falcon_mamba", "mamba", "mamba2", "rwkv"}


@pytest.mark.skipif(not FILES, reason="the collection of real configurations is not beside this checkout")
def test_there_are_many_real_configurations() -> None:
    assert len(FILES) > 200


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_real_configuration_answers(path: Path) -> None:
    spec = read_model(json.loads(path.read_bytes()))
    assert bool(spec.unknowns) == (path.stem in WITH_UNKNOWNS), spec.unknowns
    assert spec.num_layers
    assert spec.hidden_size
    assert spec.num_attention_heads or spec.model_type in WITHOUT_HEADS
    size = cache_bytes(spec)
    assert size is not None
    assert (size > 0) == spec.writes_tokens


NONSENSE: list[Any] = [
    "64", "", "x", True, False, None, [64], [], {}, {"a": 1}, -1, 0, 1, 7, 2.5, float("nan"), float("inf"), 10**30, 10**9, [[1]], [{}],
    ["x"], [None],
]  # fmt: skip


def fields(row: dict[str, Any]) -> Iterable[str]:
    """Every name a class or one of our readers asks for."""
    own = (row.get("fields", {}), row.get("derived", {}), row.get("parts", {}), row.get("names", {}).values())
    return {name for names in own for name in names} | set(ALIASES) | {
        "per_layer_config", "quantization_config", "linear_attn_config", "indexer_types", "no_rope_layers", "block_configs",
        "compress_rates", "max_source_positions", "text_config", "architectures", "auto_map", "full_attn_idxs",
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_no_value_of_any_field_of_any_type_is_an_exception(seed: int) -> None:
    rng = random.Random(seed)
    rows = json.loads((Path(hfmem.tables.__file__).parent / "defaults.json").read_bytes())["types"]
    for _ in range(500):
        model_type = rng.choice(sorted(rows))
        raw = {name: rng.choice(NONSENSE) for name in rng.sample(sorted(fields(rows[model_type])), rng.randint(1, 3))}
        spec = read_model({"model_type": model_type, **raw})
        size = cache_bytes(spec)
        assert size is None or size >= 0, (model_type, raw)
        assert size is not None or spec.unknowns, (model_type, raw)
