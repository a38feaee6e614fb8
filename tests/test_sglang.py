"""SGLang's pools against arithmetic written out and against start-up logs."""

import json
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import checkpoints
import pytest

from hfmem.api import load, load_source
from hfmem.errors import CannotTell, UsageError
from hfmem.memory.engines.sglang import settle_sglang, sglang_capacity, sglang_phases
from hfmem.memory.engines.sglang_defaults import chunk_size, default_fraction, graphs_of
from hfmem.memory.engines.sglang_pool import Cell
from hfmem.memory.engines.sglang_setting import SglangSetting, ranks
from hfmem.memory.engines.sglang_weights import segments
from hfmem.memory.engines.shards import Split
from hfmem.memory.engines.values import Card
from hfmem.memory.subject import Model
from hfmem.memory.workload import Inference
from hfmem.model.read import read_model
from hfmem.sources.memory import MemorySource
from hfmem.tables.engines import CONTEXT_BYTES

GIB, MIB = 2**30, 2**20
H100 = Card(name="H100", total_bytes=int(79.19 * GIB), compute_capability="9.0")
B200 = Card(name="B200", total_bytes=int(178 * GIB), compute_capability="10.0")


def dense(layers: int, hidden: int, inner: int, heads: int, kv: int, head_dim: int, **fields: Any) -> dict[str, Any]:
    own = {"model_type": "qwen3", "architectures": ["Qwen3ForCausalLM"], "vocab_size": 151936, "tie_word_embeddings": False,
           "num_hidden_layers": layers, "hidden_size": hidden, "intermediate_size": inner, "num_attention_heads": heads,
           "num_key_value_heads": kv, "head_dim": head_dim, "torch_dtype": "bfloat16", "max_position_embeddings": 32768}  # fmt: skip
    return own | fields


QWEN25_1_5B = dense(28, 1536, 8960, 12, 2, 128)
QWQ_32B = dense(64, 5120, 27648, 40, 8, 128)
QWEN3_32B = dense(64, 5120, 25600, 64, 8, 128)
LLAMA3_8B = dense(32, 4096, 14336, 32, 8, 128)
PHI3_MINI = dense(32, 3072, 8192, 32, 32, 96, model_type="llama", architectures=["LlamaForCausalLM"])
QWEN2_72B = dense(80, 8192, 29568, 64, 8, 128)
MISTRAL = dense(32, 4096, 14336, 32, 8, 128, model_type="mistral", architectures=["MistralForCausalLM"], sliding_window=4096)
GPT_OSS = dense(
    24, 2880, 2880, 64, 8, 64, model_type="gpt_oss", architectures=["GptOssForCausalLM"], num_local_experts=32,
    num_experts_per_tok=4, sliding_window=128, layer_types=["sliding_attention", "full_attention"] * 12,
)  # fmt: skip
QWEN3_CODER = dense(
    62, 6144, 8192, 96, 8, 128, model_type="qwen3_moe", architectures=["Qwen3MoeForCausalLM"], num_experts=160,
    num_experts_per_tok=8, moe_intermediate_size=2560, decoder_sparse_step=1, mlp_only_layers=[], norm_topk_prob=True,
)  # fmt: skip
DEEPSEEK = {
    "model_type": "deepseek_v3", "architectures": ["DeepseekV3ForCausalLM"], "num_hidden_layers": 61, "hidden_size": 7168,
    "intermediate_size": 18432, "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": 1,
    "num_experts_per_tok": 8, "num_attention_heads": 128, "num_key_value_heads": 128, "kv_lora_rank": 512, "q_lora_rank": 1536,
    "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 129280, "first_k_dense_replace": 3,
    "torch_dtype": "bfloat16", "max_position_embeddings": 163840, "tie_word_embeddings": False,
}  # fmt: skip
SPARSE = DEEPSEEK | {
    "model_type": "deepseek_v32", "architectures": ["DeepseekV32ForCausalLM"], "index_head_dim": 128, "index_n_heads": 64,
    "index_topk": 2048,
}  # fmt: skip
DEEPSEEK_V4 = {
    "model_type": "deepseek_v4", "architectures": ["DeepseekV4ForCausalLM"], "num_hidden_layers": 3, "hidden_size": 4096,
    "head_dim": 512, "qk_rope_head_dim": 64, "index_head_dim": 128, "num_attention_heads": 64, "num_key_value_heads": 1,
    "sliding_window": 128, "vocab_size": 129280, "torch_dtype": "bfloat16", "max_position_embeddings": 65536,
    "layer_types": ["sliding_attention", "compressed_sparse_attention", "heavily_compressed_attention"], "n_routed_experts": 8,
    "num_experts_per_tok": 2, "moe_intermediate_size": 2048, "n_shared_experts": 1,
}  # fmt: skip
QWEN35_9B = {
    "model_type": "qwen3_5", "architectures": ["Qwen3_5ForConditionalGeneration"], "torch_dtype": "bfloat16",
    "text_config": {
        "model_type": "qwen3_5_text", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 12288,
        "num_attention_heads": 16, "num_key_value_heads": 4, "head_dim": 256, "vocab_size": 248320, "full_attention_interval": 4,
        "linear_num_value_heads": 32, "linear_num_key_heads": 16, "linear_key_head_dim": 128, "linear_value_head_dim": 128,
        "linear_conv_kernel_dim": 4, "mamba_ssm_dtype": "float32", "max_position_embeddings": 262144,
    },
    "vision_config": {"model_type": "qwen3_5", "depth": 27, "hidden_size": 1152, "num_heads": 16, "intermediate_size": 4304,
                      "patch_size": 16, "spatial_merge_size": 2, "temporal_patch_size": 2, "in_channels": 3, "out_hidden_size": 4096,
                      "num_position_embeddings": 2304, "hidden_act": "gelu_pytorch_tanh"},
}  # fmt: skip
IN_HALF = json.loads(json.dumps(QWEN35_9B).replace('"float32"', '"bfloat16"'))


def built(config: dict[str, Any]) -> Model:
    return load_source(MemorySource({"config.json": json.dumps(config).encode()}))


def settled(config: dict[str, Any], card: Card | None = H100, **options: Any) -> tuple[Model, SglangSetting]:
    model = built(config)
    return model, settle_sglang(model, Inference(engine="sglang", **options), card)


def cell(config: dict[str, Any], card: Card = H100, **options: Any) -> Cell:
    model, setting = settled(config, card, **options)
    return ranks(model, setting)[0].cell


HEADS = 2 * 128 * 2  # keys and values of one head of 128, two bytes each
CELLS = [
    ("every head its own keys", PHI3_MINI, {}, 32 * 32 * (96 + 96) * 2),
    ("shared keys", LLAMA3_8B, {}, 32 * 8 * HEADS),
    ("keys over four ranks", QWQ_32B, {"tp": 4}, 64 * 2 * HEADS),
    ("more ranks than keys: copies", QWEN3_32B, {"tp": 16}, 64 * 1 * HEADS),
    ("replicas of attention share the ranks", QWEN3_CODER, {"tp": 16, "dp": 4}, 62 * 2 * HEADS),
    ("one head a rank of each replica", QWEN3_CODER, {"tp": 32, "dp": 4}, 62 * 1 * HEADS),
    ("the last stages have what is left over", LLAMA3_8B | {"num_hidden_layers": 33}, {"pp": 2}, 16 * 8 * HEADS),
    ("the first of two stages", LLAMA3_8B, {"pp": 2}, 16 * 8 * HEADS),
    ("8-bit keys", QWEN25_1_5B, {"kv_dtype": "fp8"}, 28 * 2 * 2 * 128),
    ("4-bit keys, a scale for sixteen", QWEN25_1_5B, {"kv_dtype": "fp4_e2m1"}, 28 * 2 * 2 * (64 + 8)),
    ("windows that SGLang does not use", MISTRAL, {}, 32 * 8 * HEADS),
    ("a pool for windows, 0.8 of the tokens", GPT_OSS, {}, 12 * 8 * 2 * 64 * 2 * 1.8),
    ("a latent", DEEPSEEK, {}, 61 * (512 + 64) * 2),
    ("a latent whole on every rank", DEEPSEEK, {"tp": 8}, 61 * (512 + 64) * 2),
    ("an 8-bit latent", DEEPSEEK, {"kv_dtype": "fp8"}, 61 * (512 + 64)),
    ("a latent and its indexer", SPARSE, {}, 61 * ((512 + 64) * 2 + 128 + 4)),
    ("an 8-bit sparse latent has scales", SPARSE, {"kv_dtype": "fp8"}, 61 * (512 + 16 + 128 + 132)),
    ("recurrent layers keep no keys", QWEN35_9B, {"tp": 2}, 8 * 2 * 2 * 256 * 2),
]


@pytest.mark.parametrize(("config", "options", "expected"), [case[1:] for case in CELLS], ids=[case[0] for case in CELLS])
def test_bytes_of_a_token(config: dict[str, Any], options: dict[str, Any], expected: float) -> None:
    assert cell(config, **options).num_bytes == pytest.approx(expected, rel=1e-9)


def test_sparse_latents_are_8_bits_and_raw_on_blackwell() -> None:
    assert cell(SPARSE, B200).num_bytes == 61 * (512 + 64 + 132)
    assert cell(SPARSE, B200, kv_dtype="bf16").num_bytes == 61 * ((512 + 64) * 2 + 132)


def test_deepseek_v4_has_entries_in_one_pool_and_windows_in_the_other() -> None:
    found, slot = cell(DEEPSEEK_V4), 448 + 2 * 64 + 8
    assert found.full_bytes == slot / 4 + 132 / 4 + slot / 128
    assert found.window_bytes == 3 * slot + 8 / 256 * 4 * (512 + 128) * 4
    assert (found.ratio, found.page, found.window) == (0.1, 256, 128)


def test_a_recurrent_slot_is_a_tail_and_a_state() -> None:
    tail, state = (2 * 16 * 128 + 32 * 128) // 2 * 3 * 2, 32 // 2 * 128 * 128
    assert cell(QWEN35_9B, tp=2).state_bytes == 24 * (tail + 4 * state)
    assert cell(IN_HALF, tp=2).state_bytes == 24 * (tail + 2 * state)
    assert cell(QWEN35_9B).state_slots == 5
    assert not cell(LLAMA3_8B).state_bytes


def test_groups_that_do_not_divide_are_copied() -> None:
    config = checkpoints.config("AntonV/mamba2-130m-hf")
    tail, state = (1536 + 2 * 2 * 128) // 2 * 3 * 2, 24 // 2 * 64 * 128 * 4
    assert cell(config, tp=2).state_bytes == 24 * (tail + state)


def test_a_layer_that_attends_to_an_encoder_is_counted_once() -> None:
    assert cell(checkpoints.config("meta-llama/Llama-3.2-11B-Vision-Instruct")).num_bytes == 40 * 8 * HEADS
    assert cell(checkpoints.config("openai/whisper-tiny")).num_bytes == 4 * 384 * 2 * 2


def test_states_take_nine_parts_of_nineteen() -> None:
    one = Cell(full_bytes=1000, state_bytes=10_000)
    assert one.states(1_900_000) == (900_000 - 10_000) // 10_000
    assert one.tokens(1_900_000) == (1_900_000 - 90 * 10_000) // 1000
    assert one.states(-1) == 0
    assert one.tokens(0) == 0


def test_windows_hold_their_share_of_the_tokens() -> None:
    one = Cell(full_bytes=100, window_bytes=50, window=128, page=4)
    assert one.tokens(1400) == 8
    assert one.request_tokens(6) == 12  # the eight tokens of its pages ÷ 0.8, in whole pages
    assert one.request_tokens(4097) == 4100
    all_windowed = Cell(full_bytes=0, window_bytes=50, window=128)
    assert (all_windowed.num_bytes, all_windowed.request_tokens(4096)) == (50, 129)


def test_tensors_share_segments_of_the_allocator() -> None:
    assert segments([MIB // 2, 512]) == 2 * MIB
    assert segments([6 * MIB, 6 * MIB, 6 * MIB]) == 20 * MIB
    assert segments([13 * MIB, 21 * MIB]) == 14 * MIB + 22 * MIB
    assert segments([10 * MIB + 512, 3 * MIB // 2]) == 12 * MIB  # the smaller one fits what is left of the larger


CHUNKS = [(14.6, 2048), (23.6, 4096), (44.5, 4096), (79.2, 8192), (139.7, 8192), (178.0, 16384)]


@pytest.mark.parametrize(("gib", "expected"), CHUNKS)
def test_chunk_by_card(gib: float, expected: int) -> None:
    assert chunk_size(int(gib * GIB)) == expected


def fraction(config: dict[str, Any], mib: int, split: Split = Split(), **options: Any) -> float:  # noqa: B008
    model, total = read_model(config), mib * MIB
    chunk = chunk_size(total)
    graphs = graphs_of(model, total, split, chunk, options.get("requests"), options.get("eager", False))
    return default_fraction(model, total, split, chunk, graphs)


SIZES = {2048: 8 + 14 + 8 + 8 + 4, 4096: 8 + 14 + 8 + 8 + 12, 8192: 8 + 14 + 8 + 8 + 12 + 8, 16384: 8 + 14 + 8 + 8 + 12 + 24}
# card in MiB, its reserve: a constant, a chunk's tokens, a rank, decode graphs, prefill graphs
FRACTIONS = [
    (15 * 1024, 512 + 1.5 * 2048 + 128 + 2 * 8 + 8 * SIZES[2048]),
    (24 * 1024, 512 + 1.5 * 4096 + 128 + 2 * 48 + 8 * SIZES[4096]),
    (48 * 1024, 512 + 1.5 * 4096 + 128 + 2 * 32 + 8 * SIZES[4096]),
    (80 * 1024, 512 + 1.5 * 8192 + 128 + 2 * 256 + 8 * SIZES[8192]),
    (180 * 1024, 512 + 1.5 * 16384 + 128 + 2 * 512 + 8 * SIZES[16384]),
]


@pytest.mark.parametrize(("mib", "reserved"), FRACTIONS)
def test_the_default_fraction_leaves_a_reserve(mib: int, reserved: float) -> None:
    assert fraction(LLAMA3_8B, mib) == round((mib - reserved) / mib, 3)


def test_what_else_is_reserved() -> None:
    mib, base = 80 * 1024, 512 + 1.5 * 8192
    wide = Split(tp=4)
    assert fraction(LLAMA3_8B, mib, wide) == round(1 - (base + 4 * 128 + 2 * 512 + 8 * SIZES[8192]) / mib, 3)
    assert fraction(DEEPSEEK, mib) == round(1 - (base + 128 + 2 * 256 + 1536) / mib, 3)
    assert fraction(LLAMA3_8B, mib, eager=True) == round(1 - (base + 128) / mib, 3)
    assert fraction(LLAMA3_8B, mib, requests=16) == round(1 - (base + 128 + 2 * 16 + 8 * SIZES[8192]) / mib, 3)
    replicas = base + 4 * 128 + 2 * 512 + 8 * SIZES[8192] + 512 * 2 * 4.5
    assert fraction(LLAMA3_8B, mib, Split(tp=2, dp=2)) == round(1 - replicas / mib, 3)
    few = base + 2 * 128 + 2 * 256 + 8 * SIZES[8192] + 256 * 2 * 3
    assert fraction(LLAMA3_8B, mib, Split(dp=2)) == round(1 - few / mib, 3)
    assert fraction(LLAMA3_8B, mib, Split(pp=2)) == round(1 - (base + 256 + 2 * 256) / mib, 3)


def test_large_cards_keep_ten_gibibytes_and_small_ones_nothing() -> None:
    graphs = graphs_of(read_model(LLAMA3_8B), 80 * GIB, Split(), 2048, None, True)
    assert default_fraction(read_model(LLAMA3_8B), 80 * GIB, Split(), 2048, graphs) == 0.875
    assert fraction(LLAMA3_8B, 2048) == 0


def test_a_tower_takes_from_the_fraction() -> None:
    mib, bare = 80 * 1024, 512 + 1.5 * 8192 + 128 + 2 * 256
    larger = 24 * 1152**2 / (24 * 1024**2)  # `depth` is not what SGLang reads, so layers are 24
    assert fraction(QWEN35_9B, mib) == round(1 - bare / mib, 3) * 0.95 * (1 - 0.1 * (larger - 1))


def card_of_free(free_gib: float, setting: SglangSetting) -> Card:
    total = int(free_gib * GIB) + CONTEXT_BYTES + setting.distributed_bytes
    return replace(setting.card, total_bytes=total)


# id, model, what was set, page, GiB free before loading, GiB of weights, fraction, tokens logged
LOGS: list[tuple[str, dict[str, Any], dict[str, Any], int, float, float, float, int]] = [
    ("P0241", PHI3_MINI, {}, 1, 94.87, 7.21, 0.88, 208_284),
    ("P0244", MISTRAL, {}, 1, 23.16, 13.57, 0.88, 55_807),
    ("P0248", QWQ_32B, {"tp": 4}, 1, 21.63, 15.54, 0.85, 46_611),
    ("P0249", DEEPSEEK, {"tp": 16}, 1, 76.97, 40.46, 0.7, 201_681),
    ("P0253", DEEPSEEK, {"tp": 8}, 1, 185.72, 81.66, 0.7, 720_206),
    ("P0256", QWEN2_72B, {"tp": 4}, 1, 21.26, 9.81, 0.6, 38_165),
    ("P0260", QWEN25_1_5B, {}, 1, 16.69, 3.25, 0.4, 126_333),
    ("P0261", QWEN25_1_5B, {}, 1, 112.26, 3.25, 0.4, 1_557_709),
    ("P0262", QWEN25_1_5B, {"kv_dtype": "fp8_e4m3"}, 1, 112.24, 3.27, 0.4, 3_113_713),
    ("P0263", QWEN25_1_5B, {"kv_dtype": "fp4_e2m1"}, 1, 112.24, 3.29, 0.4, 5_532_802),
    ("P0264", QWEN25_1_5B, {}, 1, 44.01, 3.03, 0.85, 1_287_482),
    ("P0267", QWEN3_CODER, {"tp": 16, "dp": 4}, 128, 61.12, 33.25, 0.7, 156_800),
    ("P0292", QWEN3_32B, {"tp": 8}, 128, 61.13, 8.01, 0.72, 1_172_096),
    ("P0293", QWEN3_32B, {"tp": 16}, 128, 61.13, 4.15, 0.72, 1_298_816),
    ("P0296", QWEN3_CODER, {"tp": 32, "dp": 4}, 128, 61.10, 18.24, 0.7, 822_016),
    ("P0301", IN_HALF, {"tp": 2}, 1, 61.10, 8.96, 0.8, 1_359_146),
]


@pytest.mark.parametrize("row", LOGS, ids=[row[0] for row in LOGS])
def test_tokens_of_the_logs_given_their_weights(row: tuple[Any, ...]) -> None:
    """Within 3 %: the log rounds to 0.01 GiB, and drivers take up to 1 GiB between two measurements."""
    _, config, options, page, free, weights, share, tokens = row
    found = replace(cell(config, **options), page=page)
    budget = (free - weights - free * (1 - share)) * GIB
    assert found.tokens(int(budget)) == pytest.approx(tokens, rel=0.03)


def test_states_of_a_log() -> None:
    """P0301: 39.42 GiB were left for both pools, and 1,521 slots came of them."""
    assert cell(IN_HALF, tp=2).states(int(39.42 * GIB)) == pytest.approx(1521, rel=0.003)


@cache
def fixture(name: str, directory: Path) -> Model:
    return load(checkpoints.write(name, directory / name.replace("/", "--")))


# fixture, what was set, GiB free before loading, fraction, GiB of weights, tokens
LOADED = [
    ("Qwen/Qwen2.5-1.5B", {}, 44.01, 0.85, 3.03, 1_287_482),
    ("deepseek-ai/DeepSeek-V3", {"tp": 16}, 76.97, 0.7, 40.46, 201_681),
]


@pytest.mark.parametrize("row", LOADED, ids=[row[0] for row in LOADED])
def test_weights_and_tokens_of_the_logs_from_headers(row: tuple[Any, ...], tmp_path_factory: pytest.TempPathFactory) -> None:
    name, options, free, share, weights, tokens = row
    model = fixture(name, tmp_path_factory.mktemp("sglang"))
    setting = settle_sglang(model, Inference(engine="sglang", gpu_memory_utilization=share, **options), H100)
    setting = replace(setting, card=card_of_free(free, setting))
    assert (ranks(model, setting)[0].weights or 0) / GIB == pytest.approx(weights, abs=0.05)
    found = sglang_capacity(model, setting)
    assert found.kv_cache_tokens == pytest.approx(tokens, rel=0.03)
    assert found.budget_bytes == int(setting.free_bytes * share)


def test_replicas_of_attention_cut_experts_finer_than_attention(tmp_path: Path) -> None:
    model = load(checkpoints.write("Qwen/Qwen3-30B-A3B", tmp_path / "model"))
    dense_model = load(checkpoints.write("Qwen/Qwen3-0.6B", tmp_path / "dense"))

    def weights(model: Model, **options: Any) -> int:
        return ranks(model, settle_sglang(model, Inference(engine="sglang", **options), H100))[0].weights or 0

    assert weights(model, tp=4) < weights(model, tp=4, dp=4) < weights(model, tp=1) / 3
    assert weights(dense_model, tp=2, dp=2) == weights(dense_model, tp=1)


def test_the_pool_is_what_the_fraction_leaves_of_free_memory() -> None:
    model, setting = settled(LLAMA3_8B, gpu_memory_utilization=0.5)
    found = sglang_capacity(model, setting)
    free = H100.total_bytes - CONTEXT_BYTES
    assert found.budget_bytes == int(free * 0.5)
    assert found.kv_cache_tokens == int(free * 0.5) // (32 * 8 * HEADS)  # no header was read: no weights
    assert found.kv_cache_bytes == found.kv_cache_tokens * 32 * 8 * HEADS
    assert found.max_concurrency == found.kv_cache_tokens / 8192


def test_tokens_never_shrink_with_the_card_and_the_fraction() -> None:
    def tokens(gib: int, share: float | None = None) -> int:
        card = Card(name="any", total_bytes=gib * GIB)
        model, setting = settled(QWEN35_9B, card, gpu_memory_utilization=share)
        return sglang_capacity(model, setting).kv_cache_tokens

    by_card = [tokens(gib, 0.8) for gib in range(8, 200, 12)]
    by_share = [tokens(80, share / 20) for share in range(1, 21)]
    assert all(low <= high for found in (by_card, by_share) for low, high in pairwise(found))


def test_requests_are_bounded_by_states_and_by_what_was_asked() -> None:
    model, setting = settled(QWEN35_9B)
    found, one = sglang_capacity(model, setting), ranks(model, setting)[0].cell
    budget = int(setting.free_bytes - setting.free_bytes * (1 - setting.fraction)) - 100 * MIB
    assert found.max_concurrency == one.states(budget) // 5
    assert sglang_capacity(*settled(LLAMA3_8B, max_num_seqs=2)).max_concurrency == 2
    assert sglang_capacity(*settled(QWEN3_CODER, tp=16, dp=4, max_num_seqs=8)).max_concurrency == 8


def test_a_card_without_room_does_not_start() -> None:
    model, setting = settled(LLAMA3_8B, Card(name="small", total_bytes=GIB), gpu_memory_utilization=0.2)
    found = sglang_capacity(model, setting)
    assert not found.starts
    assert "8,192 tokens" in found.shortage


def test_a_model_of_states_alone_has_no_tokens_but_requests(tmp_path: Path) -> None:
    model = load(checkpoints.write("AntonV/mamba2-130m-hf", tmp_path / "model"))
    setting = settle_sglang(model, Inference(engine="sglang"), H100)
    found = sglang_capacity(model, setting)
    assert found.kv_cache_tokens == 0
    assert found.starts


def test_phases_list_what_a_rank_holds() -> None:
    names = {item.name for item in sglang_phases(*settled(QWEN35_9B))[1].items}
    assert names == {"weights", "kv_cache", "recurrent_state", "activations", "cuda_graphs", "non_torch", "runtime"}
    model, setting = settled(LLAMA3_8B, batch=3, context=1000, enforce_eager=True)
    load_phase, serve = sglang_phases(model, setting)
    items = {item.name: item for item in serve.items}
    assert [item.name for item in load_phase.items] == ["weights", "non_torch", "runtime"]
    assert items["kv_cache"].num_bytes == 3 * 1000 * 32 * 8 * HEADS
    assert items["cuda_graphs"].num_bytes == 0
    assert items["weights"].num_bytes is None


def test_states_of_a_batch_have_slots_for_the_radix_cache() -> None:
    model, setting = settled(QWEN35_9B, batch=4)
    items = {item.name: item for item in sglang_phases(model, setting)[1].items}
    assert items["recurrent_state"].num_bytes == (4 * 5 + 1) * ranks(model, setting)[0].cell.state_bytes


def test_weights_of_files_and_of_headers(tmp_path: Path) -> None:
    model = load(checkpoints.write("Qwen/Qwen3-0.6B", tmp_path / "model"))
    found = sglang_phases(model, settle_sglang(model, Inference(engine="sglang", pp=2), None))
    assert found[0].items[0].basis == "measured"
    assert "stage" in found[0].items[0].note
    what_if = sglang_phases(model, settle_sglang(model, Inference(engine="sglang", weights_dtype="int8"), H100))
    assert what_if[0].items[0].basis == "derived"
    unread = replace(model, weights=None)
    item = sglang_phases(unread, settle_sglang(unread, Inference(engine="sglang", tp=2), H100))[0].items[0]
    assert (item.num_bytes, item.basis) == ((model.checkpoint.stored_bytes or 0) // 2, "modelled")


PAGES = [("keys", LLAMA3_8B, H100, 1), ("keys", LLAMA3_8B, B200, 64), ("sparse", SPARSE, H100, 64), ("latent", DEEPSEEK, H100, 1)]


@pytest.mark.parametrize(("config", "card", "expected"), [row[1:] for row in PAGES], ids=[f"{r[0]}-{r[2].name}" for r in PAGES])
def test_tokens_of_a_page(config: dict[str, Any], card: Card, expected: int) -> None:
    model, setting = settled(config, card)
    assert setting.options["page_size"] == expected
    assert sglang_capacity(model, setting).kv_cache_tokens % expected == 0


def test_replicas_must_divide_the_ranks() -> None:
    with pytest.raises(UsageError, match="--dp 3 does not divide --tp 4"):
        settled(QWEN3_CODER, tp=4, dp=3)


def test_a_model_without_layers_cannot_be_served() -> None:
    model, setting = settled({"model_type": "nothing_known"})
    with pytest.raises(CannotTell, match="no layers"):
        sglang_phases(model, setting)
