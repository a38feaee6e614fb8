"""llama.cpp: recipes against published files, caches by hand, compute buffers against logs and against its own code."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

import checkpoints
import pytest
from gguf_builder import Tensors, header
from hub_repos import Sparse
from hypothesis import given
from hypothesis import strategies as st

from hfmem import api
from hfmem.checkpoint.gguf_types import MAIN_TYPES
from hfmem.checkpoint.tensors import Checkpoint, Grouping, Tensor
from hfmem.errors import CannotTell, UsageError
from hfmem.memory.engines.llama_cpp import (
    LlamaSetting,
    llama_cpp_capacity,
    llama_cpp_phases,
    quantised_bytes,
    settle_llama_cpp,
)
from hfmem.memory.engines.llama_cpp_cache import Cells, head_widths, kv_bytes, state_bytes
from hfmem.memory.engines.llama_cpp_graph import Graph, graph_bytes
from hfmem.memory.engines.llama_cpp_projector import buffer_bytes
from hfmem.memory.engines.llama_cpp_setting import named_file_type, shares
from hfmem.memory.engines.llama_cpp_tensors import device_of, row_of
from hfmem.memory.engines.values import Card
from hfmem.memory.estimate import Item
from hfmem.memory.subject import Model
from hfmem.memory.weights import Portion, weigh
from hfmem.memory.workload import Inference
from hfmem.model.kinds import (
    Attention,
    CompressedAttention,
    CrossAttention,
    IndexerKeys,
    LatentAttention,
    RecurrentState,
)
from hfmem.model.read import read_model
from hfmem.model.spec import Dense, Experts, Layer, Quantization, Stack
from hfmem.report.json_report import to_dict
from hfmem.report.markdown import render_markdown
from hfmem.report.text import render_text
from hfmem.sources.memory import MemorySource
from hfmem.tables.llama_cpp import GGUF_TYPES, RECIPES
from hfmem.units import GIB, MIB

ORIGIN = MemorySource({}).origin
RTX_4090 = Card(name="RTX 4090", total_bytes=int(23.65 * GIB))


def config(
    kind: str, hidden: int, inner: int, layers: int, heads: int, keys: int, vocabulary: int, **more: Any
) -> dict[str, Any]:
    own = {"model_type": kind, "torch_dtype": "bfloat16", "hidden_size": hidden, "intermediate_size": inner}
    own |= {"num_hidden_layers": layers, "num_attention_heads": heads, "num_key_value_heads": keys, "vocab_size": vocabulary}
    return {**own, "max_position_embeddings": 131072, "tie_word_embeddings": False, **more}


LLAMA_2_7B = config("llama", 4096, 11008, 32, 32, 32, 32000)
LLAMA_2_13B = config("llama", 5120, 13824, 40, 40, 40, 32000)
LLAMA_3_8B = config("llama", 4096, 14336, 32, 32, 8, 128256)
LLAMA_3_70B = config("llama", 8192, 28672, 80, 64, 8, 128256)
LLAMA_3_1B = config("llama", 2048, 8192, 16, 32, 8, 128256, head_dim=64, tie_word_embeddings=True)
LLAMA_3_3B = config("llama", 3072, 8192, 28, 24, 8, 128256, head_dim=128, tie_word_embeddings=True)
QWEN_2_7B = config("qwen2", 3584, 18944, 28, 28, 4, 152064)
QWEN_2_32B = config("qwen2", 5120, 27648, 64, 40, 8, 152064)
QWEN_2_1_5B = config("qwen2", 1536, 8960, 28, 12, 2, 151936, tie_word_embeddings=True)
GEMMA_3_27B = config(
    "gemma3_text", 5376, 21504, 62, 32, 16, 262208, head_dim=128, sliding_window=1024, sliding_window_pattern=6,
    tie_word_embeddings=True,
)  # fmt: skip
GEMMA_2B = config("gemma", 2048, 16384, 18, 8, 1, 256000, head_dim=256, tie_word_embeddings=True)
MISTRAL_LARGE = config("mistral", 12288, 28672, 88, 96, 8, 32768, head_dim=128, sliding_window=None)
PHI_3_5 = config("phi3", 3072, 8192, 32, 32, 32, 32064, sliding_window=262144, pad_token_id=0)
MIXTRAL = config("mixtral", 4096, 14336, 32, 32, 8, 32000, num_local_experts=8, num_experts_per_tok=2, sliding_window=None)


def tensors(raw: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The tensors of a decoder as its class names them."""
    hidden, inner, heads = raw["hidden_size"], raw["intermediate_size"], raw["num_attention_heads"]
    width = raw.get("head_dim") or hidden // heads
    keys, queries = raw["num_key_value_heads"] * width, heads * width
    found: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (raw["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    if not raw["tie_word_embeddings"]:
        found["lm_head.weight"] = (raw["vocab_size"], hidden)
    for index in range(raw["num_hidden_layers"]):
        names = {**attention_tensors(raw, hidden, queries, keys, width), **block_tensors(raw, hidden, inner)}
        found |= {f"model.layers.{index}.{name}": shape for name, shape in names.items()}
    return found


def attention_tensors(raw: Mapping[str, Any], hidden: int, queries: int, keys: int, width: int) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {"input_layernorm.weight": (hidden,), "post_attention_layernorm.weight": (hidden,)}
    found["self_attn.o_proj.weight"] = (hidden, queries)
    if raw["model_type"] == "phi3":
        return found | {"self_attn.qkv_proj.weight": (queries + 2 * keys, hidden)}
    for letter, size in (("q", queries), ("k", keys), ("v", keys)):
        found[f"self_attn.{letter}_proj.weight"] = (size, hidden)
        if raw["model_type"] == "qwen2":
            found[f"self_attn.{letter}_proj.bias"] = (size,)
    if raw["model_type"] == "gemma3_text":
        found |= {f"{name}_feedforward_layernorm.weight": (hidden,) for name in ("pre", "post")}
        found |= {f"self_attn.{letter}_norm.weight": (width,) for letter in "qk"}
    return found


def block_tensors(raw: Mapping[str, Any], hidden: int, inner: int) -> dict[str, tuple[int, ...]]:
    if raw["model_type"] == "phi3":
        return {"mlp.gate_up_proj.weight": (2 * inner, hidden), "mlp.down_proj.weight": (hidden, inner)}
    if raw["model_type"] == "mixtral":
        experts = range(raw["num_local_experts"])
        found: dict[str, tuple[int, ...]] = {f"block_sparse_moe.experts.{index}.w2.weight": (hidden, inner) for index in experts}
        found |= {
            f"block_sparse_moe.experts.{index}.{name}.weight": (inner, hidden) for index in experts for name in ("w1", "w3")
        }
        return found | {"block_sparse_moe.gate.weight": (len(experts), hidden)}
    return {
        "mlp.gate_proj.weight": (inner, hidden),
        "mlp.up_proj.weight": (inner, hidden),
        "mlp.down_proj.weight": (hidden, inner),
    }


def model_of(raw: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]] | None = None, dtype: str = "BF16") -> Model:
    """A model with the tensors its configuration asks for, without a file."""
    grouping = Grouping()
    for name, shape in (tensors(raw) if shapes is None else shapes).items():
        count = 1
        for dim in shape:
            count *= dim
        grouping.add(Tensor(name=name, dtype=dtype, shape=shape, stored_bytes=2 * count, file="m.safetensors"))
    checkpoint = Checkpoint(format="safetensors", groups=tuple(grouping.groups()))
    spec = read_model(dict(raw))
    return Model(origin=ORIGIN, spec=spec, checkpoint=checkpoint, weights=weigh(checkpoint, spec))


def settled(model: Model, card: Card | None = None, **workload: Any) -> LlamaSetting:
    return settle_llama_cpp(model, Inference(engine="llama.cpp", **workload), card)


def items(model: Model, **workload: Any) -> dict[str, Item]:
    found = llama_cpp_phases(model, settled(model, **workload))[-1].items
    return {item.name: item for item in found}


def size(item: Item) -> int:
    assert item.num_bytes is not None
    return item.num_bytes


# Model, file type → MiB of all tensors and of those on the device, as llama.cpp printed them at its start.
PUBLISHED = [
    ("Llama 3.1 8B", LLAMA_3_8B, "Q4_K_M", 4685.30, 4403.49),
    ("Llama 3 8B", LLAMA_3_8B, "Q4_0", 4437.80, None),
    ("Llama 2 7B", LLAMA_2_7B, "Q4_K_M", 3891.24, 3820.93),
    ("Llama 2 7B", LLAMA_2_7B, "Q5_K_M", 4560.88, 4474.94),
    ("Llama 2 7B", LLAMA_2_7B, "Q4_0", 3647.87, 3577.56),
    ("Llama 2 7B", LLAMA_2_7B, "Q8_0", 6828.64, None),
    ("Llama 2 13B", LLAMA_2_13B, "F16", 24826.58, 24514.08),
    ("Llama 3 70B", LLAMA_3_70B, "Q4_K_M", 40543.10, 39979.48),
    ("Llama 3.3 70B", LLAMA_3_70B, "Q8_0", 71494.28, 70429.66),
    ("Llama 3.2 1B, tied", LLAMA_3_1B, "Q8_0", 1252.41, 1252.41),
    ("Llama 3.2 1B, tied", LLAMA_3_1B, "Q4_K_M", 762.81, 762.81),
    ("Qwen2.5 32B", QWEN_2_32B, "Q4_K_M", 18926.01, 18508.35),
    ("Qwen2.5 32B", QWEN_2_32B, "Q4_0", 17771.00, None),
    ("Qwen2.5 32B", QWEN_2_32B, "BF16", 62494.27, 61009.27),
    ("Qwen2 7B", QWEN_2_7B, "Q8_0", 7717.67, 7165.44),
    ("Qwen2.5 1.5B, tied", QWEN_2_1_5B, "F16", 2944.68, 2944.68),
    ("Gemma 3 27B, tied", GEMMA_3_27B, "IQ3_M", None, 11959.34),
    ("Gemma 2B", GEMMA_2B, "F32", None, 9561.3),
    ("Mistral Large", MISTRAL_LARGE, "IQ3_XS", 47818.55, None),
    ("Phi 3.5 mini, one tensor of queries, keys and values", PHI_3_5, "Q8_0", 3872.39, 3772.58),
    ("Phi 3.5 mini, made before the newest rule", PHI_3_5, "Q4_K_M", 2281.68, 2228.84),
]


@pytest.mark.parametrize(
    ("raw", "file_type", "total", "device"), [row[1:] for row in PUBLISHED], ids=[f"{r[0]} {r[2]}" for r in PUBLISHED]
)
def test_a_recipe_weighs_what_published_files_do(
    raw: dict[str, Any], file_type: str, total: float | None, device: float | None
) -> None:
    model = model_of(raw)
    assert model.weights
    found = quantised_bytes(model.weights, model.spec, file_type)
    assert total is None or found[0] / MIB == pytest.approx(total, rel=0.002)
    assert device is None or found[1] / MIB == pytest.approx(device, rel=0.002)


def q(elements: int, name: str) -> int:
    """Bytes of so many elements in blocks of a type."""
    kind = next(kind for kind in MAIN_TYPES.values() if kind.name == name)
    assert elements % kind.block_elements == 0
    return elements // kind.block_elements * kind.block_bytes


def small(kind: str = "llama", layers: int = 16, **more: Any) -> dict[str, Any]:
    return config(kind, 512, 1024, layers, 8, 2, 4096, **more)


ATTENTION, KEYS, BLOCK, EMBEDDING, NORMS = 512 * 512, 512 * 128, 512 * 1024, 4096 * 512, (2 * 16 + 1) * 512 * 4


def by_hand(embedding: str, head: str, each: str, values: dict[str, int], down: dict[str, int], **more: str) -> int:
    """16 layers; `values` and `down` say how many layers have which type."""
    rest = q(ATTENTION, more.get("query", each)) + q(ATTENTION, more.get("output", each)) + q(KEYS, more.get("key", each))
    found = NORMS + q(EMBEDDING, embedding) + q(EMBEDDING, head) + 16 * (rest + 2 * q(BLOCK, each))
    found += sum(count * q(KEYS, name) for name, count in values.items())
    return found + sum(count * q(BLOCK, name) for name, count in down.items())


# Of 16 layers, more bits go to 0, 1, 14, 15 and to 4, 7, 10, 13; four queries share a key.
RULES = [
    ("Q4_K_M", by_hand("Q4_K", "Q6_K", "Q4_K", {"Q6_K": 8, "Q4_K": 8}, {"Q6_K": 8, "Q4_K": 8})),
    ("Q5_K_M", by_hand("Q5_K", "Q6_K", "Q5_K", {"Q6_K": 8, "Q5_K": 8}, {"Q6_K": 8, "Q5_K": 8})),
    ("Q4_K_S", by_hand("Q4_K", "Q6_K", "Q4_K", {"Q5_K": 4, "Q4_K": 12}, {"Q5_K": 2, "Q4_K": 14})),
    ("Q3_K_M", by_hand("Q3_K", "Q6_K", "Q3_K", {"Q5_K": 2, "Q4_K": 14}, {"Q5_K": 1, "Q4_K": 15}, output="Q4_K")),
    ("Q3_K_L", by_hand("Q3_K", "Q6_K", "Q3_K", {"Q5_K": 16}, {"Q5_K": 16}, output="Q5_K")),
    ("Q2_K", by_hand("Q2_K", "Q6_K", "Q2_K", {"Q4_K": 16}, {"Q3_K": 16}, output="Q3_K")),
    ("Q8_0", by_hand("Q8_0", "Q8_0", "Q8_0", {"Q8_0": 16}, {"Q8_0": 16})),
    ("Q6_K", by_hand("Q6_K", "Q6_K", "Q6_K", {"Q6_K": 16}, {"Q6_K": 16})),
    ("IQ4_XS", by_hand("IQ4_XS", "Q6_K", "IQ4_XS", {"Q5_K": 16}, {"IQ4_XS": 16})),
    ("IQ3_XXS", by_hand("IQ3_S", "Q5_K", "IQ3_XXS", {"Q4_K": 16}, {"IQ3_XXS": 16}, key="IQ2_S", query="IQ2_S", output="IQ3_S")),
    ("IQ2_XS", by_hand("Q2_K", "Q5_K", "IQ2_XS", {"Q4_K": 16}, {"Q2_K": 2, "IQ2_XS": 14})),
    ("TQ1_0", by_hand("Q4_K", "Q6_K", "TQ1_0", {"TQ1_0": 16}, {"TQ1_0": 16})),
    ("TQ2_0", by_hand("Q4_K", "Q6_K", "TQ2_0", {"TQ2_0": 16}, {"TQ2_0": 16})),
    ("Q2_0", by_hand("Q4_K", "Q6_K", "Q2_0", {"Q2_0": 16}, {"Q2_0": 16})),
    ("MXFP4_MOE", by_hand("Q8_0", "Q8_0", "Q8_0", {"Q8_0": 16}, {"Q8_0": 16})),
    ("F16", by_hand("F16", "F16", "F16", {"F16": 16}, {"F16": 16})),
]  # fmt: skip


@pytest.mark.parametrize(("file_type", "expected"), RULES, ids=[row[0] for row in RULES])
def test_each_sort_of_tensor_by_its_rule(file_type: str, expected: int) -> None:
    model = model_of(small())
    assert model.weights
    total, device = quantised_bytes(model.weights, model.spec, file_type)
    assert total == expected
    assert total - device < q(EMBEDDING, "F16") + 1  # the input embedding alone is in host memory


def test_a_tied_embedding_has_the_outputs_type_and_lies_on_the_device_too() -> None:
    untied, tied = model_of(small()), model_of(small(tie_word_embeddings=True))
    assert untied.weights and tied.weights
    total, device = quantised_bytes(tied.weights, tied.spec, "Q4_K_M")
    assert total == device == quantised_bytes(untied.weights, untied.spec, "Q4_K_M")[0] - q(EMBEDDING, "Q4_K")


def test_eight_experts_give_keys_and_values_eight_bits() -> None:
    model = model_of(small("mixtral", num_local_experts=8, num_experts_per_tok=2, sliding_window=None))
    assert model.weights
    attention = q(ATTENTION, "Q4_K") + q(ATTENTION, "Q5_K") + 2 * q(KEYS, "Q8_0")
    experts = 16 * 8 * 2 * q(BLOCK, "Q4_K") + 8 * 8 * (q(BLOCK, "Q6_K") + q(BLOCK, "Q4_K"))
    rest = q(EMBEDDING, "Q4_K") + q(EMBEDDING, "Q6_K") + NORMS + 16 * 8 * 512 * 4  # the router stays float32
    assert quantised_bytes(model.weights, model.spec, "Q4_K_M")[0] == 16 * attention + experts + rest
    assert quantised_bytes(model.weights, model.spec, "MXFP4_MOE")[0] < quantised_bytes(model.weights, model.spec, "Q5_K_M")[0]


def test_rows_that_are_no_whole_blocks_get_a_type_of_32_elements() -> None:
    """Rows of 2,080 are 65 blocks of 32 and 8.125 of 256; rows of 100 are no blocks at all."""
    for row, expected in ((2080, "Q5_0"), (100, "F16")):
        shapes = {"model.layers.0.self_attn.q_proj.weight": (256, row)}
        model = model_of(small(layers=1), shapes)
        assert model.weights
        assert quantised_bytes(model.weights, model.spec, "Q4_K_M")[0] == q(256 * row, expected)


def test_a_head_of_odd_rows_has_eight_bits() -> None:
    model = model_of(small(layers=1), {"lm_head.weight": (4096, 96)})
    assert model.weights
    assert quantised_bytes(model.weights, model.spec, "Q4_K_M") == (q(4096 * 96, "Q8_0"),) * 2


def test_the_values_of_70_billion_parameters_get_more_bits() -> None:
    shapes = {f"model.layers.{index}.self_attn.v_proj.weight": (128, 512) for index in range(80)}
    model = model_of(small(layers=80), shapes)
    assert model.weights
    assert quantised_bytes(model.weights, model.spec, "Q3_K_M")[0] == 80 * q(KEYS, "Q5_K")
    assert quantised_bytes(model.weights, model.spec, "Q4_K_M")[0] == 40 * q(KEYS, "Q6_K") + 40 * q(KEYS, "Q5_K")


def test_what_llama_cpp_never_quantises() -> None:
    shapes: dict[str, tuple[int, ...]] = {
        "model.layers.0.mlp.gate.weight": (64, 512),  # a router
        "model.layers.0.mixer.conv1d.weight": (512, 1, 4),
        "model.layers.0.self_attn.q_proj.bias": (512,),
        "model.layers.0.mlp.experts.gate_up_proj_bias": (4, 1024),
        "model.embeddings.position_embeddings.weight": (512, 512),
    }
    model = model_of(small(layers=1), shapes)
    assert model.weights
    elements = 64 * 512 + 512 * 4 + 512 + 4 * 1024 + 512 * 512
    total, device = quantised_bytes(model.weights, model.spec, "Q4_K_M")
    assert (total, total - device) == (4 * elements, 4 * 512 * 512)  # positions are read in host memory
    kept = model_of(small(layers=1), {"model.layers.0.laurel.linear_left.weight": (64, 512)})
    assert kept.weights and quantised_bytes(kept.weights, kept.spec, "Q4_K_M")[0] == 2 * 64 * 512


def test_embeddings_of_each_layer_stay_in_host_memory() -> None:
    shapes = {"model.embed_tokens_per_layer.weight": (4096, 512), "lm_head.weight": (4096, 512)}
    model = model_of(small(layers=1), shapes)
    assert model.weights
    total, device = quantised_bytes(model.weights, model.spec, "Q4_K_M")
    assert total - device == q(EMBEDDING, "Q4_K")


def test_a_latents_projection_becomes_two_tensors(tmp_path: Path) -> None:
    """Rows of the keys' part are 128 wide, so it falls back to blocks of 32."""
    model = api.load(str(checkpoints.write("deepseek-ai/DeepSeek-V2-Lite", tmp_path)))
    assert model.weights
    found = quantised_bytes(model.weights, model.spec, "Q4_K_M")[0] / MIB
    assert found == pytest.approx(9880.48, rel=0.001)  # a file made before the split


def test_packed_weights_count_as_what_they_stand_for(tmp_path: Path) -> None:
    packed = api.load(str(checkpoints.write("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", tmp_path)))
    assert packed.weights
    assert quantised_bytes(packed.weights, packed.spec, "Q4_K_M")[1] / MIB == pytest.approx(4403.49, abs=0.01)


# Fixture, file type → bytes of all tensors, each by the rules of llama-quant.cpp.
WHOLE = [
    ("openai/gpt-oss-20b", "Q4_K_M", 15_792_128_256),  # rows of 2,880 are 11.25 blocks of 256
    ("openai/gpt-oss-20b", "Q2_K", 12_052_505_856),
    ("mistralai/Mixtral-8x7B-v0.1", "IQ3_M", 21_430_026_240),  # eight experts: more of their projections down in Q4_K
    # Of 32 projections down (4,544 × 18,176) 14 have 5.5 bits where other models have 6.5625.
    ("tiiuae/falcon-7b-instruct", "Q4_K_M", 5_008_178_688 - 14 * (q(4544 * 18176, "Q6_K") - q(4544 * 18176, "Q5_K"))),
]


@pytest.mark.parametrize(("name", "file_type", "expected"), WHOLE)
def test_the_exceptions_of_whole_models(name: str, file_type: str, expected: int, tmp_path: Path) -> None:
    model = api.load(str(checkpoints.write(name, tmp_path)))
    assert model.weights
    assert quantised_bytes(model.weights, model.spec, file_type)[0] == expected


def falcon(file_type: str) -> int:
    model = model_of(small("falcon"), {f"transformer.h.{index}.{name}": shape for index in range(16) for name, shape in (
        ("self_attention.dense.weight", (512, 512)), ("mlp.dense_4h_to_h.weight", (512, 1024)))} | {"lm_head.weight": (4096, 512)})  # fmt: skip
    assert model.weights
    return quantised_bytes(model.weights, model.spec, file_type)[0]


FALCON_RULES = [
    ("Q4_K_M", "Q4_K", {"Q6_K": 1, "Q5_K": 7, "Q4_K": 8}), ("Q4_K_S", "Q4_K", {"Q4_K": 16}),
    ("Q3_K_M", "Q3_K", {"Q5_K": 1, "Q4_K": 7, "Q3_K": 8}), ("Q3_K_L", "Q4_K", {"Q4_K": 16}), ("Q2_K", "Q2_K", {"Q3_K": 16}),
]  # fmt: skip


@pytest.mark.parametrize(("file_type", "output", "down"), FALCON_RULES)
def test_falcon_has_rules_of_its_own(file_type: str, output: str, down: dict[str, int]) -> None:
    expected = 16 * q(ATTENTION, output) + sum(count * q(BLOCK, name) for name, count in down.items()) + q(EMBEDDING, "Q8_0")
    assert falcon(file_type) == expected


# Method, stored name, dtype, shape, parameters a stored element has → the row, where the layout says it.
LAYOUTS = [
    ("gptq", "qweight", "I32", (360, 4096), 8, 2880), ("awq", "qweight", "I32", (2880, 512), 8, 2880),
    ("compressed-tensors", "weight_packed", "I32", (4096, 360), 8, 2880), ("modelopt", "weight", "U8", (4096, 1440), 2, 2880),
    ("mlx", "weight", "U32", (4096, 360), 8, 2880), ("bitsandbytes", "weight", "U8", (5898240, 1), 2, None),
    ("", "qweight", "I32", (360, 4096), 8, None), ("mxfp4", "gate_up_proj_blocks", "U8", (32, 5760, 90, 16), 2, 2880),
]  # fmt: skip


@pytest.mark.parametrize(("method", "last", "dtype", "shape", "packed", "expected"), LAYOUTS)
def test_the_row_of_a_packed_matrix(
    method: str, last: str, dtype: str, shape: tuple[int, ...], packed: int, expected: int | None
) -> None:
    grouping, name = Grouping(), f"model.layers.0.self_attn.q_proj.{last}"
    grouping.add(Tensor(name=name, dtype=dtype, shape=shape, stored_bytes=prod(shape) * (1 if dtype == "U8" else 4), file="m"))
    elements = prod(shape) * packed
    group = next(iter(grouping.groups()))
    portion = Portion(group=group, role="attention", elements=elements, reason="packed weights", count=1)
    quantization = Quantization(method=method) if method else None
    assert row_of(portion, replace(model_of(LLAMA_3_8B).spec, quantization=quantization)) == expected


def test_draft_layers_are_left_out() -> None:
    shapes: dict[str, tuple[int, ...]] = {f"model.layers.{index}.self_attn.q_proj.weight": (512, 512) for index in range(3)}
    model = model_of(small(layers=2), {**shapes, "model.layers.2.eh_proj.weight": (512, 1024)})
    assert model.weights
    assert quantised_bytes(model.weights, model.spec, "Q6_K")[0] == 2 * q(512 * 512, "Q6_K")


def test_fewer_bits_never_weigh_more() -> None:
    model = model_of(LLAMA_3_8B)
    assert model.weights
    order = (
        "F32 F16 Q8_0 Q6_K Q5_K_M Q5_K_S Q4_K_M Q4_K_S Q4_0 Q3_K_L Q3_K_M Q3_K_S Q2_K Q2_K_S IQ2_XS IQ2_XXS IQ1_M IQ1_S".split()
    )
    sizes = [quantised_bytes(model.weights, model.spec, name) for name in order]
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("file_type", sorted(RECIPES))
def test_every_recipe_names_types_there_are_and_conditions_that_hold_or_not(file_type: str) -> None:
    for raw in (small(), small("mixtral", num_local_experts=8, num_experts_per_tok=2, sliding_window=None)):
        model = model_of(raw)
        assert model.weights
        total, device = quantised_bytes(model.weights, model.spec, file_type)
        assert 0 < device < total


# Caches.
WINDOWED = Attention(num_heads=8, num_kv_heads=4, key_dim=128, value_dim=128, window=1024)
FULL = replace(WINDOWED, window=None)
LATENT = LatentAttention(num_heads=16, latent_dim=512, rotary_dim=64, content_dim=128, value_dim=128)
LENGTHS = [(1, 256), (256, 256), (257, 512), (8000, 8192), (32768, 32768)]


@pytest.mark.parametrize(("context", "expected"), LENGTHS)
def test_a_sequence_has_whole_blocks_of_256_cells(context: int, expected: int) -> None:
    assert Cells(context=context, sequences=1, ubatch=512).full == expected


# bytes for a key or value of 512 elements
ROWS = [("float16", 1024), ("float32", 2048), ("bfloat16", 1024), ("q8_0", 16 * 34), ("q5_1", 16 * 24), ("q5_0", 16 * 22), ("q4_1", 16 * 20), ("q4_0", 16 * 18), ("iq4_nl", 16 * 18)]  # fmt: skip


@pytest.mark.parametrize(("kv_type", "row"), ROWS)
def test_a_cell_has_a_key_and_a_value(kv_type: str, row: int) -> None:
    cells = Cells(context=8192, sequences=1, ubatch=512, kv_type=kv_type)
    assert kv_bytes([Layer(kind="full_attention", mixers=(FULL,))] * 3, cells, 512) == 3 * 8192 * 2 * row


CACHES = [
    ("a window and one batch", (WINDOWED,), {}, 1536 * 2 * 1024),
    ("a longer batch", (WINDOWED,), {"ubatch": 2048}, 3072 * 2 * 1024),
    ("a window longer than the context", (WINDOWED,), {"context": 1000}, 1024 * 2 * 1024),
    ("a window llama.cpp does not know", (WINDOWED,), {"knows_windows": False}, 8192 * 2 * 1024),
    ("four sequences, each its own window", (WINDOWED,), {"sequences": 4}, 4 * 1536 * 2 * 1024),
    ("four sequences", (FULL,), {"sequences": 4, "context": 1000}, 4 * 1024 * 2 * 1024),
    ("a latent, its own value", (LATENT,), {}, 8192 * 576 * 2),
    ("an old file's latent, expanded", (Attention(num_heads=16, num_kv_heads=16, key_dim=192, value_dim=128),), {}, 8192 * 16 * 320 * 2),
    ("an indexer's key", (LATENT, IndexerKeys(key_dim=128)), {}, 8192 * (576 + 128) * 2),
    ("another layer's cache", (replace(FULL, shares_cache=True), replace(LATENT, shares_cache=True)), {}, 0),
    ("what is read of an encoder is not kept", (CrossAttention(num_heads=8, num_kv_heads=8, key_dim=64, value_dim=64),), {}, 0),
    ("values as wide as the widest without flash attention", (FULL,), {"flash_attention": False}, 8192 * (512 + 1024) * 2),
    ("heads before they are repeated", (replace(FULL, num_kv_heads=8, projected_kv_heads=4),), {}, 8192 * 2 * 1024),
]  # fmt: skip


@pytest.mark.parametrize(("mixers", "fields", "expected"), [case[1:] for case in CACHES], ids=[case[0] for case in CACHES])
def test_cache_bytes(mixers: tuple[Any, ...], fields: dict[str, Any], expected: int) -> None:
    cells = Cells(**{"context": 8192, "sequences": 1, "ubatch": 512, **fields})
    assert kv_bytes([Layer(kind="full_attention", mixers=mixers)], cells, 1024) == expected


def test_states_are_in_float32_and_lack_one_tap() -> None:
    """Qwen3-Next: 3 taps of 8,192 channels and 32 heads of 128 × 128; LFM2: 2 taps of 2,048 channels."""
    delta = RecurrentState(model_elements=4 * 8192, conv_kernel=4, float32_elements=32 * 128 * 128)
    conv = RecurrentState(float32_elements=2 * 2048)
    layers = [Layer(kind="linear_attention", mixers=(delta,)), Layer(kind="conv", mixers=(conv,))]
    assert state_bytes(layers, 3) == 3 * 4 * (3 * 8192 + 32 * 128 * 128 + 2 * 2048)


def test_a_cache_of_compressed_entries_is_refused() -> None:
    layer = Layer(kind="full_attention", mixers=(CompressedAttention(num_heads=8, head_dim=64, window=128, streams=()),))
    with pytest.raises(CannotTell, match="compressed"):
        kv_bytes([layer], Cells(context=1, sequences=1, ubatch=512), 0)


@given(st.integers(1, 200_000), st.integers(1, 8), st.booleans())
def test_a_cache_never_shrinks_with_tokens_or_sequences(context: int, sequences: int, windowed: bool) -> None:
    layers = [Layer(kind="full_attention", mixers=(WINDOWED if windowed else FULL,))]
    sizes = [
        kv_bytes(layers, Cells(context=length, sequences=count, ubatch=512), 512)
        for length, count in ((context, sequences), (context + 300, sequences), (context + 300, sequences + 1))
    ]
    assert sizes == sorted(sizes)


# Model, context, ubatch, flash attention → MiB the newest code reserves with every layer offloaded (llama-cpp-python 0.3.36).
RESERVED = [
    (LLAMA_2_7B, 4096, 512, True, 92.51), (LLAMA_2_7B, 32768, 512, False, 2160.01), (LLAMA_3_8B, 32768, 512, True, 258.50),
    (LLAMA_3_8B, 4096, 2048, False, 1200.03), (LLAMA_3_8B, 32768, 2048, True, 1034.00), (QWEN_2_32B, 4096, 512, False, 372.01),
    (QWEN_2_32B, 32768, 512, True, 307.00), (MIXTRAL, 4096, 512, True, 196.01), (MIXTRAL, 32768, 512, False, 2148.01),
    (GEMMA_3_27B, 4096, 512, True, 522.62), (GEMMA_3_27B, 32768, 512, False, 2168.01), (MISTRAL_LARGE, 32768, 512, False, 6308.01),
    (MISTRAL_LARGE, 4096, 512, True, 244.01), (GEMMA_2B, 32768, 512, False, 593.01), (PHI_3_5, 32768, 512, False, 2136.01),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "context", "ubatch", "flash", "expected"), RESERVED)
def test_the_compute_buffer_is_llama_cpps_own(
    raw: dict[str, Any], context: int, ubatch: int, flash: bool, expected: float
) -> None:
    setting = settled(model_of(raw), context=context, max_num_batched_tokens=ubatch, flash_attention=flash)
    assert shares(model_of(raw), setting)[0].buffer / MIB == pytest.approx(expected, rel=0.01)


# Model, context, ubatch, flash attention, MiB logged with every layer on one device; ids are those of the shared measurements.
LOGGED = {
    "P0307": (QWEN_2_32B, 32768, 512, True, 307.0), "P0309": (LLAMA_3_1B, 8000, 512, False, 531.63),
    "P0310": (QWEN_2_7B, 4096, 512, True, 311.0), "P0312": (LLAMA_3_8B, 2048, 512, False, 258.5),
    "P0315": (LLAMA_3_3B, 40128, 512, False, 1983.38), "P0320": (QWEN_2_1_5B, 32768, 256, True, 149.88),
    "P0330": (GEMMA_2B, 4096, 512, False, 504.25), "P0335": (LLAMA_3_70B, 15360, 512, False, 2014.0),
    "P0344": (GEMMA_3_27B, 32768, 512, True, 522.5), "P0348": (QWEN_2_1_5B, 4096, 512, False, 299.75),
    "P0352": (QWEN_2_32B, 4096, 512, False, 368.01), "P0358": (LLAMA_2_13B, 40960, 512, False, 3320.0),
    "P0370": (LLAMA_2_7B, 2048, 512, False, 164.0), "P0376": (LLAMA_2_7B, 4096, 512, False, 296.0),
    "P0389": (QWEN_2_7B, 512, 32, False, 19.0), "P0399": (PHI_3_5, 131072, 512, False, 8484.0),
    "P0405": (QWEN_2_7B, 8192, 512, False, 492.0), "P0406": (PHI_3_5, 4096, 512, False, 300.0),
}  # fmt: skip


def test_logged_compute_buffers() -> None:
    errors = {}
    for name, (raw, context, ubatch, flash, logged) in LOGGED.items():
        setting = settled(model_of(raw), context=context, max_num_batched_tokens=ubatch, flash_attention=flash)
        errors[name] = abs(shares(model_of(raw), setting)[0].buffer / MIB / logged - 1)
    assert statistics.median(errors.values()) < 0.01
    assert max(errors.values()) < 0.10, errors


def test_a_batch_longer_than_the_context_is_cut() -> None:
    model = model_of(LLAMA_3_8B)
    short = shares(model, settled(model, context=200))[0]
    assert short.buffer == 256 * (128256 + 4096) * 4
    assert short.buffer_low < short.buffer <= short.buffer_high


BLOCKS = [
    ("gated", Dense(intermediate_size=4000), 3 * 1000 + 3 * 4000),
    ("plain", Dense(intermediate_size=4000, gated=False), 3 * 1000 + 4000),
    ("experts' widths", Experts(num_experts=8, experts_per_token=2, intermediate_size=4000), 3 * 1000 + 3 * 8000),
    ("experts' outputs", Experts(num_experts=128, experts_per_token=8, intermediate_size=100), 3 * 1000 + 16 * 1000),
    ("none", None, 3 * 1000),
]


@pytest.mark.parametrize(("ffn", "elements"), [case[1:] for case in BLOCKS], ids=[case[0] for case in BLOCKS])
def test_a_block_in_the_graph(ffn: Dense | Experts | None, elements: int) -> None:
    cells = Cells(context=8192, sequences=1, ubatch=512)
    graph = Graph(hidden=1000, vocabulary=0, cells=cells, layers=[Layer(kind="mlp", ffn=ffn)])
    assert graph_bytes(graph, [(0, 2)])[0] == 512 * 4 * elements


def test_mixers_in_the_graph() -> None:
    cells = Cells(context=8192, sequences=1, ubatch=512)

    def alone(*mixers: Any, **fields: Any) -> int:
        layers = [Layer(kind="full_attention", mixers=mixers)]
        return graph_bytes(Graph(hidden=10, vocabulary=0, cells=cells, layers=layers, **fields), [(0, 2)])[0]

    latent = 3 * 10 + 16 * 192 + 16 * (512 + 576) + 2 * 576
    assert alone(LATENT) == 512 * 4 * latent + 512 * 8192 * 2
    assert alone(RecurrentState(model_elements=4 * 8192, conv_kernel=4)) == 512 * 4 * (3 * 10 + 4 * 8192)
    assert alone(RecurrentState(float32_elements=4)) == 512 * 4 * 30
    assert alone(IndexerKeys(key_dim=128)) == 512 * 4 * 30
    own = 2 * 10 + 2 * 8 * 128 + 2 * 4 * 128
    assert alone(WINDOWED) == 512 * 4 * own + 512 * 1536 * 2
    assert alone(FULL, WINDOWED) == 512 * 4 * own + 512 * (1536 + 8192) * 2  # a mask for each length of cache
    assert alone(FULL, is_cached=False) == 512 * 4 * own + 512 * 512 * 2


# A setting of the whole engine.
def test_phases_have_every_part_and_say_what_stays_in_host_memory() -> None:
    model = model_of(LLAMA_3_8B)
    load, serve = llama_cpp_phases(model, settled(model, context=4096, weights_dtype="q4_k_m"))
    assert [item.name for item in load.items] == ["weights", "runtime"]
    assert [item.name for item in serve.items] == ["weights", "kv_cache", "activations", "runtime"]
    assert size(serve.items[0]) / MIB == pytest.approx(4403.49, abs=0.01)
    assert "281.81 MiB of input embeddings stay in host memory" in serve.items[0].note
    assert size(serve.items[1]) == 32 * 4096 * 2 * 1024 * 2
    assert serve.total_bytes == sum(size(item) for item in serve.items)


def test_every_file_type_may_be_asked_for_in_any_case() -> None:
    model = model_of(LLAMA_3_8B)
    for name in GGUF_TYPES:
        assert settled(model, weights_dtype=name.upper()).file_type == name.upper()
    common = {"f16": "F16", "bfloat16": "BF16", "float32": "F32", "mxfp4": "MXFP4_MOE"}
    common |= {"q8": "Q8_0", "8bit": "Q8_0", "q4": "Q4_K_M", "4BIT": "Q4_K_M"}
    assert {name: settled(model, weights_dtype=name).file_type for name in common} == common
    assert [named_file_type(name) for name in ("Q4-K-M", "iq3-xxs", "tq1-0")] == ["Q4_K_M", "IQ3_XXS", "TQ1_0"]


@pytest.mark.parametrize(("name", "nearest"), [("fp8", "Q8_0"), ("int8", "Q8_0"), ("int4", "Q4_K_M"), ("nvfp4", "Q4_K_M")])
def test_a_dtype_llama_cpp_has_not_is_refused_with_the_nearest(name: str, nearest: str) -> None:
    with pytest.raises(UsageError) as raised:
        settled(model_of(LLAMA_3_8B), weights_dtype=name)
    hint = raised.value.hint or ""
    assert hint.startswith(f"{nearest} has about as many bits; one of: Q4_0, ")
    assert all(other in hint for other in ("IQ1_S", "TQ2_0", "BF16"))


def test_a_quantised_cache_needs_heads_of_whole_blocks() -> None:
    """As `llama_init_from_model` gives up: block size 32 does not divide n_embd_head_k=80."""
    phi = model_of({**LLAMA_3_8B, "head_dim": 80})
    with pytest.raises(UsageError, match="no q8_0 cache of heads 80 wide"):
        settled(phi, kv_dtype="q8_0")
    assert settled(phi).cells.kv_type == "float16"
    assert settled(model_of({**LLAMA_3_8B, "head_dim": 96}), kv_dtype="q4_0").cells.kv_type == "q4_0"
    encoder = replace(phi, spec=replace(phi.spec, writes_tokens=False))
    assert settled(encoder, kv_dtype="q8_0").cells.kv_type == "q8_0"  # keeps nothing
    latents = [Layer(kind="full_attention", mixers=(LATENT,)), Layer(kind="full_attention", mixers=(WINDOWED,))]
    assert head_widths(latents) == {512 + 64, 512, 128}


@pytest.mark.parametrize("name", ["openai/whisper-tiny", "meta-llama/Llama-3.2-11B-Vision-Instruct"])
def test_a_model_llama_cpp_has_no_architecture_for_keeps_its_weights(name: str, tmp_path: Path) -> None:
    model = api.load(str(checkpoints.write(name, tmp_path)))
    with pytest.raises(CannotTell, match=f"no architecture for {model.spec.model_type}"):
        llama_cpp_phases(model, settled(model))
    found = {item.name: item for phase in api.estimate(model, Inference(engine="llama.cpp")).phases for item in phase.items}
    assert size(found["weights"]) > 0
    assert found["kv_cache"].num_bytes is None


@pytest.mark.parametrize(("workload", "words"), [
    ({"weights_dtype": "nf4"}, "no nf4 weights"), ({"kv_dtype": "fp8"}, "float8 is not llama.cpp"),
    ({"kv_dtype": "q4_0", "flash_attention": False}, "only with flash attention"), ({"pp": 2}, "no --pp"), ({"dp": 2}, "no --dp"),
    ({"ep": True}, "no --ep"), ({"max_num_seqs": 8}, "no --max-num-seqs"), ({"enforce_eager": True}, "no --enforce-eager"),
    ({"gpu_memory_utilization": 0.9}, "no --gpu-memory-utilization"),
])  # fmt: skip
def test_what_llama_cpp_does_not_have_is_refused(workload: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        api.estimate(model_of(LLAMA_3_8B), Inference(engine="llama.cpp", **workload))


def test_other_engines_have_no_file_types() -> None:
    with pytest.raises(UsageError, match=r"Q4_K_M is llama\.cpp's"):
        api.estimate(model_of(LLAMA_3_8B), Inference(weights_dtype="Q4_K_M"))


@pytest.mark.parametrize(("raw", "dtype", "expected"), [
    (LLAMA_3_8B, "BF16", "BF16"), (LLAMA_3_8B, "F16", "F16"), (LLAMA_3_8B, "F32", "F16"), (LLAMA_3_8B, "F8_E4M3", "BF16"),
    ({**LLAMA_3_8B, "torch_dtype": None}, "F8_E4M3", "F16"),
    ({**LLAMA_3_8B, "quantization_config": {"quant_method": "mxfp4"}}, "BF16", "MXFP4_MOE"),
])  # fmt: skip
def test_weights_that_are_no_gguf_are_converted_in_their_own_dtype(raw: dict[str, Any], dtype: str, expected: str) -> None:
    assert settled(model_of(raw, {"lm_head.weight": (8, 8)}, dtype)).file_type == expected


def test_options_say_what_was_settled() -> None:
    found = settled(model_of(LLAMA_3_8B), context=1000, batch=3, kv_dtype="q8_0").options
    assert found["n_ctx"] == 3 * 1024
    assert (found["kv_dtype"], found["n_ubatch"], found["file_type"]) == ("q8_0", 512, "BF16")


def test_a_window_llama_cpp_does_not_know_keeps_everything() -> None:
    mistral = model_of(config("mistral", 512, 1024, 2, 8, 2, 4096, sliding_window=1024))
    gemma = model_of({**GEMMA_3_27B, "num_hidden_layers": 6})
    assert size(items(mistral, context=8192)["kv_cache"]) == 2 * 8192 * 2 * 128 * 2
    assert size(items(gemma, context=8192)["kv_cache"]) == (8192 + 5 * 1536) * 2 * 16 * 128 * 2


def test_layers_are_shared_out_to_devices_with_the_output_behind_them() -> None:
    """33 places over two devices: layers 0 to 16, and 17 to 31 with the output."""
    assert [device_of(index, 32, 2) for index in (0, 16, 17, 31, -1, 32)] == [0, 0, 1, 1, 1, 1]
    model = model_of(LLAMA_3_8B)
    one, first, last = (
        shares(model, settled(model, context=4096, weights_dtype="Q4_0"))[0],
        *shares(model, settled(model, context=4096, weights_dtype="Q4_0", tp=2)),
    )
    assert (first.weights or 0) + (last.weights or 0) == one.weights
    assert (first.kv, last.kv) == (one.kv * 17 // 32, one.kv * 15 // 32)
    assert first.buffer < last.buffer == one.buffer
    assert last.buffer_high > one.buffer_high  # inputs may be copied for several batches
    assert "device" in items(model, tp=2)["weights"].note


def test_two_devices_that_work_on_several_batches() -> None:
    """P0377, Llama 3 70B on two cards: inputs are copied four times and never freed."""
    model = model_of(LLAMA_3_70B)
    found = shares(model, settled(model, context=8192, flash_attention=False, tp=2))
    assert found[0].buffer_high / MIB == pytest.approx(1216.02, rel=0.01)


def test_what_a_card_has_room_for() -> None:
    model = model_of(LLAMA_3_8B)
    setting = settled(model, RTX_4090, context=8192, weights_dtype="Q4_K_M")
    found = llama_cpp_capacity(model, setting)
    budget = RTX_4090.total_bytes - 455 * MIB
    assert (found.starts, found.shortage, found.budget_bytes) == (True, "", budget)
    assert found.kv_cache_bytes == budget - shares(model, setting)[0].weights - shares(model, setting)[0].buffer  # type: ignore[operator]
    assert found.max_concurrency == pytest.approx(found.kv_cache_bytes / GIB)  # a sequence of 8,192 tokens takes 1 GiB
    longest = replace(setting, cells=replace(setting.cells, context=found.kv_cache_tokens))
    longer = replace(setting, cells=replace(setting.cells, context=found.kv_cache_tokens + 256))
    assert shares(model, longest)[0].total <= budget < shares(model, longer)[0].total


def test_a_card_too_small_does_not_start() -> None:
    model = model_of(LLAMA_3_8B)
    found = llama_cpp_capacity(model, settled(model, Card(name="4 GB", total_bytes=4 * GIB), weights_dtype="Q4_K_M"))
    assert (found.starts, found.kv_cache_bytes, found.kv_cache_tokens, found.max_concurrency) == (False, 0, 0, 0.0)
    assert "missing" in found.shortage


def test_weights_without_headers_are_the_files() -> None:
    model = replace(model_of(LLAMA_3_8B), weights=None, checkpoint=Checkpoint(format="pytorch", files_bytes=1000))
    assert items(model, tp=2)["weights"].num_bytes == 500
    with pytest.raises(CannotTell, match="no header"):
        llama_cpp_capacity(model, settled(model))
    nothing = replace(model, checkpoint=Checkpoint(format="none"))
    assert items(nothing)["weights"].num_bytes is None


def test_a_model_without_layers_is_refused() -> None:
    model = model_of(LLAMA_3_8B)
    with pytest.raises(CannotTell, match="no layers"):
        llama_cpp_phases(replace(model, spec=replace(model.spec, stacks=())), settled(model))


def test_an_encoder_keeps_nothing_and_scores_nothing() -> None:
    model = model_of(LLAMA_3_8B)
    stack = model.spec.stacks[0]
    encoder = replace(model.spec, writes_tokens=False, stacks=(Stack(role="encoder", hidden_size=4096, layers=stack.layers),))
    found = items(replace(model, spec=encoder), context=4096)
    assert found["kv_cache"].num_bytes == 0
    assert size(found["activations"]) == 512 * 4 * (3 * 4096 + 3 * 14336) + 512 * 512 * 2
    capacity = llama_cpp_capacity(replace(model, spec=encoder), settled(model))
    assert (capacity.max_concurrency, capacity.kv_cache_tokens) == (0.0, 0)


# GGUF files as they are.
LLAMA_FIELDS: dict[str, Any] = {
    "general.architecture": "llama", "llama.block_count": 2, "llama.embedding_length": 512, "llama.feed_forward_length": 1024,
    "llama.attention.head_count": 8, "llama.attention.head_count_kv": 2, "llama.context_length": 4096, "llama.vocab_size": 4096,
}  # fmt: skip
LLAMA_TENSORS: Tensors = {
    "token_embd.weight": ("Q4_K", [512, 4096]), "output_norm.weight": ("F32", [512]),
    **{f"blk.{index}.attn_q.weight": ("Q4_K", [512, 512]) for index in range(2)},
    **{f"blk.{index}.ffn_down.weight": ("Q6_K", [1024, 512]) for index in range(2)},
}  # fmt: skip


def load(tmp_path: Path, tensors: Tensors, projector: tuple[dict[str, Any], Tensors] | None = None) -> Model:
    files = {"m": (LLAMA_FIELDS, tensors)} | ({"mmproj-m": projector} if projector else {})
    for name, (metadata, own) in files.items():
        write_sparse(tmp_path / f"{name}.gguf", header(metadata, own))
    return api.load(str(tmp_path))


def write_sparse(path: Path, found: Sparse) -> None:
    with path.open("wb") as file:
        file.write(found.head)
        file.truncate(found.size)


OWN = 512 * 4 + 2 * q(512 * 512, "Q4_K") + 2 * q(512 * 1024, "Q6_K")


def test_a_file_as_it_is(tmp_path: Path) -> None:
    output = {**LLAMA_TENSORS, "output.weight": ("Q6_K", [512, 4096])}
    found = items(load(tmp_path, output), context=4096)
    assert size(found["weights"]) == OWN + q(EMBEDDING, "Q6_K")
    assert found["weights"].basis == "measured"
    assert size(found["kv_cache"]) == 2 * 4096 * 2 * 128 * 2


def test_a_file_without_an_output_uses_its_embedding_twice(tmp_path: Path) -> None:
    model = load(tmp_path, LLAMA_TENSORS)
    assert size(items(model)["weights"]) == OWN + q(EMBEDDING, "Q4_K")
    assert size(items(model, weights_dtype="Q8_0")["weights"]) == 512 * 4 + 2 * q(512 * 512 + 512 * 1024, "Q8_0") + q(
        EMBEDDING, "Q8_0"
    )


def test_embeddings_of_each_layer_of_a_file_stay_in_host_memory(tmp_path: Path) -> None:
    more = {**LLAMA_TENSORS, "per_layer_token_embd.weight": ("Q8_0", [512, 4096]), "output.weight": ("Q6_K", [512, 4096])}
    assert size(items(load(tmp_path, more))["weights"]) == OWN + q(EMBEDDING, "Q6_K")


def test_a_projector_is_a_model_of_its_own(tmp_path: Path) -> None:
    """SigLIP: 4,096 patches of width 1,152, a block of 4,304."""
    clip: dict[str, Any] = {"general.architecture": "clip", "clip.has_vision_encoder": True, "clip.vision.image_size": 896}
    clip |= {"clip.vision.patch_size": 14, "clip.vision.embedding_length": 1152, "clip.vision.feed_forward_length": 4304}
    clip["clip.vision.attention.head_count"] = 16
    tower: Tensors = {"v.blk.0.attn_q.weight": ("F16", [64, 64])}
    model = load(tmp_path, LLAMA_TENSORS, (clip, tower))
    found = items(model)
    assert size(found["weights"]) == OWN + q(EMBEDDING, "Q4_K")  # the tower is not among the model's
    assert size(found["projector"]) == 2 * 64 * 64 + 4096 * 4 * (3 * 1152 + 4304)
    plain = size(items(model, flash_attention=False)["projector"]) - 2 * 64 * 64
    assert plain / MIB == 1132.0  # as logged with Gemma 3 (P0350)


def test_a_tower_of_safetensors_is_kept_in_float16(tmp_path: Path) -> None:
    model = api.load(str(checkpoints.write("google/gemma-3-4b-it", tmp_path)))
    found = items(model, weights_dtype="Q4_K_M", context=4096)
    assert size(found["weights"]) / MIB == pytest.approx(2368.31, rel=0.001)  # the text model alone
    vision = model.weights.by_role["vision"] if model.weights else 0
    assert size(found["projector"]) > vision
    budget = llama_cpp_capacity(model, settled(model, RTX_4090)).budget_bytes
    assert budget == RTX_4090.total_bytes - 455 * MIB - size(found["projector"])


def test_a_tower_of_unsaid_size_has_no_buffer() -> None:
    assert buffer_bytes({"image_size": 896}, flash_attention=True) == 0


def test_states_are_an_item_of_their_own(tmp_path: Path) -> None:
    model = api.load(str(checkpoints.write("LiquidAI/LFM2-1.2B", tmp_path)))
    found = items(model, context=4096, batch=2, weights_dtype="Q6_K")
    assert size(found["recurrent_state"]) == 2 * 10 * 2 * 2048 * 4  # 0.31 MiB, as logged (P0353)
    assert size(found["kv_cache"]) == 2 * 6 * 4096 * 2 * 512 * 2
    assert size(found["weights"]) / MIB == pytest.approx(915.98, abs=0.05)


def test_a_repository_of_several_files_has_a_row_each(tmp_path: Path) -> None:
    """Sizes of the others come from the list of files; as much of them lies on the device as of the one that was read."""
    small = {"token_embd.weight": ("Q4_K", [512, 1000]), "blk.0.attn_q.weight": ("Q4_K", [512, 512])}
    large = {name: ("Q8_0", dims) for name, (_, dims) in small.items()}
    for name, tensors in (("m-Q8_0.gguf", large), ("m-Q4_K_M.gguf", small)):
        write_sparse(tmp_path / name, header(LLAMA_FIELDS, tensors))
    model = api.load(tmp_path)
    for workload in (Inference(), Inference(engine="llama.cpp")):  # transformers would unpack the file
        estimate = api.estimate(model, workload)
        assert estimate.resolved["engine"] == "llama.cpp"
        first, second = estimate.variants
        assert ("Q4_K_M" in first.name, "Q8_0" in second.name) == (True, True)
        assert first.total_bytes == pytest.approx(estimate.total_bytes, abs=4096)
        assert second.total_bytes - first.total_bytes == pytest.approx(q(512 * 1512, "Q8_0") - q(512 * 1512, "Q4_K"), rel=0.01)
    assert "\nQ8_0 " in render_text(estimate) and "| Q8\\_0 |" in render_markdown(estimate)
    assert [row["name"] for row in to_dict(estimate)["variants"]] == [first.name, second.name]
