"""GGUF metadata as a model: what each architecture's layers keep, in llama.cpp's way, written as its arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from gguf_builder import Tensors, gguf

from hfmem import api
from hfmem.checkpoint.gguf_values import Skipped
from hfmem.checkpoint.read import read_checkpoint
from hfmem.memory.workload import Inference
from hfmem.model.gguf import read_gguf_model
from hfmem.model.kinds import Attention, CacheDtypes, IndexerKeys, LatentAttention, RecurrentState, Usage
from hfmem.model.spec import Dense, Experts, ModelSpec
from hfmem.report import markdown as markdown_report
from hfmem.report import text as text_report
from hfmem.sources.memory import MemorySource
from hfmem.tables.gguf import CACHELESS, UNREAD, WINDOWS

F16 = CacheDtypes(kv_bits=16, model_bytes=2)


def metadata(arch: str, **fields: Any) -> dict[str, Any]:
    """`attention__head_count=8` is `{arch}.attention.head_count`."""
    return {"general.architecture": arch, **{f"{arch}.{name.replace('__', '.')}": value for name, value in fields.items()}}


def spec(arch: str, **fields: Any) -> ModelSpec:
    return read_gguf_model(metadata(arch, **fields))


def plain(arch: str, layers: int = 4, **fields: Any) -> ModelSpec:
    """A small model with the fields every architecture has."""
    common = {"block_count": layers, "embedding_length": 64, "attention__head_count": 4, "attention__head_count_kv": 2}
    return spec(arch, **{**common, "feed_forward_length": 128, **fields})


def kinds(model: ModelSpec) -> list[str]:
    return [layer.kind for layer in model.decoder.layers] if model.decoder else []


def cache(model: ModelSpec, item: str, tokens: int) -> int:
    assert model.decoder is not None
    return model.decoder.cache_bytes(item, Usage(batch=1, tokens=tokens, prompt_tokens=0), F16)


LLAMA_3_1_8B = metadata(
    "llama", block_count=32, context_length=131072, embedding_length=4096, feed_forward_length=14336, attention__head_count=32,
    attention__head_count_kv=8, rope__dimension_count=128, vocab_size=128256,
)  # fmt: skip
QWEN_2_5_7B = {
    **metadata(
        "qwen2", block_count=28, context_length=32768, embedding_length=3584, feed_forward_length=18944, attention__head_count=28,
        attention__head_count_kv=4,
    ), "tokenizer.ggml.tokens": Skipped(152064),
}  # fmt: skip
GEMMA_3_27B = metadata(
    "gemma3", block_count=62, context_length=131072, embedding_length=5376, feed_forward_length=21504, attention__head_count=32,
    attention__head_count_kv=16, attention__key_length=128, attention__value_length=128, attention__sliding_window=1024,
)  # fmt: skip
GPT_OSS_20B = metadata(
    "gpt-oss", block_count=24, context_length=131072, embedding_length=2880, feed_forward_length=2880, attention__head_count=64,
    attention__head_count_kv=8, attention__key_length=64, attention__value_length=64, attention__sliding_window=128, expert_count=32,
    expert_used_count=4, expert_feed_forward_length=2880,
)  # fmt: skip
DEEPSEEK_V2_LITE: dict[str, Any] = {
    "block_count": 27, "context_length": 163840, "embedding_length": 2048, "feed_forward_length": 10944, "attention__head_count": 16,
    "attention__kv_lora_rank": 512, "rope__dimension_count": 64, "expert_count": 64, "expert_used_count": 6, "expert_shared_count": 2,
    "expert_feed_forward_length": 1408, "leading_dense_block_count": 1, "vocab_size": 102400,
}  # fmt: skip
DEEPSEEK_OLD = metadata(
    "deepseek2", **DEEPSEEK_V2_LITE, attention__head_count_kv=16, attention__key_length=192, attention__value_length=128
)
DEEPSEEK_NEW = metadata(
    "deepseek2", **DEEPSEEK_V2_LITE, attention__head_count_kv=1, attention__key_length=576, attention__value_length=512,
    attention__key_length_mla=192, attention__value_length_mla=128,
)  # fmt: skip
MAMBA_2_8B = metadata(
    "mamba", block_count=64, context_length=1048576, embedding_length=2560, feed_forward_length=0, attention__head_count=0,
    ssm__conv_kernel=4, ssm__inner_size=5120, ssm__state_size=16, ssm__time_step_rank=160,
)  # fmt: skip
LFM2_1_2B = metadata(
    "lfm2", block_count=16, context_length=128000, embedding_length=2048, feed_forward_length=8192, attention__head_count=32,
    attention__head_count_kv=(0, 0, 8, 0, 0, 8, 0, 0, 8, 0, 8, 0, 8, 0, 8, 0), shortconv__l_cache=3, vocab_size=65536,
)  # fmt: skip
QWEN_3_30B_A3B = metadata(
    "qwen3moe", block_count=48, context_length=40960, embedding_length=2048, feed_forward_length=6144, attention__head_count=32,
    attention__head_count_kv=4, attention__key_length=128, attention__value_length=128, expert_count=128, expert_used_count=8,
    expert_feed_forward_length=768,
)  # fmt: skip
FALCON_H1 = metadata(
    "falcon-h1", block_count=24, context_length=4096, embedding_length=2048, feed_forward_length=4096, attention__head_count=8,
    attention__head_count_kv=2, attention__key_length=128, attention__value_length=128, ssm__conv_kernel=4, ssm__inner_size=3072,
    ssm__state_size=256, ssm__time_step_rank=48, ssm__group_count=1,
)  # fmt: skip
QWEN_3_NEXT = metadata(
    "qwen3next", block_count=48, context_length=262144, embedding_length=2048, attention__head_count=16, attention__head_count_kv=2,
    attention__key_length=256, attention__value_length=256, ssm__conv_kernel=4, ssm__inner_size=4096, ssm__state_size=128,
    ssm__time_step_rank=32, ssm__group_count=16, expert_count=512, expert_used_count=10, expert_feed_forward_length=512,
    expert_shared_feed_forward_length=512,
)  # fmt: skip
RWKV_6 = metadata(
    "rwkv6", block_count=24, context_length=1048576, embedding_length=2048, feed_forward_length=7168, wkv__head_size=64
)
NEMOTRON_H = metadata(
    "nemotron_h", block_count=4, context_length=8192, embedding_length=4480, feed_forward_length=(0, 15680, 0, 15680),
    attention__head_count=(0, 0, 40, 0), attention__head_count_kv=(0, 0, 8, 0), attention__key_length=128, attention__value_length=128,
    ssm__conv_kernel=4, ssm__inner_size=10240, ssm__state_size=128, ssm__group_count=8,
)  # fmt: skip
GEMMA_3N = metadata(
    "gemma3n", block_count=35, context_length=32768, embedding_length=2048, feed_forward_length=16384, attention__head_count=8,
    attention__head_count_kv=2, attention__key_length=256, attention__value_length=256, attention__sliding_window=512,
    attention__sliding_window_pattern=(True, True, True, True, False) * 7,
)  # fmt: skip
GEMMA_4 = metadata(
    "gemma4", block_count=6, context_length=131072, embedding_length=1536, feed_forward_length=6144, attention__head_count=8,
    attention__head_count_kv=(1, 1, 1, 1, 2, 2), attention__key_length=512, attention__value_length=512, attention__key_length_swa=256,
    attention__value_length_swa=256, attention__sliding_window=512, attention__shared_kv_layers=2,
    attention__sliding_window_pattern=(True, True, False, True, True, False),
)  # fmt: skip
KIMI_LINEAR = metadata(
    "kimi-linear", block_count=4, context_length=1048576, embedding_length=2304, attention__head_count=32, feed_forward_length=9216,
    attention__head_count_kv=(0, 0, 0, 1), attention__kv_lora_rank=512, attention__key_length=576, attention__value_length=512,
    attention__key_length_mla=192, attention__value_length_mla=128, ssm__conv_kernel=4, kda__head_dim=128, rope__dimension_count=64,
    expert_count=256, expert_used_count=8, expert_feed_forward_length=1024, leading_dense_block_count=1,
)  # fmt: skip
MINIMAX_01 = metadata(
    "minimax-01", block_count=8, context_length=1000000, embedding_length=6144, feed_forward_length=9216, attention__head_count=64,
    attention__head_count_kv=8, attention__key_length=128, attention__value_length=128,
)  # fmt: skip

# name, metadata, kinds of the layers, cache bytes for 10,000 tokens, bytes of states
MODELS: list[tuple[str, dict[str, Any], dict[str, int], int, int]] = [
    ("Llama 3.1 8B", LLAMA_3_1_8B, {"full_attention": 32}, 32 * 8 * (128 + 128) * 2 * 10_000, 0),
    ("Qwen 2.5 7B", QWEN_2_5_7B, {"full_attention": 28}, 28 * 4 * (128 + 128) * 2 * 10_000, 0),
    (
        "Gemma 3 27B: every sixth layer sees everything", GEMMA_3_27B, {"sliding_attention": 52, "full_attention": 10},
        16 * (128 + 128) * 2 * (10 * 10_000 + 52 * 1024), 0,
    ),
    (
        "gpt-oss 20B: every second", GPT_OSS_20B, {"sliding_attention": 12, "full_attention": 12},
        8 * (64 + 64) * 2 * (12 * 10_000 + 12 * 128), 0,
    ),
    ("DeepSeek V2 Lite, expanded", DEEPSEEK_OLD, {"full_attention": 27}, 27 * 16 * (192 + 128) * 2 * 10_000, 0),
    ("DeepSeek V2 Lite, latent", DEEPSEEK_NEW, {"full_attention": 27}, 27 * (512 + 64) * 2 * 10_000, 0),
    ("Mamba 2.8B", MAMBA_2_8B, {"linear_attention": 64}, 0, 64 * (3 * 5120 + 16 * 5120) * 4),
    ("LFM2 1.2B", LFM2_1_2B, {"conv": 10, "full_attention": 6}, 6 * 8 * (64 + 64) * 2 * 10_000, 10 * 2048 * 2 * 4),
    ("Qwen 3 30B-A3B", QWEN_3_30B_A3B, {"full_attention": 48}, 48 * 4 * (128 + 128) * 2 * 10_000, 0),
    (
        "Falcon H1: both in each layer", FALCON_H1, {"hybrid": 24}, 24 * 2 * (128 + 128) * 2 * 10_000,
        24 * (3 * (3072 + 2 * 1 * 256) + 256 * 3072) * 4,
    ),
    (
        "Qwen 3 Next: every fourth attends", QWEN_3_NEXT, {"linear_attention": 36, "full_attention": 12},
        12 * 2 * (256 + 256) * 2 * 10_000, 36 * (3 * (4096 + 2 * 16 * 128) + 128 * 4096) * 4,
    ),
    ("RWKV 6", RWKV_6, {"linear_attention": 24}, 0, 24 * (2 * 2048 + 2048 * 64) * 4),
    (
        "Nemotron H: states, blocks and attention are layers of their own", NEMOTRON_H,
        {"linear_attention": 1, "mlp": 2, "full_attention": 1}, 8 * (128 + 128) * 2 * 10_000,
        (3 * (10240 + 2 * 8 * 128) + 128 * 10240) * 4,
    ),
    (
        "Gemma 3n: layers from the 20th on share", GEMMA_3N, {"sliding_attention": 16, "full_attention": 4, "shared": 15},
        2 * (256 + 256) * 2 * (4 * 10_000 + 16 * 512), 0,
    ),
    (
        "Gemma 4: sliding layers have narrower heads, the last two share", GEMMA_4,
        {"sliding_attention": 3, "full_attention": 1, "shared": 2},
        3 * 1 * (256 + 256) * 2 * 512 + 1 * (512 + 512) * 2 * 10_000, 0,
    ),
    (
        "Kimi Linear: one latent layer in four", KIMI_LINEAR, {"linear_attention": 3, "full_attention": 1},
        (512 + 64) * 2 * 10_000, 3 * (3 * 3 * 32 * 128 + 128 * 128 * 32) * 4,
    ),
    (
        "MiniMax 01: every eighth attends", MINIMAX_01, {"linear_attention": 7, "full_attention": 1},
        8 * (128 + 128) * 2 * 10_000, 7 * 128 * 128 * 64 * 4,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "found", "kv", "states"), [row[1:] for row in MODELS], ids=[row[0] for row in MODELS])
def test_what_a_model_keeps(raw: dict[str, Any], found: dict[str, int], kv: int, states: int) -> None:
    model = read_gguf_model(raw)
    assert model.unknowns == ()
    assert Counter(kinds(model)) == found
    # a sequence that has slid, as llama.cpp's windows hold their tokens and no fresh prompt
    assert model.decoder is not None
    after = Usage(batch=1, tokens=10_000, prompt_tokens=1)
    assert model.decoder.cache_bytes("kv_cache", after, F16) == kv
    assert model.decoder.cache_bytes("recurrent_state", after, F16) == states


def test_single_facts() -> None:
    model = read_gguf_model(LLAMA_3_1_8B)
    facts = (model.model_type, model.num_layers, model.hidden_size, model.num_attention_heads, model.num_key_value_heads)
    assert facts == ("llama", 32, 4096, 32, 8)
    assert (model.head_dim, model.vocab_size, model.max_position_embeddings, model.dtype) == (128, 128256, 131072, "F16")
    assert (model.is_native, model.writes_tokens, model.quantization, model.architecture) == (True, True, None, None)
    assert model.sources["num_key_value_heads"] == "GGUF:llama.attention.head_count_kv"
    assert read_gguf_model(QWEN_2_5_7B).vocab_size == 152064
    assert read_gguf_model(LFM2_1_2B).num_key_value_heads == 8
    assert read_gguf_model(DEEPSEEK_NEW).head_dim == 192
    assert read_gguf_model(RWKV_6).head_dim is None
    assert plain("gemma2", attention__sliding_window=8, final_logit_softcapping=30.0).caps_logits


def test_latent_attention_by_its_widths() -> None:
    model = read_gguf_model(DEEPSEEK_NEW)
    assert model.decoder is not None
    assert model.decoder.layers[0].mixers == (
        LatentAttention(num_heads=16, latent_dim=512, rotary_dim=64, content_dim=128, value_dim=128),
    )


# -- blocks ------------------------------------------------------------------------------------------------------------


def blocks(raw: Mapping[str, Any]) -> list[Dense | Experts | None]:
    model = read_gguf_model(raw)
    return [layer.ffn for layer in model.decoder.layers] if model.decoder else []


def test_blocks_by_the_fields() -> None:
    assert blocks(LLAMA_3_1_8B)[0] == Dense(intermediate_size=14336)
    routed = Experts(num_experts=64, experts_per_token=6, intermediate_size=1408)
    assert blocks(DEEPSEEK_NEW) == [Dense(intermediate_size=10944), *[routed] * 26]
    assert blocks(QWEN_3_NEXT)[0] == Experts(
        num_experts=512, experts_per_token=10, intermediate_size=512, shared_intermediate_size=512
    )
    assert blocks(NEMOTRON_H) == [None, Dense(intermediate_size=15680), None, Dense(intermediate_size=15680)]
    assert blocks(MAMBA_2_8B)[0] is None


BLOCKS: dict[str, tuple[Tensors, Dense | Experts | None]] = {
    "gated": (
        {"blk.0.ffn_down.weight": ("F32", [96, 64]), "blk.0.ffn_up.weight": ("F32", [64, 96]), "blk.0.ffn_gate.weight": ("F32", [64, 96])},
        Dense(intermediate_size=96),
    ),
    "plain": ({"blk.0.ffn_down.weight": ("F32", [96, 64]), "blk.0.ffn_up.weight": ("F32", [64, 96])}, Dense(intermediate_size=96, gated=False)),
    "gate and up in one": ({"blk.0.ffn_down.weight": ("F32", [96, 64]), "blk.0.ffn_up.weight": ("F32", [64, 192])}, Dense(intermediate_size=96)),
    "experts in one tensor, and a shared one": (
        {"blk.0.ffn_down_exps.weight": ("F32", [32, 64, 8]), "blk.0.ffn_down_shexp.weight": ("F32", [16, 64])},
        Experts(num_experts=8, experts_per_token=2, intermediate_size=32, shared_intermediate_size=16),
    ),
    "experts in a tensor each": (
        {f"blk.0.ffn_down.{number}.weight": ("F32", [32, 64]) for number in range(8)},
        Experts(num_experts=8, experts_per_token=2, intermediate_size=32),
    ),
    "none": ({"blk.0.attn_q.weight": ("F32", [64, 64])}, None),
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_by_their_tensors(name: str) -> None:
    tensors, expected = BLOCKS[name]
    raw = metadata(
        "llama",
        block_count=1,
        embedding_length=64,
        attention__head_count=4,
        feed_forward_length=7,
        expert_count=8,
        expert_used_count=2,
    )
    checkpoint = read_checkpoint(MemorySource({"m.gguf": gguf(raw, tensors)}))
    model = read_gguf_model(checkpoint.metadata, checkpoint.groups)
    assert model.decoder is not None
    assert model.decoder.layers[0].ffn == expected


def test_the_vocabulary_is_the_embeddings_where_nothing_says() -> None:
    raw = metadata("llama", block_count=1, embedding_length=64, attention__head_count=4)
    checkpoint = read_checkpoint(MemorySource({"m.gguf": gguf(raw, {"token_embd.weight": ("F16", [64, 1000])})}))
    model = read_gguf_model(checkpoint.metadata, checkpoint.groups)
    assert (model.vocab_size, model.tied_embeddings) == (1000, True)
    assert read_gguf_model(raw).vocab_size is None


QUANTISED = [("Q4_K", 4), ("IQ2_XXS", 2), ("MXFP4", 4), ("NVFP4", 4), ("TQ1_0", 1), ("Q8_0", 8), ("F16", None), ("BF16", None)]


@pytest.mark.parametrize(("dtype", "bits"), QUANTISED)
def test_bits_are_those_of_most_bytes(dtype: str, bits: int | None) -> None:
    checkpoint = read_checkpoint(MemorySource({"m.gguf": gguf(LLAMA_3_1_8B, {"a": (dtype, [2560, 8]), "b": ("F32", [8])})}))
    found = read_gguf_model(checkpoint.metadata, checkpoint.groups).quantization
    assert (found.bits if found else None) == bits


# -- windows -----------------------------------------------------------------------------------------------------------

S, F = "sliding_attention", "full_attention"
SIZE = {"attention__sliding_window": 8}
# architecture, fields, kinds
PATTERNS: list[tuple[str, dict[str, Any], list[str]]] = [
    ("gemma2", {}, [S, F] * 4), ("gemma2", SIZE, [S, F] * 4), ("gemma3", {}, [F] * 8), ("gemma3", SIZE, [S] * 5 + [F] + [S] * 2),
    ("gemma3", {"attention__sliding_window": 0}, [F] * 8), ("cohere2", SIZE, [S, S, S, F] * 2), ("cohere2moe", SIZE, [F, S, S, S] * 2),
    ("olmo2", SIZE, [S, S, S, F] * 2), ("olmo2", {}, [F] * 8), ("smallthinker", SIZE, [F, S, S, S] * 2), ("smallthinker", {}, [F] * 8),
    ("exaone4", SIZE, [F] * 8), ("exaone-moe", {}, [S, S, S, F] * 2), ("plamo3", SIZE, [S] * 7 + [F]), ("gpt-oss", SIZE, [S, F] * 4),
    ("llama4", {}, ["chunked_attention"] * 3 + [F] + ["chunked_attention"] * 3 + [F]), ("llama4", {"attention__sliding_window": 0}, [F] * 8),
    ("lfm2", SIZE, [S] * 8), ("phi3", SIZE, [F] * 8), ("llama", SIZE, [F] * 8), ("qwen2", SIZE, [F] * 8),
    ("gemma3", {**SIZE, "attention__sliding_window_pattern": 2}, [S, F] * 4),
    ("mimo2", {**SIZE, "attention__sliding_window_pattern": (1, 0) * 4}, [S, F] * 4),
    ("gpt-oss", {**SIZE, "attention__sliding_window_pattern": (False, True) * 4}, [F, S] * 4),
    ("brand-new", {**SIZE, "attention__sliding_window_pattern": (True, False) * 4}, [S, F] * 4), ("brand-new", SIZE, [F] * 8),
]  # fmt: skip


@pytest.mark.parametrize(("arch", "fields", "expected"), PATTERNS)
def test_which_layers_slide(arch: str, fields: dict[str, Any], expected: list[str]) -> None:
    assert kinds(plain(arch, 8, **fields)) == expected


# architecture, fields, window of the layers that slide
SIZES: list[tuple[str, dict[str, Any], int]] = [
    ("gemma2", {}, 4096), ("gemma2", SIZE, 8), ("smallthinker", SIZE, 4096), ("llama4", {"attention__sliding_window": 5}, 8192),
    ("exaone-moe", {}, 128), ("gpt-oss", SIZE, 8),
]  # fmt: skip


@pytest.mark.parametrize(("arch", "fields", "size"), SIZES)
def test_how_wide_a_window_is(arch: str, fields: dict[str, Any], size: int) -> None:
    model = plain(arch, 8, **fields)
    assert model.decoder is not None
    mixers = (mixer for layer in model.decoder.layers for mixer in layer.mixers)
    assert {mixer.window for mixer in mixers if isinstance(mixer, Attention)} == {size, None}


def test_only_the_large_exaone_4_slides() -> None:
    assert kinds(plain("exaone4", 64)) == [S, S, S, F] * 16


@pytest.mark.parametrize("arch", [arch for arch, row in WINDOWS.items() if row.is_required])
def test_a_window_that_must_be_there_is_missed(arch: str) -> None:
    model = plain(arch, 8)
    assert [(unknown.part, unknown.code) for unknown in model.unknowns] == [("kv_cache", "missing-field")]
    assert model.decoder is None


@pytest.mark.parametrize("arch", [arch for arch, row in WINDOWS.items() if row.period is None])
def test_a_pattern_that_must_be_there_is_missed(arch: str) -> None:
    model = plain(arch, 8, **SIZE)
    assert model.unknowns[0].message.endswith(f"no {arch}.attention.sliding_window_pattern")


# -- other layers ------------------------------------------------------------------------------------------------------


def test_layers_that_recur_may_be_listed() -> None:
    fields = {"ssm__conv_kernel": 4, "ssm__inner_size": 128, "ssm__state_size": 16, "ssm__group_count": 2}
    assert kinds(plain("qwen35", 4, **fields)) == ["linear_attention"] * 3 + [F]
    assert kinds(plain("qwen35", 4, **fields, full_attention_interval=2)) == ["linear_attention", F] * 2
    listed = plain("qwen35", 4, **fields, attention__recurrent_layers=(True, False, False, True, False))
    assert kinds(listed) == ["linear_attention", F, F, "linear_attention"]


def test_layers_without_heads_keep_nothing() -> None:
    model = plain("deci", 3, attention__head_count=(4, 0, 4), attention__head_count_kv=(2, 0, 4))
    assert kinds(model) == [F, "mlp", F]
    assert (model.num_attention_heads, model.num_key_value_heads) == (4, 4)
    assert cache(model, "kv_cache", 10) == (2 + 4) * (16 + 16) * 2 * 10


def test_indexers_keep_a_key_of_their_own() -> None:
    fields: dict[str, Any] = {
        "attention__head_count_kv": 1, "attention__kv_lora_rank": 32, "attention__key_length": 40, "attention__key_length_mla": 24,
        "attention__value_length": 32, "attention__value_length_mla": 16, "attention__q_lora_rank": 48, "attention__indexer__key_length": 128,
    }  # fmt: skip
    model = plain("deepseek32", 2, **fields)
    latent = LatentAttention(num_heads=4, latent_dim=32, rotary_dim=8, content_dim=16, value_dim=16, query_latent_dim=48)
    assert model.decoder is not None
    assert [layer.mixers for layer in model.decoder.layers] == [(latent, IndexerKeys(key_dim=128))] * 2
    chosen = plain("glm-dsa", 3, **fields, attention__indexer__types=(True, False, True))
    assert chosen.decoder is not None
    assert [len(layer.mixers) for layer in chosen.decoder.layers] == [2, 1, 2]
    late = plain("minimax-m3", 3, leading_dense_block_count=1, attention__indexer__key_length=128)
    assert late.decoder is not None
    assert [len(layer.mixers) for layer in late.decoder.layers] == [1, 2, 2]


def test_a_draft_is_no_layer_of_the_decoder() -> None:
    assert plain("glm4moe", 5, nextn_predict_layers=1).num_layers == 4
    assert plain("glm4moe", 1, nextn_predict_layers=1).num_layers == 1
    fields = {"attention__head_count_kv": (2, 2, 2, 1)}
    assert cache(plain("glm4moe", 4, nextn_predict_layers=1, **fields), "kv_cache", 10) == 3 * 2 * (16 + 16) * 2 * 10


@pytest.mark.parametrize("arch", sorted(CACHELESS))
def test_encoders_and_diffusion_models_keep_no_cache(arch: str) -> None:
    model = plain(arch)
    assert (model.writes_tokens, model.unknowns, model.num_layers) == (False, (), 4)
    assert cache(model, "kv_cache", 10) == 0


# -- what cannot be read -----------------------------------------------------------------------------------------------

SSM = {"ssm__conv_kernel": 4, "ssm__inner_size": 128, "ssm__state_size": 16}
UNREADABLE: list[tuple[str, dict[str, Any], str, str, str]] = [
    ("no architecture", {}, "config", "missing-field", "general.architecture"),
    ("an architecture that is a number", {"general.architecture": 7}, "config", "missing-field", "general.architecture"),
    ("no layers", metadata("llama", embedding_length=64, attention__head_count=4), "kv_cache", "missing-field", "llama.block_count"),
    ("layers that are a word", metadata("llama", block_count="4", embedding_length=64), "kv_cache", "bad-field", "'4'"),
    ("a million layers", metadata("llama", block_count=10**6, embedding_length=64), "kv_cache", "bad-field", "10000 is the most"),
    ("no heads", metadata("llama", block_count=4, embedding_length=64), "kv_cache", "missing-field", "llama.attention.head_count"),
    ("a negative width", metadata("llama", block_count=4, embedding_length=-1, attention__head_count=4), "kv_cache", "bad-field", "'-1'"),
    (
        "a width of 2^63", metadata("llama", block_count=1, embedding_length=2**63, attention__head_count=4), "kv_cache", "bad-field",
        "9223372036854775808",
    ),
    (
        "too few entries", metadata("llama", block_count=4, embedding_length=64, attention__head_count=(4, 4)), "kv_cache", "bad-field",
        "2 entries for",
    ),
    (
        "an array that was passed over", metadata("llama", block_count=4, embedding_length=64, attention__head_count=Skipped(9000)),
        "kv_cache", "bad-field", "an array of 9,000 entries",
    ),
    (
        "heads that do not divide", metadata("llama", block_count=4, embedding_length=64, attention__head_count=4, attention__head_count_kv=3),
        "kv_cache", "bad-field", "do not divide",
    ),
    (
        "more heads than width", metadata("llama", block_count=1, embedding_length=2, attention__head_count=4), "kv_cache",
        "missing-field", "attention.key_length",
    ),
    (
        "states nobody knows the layers of", metadata("new", block_count=4, embedding_length=64, attention__head_count=4, **SSM),
        "kv_cache", "unknown-layer-kind", "which of its layers recur",
    ),
    (
        "a state without its size", metadata("mamba", block_count=4, embedding_length=64, ssm__conv_kernel=4), "kv_cache",
        "missing-field", "mamba.ssm.state_size",
    ),
    (
        "experts without a number a token", metadata("llama", block_count=1, embedding_length=64, attention__head_count=4, expert_count=8),
        "kv_cache", "missing-field", "llama.expert_used_count",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("raw", "part", "code", "words"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE])
def test_what_cannot_be_read_is_named(raw: dict[str, Any], part: str, code: str, words: str) -> None:
    model = read_gguf_model(raw)
    assert (model.unknowns[0].part, model.unknowns[0].code) == (part, code)
    assert words in model.unknowns[0].message
    assert model.decoder is None


@pytest.mark.parametrize("arch", sorted(UNREAD))
def test_caches_of_another_kind_are_unknown_and_the_weights_right(arch: str) -> None:
    raw = metadata(arch, block_count=1, embedding_length=64, attention__head_count=4)
    model = api.load_source(MemorySource({"m.gguf": gguf(raw, {"token_embd.weight": ("F16", [64, 10])})}))
    assert [(unknown.part, unknown.code) for unknown in model.spec.unknowns] == [("kv_cache", "unknown-layer-kind")]
    assert model.weights is not None
    assert model.weights.loaded_bytes == 64 * 10 * 2
    assert not api.estimate(model).complete


def test_an_unknown_architecture_is_read_by_its_fields() -> None:
    assert kinds(plain("brand-new")) == [F] * 4
    hybrid = plain("brand-new", attention__head_count_kv=(0, 2, 0, 2), **SSM)
    assert kinds(hybrid) == ["linear_attention", F] * 2
    assert hybrid.decoder is not None
    assert hybrid.decoder.layers[0].mixers == (RecurrentState(float32_elements=3 * 128 + 16 * 128),)


def test_an_estimate_of_a_gguf() -> None:
    raw = {**LLAMA_3_1_8B, "llama.block_count": 1}
    found = api.estimate(
        api.load_source(MemorySource({"m.gguf": gguf(raw, {"token_embd.weight": ("Q4_K", [4096, 8])})})), Inference(context=1000)
    )
    cached = found.item("kv_cache")
    assert cached is not None
    assert cached.num_bytes == 8 * (128 + 128) * 2 * 1024  # whole blocks of 256 cells
    assert found.phases[0].items[0].num_bytes == 8 * 16 * 144
    assert found.complete


@pytest.mark.parametrize("workload", [{"kv_dtype": "q8_0"}, {"weights_dtype": "Q8_0"}, {"weights_dtype": "q4-k-m"}])
def test_a_gguf_file_takes_llama_cpps_dtypes_without_naming_the_engine(workload: dict[str, str]) -> None:
    model = api.load_source(MemorySource({"m.gguf": gguf(LLAMA_3_1_8B, {"token_embd.weight": ("Q4_K", [4096, 8])})}))
    assert api.estimate(model, Inference(**workload)).resolved["engine"] == "llama.cpp"  # type: ignore[arg-type]


@pytest.mark.parametrize(("files", "rows", "last"), [(2, 2, None), (40, 40, None), (45, 40, "… and 5 more")])
def test_the_table_of_files_ends_where_nobody_reads_on(files: int, rows: int, last: str | None) -> None:
    one = gguf(LLAMA_3_1_8B, {"token_embd.weight": ("Q4_K", [4096, 8])})
    found = api.estimate(api.load_source(MemorySource({f"m{number}-Q4_K.gguf": one for number in range(files)})), Inference())
    text, table = list(text_report.variants(found)), list(markdown_report.variants(found))
    assert len(found.variants) == files
    assert len([line for line in text if "-Q4" in line]) == len([line for line in table if "-Q4" in line]) == rows
    assert last is None or (text[-1] == last and last in table[-1])
