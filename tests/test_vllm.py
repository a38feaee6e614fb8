"""vLLM: pages and groups against its own planner, a rank's weights by hand, and start-up logs against our answers."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

import measured_serving  # noqa: E402 - found by the path above
import vllm_plan  # noqa: E402

from hfmem.errors import CannotTell, UsageError  # noqa: E402
from hfmem.memory.engines.allocator import allocated_bytes  # noqa: E402
from hfmem.memory.engines.pages import Page, Paging, attention_page, indexer_bytes, state_bytes  # noqa: E402
from hfmem.memory.engines.plan import plan  # noqa: E402
from hfmem.memory.engines.profile import captured_sizes, graph_bytes  # noqa: E402
from hfmem.memory.engines.rotary import rotary_bytes  # noqa: E402
from hfmem.memory.engines.shards import Split, rank_bytes, share, stages  # noqa: E402
from hfmem.memory.engines.values import Card, Request  # noqa: E402
from hfmem.memory.engines.vllm import settle_vllm, vllm_capacity, vllm_phases  # noqa: E402
from hfmem.memory.engines.vllm_ranks import ranks  # noqa: E402
from hfmem.memory.serving import estimate_inference  # noqa: E402
from hfmem.memory.workload import Inference  # noqa: E402
from hfmem.model.kinds import Attention, IndexerKeys, RecurrentState  # noqa: E402
from hfmem.model.read import read_model  # noqa: E402
from hfmem.model.spec import Layer, ModelSpec  # noqa: E402
from hfmem.tables.engines import NEWEST, RELEASES, release_of  # noqa: E402
from hfmem.units import GIB, MIB  # noqa: E402

GOLDEN = json.loads((ROOT / "fixtures" / "vllm_plans.json").read_text())
NEW = release_of(NEWEST)
H100 = Card(name="H100 80GB", total_bytes=int(79.19 * GIB), compute_capability="9.0")
LLAMA = "meta-llama/Llama-3.1-8B-Instruct"


def pages_of(row: dict[str, Any]) -> tuple[list[Page], int]:
    """The pages a golden row is about, and the tokens of an encoder."""
    if "mixture" in row:
        return [page for page, count in vllm_plan.mixture(row["mixture"]) for _ in range(count)], 0
    path = ROOT / "fixtures" / row["model"] / "config.json"
    if not path.is_file() and not (vllm_plan.SHARED / f"{row['model']}.json").is_file():
        pytest.skip("the published configurations are not beside this checkout")
    model, pages = vllm_plan.layers_of(row["model"], row["tp"], row["kv_bits"])
    return pages, model.encoder_positions or 0


@pytest.mark.parametrize("row", GOLDEN["plans"], ids=lambda row: row.get("mixture") or f"{row['model']}-tp{row['tp']}")
def test_the_plan_is_vllms_own(row: dict[str, Any]) -> None:
    pages, encoder = pages_of(row)
    request = Request(context=row["context"], in_flight=2 * row["max_num_batched_tokens"], encoder_tokens=encoder)
    found = plan(pages, NEW)
    pool = found.pool(GOLDEN["pool_bytes"], request, NEW)
    assert pool.bytes_per_block == row["bytes_per_block"]
    assert len(found.groups) == row["num_groups"]
    assert pool.num_blocks == row["num_blocks"]
    assert pool.blocks_per_request == row["blocks_per_request"]
    assert pool.tokens == row["tokens"]
    assert pool.max_concurrency == pytest.approx(row["max_concurrency"], rel=1e-6)


def test_latents_beside_pages_that_do_not_divide_are_refused() -> None:
    pages = [Page(kind="latent", block_size=16, token_bytes=1000), Page(kind="chunk", block_size=16, token_bytes=1152, reach=64)]
    with pytest.raises(CannotTell, match="cannot share a pool"):
        plan(pages, NEW)


def test_a_window_beside_latents_is_sized_as_full_attention() -> None:
    pages = [Page(kind="latent", block_size=16, token_bytes=1000), Page(kind="window", block_size=16, token_bytes=1152, reach=64)]
    found = plan(pages, NEW)
    assert [page.kind for page in found.groups[0].pages] == ["latent", "full"]


def test_nothing_cached_is_an_empty_plan() -> None:
    found = plan([], NEW)
    assert (found.bytes_per_block, found.blocks_per_request(Request(context=8))) == (0, 0)
    assert found.pool(GIB, Request(context=8), NEW).starts


@pytest.mark.parametrize(
    ("mixer", "tp", "expected"),
    [
        (Attention(num_heads=32, num_kv_heads=8, key_dim=128, value_dim=128), 1, 8 * 256 * 2),
        (Attention(num_heads=32, num_kv_heads=8, key_dim=128, value_dim=128), 4, 2 * 256 * 2),
        (Attention(num_heads=32, num_kv_heads=8, key_dim=128, value_dim=128), 16, 1 * 256 * 2),  # copied, not halved
        (Attention(num_heads=128, num_kv_heads=128, key_dim=64, value_dim=64, projected_kv_heads=8), 1, 8 * 128 * 2),  # Falcon
    ],
)
def test_bytes_of_a_token(mixer: Attention, tp: int, expected: int) -> None:
    model = ModelSpec(model_type="llama", architecture=None, types=("llama",))
    page = attention_page(model, Layer(kind="full_attention"), mixer, Paging(kv_bits=16, model_bytes=2, tp=tp))
    assert (page.kind, page.token_bytes, page.num_bytes) == ("full", expected, 16 * expected)


def test_llama4_chunks_are_full_and_others_are_not() -> None:
    mixer = Attention(num_heads=8, num_kv_heads=8, key_dim=64, value_dim=64, window=8192)
    paging = Paging(kv_bits=16, model_bytes=2)
    for types, kind in ((("llama4",), "full"), (("another",), "chunk")):
        model = ModelSpec(model_type=types[0], architecture=None, types=types)
        assert attention_page(model, Layer(kind="chunked_attention"), mixer, paging).kind == kind


def test_an_indexer_key_has_a_byte_a_dimension_and_a_scale() -> None:
    assert indexer_bytes(IndexerKeys(key_dim=128)) == 132


def test_a_state_keeps_one_tap_less_and_copies_groups_that_do_not_divide() -> None:
    state = RecurrentState(
        model_elements=(64 + 2 * 1 * 16) * 4, float32_elements=64 * 16, conv_kernel=4, num_groups=1, group_dim=16
    )
    model = ModelSpec(model_type="mamba2", architecture=None, types=("mamba2",))
    assert state_bytes(model, state, Paging(kv_bits=16, model_bytes=2)) == (64 + 32) * 3 * 2 + 64 * 16 * 2
    # two ranks: the one group is on both, so the convolution has 64/2 + 32 channels
    assert state_bytes(model, state, Paging(kv_bits=16, model_bytes=2, tp=2)) == (32 + 32) * 3 * 2 + 32 * 16 * 2
    nemotron = ModelSpec(model_type="nemotron_h", architecture=None, types=("nemotron_h",))
    assert state_bytes(nemotron, state, Paging(kv_bits=16, model_bytes=2)) == (64 + 32) * 3 * 2 + 64 * 16 * 4


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([100], 512),
        ([MIB], MIB),
        ([259 * MIB], 260 * MIB),  # 1 MiB is left of whole 2 MiB: too little to cut off
        ([129 * MIB - 1], 130 * MIB),
        ([int(24.5 * MIB)], int(24.5 * MIB)),  # 1.5 MiB are cut off and free
        ([int(24.5 * MIB), int(1.2 * MIB) // 512 * 512], int(24.5 * MIB) + int(1.5 * MIB)),  # and then used whole
        ([5 * MIB] * 4, 20 * MIB),  # one shared segment
        ([int(9.5 * MIB)] * 2, 20 * MIB),  # the second leaves 1 MiB of it
    ],
)
def test_the_allocators_rounding(sizes: list[int], expected: int) -> None:
    assert allocated_bytes(sizes) == expected


@given(st.lists(st.integers(0, 64 * MIB), max_size=40))
def test_the_allocator_never_gives_less_and_wastes_little(sizes: list[int]) -> None:
    assert sum(sizes) <= allocated_bytes(sizes) <= sum(sizes) + len(sizes) * (MIB + 512)


@pytest.mark.parametrize(
    ("layers", "pp", "expected"),
    [
        (32, 1, [32]),
        (32, 4, [8, 8, 8, 8]),
        (61, 2, [31, 30]),
        (61, 4, [15, 15, 16, 15]),
        (62, 4, [15, 16, 16, 15]),
        (5, 3, [2, 2, 1]),
    ],
)
def test_stages(layers: int, pp: int, expected: list[int]) -> None:
    found = stages(layers, pp)
    assert [stage.end - stage.start for stage in found] == expected
    assert found[0].is_first and found[-1].is_last and found[-1].end == layers


def test_ranks_of_tensor_parallelism_add_up() -> None:
    """Two ranks hold the matrices once and the norms twice; eight key-value heads over sixteen ranks are held twice."""
    model = measured_serving.fixture(LLAMA)
    assert model.weights
    stage = stages(32, 1)[0]
    one, two, sixteen = (rank_bytes(model.weights, model.spec, Split(tp=tp), stage, None, "BF16") for tp in (1, 2, 16))
    norms = 65 * 4096 * 2
    assert one == pytest.approx(model.weights.loaded_bytes, rel=1e-4)
    assert 2 * two == pytest.approx(one + norms, rel=1e-3)  # halves of the vocabulary leave an odd MiB
    copied = 32 * 2 * 8 * 128 * 4096 * 2  # keys and values of every layer once more
    assert 16 * sixteen == pytest.approx(one + copied + 15 * norms, rel=2e-2)


def test_experts_are_cut_or_handed_out() -> None:
    model = measured_serving.fixture("Qwen/Qwen3-30B-A3B")
    experts = next(portion for portion in model.weights.portions if portion.role == "experts")  # type: ignore[union-attr]
    assert share(experts, model.spec, Split(tp=4)) == 1 / 4
    assert share(experts, model.spec, Split(tp=4, dp=2)) == 1 / 8
    assert share(experts, model.spec, Split(tp=4, expert=True)) == 32 / 128
    assert share(experts, model.spec, Split(tp=3, expert=True)) == 43 / 128  # the first ranks have one more


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"max_position_embeddings": 8192}, 8192 * 128 * 2),
        ({"rope_scaling": {"rope_type": "linear", "factor": 8.0}}, 8 * 4096 * 128 * 2),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 1024}}, 4096 * 128 * 2),
        ({"rope_scaling": {"rope_type": "longrope", "original_max_position_embeddings": 1024}}, (4096 + 1024) * 128 * 2),
        ({"rope_scaling": {"rope_type": "default", "mrope_section": [16, 24, 24]}}, 4 * 4096 * 128 * 2),
        ({"partial_rotary_factor": 0.5}, 4096 * 64 * 2),
    ],
)
def test_rotary_tables(changes: dict[str, Any], expected: int) -> None:
    config = {
        "model_type": "llama", "hidden_size": 1024, "num_attention_heads": 8, "num_hidden_layers": 2, "intermediate_size": 64,
        "vocab_size": 100, "max_position_embeddings": 4096, "rope_theta": 10000.0,
    }  # fmt: skip
    assert rotary_bytes(read_model(config | changes), 2) == expected


def test_captured_sizes_follow_the_sequences() -> None:
    assert captured_sizes(2) == [1, 2, 4]
    assert captured_sizes(16) == [1, 2, 4, 8, 16, 24, 32]
    assert len(captured_sizes(1024)) == 51 and captured_sizes(1024)[-1] == 512
    assert graph_bytes(measured_serving.fixture(LLAMA).spec, 1024, eager=True) == 0


def test_the_budget_adds_up() -> None:
    """pool = utilization × total − everything the phases list, but the context and, before 0.21, the graphs."""
    model = measured_serving.fixture(LLAMA)
    for version, graphs_count in (("0.19", False), ("0.33", True)):
        setting = settle_vllm(model, Inference(engine=f"vllm@{version}"), H100)
        held = {item.name: item.num_bytes or 0 for item in vllm_phases(model, setting)[-1].items}
        capacity = vllm_capacity(model, setting)
        assert capacity
        rest = capacity.budget_bytes - held["weights"] - held["activations"] - held["non_torch"]
        assert capacity.kv_cache_bytes == rest - (held["cuda_graphs"] if graphs_count else 0)
        assert capacity.budget_bytes == -int(-setting.card.total_bytes * (0.92 if graphs_count else 0.9) // 1)


@pytest.mark.parametrize(
    ("card", "tokens", "sequences"),
    [
        (H100, 8192, 1024),
        (Card(name="A100 80GB", total_bytes=80 * GIB), 2048, 256),
        (Card(name="RTX 4090", total_bytes=24 * GIB), 2048, 256),
        (Card(name="B200", total_bytes=179 * GIB), 16384, 1024),  # 0.28 on
        (Card(name="GB10", total_bytes=119 * GIB), 2048, 256),
    ],
)
def test_defaults_by_card(card: Card, tokens: int, sequences: int) -> None:
    setting = settle_vllm(measured_serving.fixture(LLAMA), Inference(engine="vllm"), card)
    assert (setting.tokens, setting.sequences) == (tokens, sequences)


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"tp": 3}, "--tp may be 1, 2, 4, 8, 16, 32"),
        ({"tp": 64}, "--tp may be 1, 2, 4"),
        ({"pp": 40}, "--pp up to 32"),
        ({"ep": True}, "leave --ep out"),
    ],
)
def test_illegal_splits_name_the_legal_ones(options: dict[str, Any], hint: str) -> None:
    with pytest.raises(UsageError) as found:
        estimate_inference(measured_serving.fixture(LLAMA), Inference(engine="vllm", **options), H100)
    assert found.value.code == "illegal-split" and hint in str(found.value.hint)


@pytest.mark.parametrize(
    ("name", "tp", "hint"),
    [("Qwen/Qwen3-4B-FP8", 8, "--tp may be 1, 2, 4"), ("deepseek-ai/DeepSeek-V3", 32, "--tp may be 1, 2, 4, 8, 16")],
)
def test_blocks_of_8_bits_are_not_cut(name: str, tp: int, hint: str) -> None:
    """9728 / 8 and 2048 / 32 are no multiples of 128."""
    with pytest.raises(UsageError) as found:
        estimate_inference(measured_serving.fixture(name), Inference(engine="vllm", tp=tp), H100)
    assert "within their blocks of 128" in found.value.message and hint in str(found.value.hint)


@pytest.mark.parametrize(("version", "pp", "expected"), [("0.19", 4, 8192), ("0.33", 1, 2 * 8192), ("0.33", 4, 5 * 8192)])
def test_tokens_in_flight(version: str, pp: int, expected: int) -> None:
    setting = settle_vllm(measured_serving.fixture(LLAMA), Inference(engine=f"vllm@{version}", pp=pp), H100)
    assert setting.request.in_flight == expected


def test_a_batch_is_no_longer_than_all_sequences() -> None:
    workload = Inference(engine="vllm", max_num_seqs=4, context=512)
    assert settle_vllm(measured_serving.fixture(LLAMA), workload, H100).tokens == 2048


@pytest.mark.parametrize("engine", ["vllm", "sglang", "llama.cpp"])
def test_the_weights_stay_where_layers_cannot_be_read(engine: str) -> None:
    model = measured_serving.fixture(LLAMA)
    broken = replace(model, spec=ModelSpec(model_type="", architecture=None))
    found = estimate_inference(broken, Inference(engine=engine), H100)
    assert not found.complete and found.item("weights") is not None
    assert (found.item("weights").num_bytes or 0) > 15e9  # type: ignore[union-attr]


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
@pytest.mark.parametrize(
    "name", ["openai/whisper-large-v3", "google-bert/bert-base-uncased", "google/gemma-3-4b-it", "Qwen/Qwen3-0.6B"]
)
def test_one_rank_holds_everything(name: str, engine: str) -> None:
    """Towers, encoders and tied tables: what one rank holds is what is loaded, in 16 bits, and at most a tenth of rounding and tables."""
    model = measured_serving.fixture(name)
    found = estimate_inference(model, Inference(engine=engine, context=256), H100).item("weights")
    assert model.weights and found and found.num_bytes
    held = sum(portion.elements * 2 for portion in model.weights.portions if portion.is_loaded)
    assert held <= found.num_bytes <= 1.1 * held + 64 * MIB


def test_an_encoder_deeper_than_its_decoder_is_whole() -> None:
    """distil-whisper: 32 layers of the encoder, two of the decoder."""
    model = measured_serving.fixture("openai/whisper-tiny")
    assert model.weights and model.spec.decoder
    shallow = replace(model.spec.decoder, layers=model.spec.decoder.layers[:1])
    spec = replace(model.spec, stacks=tuple(shallow if one.role == "decoder" else one for one in model.spec.stacks))
    one = rank_bytes(model.weights, spec, Split(), stages(1, 1)[0], None, "F16")
    assert one >= model.weights.loaded_bytes // 2


def test_the_worst_stage_is_named() -> None:
    """Without a sampler the first stage lacks the head; the last holds it and samples."""
    estimate = estimate_inference(measured_serving.fixture(LLAMA), Inference(engine="vllm", pp=4), H100)
    weights = estimate.item("weights")
    assert weights and "stage 4 of 4" in weights.note
    first, *_, last = ranks(
        measured_serving.fixture(LLAMA), settle_vllm(measured_serving.fixture(LLAMA), Inference(engine="vllm", pp=4), H100).frame
    )
    assert last.activations > first.activations


@given(context=st.integers(1, 131072), more=st.integers(0, 4096), batch=st.integers(1, 64))
def test_more_context_or_batch_never_takes_less(context: int, more: int, batch: int) -> None:
    model = measured_serving.fixture("google/gemma-3-4b-it")
    sizes = [
        estimate_inference(model, Inference(engine="vllm", context=length, batch=count), H100).total_bytes
        for length, count in ((context, batch), (context + more, batch), (context + more, batch + 1))
    ]
    assert sizes == sorted(sizes)


@given(total=st.integers(20 * GIB, 200 * GIB), more=st.integers(0, GIB))
def test_a_larger_card_never_holds_fewer_tokens(total: int, more: int) -> None:
    model = measured_serving.fixture(LLAMA)
    workload = Inference(engine="vllm", max_num_seqs=256, max_num_batched_tokens=2048)
    settings = [settle_vllm(model, workload, Card(name="card", total_bytes=size)) for size in (total, total + more)]
    tokens = [found.kv_cache_tokens for setting in settings if (found := vllm_capacity(model, setting))]
    assert len(tokens) == 2 and tokens == sorted(tokens)


def test_releases_are_in_order_and_the_newest_is_the_default() -> None:
    versions = [row.version for row in RELEASES]
    assert versions == sorted(set(versions)) and versions[0] == (0, 0)
    assert release_of((0, 18, 1)).version == (0, 18) and release_of(NEWEST) is RELEASES[-1]


@pytest.mark.parametrize(
    ("name", "tp", "kv_dtype", "expected"),
    [
        (LLAMA, 1, None, 2 * 32 * 8 * 128 * 2),
        (LLAMA, 4, None, 2 * 32 * 2 * 128 * 2),
        (LLAMA, 16, "fp8", 2 * 32 * 1 * 128),
        ("deepseek-ai/DeepSeek-V2-Lite", 8, None, 27 * 576 * 2),
    ],
)
def test_bytes_of_a_token_of_the_pool(name: str, tp: int, kv_dtype: str | None, expected: int) -> None:
    workload = Inference(engine="vllm", tp=tp, kv_dtype=kv_dtype)
    found = estimate_inference(measured_serving.fixture(name), workload, H100).capacity
    assert found and found.bytes_per_token == expected
