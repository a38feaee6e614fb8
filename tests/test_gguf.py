"""GGUF files: every type's size, versions, arrays, shards, what is read of several, and how much of it is transferred."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from gguf_builder import ARRAY, F64, I8, I16, I32, I64, STRING, U8, U16, U64, As, Tensors, align, gguf, header, split
from hub_server import Content, HubServer, Sparse, pointed_at
from trees import Watched, safetensors

from hfmem import api
from hfmem.checkpoint.gguf import read_gguf
from hfmem.checkpoint.gguf_files import preferred, projector, sets
from hfmem.checkpoint.gguf_types import MAIN_TYPES, TYPES
from hfmem.checkpoint.gguf_values import Skipped
from hfmem.checkpoint.read import read_checkpoint
from hfmem.checkpoint.tensors import Checkpoint
from hfmem.errors import BrokenCheckpoint, HfmemError, ShardIndexError
from hfmem.memory.weights import weigh
from hfmem.sources import open_source
from hfmem.sources.memory import MemorySource

LLAMA = {
    "general.architecture": "llama", "llama.block_count": 1, "llama.embedding_length": 256, "llama.attention.head_count": 4,
    "llama.attention.head_count_kv": 2, "llama.feed_forward_length": 512, "llama.context_length": 2048,
}  # fmt: skip
LAYER: Tensors = {
    "token_embd.weight": ("Q6_K", [256, 1000]), "output_norm.weight": ("F32", [256]), "blk.0.attn_q.weight": ("Q4_K", [256, 256]),
    "blk.0.ffn_down.weight": ("Q5_K", [512, 256]),
}  # fmt: skip
LAYER_BYTES = 1000 * 210 + 256 * 4 + 256 * 144 + 256 * 2 * 176
ONE: Tensors = {"w": ("F32", [8])}


def read(files: Mapping[str, bytes]) -> Checkpoint:
    return read_checkpoint(MemorySource(files))


def failure(files: Mapping[str, bytes]) -> HfmemError:
    with pytest.raises(HfmemError) as caught:
        read(files)
    return caught.value


def codes(found: Checkpoint) -> list[str]:
    return [remark.code for part in found.parts() for remark in part.remarks]


# -- types -------------------------------------------------------------------------------------------------------------

# type, number, dimensions, bytes
SIZES = [
    ("F32", 0, [7, 3], 7 * 3 * 4), ("F16", 1, [7, 3], 7 * 3 * 2), ("Q4_0", 2, [64, 3], 3 * 2 * (2 + 16)),
    ("Q4_1", 3, [64, 3], 3 * 2 * (2 + 2 + 16)), ("Q5_0", 6, [64, 3], 3 * 2 * (2 + 4 + 16)),
    ("Q5_1", 7, [64, 3], 3 * 2 * (2 + 2 + 4 + 16)), ("Q8_0", 8, [64, 3], 3 * 2 * (2 + 32)),
    ("Q8_1", 9, [64, 3], 3 * 2 * (4 + 32)), ("Q2_K", 10, [512, 3], 3 * 2 * (16 + 64 + 4)),
    ("Q3_K", 11, [512, 3], 3 * 2 * (32 + 64 + 12 + 2)), ("Q4_K", 12, [512, 3], 3 * 2 * (4 + 12 + 128)),
    ("Q5_K", 13, [512, 3], 3 * 2 * (4 + 12 + 32 + 128)), ("Q6_K", 14, [512, 3], 3 * 2 * (128 + 64 + 16 + 2)),
    ("Q8_K", 15, [512, 3], 3 * 2 * (4 + 256 + 32)), ("IQ2_XXS", 16, [512, 3], 3 * 2 * (2 + 64)),
    ("IQ2_XS", 17, [512, 3], 3 * 2 * (2 + 64 + 8)), ("IQ3_XXS", 18, [512, 3], 3 * 2 * (2 + 96)),
    ("IQ1_S", 19, [512, 3], 3 * 2 * (2 + 32 + 16)), ("IQ4_NL", 20, [64, 3], 3 * 2 * (2 + 16)),
    ("IQ3_S", 21, [512, 3], 3 * 2 * (2 + 13 * 8 + 4)), ("IQ2_S", 22, [512, 3], 3 * 2 * (2 + 64 + 16)),
    ("IQ4_XS", 23, [512, 3], 3 * 2 * (2 + 2 + 4 + 128)), ("I8", 24, [7, 3], 7 * 3), ("I16", 25, [7, 3], 7 * 3 * 2),
    ("I32", 26, [7, 3], 7 * 3 * 4), ("I64", 27, [7, 3], 7 * 3 * 8), ("F64", 28, [7, 3], 7 * 3 * 8),
    ("IQ1_M", 29, [512, 3], 3 * 2 * (32 + 16 + 8)), ("BF16", 30, [7, 3], 7 * 3 * 2),
    ("Q4_0_4_4", 31, [64, 3], 3 * 2 * 18), ("Q4_0_4_8", 32, [64, 3], 3 * 2 * 18), ("Q4_0_8_8", 33, [64, 3], 3 * 2 * 18),
    ("TQ1_0", 34, [512, 3], 3 * 2 * (48 + 4 + 2)), ("TQ2_0", 35, [512, 3], 3 * 2 * (64 + 2)),
    ("MXFP4", 39, [64, 3], 3 * 2 * (1 + 16)), ("NVFP4", 40, [128, 3], 3 * 2 * (4 + 32)),
    ("Q1_0", 41, [256, 3], 3 * 2 * (2 + 16)), ("Q2_0", 42, [128, 3], 3 * 2 * (2 + 16)),
    ("I2_S", 36, [512, 3], 512 * 3 // 4 + 32), ("IQ2_K", 137, [512, 3], 3 * 2 * (2 + 2 + 8 + 64)),
    ("IQ4_KS", 144, [512, 3], 3 * (4 + 2 * (8 + 128))), ("IQ1_BN", 134, [128, 3], 3 * (2 + 2 * 13)),
    ("Q8_KV", 151, [64, 3], 3 * (8 + 2 * 32)), ("IQ3_KT", 154, [512, 3], 3 * (4 + 2 * (4 + 64 + 32))),
]  # fmt: skip


@pytest.mark.parametrize(("name", "number", "dims", "expected"), SIZES, ids=[row[0] for row in SIZES])
def test_every_type_has_its_size(name: str, number: int, dims: list[int], expected: int) -> None:
    found = read_gguf(MemorySource({"m.gguf": gguf({}, {"w": (number, dims), "x": ("F32", [1])})}), "m.gguf").tensors[0]
    assert (found.dtype, found.stored_bytes, found.shape, found.num_elements) == (
        name, expected, (dims[1], dims[0]), dims[0] * dims[1],
    )  # fmt: skip


def test_no_type_of_llama_cpp_is_left_out() -> None:
    assert set(MAIN_TYPES) == {row[1] for row in SIZES} & set(range(36)) | {39, 40, 41, 42}
    assert len({kind.name for kind in TYPES.values()}) == len(TYPES)


@pytest.mark.parametrize("number", [4, 5, 43, 90, 400, 2**31, 2**32 - 1])
def test_an_unknown_type_is_counted_by_its_distance(number: int) -> None:
    content = gguf({}, {"a": (0, [24]), "b": ("F32", [8])})
    info = struct.pack("<Q1sIQIQ", 1, b"a", 1, 24, 0, 0)
    assert info in content
    found = read({"m.gguf": content.replace(info, info[:-12] + struct.pack("<IQ", number, 0))})
    assert {group.first_name: (group.dtype, group.tensor_bytes) for group in found.groups} == {
        "a": (f"type {number}", 96), "b": ("F32", 32),
    }  # fmt: skip
    assert codes(found) == ["unknown-dtype"]


def test_another_engines_type_of_another_length_is_counted_by_its_distance() -> None:
    content = gguf({}, {"a": ("F16", [512]), "b": ("F32", [8])})
    info = struct.pack("<Q1sIQIQ", 1, b"a", 1, 512, 1, 0)
    found = read({"m.gguf": content.replace(info, info[:-12] + struct.pack("<IQ", 137, 0))})
    assert found.groups[0].tensor_bytes == 1024
    assert codes(found) == ["unknown-dtype"]


# -- headers -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("version", "order"), [(1, "<"), (2, "<"), (3, "<"), (3, ">"), (2, ">")])
def test_every_version_and_order_reads_the_same(version: int, order: str) -> None:
    metadata = {**LLAMA, "n": As(I64, -3), "f": As(F64, 0.5), "flags": [True, False], "tokens": ["a", "bc"] * 5}
    file = read_gguf(MemorySource({"m.gguf": gguf(metadata, LAYER, version=version, order=order)}), "m.gguf")
    assert (file.version, file.is_big_endian) == (version, order == ">")
    assert {tensor.name: tensor.shape for tensor in file.tensors} == {
        name: tuple(reversed(dims)) for name, (_, dims) in LAYER.items()
    }
    assert sum(tensor.stored_bytes for tensor in file.tensors) == LAYER_BYTES
    assert file.metadata["llama.embedding_length"] == 256
    assert (file.metadata["n"], file.metadata["f"], file.metadata["flags"]) == (-3, 0.5, (True, False))
    assert file.metadata["tokens"] == Skipped(10)


def test_a_big_endian_file_says_so() -> None:
    assert codes(read({"m.gguf": gguf(LLAMA, LAYER, order=">")})) == ["big-endian"]


def test_short_lists_of_numbers_are_kept_and_long_ones_counted() -> None:
    metadata = {
        "a": As(ARRAY, [1, 2], U8), "b": As(ARRAY, [-1], I8), "c": As(ARRAY, [70000] * 4096, I32), "d": As(ARRAY, [1.5] * 4097, F64),
        "e": As(ARRAY, [[1, 2], [3]], ARRAY), "f": As(ARRAY, [], U64), "g": As(ARRAY, ["x"] * 3, STRING), "h": As(I16, -5),
        "i": As(U16, 65535), "j": "text é", "k": As(STRING, b"\xff"),
    }  # fmt: skip
    found = read_gguf(MemorySource({"m.gguf": gguf(metadata, ONE)}), "m.gguf").metadata
    assert found == {
        "a": (1, 2), "b": (-1,), "c": (70000,) * 4096, "d": Skipped(4097), "e": Skipped(2), "f": (), "g": Skipped(3), "h": -5,
        "i": 65535, "j": "text é", "k": "�",
    }  # fmt: skip


@pytest.mark.parametrize("alignment", [1, 8, 64, 4096])
def test_data_begins_at_the_alignment_the_file_declares(alignment: int) -> None:
    content = gguf({"general.alignment": alignment}, {"a": ("F32", [3]), "b": ("F32", [3])}, alignment=alignment)
    file = read_gguf(MemorySource({"m.gguf": content}), "m.gguf")
    assert file.data_offset % alignment == 0
    assert file.data_bytes == align(12, alignment) + 12


def test_scalars_empty_tensors_and_files_without_tensors_are_read() -> None:
    found = read({"m.gguf": gguf({}, {"scalar": ("F32", []), "none": ("F32", [0, 4]), "w": ("F32", [2])})})
    assert {group.first_name: group.tensor_bytes for group in found.groups} == {"scalar": 4, "none": 0, "w": 8}
    empty = read({"m.gguf": gguf({"general.architecture": "llama"}, {})})
    assert (empty.stored_bytes, codes(empty)) == (0, ["no-tensors"])


def test_bytes_behind_the_last_tensor_are_no_weights() -> None:
    found = read({"m.gguf": gguf({}, ONE) + bytes(100)})
    assert (found.stored_bytes, codes(found)) == (32, ["trailing-bytes"])
    assert found.header_bytes == len(gguf({}, ONE)) + 100 - 32


def test_the_last_tensor_needs_no_padding() -> None:
    content = gguf({}, {"w": ("F32", [3])})
    assert read({"m.gguf": content[: len(content) - 20]}).stored_bytes == 12


@pytest.mark.parametrize("first", [64, 100, 1000, 2**20])
def test_however_few_bytes_come_first_a_header_reads_the_same(first: int) -> None:
    content = gguf({**LLAMA, "tokenizer.ggml.tokens": [f"token {i}" for i in range(500)]}, LAYER)
    source = MemorySource({"m.gguf": content})
    assert read_gguf(source, "m.gguf", first_bytes=first) == read_gguf(source, "m.gguf")


# -- weights -----------------------------------------------------------------------------------------------------------


def test_elements_are_parameters_and_stored_bytes_are_loaded() -> None:
    model = api.load_source(MemorySource({"m.gguf": gguf(LLAMA, {**LAYER, "rope_freqs.weight": ("F32", [32])})}))
    assert model.weights is not None
    assert model.weights.num_parameters == 256 * 1000 + 256 + 256 * 256 + 512 * 256
    assert (model.weights.stored_bytes, model.weights.loaded_bytes) == (LAYER_BYTES + 128, LAYER_BYTES + 128)
    assert model.weights.by_role["embeddings"] == 1000 * 210
    assert model.weights.by_dtype["Q5_K"] == 256 * 2 * 176
    assert model.spec.tied_embeddings
    assert not api.load_source(
        MemorySource({"m.gguf": gguf(LLAMA, {**LAYER, "output.weight": ("F32", [256, 1000])})})
    ).spec.tied_embeddings


def test_roles_of_tensors() -> None:
    names = {
        "token_embd.weight": "embeddings", "output.weight": "head", "output_norm.weight": "norms", "blk.0.attn_q.weight": "attention",
        "blk.0.attn_qkv.weight": "attention", "blk.0.attn_norm.weight": "norms", "blk.0.ffn_gate.weight": "mlp",
        "blk.0.ffn_gate_exps.weight": "experts", "blk.0.ffn_up_shexp.weight": "mlp", "blk.0.ffn_gate_inp.weight": "mlp",
        "blk.0.ffn_down.7.weight": "experts", "blk.0.ssm_in.weight": "recurrent", "blk.0.shortconv.in_proj.weight": "recurrent",
        "v.blk.0.attn_q.weight": "vision", "mm.0.weight": "vision", "a.blk.0.ffn_up.weight": "audio", "blk.0.attn_sinks.weight": "attention",
        "blk.0.attn_kv_a_mqa.weight": "attention", "position_embd.weight": "embeddings",
    }  # fmt: skip
    for name, role in names.items():
        checkpoint = read({"m.gguf": gguf({}, {name: ("F32", [2])})})
        weights = weigh(checkpoint, api.read_gguf_spec(checkpoint))
        assert weights is not None
        assert list(weights.by_role) == [role], name


def test_layers_past_the_decoders_are_a_draft() -> None:
    tensors: Tensors = {
        **LAYER, "blk.1.attn_q.weight": ("Q4_K", [256, 256]), "blk.1.nextn.eh_proj.weight": ("F32", [512, 256]),
    }  # fmt: skip
    metadata = {**LLAMA, "llama.block_count": 2, "llama.nextn_predict_layers": 1}
    model = api.load_source(MemorySource({"m.gguf": gguf(metadata, tensors)}))
    assert model.weights is not None
    assert model.spec.num_layers == 1
    assert model.weights.loaded_bytes == LAYER_BYTES
    assert [(row.reason, row.num_bytes) for row in model.weights.differences] == [("draft layers", 256 * 144 + 512 * 256 * 4)]


# -- sets and variants -------------------------------------------------------------------------------------------------

SHARDS: list[Tensors] = [
    {"token_embd.weight": ("Q6_K", [256, 1000]), "output_norm.weight": ("F32", [256])}, {"blk.0.attn_q.weight": ("Q4_K", [256, 256])},
    {"blk.0.ffn_down.weight": ("Q5_K", [512, 256])},
]  # fmt: skip


def test_shards_sum_to_the_whole() -> None:
    whole, parts = read({"m.gguf": gguf(LLAMA, LAYER)}), read(split(LLAMA, SHARDS))
    assert {group.pattern: group for group in parts.groups} == {group.pattern: group for group in whole.groups}
    assert list(parts.files) == [f"m-0000{number}-of-00003.gguf" for number in (1, 2, 3)]
    assert api.read_gguf_spec(parts) == api.read_gguf_spec(whole)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_any_shard_names_the_whole_set(tmp_path: Path, number: int) -> None:
    for name, content in {**split(LLAMA, SHARDS), "other.gguf": gguf(LLAMA, ONE)}.items():
        (tmp_path / name).write_bytes(content)
    model = api.load(tmp_path / f"m-0000{number}-of-00003.gguf")
    assert model.checkpoint.stored_bytes == LAYER_BYTES
    assert model.origin.source == "file"
    assert model.spec.num_layers == 1


def test_shards_are_read_by_several_threads_in_their_order() -> None:
    source = MemorySource(split(LLAMA, [{f"blk.{number}.w": ("F32", [8])} for number in range(12)]))
    source.max_workers = 4
    found = read_checkpoint(source)
    assert found.groups[0].layers == dict.fromkeys(range(12), 1)


GAP = {name: content for name, content in split(LLAMA, SHARDS).items() if "-00002-" not in name}
FIRST, SECOND, THIRD = split(LLAMA, SHARDS)
RENUMBERED = {FIRST: split(LLAMA, SHARDS)[FIRST], SECOND: split(LLAMA, SHARDS)[THIRD], THIRD: split(LLAMA, SHARDS)[SECOND]}
ODD_ONES: list[tuple[str, dict[str, bytes], type[HfmemError], str, str]] = [
    ("a shard is missing", GAP, ShardIndexError, "missing-shard", SECOND),
    ("the last is missing", {FIRST: b"", SECOND: b""}, ShardIndexError, "missing-shard", THIRD),
    ("one of many", {"m-00002-of-99999.gguf": b""}, ShardIndexError, "missing-shard", "1 of 99,999"),
    ("a number past the last", {"m-00001-of-00001.gguf": b"", "m-00002-of-00001.gguf": b""}, ShardIndexError, "missing-shard", "past"),
    ("shards that were renamed", RENUMBERED, ShardIndexError, "wrong-shard", "says it is shard 2"),
    ("a shard under a plain name", {"m.gguf": split(LLAMA, SHARDS)[FIRST]}, ShardIndexError, "missing-shard", "shard 0 (from 0) of 3"),
    ("a tensor in two shards", split(LLAMA, [ONE, ONE]), BrokenCheckpoint, "duplicate-tensor", "'w'"),
    (
        "fewer tensors than declared",
        {name: content.replace(struct.pack("<Ii", I32, 4), struct.pack("<Ii", I32, 5)) for name, content in split(LLAMA, SHARDS).items()},
        ShardIndexError, "index-mismatch", "holds '5' tensors",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "error", "code", "named"), [row[1:] for row in ODD_ONES], ids=[row[0] for row in ODD_ONES])
def test_a_set_that_is_not_whole(files: dict[str, bytes], error: type[HfmemError], code: str, named: str) -> None:
    found = failure(files)
    assert (type(found), found.code) == (error, code)
    assert named in found.message


# what the tree holds, which file is read, names of the variants with the one that is read first
TREES: list[tuple[str, list[str], str, list[str]]] = [
    ("one file", ["m.gguf"], "m.gguf", ["m"]),
    ("Q4_K_M before others", ["m-F16.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf"], "m-Q4_K_M.gguf", ["Q4_K_M", "F16", "Q8_0"]),
    ("Q8_0 without it", ["m-F16.gguf", "m-Q2_K.gguf", "m-Q8_0.gguf"], "m-Q8_0.gguf", ["Q8_0", "F16", "Q2_K"]),
    ("else the first by name", ["m-IQ3_M.gguf", "m-F16.gguf"], "m-F16.gguf", ["F16", "IQ3_M"]),
    ("in small letters, after a dot", ["m.f16.gguf", "m.q4_k_m.gguf"], "m.q4_k_m.gguf", ["Q4_K_M", "F16"]),
    ("in folders", ["BF16/m-BF16.gguf", "Q4_K_M/m-Q4_K_M.gguf"], "Q4_K_M/m-Q4_K_M.gguf", ["Q4_K_M", "BF16"]),
    ("two models", ["a-Q8_0.gguf", "b-Q8_0.gguf"], "a-Q8_0.gguf", ["a-Q8_0", "b-Q8_0"]),
    ("without matrices and drafts", ["imatrix.gguf", "mtp-Q4_K_M.gguf", "m-F16.gguf"], "m-F16.gguf", ["F16"]),
    ("a matrix alone", ["imatrix.gguf"], "imatrix.gguf", ["imatrix"]),
]  # fmt: skip


@pytest.mark.parametrize(("names", "chosen", "variants"), [row[1:] for row in TREES], ids=[row[0] for row in TREES])
def test_which_file_is_read(names: list[str], chosen: str, variants: list[str]) -> None:
    source = Watched({name: gguf(LLAMA, LAYER) for name in names})
    found = read_checkpoint(source)
    assert (list(found.files), [variant.name for variant in found.variants]) == ([chosen], variants)
    assert set(source.asked) == {chosen}
    assert found.variants[0].num_bytes == len(gguf(LLAMA, LAYER))


def test_a_variant_of_several_files_is_one() -> None:
    files = {**split(LLAMA, SHARDS, "Q4_K_M/m-Q4_K_M"), **split(LLAMA, SHARDS, "BF16/m-BF16")}
    found = read(files)
    assert [(variant.name, len(variant.files)) for variant in found.variants] == [("Q4_K_M", 3), ("BF16", 3)]
    assert found.variants[1].num_bytes == sum(len(content) for name, content in files.items() if name.startswith("BF16"))
    assert found.stored_bytes == LAYER_BYTES


PROJECTORS: list[tuple[list[str], str, str | None]] = [
    (["mmproj-F32.gguf", "mmproj-F16.gguf"], "m-Q4_K_M.gguf", "mmproj-F16.gguf"),
    (["mmproj-BF16.gguf", "mmproj-F16.gguf"], "m-Q4_K_M.gguf", "mmproj-F16.gguf"),
    (["mmproj-m-f16.gguf", "mmproj-m-Q8_0.gguf"], "m-Q4_K_M.gguf", "mmproj-m-Q8_0.gguf"),
    (["mmproj-m-f16.gguf", "mmproj-m-Q8_0.gguf"], "m-F16.gguf", "mmproj-m-f16.gguf"),
    (["mmproj.gguf", "Q4_K_M/mmproj.gguf"], "Q4_K_M/m.gguf", "Q4_K_M/mmproj.gguf"),
    (["mmproj.gguf", "BF16/mmproj.gguf"], "Q4_K_M/m.gguf", "mmproj.gguf"),
    (["BF16/mmproj.gguf"], "Q4_K_M/m.gguf", None),
]  # fmt: skip


@pytest.mark.parametrize(("names", "model", "expected"), PROJECTORS)
def test_which_projector_goes_with_a_model(names: list[str], model: str, expected: str | None) -> None:
    assert projector([*names, model], preferred(sets([model]))) == expected


def test_a_projector_is_a_component() -> None:
    vision: Tensors = {"v.blk.0.attn_q.weight": ("F16", [64, 64]), "mm.0.weight": ("F16", [64, 256])}
    files = {"m-Q4_K_M.gguf": gguf(LLAMA, LAYER), "mmproj-F16.gguf": gguf({"general.architecture": "clip"}, vision)}
    model = api.load_source(MemorySource(files))
    assert [(part.component, part.own_bytes) for part in model.checkpoint.components] == [("mmproj", 64 * 64 * 2 + 64 * 256 * 2)]
    assert [variant.name for variant in model.checkpoint.variants] == ["Q4_K_M"]
    assert model.weights is not None
    assert model.weights.by_role["vision"] == 64 * 64 * 2 + 64 * 256 * 2
    alone = api.load_source(MemorySource({"mmproj-F16.gguf": files["mmproj-F16.gguf"]}))
    assert (alone.spec.model_type, alone.checkpoint.stored_bytes, alone.checkpoint.components) == (
        "clip",
        64 * 64 * 2 + 64 * 256 * 2,
        (),
    )


def test_safetensors_come_before_gguf() -> None:
    weights = safetensors({"w": ("F32", [2])})
    assert read({"model.safetensors": weights, "m-Q4_K_M.gguf": b"GGUF"}).format == "safetensors"
    assert read({"unet/model.safetensors": weights, "gguf/m.gguf": b"GGUF", "config.json": b"{}"}).format == "config-only"
    assert read({"gguf/m.gguf": gguf(LLAMA, LAYER), "config.json": b"{}"}).format == "gguf"


def test_a_config_beside_a_gguf_is_another_engines() -> None:
    model = api.load_source(MemorySource({"config.json": b'{"model_type": "gpt2"}', "m.gguf": gguf(LLAMA, LAYER)}))
    assert (model.spec.model_type, model.spec.unknowns) == ("llama", ())


# -- the Hub -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server, pointed_at(server, tmp_path):
        yield server


def large(num_tokens: int, **metadata: object) -> Sparse:
    """A file with a vocabulary, of 256 KiB for 16,384 tokens, and five gigabytes of data."""
    tokens = [f"{number:08d}" for number in range(num_tokens)]
    return header({**LLAMA, "tokenizer.ggml.tokens": tokens, **metadata}, {"token_embd.weight": ("F16", [2**16, 40_000])})


def transferred(hub: HubServer) -> int:
    return sum(seen.body_bytes for seen in hub.log if seen.origin == "storage" or "/resolve/" in seen.path)


@pytest.mark.parametrize(
    ("num_tokens", "requests", "num_bytes"),
    [(1000, 1, 2**20), (65_536, 2, 4 * 2**20), (300_000, 3, 16 * 2**20)],
    ids=["one range", "two", "three"],
)
def test_a_header_is_read_by_ranges_that_grow(hub: HubServer, num_tokens: int, requests: int, num_bytes: int) -> None:
    hub.add("org/name-GGUF", {"m-Q4_K_M.gguf": large(num_tokens), "m-Q8_0.gguf": large(num_tokens)})
    model = api.load("org/name-GGUF")
    assert (hub.num_requests, transferred(hub)) == (1 + requests, num_bytes)
    assert model.checkpoint.stored_bytes == 2**16 * 40_000 * 2
    assert model.spec.vocab_size == num_tokens
    assert [variant.name for variant in model.checkpoint.variants] == ["Q4_K_M", "Q8_0"]
    before = hub.num_requests
    api.load("org/name-GGUF")
    assert hub.num_requests == before + 1


def test_shards_after_the_first_are_read_in_small_ranges(hub: HubServer) -> None:
    shard = header(
        {"split.no": As(U16, 1), "split.count": As(U16, 2), "split.tensors.count": As(I32, 2)}, {"blk.0.w": ("F16", [2**20, 999])}
    )
    first = large(1000, **{"split.no": As(U16, 0), "split.count": As(U16, 2), "split.tensors.count": As(I32, 2)})
    hub.add("org/name", {"Q8_0/m-Q8_0-00001-of-00002.gguf": first, "Q8_0/m-Q8_0-00002-of-00002.gguf": shard})
    assert api.load("org/name").checkpoint.stored_bytes == 2**16 * 40_000 * 2 + 2**20 * 999 * 2
    assert (hub.num_requests, transferred(hub)) == (1 + 2, 2**20 + 2**16)


def test_one_shard_of_a_repository_names_the_set(hub: HubServer) -> None:
    files: dict[str, Content] = {f"Q8_0/{name}": content for name, content in split(LLAMA, SHARDS).items()}
    hub.add("org/name", {**files, "m-Q4_K_M.gguf": b"x"})
    source = open_source("hf://org/name/Q8_0/m-00002-of-00003.gguf")
    assert list(source.files()) == [FIRST, SECOND, THIRD]
    assert read_checkpoint(source).stored_bytes == LAYER_BYTES
    assert list(open_source("hf://org/name/m-Q4_K_M.gguf").files()) == ["m-Q4_K_M.gguf"]


def test_a_file_of_many_gigabytes_is_read_by_its_head(tmp_path: Path) -> None:
    found = large(1000)
    with (tmp_path / "m.gguf").open("wb") as file:
        file.write(found.head)
        os.truncate(file.fileno(), found.size)
    assert api.load(tmp_path / "m.gguf").checkpoint.stored_bytes == 2**16 * 40_000 * 2
