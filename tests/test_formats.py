"""Which files of a tree are its weights: every layout people publish, the bytes of each written as arithmetic."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from trees import INDEX, as_json, index, safetensors

from hfmem import api
from hfmem.checkpoint.read import read_checkpoint
from hfmem.checkpoint.tensors import Checkpoint
from hfmem.errors import CannotTell, ExitCode, HfmemError, NotFound, ShardIndexError
from hfmem.memory.subject import Model
from hfmem.memory.workload import Inference
from hfmem.sources import Access
from hfmem.sources.memory import MemorySource

CONFIG = as_json({
    "model_type": "llama", "num_hidden_layers": 2, "hidden_size": 8, "num_attention_heads": 2, "vocab_size": 10,
    "intermediate_size": 16,
})  # fmt: skip


def f32(*names: str, count: int = 2) -> bytes:
    """A file of vectors of `count` float32."""
    return safetensors({name: ("F32", [count]) for name in names})


def read(files: Mapping[str, bytes]) -> Checkpoint:
    return read_checkpoint(MemorySource(files))


def load(files: Mapping[str, bytes]) -> Model:
    return api.load_source(MemorySource(files))


def codes(checkpoint: Checkpoint) -> list[str]:
    return [remark.code for part in checkpoint.parts() for remark in part.remarks]


def failure(files: Mapping[str, bytes]) -> HfmemError:
    with pytest.raises(HfmemError) as caught:
        read(files)
    return caught.value


W, X = f32("w"), f32("x")
S1, S2, S3 = (f"model-{number:05d}-of-00003.safetensors" for number in (1, 2, 3))
BIN1, BIN2 = "pytorch_model-00001-of-00002.bin", "pytorch_model-00002-of-00002.bin"
BIN_INDEX = "pytorch_model.bin.index.json"
PIPELINE = as_json({
    "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30.0",
    "scheduler": ["diffusers", "DDIMScheduler"], "tokenizer": ["transformers", "CLIPTokenizer"],
    "transformer": ["diffusers", "FluxTransformer2DModel"], "text_encoder": ["transformers", "CLIPTextModel"],
    "vae": ["diffusers", "AutoencoderKL"], "safety_checker": [None, None], "requires_safety_checker": False,
})  # fmt: skip
VAE_ALONE = as_json({"vae": ["diffusers", "AutoencoderKL"]})
PLAIN_FOLDERS = {"scheduler/scheduler_config.json": b"{}", "tokenizer/vocab.json": b"{}"}
DIFFUSION = "diffusion_pytorch_model.safetensors"
MODULES = as_json([
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    {"idx": 2, "name": "2", "path": "2_Dense", "type": "sentence_transformers.models.Dense"},
])  # fmt: skip
ADAPTER = as_json({"base_model_name_or_path": "org/base", "peft_type": "LORA", "r": 8})
SAME, PICKLED = "same-weights-twice", "pickled-weights"

# name, files, format, bytes of weights, codes of the remarks
TREES: list[tuple[str, dict[str, bytes], str, int | None, list[str]]] = [
    ("a single file", {"model.safetensors": f32("w", "x")}, "safetensors", 2 * 4 + 2 * 4, []),
    ("a single file of another name", {"weights.safetensors": W}, "safetensors", 2 * 4, []),
    ("a file without tensors", {"model.safetensors": safetensors({})}, "safetensors", 0, ["no-tensors"]),
    (
        "shards and their index",
        {INDEX: index({"w": S1, "x": S2, "y": S3}, total_size=24), S1: W, S2: X, S3: f32("y")},
        "safetensors", 3 * 2 * 4, [],
    ),
    ("shards without an index", {S1: W, S2: X, S3: f32("y")}, "safetensors", 3 * 2 * 4, []),
    ("shards counted from 0", {f"m-0000{i}-of-00002.safetensors": f32(f"w{i}") for i in (0, 1)}, "safetensors", 2 * 2 * 4, []),
    ("shards and a consolidated file", {S1: W, S2: X, S3: f32("y"), "consolidated.safetensors": f32("z", count=6)},
     "safetensors", 3 * 2 * 4, [SAME]),
    ("a consolidated file alone", {"consolidated.safetensors": W}, "safetensors", 2 * 4, []),
    ("consolidated parts", {f"consolidated.0{i}.safetensors": f32(f"w{i}") for i in range(4)}, "safetensors", 4 * 2 * 4, []),
    (
        "a half-precision variant beside the file",
        {"model.safetensors": W, "model.fp16.safetensors": safetensors({"w": ("F16", [2])})},
        "safetensors", 2 * 4, [SAME],
    ),
    ("a half-precision variant alone", {"model.fp16.safetensors": safetensors({"w": ("F16", [2])})}, "safetensors", 2 * 2, []),
    (
        "sharded variants",
        {f"model.fp16-0000{i}-of-00002.safetensors": safetensors({f"w{i}": ("F16", [2])}) for i in (1, 2)},
        "safetensors", 2 * 2 * 2, [],
    ),
    (
        "shards and sharded variants",
        {f"model{variant}-0000{i}-of-00002.safetensors": f32(f"w{i}") for variant in ("", ".bf16") for i in (1, 2)},
        "safetensors", 2 * 2 * 4, [SAME],
    ),
    ("several unrelated files", {"base.safetensors": W, "refiner.safetensors": X}, "safetensors", 2 * 4, ["several-checkpoints"]),
    ("files in folders are not the model", {"model.safetensors": W, "onnx/model.safetensors": X}, "safetensors", 2 * 4, []),
    ("a bin file", {"pytorch_model.bin": b"P" * 100}, "pytorch", 100, [PICKLED]),
    ("a checkpoint of another framework", {"tf_model.h5": b"P" * 100}, "pytorch", 100, [PICKLED]),
    (
        "bin files and their index",
        {BIN_INDEX: index({"w": BIN1, "x": BIN2}, total_size=160), BIN1: b"P" * 100, BIN2: b"P" * 90},
        "pytorch", 160, [PICKLED],
    ),
    (
        "bin files and an index without a size",
        {BIN_INDEX: index({"w": BIN1, "x": BIN2}), BIN1: b"P" * 100, BIN2: b"P" * 90},
        "pytorch", 100 + 90, [PICKLED],
    ),
    (
        "bin files and an index whose size is no size",
        {BIN_INDEX: index({"w": BIN1}, total_size="100"), BIN1: b"P" * 100},
        "pytorch", 100, ["declared-total-differs", PICKLED],
    ),
    (
        "bin files smaller than their index says",
        {BIN_INDEX: index({"w": BIN1, "x": BIN2}, total_size=380), BIN1: b"P" * 100, BIN2: b"P" * 90},
        "pytorch", 100 + 90, ["declared-total-differs", PICKLED],
    ),
    ("bin files without an index", {BIN1: b"P" * 100, BIN2: b"P" * 90}, "pytorch", 100 + 90, [PICKLED]),
    ("a bin file beside its shards", {"pytorch_model.bin": b"P" * 180, BIN1: b"P" * 100}, "pytorch", 180, [SAME, PICKLED]),
    ("a bin file beside safetensors", {"model.safetensors": W, "pytorch_model.bin": b"P" * 100}, "safetensors", 2 * 4, [SAME]),
    (
        "bin shards beside safetensors shards",
        {INDEX: index({"w": S1}), S1: W, BIN_INDEX: index({"w": BIN1}), BIN1: b"P" * 100},
        "safetensors", 2 * 4, [SAME],
    ),
    (
        "what a trainer leaves is no weights",
        {"config.json": CONFIG, "training_args.bin": b"P" * 9, "optimizer.pt": b"P" * 9, "rng_state_0.pth": b"P" * 9},
        "config-only", None, [],
    ),
    ("an adapter", {"adapter_config.json": ADAPTER, "adapter_model.safetensors": W}, "adapter", 2 * 4, []),
    ("an adapter as a pickle", {"adapter_config.json": ADAPTER, "adapter_model.bin": b"P" * 50}, "adapter", 50, [PICKLED]),
    (
        "an adapter beside a whole model",
        {"adapter_config.json": ADAPTER, "adapter_model.safetensors": W, "model.safetensors": f32("w", count=100)},
        "adapter", 2 * 4, [],
    ),
    ("broken settings", {"adapter_config.json": b"{", "adapter_model.safetensors": W}, "adapter", 2 * 4, ["bad-json"]),
    ("a config alone", {"config.json": CONFIG}, "config-only", None, []),
    (
        "a pipeline: every component is summed, folders without weights count nothing",
        {
            "model_index.json": PIPELINE, **PLAIN_FOLDERS,
            f"transformer/{DIFFUSION}": f32("w", count=100), "text_encoder/model.safetensors": f32("w", count=30),
            f"vae/{DIFFUSION}": W,
        },
        "diffusers", 100 * 4 + 30 * 4 + 2 * 4, [],
    ),
    (
        "a pipeline with a sharded component",
        {
            "model_index.json": PIPELINE, **PLAIN_FOLDERS, "text_encoder/model.safetensors": W, f"vae/{DIFFUSION}": W,
            f"transformer/{DIFFUSION}.index.json": index({"a": "part-1.safetensors", "b": "part-2.safetensors"}),
            "transformer/part-1.safetensors": f32("a"), "transformer/part-2.safetensors": f32("b"),
        },
        "diffusers", 2 * 4 + 2 * 4 + 2 * 2 * 4, [],
    ),
    (
        "a pipeline whose components are half-precision variants, one of them beside the full one",
        {
            "model_index.json": PIPELINE, **PLAIN_FOLDERS,
            "transformer/diffusion_pytorch_model.fp16.safetensors": safetensors({"w": ("F16", [100])}),
            "text_encoder/model.fp16.safetensors": safetensors({"w": ("F16", [30])}),
            f"vae/{DIFFUSION}": W, "vae/diffusion_pytorch_model.fp16.safetensors": safetensors({"w": ("F16", [2])}),
        },
        "diffusers", 100 * 2 + 30 * 2 + 2 * 4, [SAME],
    ),
    (
        "a pipeline that lacks a component's folder",
        {"model_index.json": PIPELINE, **PLAIN_FOLDERS, f"transformer/{DIFFUSION}": f32("w", count=100), f"vae/{DIFFUSION}": W},
        "diffusers", 100 * 4 + 2 * 4, ["missing-component"],
    ),
    (
        "a pipeline's single-file twin at the root is not counted",
        {"model_index.json": VAE_ALONE, f"vae/{DIFFUSION}": W, "sd_xl_base.safetensors": f32("w", count=999)},
        "diffusers", 2 * 4, [],
    ),
    (
        "sentence-transformers: the transformer at the root and a dense layer",
        {"modules.json": MODULES, "config.json": CONFIG, "model.safetensors": f32("w", count=50), "1_Pooling/config.json": b"{}",
         "2_Dense/model.safetensors": X, "2_Dense/config.json": b"{}"},
        "sentence-transformers", 50 * 4 + 2 * 4, [],
    ),
    (
        "sentence-transformers: the transformer in a folder",
        {"modules.json": MODULES.replace(b'"path": ""', b'"path": "0_Transformer"'), "0_Transformer/config.json": CONFIG,
         "0_Transformer/model.safetensors": f32("w", count=50), "2_Dense/model.safetensors": X},
        "sentence-transformers", 50 * 4 + 2 * 4, [],
    ),
    (
        "sentence-transformers: the same folder twice, and a trailing slash",
        {"modules.json": as_json([{"path": ""}, {"path": "2_Dense"}, {"path": "2_Dense/"}]), "model.safetensors": W,
         "2_Dense/model.safetensors": X},
        "sentence-transformers", 2 * 4 + 2 * 4, [],
    ),
    (
        "sentence-transformers: a list that is none",
        {"modules.json": b'{"path": "../x"}', "model.safetensors": W},
        "sentence-transformers", 2 * 4, [],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "format", "stored", "remarks"), [row[1:] for row in TREES], ids=[row[0] for row in TREES])
def test_the_weights_of_a_tree(files: dict[str, bytes], format: str, stored: int | None, remarks: list[str]) -> None:
    found = read(files)
    assert (found.format, found.stored_bytes, codes(found)) == (format, stored, remarks)


# name, files, error class, code, what the message names
REFUSED: list[tuple[str, dict[str, bytes], type[HfmemError], str, str]] = [
    ("nothing at all", {}, NotFound, "no-model", "neither weights nor config.json"),
    ("only a README", {"README.md": b"# x"}, NotFound, "no-model", "neither weights nor config.json"),
    ("only a GGUF file, of a version to come", {"config.json": CONFIG, "m-Q4_K_M.gguf": b"GGUF\4\0\0\0"}, CannotTell, "unsupported-version", "m-Q4_K_M.gguf"),
    ("a gap in numbered shards", {S1: W, S3: X}, ShardIndexError, "missing-shard", S2),
    ("one shard of a million", {"model-000001-of-999999.safetensors": W}, ShardIndexError, "missing-shard", "999995 more"),
    ("a gap in numbered bin files", {BIN2: b"P"}, ShardIndexError, "missing-shard", BIN1),
    ("a bin file missing", {BIN_INDEX: index({"w": BIN1, "x": BIN2}), BIN1: b"P"}, ShardIndexError, "missing-shard", BIN2),
    (
        "a shard missing in a component",
        {"model_index.json": VAE_ALONE, f"vae/{DIFFUSION}.index.json": index({"w": "gone.safetensors"})},
        ShardIndexError, "missing-shard", "vae/gone.safetensors",
    ),
    ("a pipeline index that is a list", {"model_index.json": b"[]"}, ShardIndexError, "not-an-object", "model_index.json"),
    ("a pipeline index cut short", {"model_index.json": b'{"vae": ['}, ShardIndexError, "bad-json", "model_index.json"),
    ("a module list cut short", {"modules.json": b"[{", "model.safetensors": W}, ShardIndexError, "bad-json", "modules.json"),
]  # fmt: skip


@pytest.mark.parametrize(("files", "error", "code", "named"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_tree_that_cannot_be_read(files: dict[str, bytes], error: type[HfmemError], code: str, named: str) -> None:
    found = failure(files)
    exit_code = {NotFound: ExitCode.NOT_FOUND, CannotTell: ExitCode.CANNOT_TELL, ShardIndexError: ExitCode.BROKEN}[error]
    assert (type(found), found.code, found.exit_code) == (error, code, exit_code)
    assert named in found.message


def test_pickles_say_that_they_were_not_opened() -> None:
    of_files, of_index = read({"pytorch_model.bin": b"P"}), read({BIN_INDEX: index({"w": BIN1}, total_size=1), BIN1: b"P"})
    assert of_files.remarks[0].message.endswith("their size is that of the files, an upper bound")
    assert of_index.remarks[0].message.endswith("their size is the index's total_size")


def test_components_keep_their_names() -> None:
    found = read({"model_index.json": PIPELINE, f"vae/{DIFFUSION}": W, "text_encoder/pytorch_model.bin": b"P" * 20})
    assert {part.component: part.stored_bytes for part in found.components} == {"text_encoder": 20, "vae": 2 * 4}
    assert "'transformer'" in found.remarks[0].message


@pytest.mark.parametrize("path", ["../other", "a/../../b", "/etc", "..", "https://evil/x"])
def test_a_module_path_that_leads_out_reads_nothing(path: str) -> None:
    found = read({"modules.json": as_json([{"path": ""}, {"path": path}]), "model.safetensors": W})
    assert (found.stored_bytes, found.components) == (2 * 4, ())


@pytest.mark.parametrize("name", ["../vae", "/vae", "", ".", "vae/.."])
def test_a_component_name_that_leads_out_reads_nothing(name: str) -> None:
    found = read({"model_index.json": as_json({name: ["diffusers", "V"]}), f"vae/{DIFFUSION}": W})
    assert (found.stored_bytes, codes(found)) == (None, ["missing-component"])


def test_the_configuration_lies_where_the_transformer_does() -> None:
    modules = as_json([{"path": "0_Transformer"}, {"path": "1_Pooling"}])
    nested = read({"modules.json": modules, "0_Transformer/config.json": CONFIG, "0_Transformer/model.safetensors": W})
    assert nested.config_file == "0_Transformer/config.json"
    assert read({"modules.json": MODULES, "model.safetensors": W}).config_file == "config.json"


# -- adapters ------------------------------------------------------------------------------------------------------


def adapter(base: Any) -> dict[str, bytes]:
    return {"adapter_config.json": as_json({"base_model_name_or_path": base}), "adapter_model.safetensors": W}


@pytest.mark.parametrize("base", [None, "", 7, ["org/base"], {"name": "x"}])
def test_an_adapter_may_not_name_its_base(base: Any) -> None:
    assert read(adapter(base)).adapter_base is None


@pytest.mark.parametrize(
    "base", ["/models/base", "../base", "./base", "~/base", "C:\\base", "a/b/c", "org/name?x=1", "file:///x"]
)
def test_a_base_that_is_a_path_is_named_and_never_followed(base: str) -> None:
    model = load(adapter(base))
    assert model.checkpoint.adapter_base == base
    found = api.with_base(model, base, Access())
    assert found.base is None
    assert [note.code for note in found.notes] == ["base-not-read"]


def test_an_adapter_without_its_base_is_incomplete_and_still_weighed() -> None:
    found = api.estimate(load(adapter("org/base")))
    known = {item.name: item.num_bytes for item in found.phases[0].items}
    assert known["adapters"] == 2 * 4
    assert known["weights"] is None
    assert not found.complete


# -- what the weights mean together with config.json -----------------------------------------------------------------


def test_weights_without_a_config_are_still_counted() -> None:
    model = load({"model.safetensors": W})
    assert model.weights is not None
    assert model.weights.loaded_bytes == 2 * 4
    assert [(unknown.part, unknown.code) for unknown in model.spec.unknowns] == [("config", "file-not-found")]
    assert not api.estimate(model).complete


def test_a_config_without_weights_still_answers_geometry_and_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfmem.witness.ask.LIBRARIES", ("no_such_library",))
    found = api.estimate(load({"config.json": CONFIG}), Inference(context=100))
    cache = found.item("kv_cache")
    assert cache is not None
    assert cache.num_bytes == 2 * 2 * (4 + 4) * 100 * 2
    assert found.phases[0].items[0].num_bytes is None
    assert not found.complete


LINEAR = "model.layers.0.mlp.up_proj"
# name, quantization_config, tensors, bytes, parameters
QUANTISED: list[tuple[str, dict[str, Any], dict[str, tuple[str, list[int]]], int, int]] = [
    (
        "AWQ: eight weights an I32, scales and zeros beside",
        {"quant_method": "awq", "bits": 4, "group_size": 128},
        {"qweight": ("I32", [256, 64]), "qzeros": ("I32", [2, 64]), "scales": ("F16", [2, 512])},
        256 * 64 * 4 + 2 * 64 * 4 + 2 * 512 * 2, 256 * 64 * 8,
    ),
    (
        "GPTQ at 3 bits: its order and scales beside",
        {"quant_method": "gptq", "bits": 3, "group_size": -1, "desc_act": True},
        {"qweight": ("I32", [24, 512]), "g_idx": ("I32", [256]), "scales": ("F16", [1, 512]), "qzeros": ("I32", [1, 48])},
        24 * 512 * 4 + 256 * 4 + 512 * 2 + 48 * 4, 24 * 512 * 32 // 3,
    ),
    (
        "bitsandbytes at 4 bits: two weights a byte",
        {"quant_method": "bitsandbytes", "load_in_4bit": True},
        {"weight": ("U8", [65536, 1]), "weight.absmax": ("U8", [2048]), "weight.quant_map": ("F32", [16])},
        65536 + 2048 + 16 * 4, 65536 * 2,
    ),
    (
        "FP8 with a scale for each block",
        {"quant_method": "fp8", "weight_block_size": [128, 128]},
        {"weight": ("F8_E4M3", [512, 256]), "weight_scale_inv": ("F32", [4, 2])},
        512 * 256 + 4 * 2 * 4, 512 * 256,
    ),
    (
        "NVFP4: two weights a byte, two levels of scales",
        {"quant_method": "modelopt", "quant_algo": "NVFP4"},
        {"weight": ("U8", [512, 128]), "weight_scale": ("F8_E4M3", [512, 16]), "weight_scale_2": ("F32", [])},
        512 * 128 + 512 * 16 + 4, 512 * 128 * 2,
    ),
    (
        "MLX at 4 bits: eight weights a U32",
        {"bits": 4, "group_size": 64},
        {"weight": ("U32", [512, 32]), "scales": ("F16", [512, 4]), "biases": ("F16", [512, 4])},
        512 * 32 * 4 + 512 * 4 * 2 + 512 * 4 * 2, 512 * 32 * 8,
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("section", "tensors", "stored", "parameters"), [r[1:] for r in QUANTISED], ids=[r[0] for r in QUANTISED]
)
def test_quantised_names_are_counted_by_bytes_and_by_weights(
    section: dict[str, Any], tensors: dict[str, tuple[str, list[int]]], stored: int, parameters: int
) -> None:
    config = {**json.loads(CONFIG), "quantization_config": section}
    names = {f"{LINEAR}.{name}": tensor for name, tensor in tensors.items()}
    model = load({"config.json": as_json(config), "model.safetensors": safetensors(names)})
    assert model.weights is not None
    assert (model.weights.stored_bytes, model.weights.num_parameters) == (stored, parameters)
