"""When gradients exist, what eager scores keep, and adapters on fused experts, with the arithmetic written out."""

import pytest
from test_training import model, train

from hfmem.memory.training.adapters import adapter_tensors
from hfmem.memory.training.arriving import tied_table
from hfmem.memory.training.dynamic import Dynamic
from hfmem.memory.training.matrices import Tensors, elements, tensors_of
from hfmem.memory.training.mixing import Tokens, mixer_bytes
from hfmem.memory.training.numerics import numerics_of
from hfmem.memory.training.static import static_state
from hfmem.memory.training.workload import Training
from hfmem.model.kinds import Attention
from hfmem.model.spec import Dense, Experts
from hfmem.tables.traits import LLAMA, SCORES

LAYERS, HIDDEN, BLOCK, VOCABULARY = 4, 512, 1024, 32_000
SMALL = {
    "model_type": "llama", "num_hidden_layers": LAYERS, "hidden_size": HIDDEN, "intermediate_size": BLOCK,
    "num_attention_heads": 8, "num_key_value_heads": 8, "vocab_size": VOCABULARY, "tie_word_embeddings": False,
}  # fmt: skip
TIED = {**SMALL, "tie_word_embeddings": True}
EXPERTS, RANK = 4, 8
MIXTRAL = {**SMALL, "model_type": "mixtral", "num_local_experts": EXPERTS, "num_experts_per_tok": 2}
TABLE = VOCABULARY * HIDDEN * 2


def phase(config: dict[str, object], name: str, **options: object) -> dict[str, int]:
    found = train(config, context=64, **options)
    return {item.name: item.num_bytes or 0 for part in found.phases if part.name == name for item in part.items}


def test_a_tied_table_has_two_gradients_and_their_sum() -> None:
    assert phase(TIED, "backward (embeddings)")["tied_gradients"] == 2 * TABLE
    assert "tied_gradients" not in phase(SMALL, "backward (embeddings)")
    assert phase(TIED, "backward (last layer)")["gradients"] == TABLE  # the head's use of it


def test_the_embeddings_gradient_comes_last() -> None:
    """While the first layer's attention is at work, the table's gradient is missing, and those of the matrices that read."""
    whole = phase(SMALL, "backward (embeddings)")["gradients"]
    attention_inputs = 3 * HIDDEN * HIDDEN * 2
    at_mixer = phase(SMALL, "backward (first layer)", checkpointing="full")["gradients"]
    assert at_mixer == whole - TABLE - attention_inputs


def test_accumulated_gradients_are_there_all_the_time() -> None:
    assert (
        phase(SMALL, "forward+loss", grad_accum=2)["gradients"]
        == phase(SMALL, "backward (first layer)", grad_accum=2)["gradients"]
    )


# type, bytes a head and key that eager attention keeps in 16 bits
SCORED = [("llama", 6), ("falcon", 2), ("bert", 5), ("gpt_bigcode", 7), ("gemma2", 8)]


def test_a_small_head_matrix_beside_a_tied_table_is_no_head() -> None:
    """RoBERTa's `lm_head.dense` is hidden × hidden; its scores come from the embeddings."""
    roberta = {**TIED, "model_type": "roberta", "architectures": ["RobertaForMaskedLM"]}
    dense = Tensors(module="dense", rows=HIDDEN, cols=HIDDEN, count=1, role="head", is_linear=True)
    found = static_state((*tensors_of(model(roberta).spec, None), dense), Training())
    assert tied_table(found, Dynamic(logits=1)) == TABLE
    whole = Tensors(module="lm_head", rows=VOCABULARY, cols=HIDDEN, count=1, role="head", is_linear=True)
    assert tied_table(static_state((*tensors_of(model(roberta).spec, None), whole), Training()), Dynamic(logits=1)) == 0


@pytest.mark.parametrize(("model_type", "each"), SCORED)
def test_scores_of_eager_attention(model_type: str, each: int) -> None:
    numerics = numerics_of(Training(), LLAMA._replace(scores=SCORES.get(model_type, LLAMA.scores)))
    mixer = Attention(num_heads=4, num_kv_heads=4, key_dim=16, value_dim=16)
    one, two = (mixer_bytes(mixer, numerics, Tokens(context=tokens, attention="eager")) for tokens in (1, 2))
    assert two - one == 4 * each


def test_adapters_on_fused_experts() -> None:
    """Gate and up at twice the rank as one matrix, down and the router at the rank; attention as ever."""
    workload = Training(method="lora", lora_rank=RANK)
    found = adapter_tensors(tensors_of(model(MIXTRAL).spec, None), workload)
    gate_up = EXPERTS * (2 * RANK * HIDDEN + 2 * BLOCK * 2 * RANK)
    down = EXPERTS * (RANK * BLOCK + HIDDEN * RANK)
    router, attention = RANK * (HIDDEN + EXPERTS), 4 * RANK * 2 * HIDDEN
    assert elements(found) == LAYERS * (gate_up + down + router + attention)


def test_merged_experts_are_kept_until_their_backward_pass() -> None:
    """A 16-bit copy of every expert and router, and of their adapters, for each layer; whatever the tokens."""
    few, many = (
        phase(MIXTRAL, "forward+loss", method="lora", lora_targets=targets)["activations"]
        for targets in ("o_proj", "o_proj,w1,w2,w3")
    )
    experts = EXPERTS * 3 * HIDDEN * BLOCK
    adapters = EXPERTS * (2 * RANK_DEFAULT * HIDDEN + 4 * BLOCK * RANK_DEFAULT + RANK_DEFAULT * (BLOCK + HIDDEN))
    inputs = 64 * 2 * 2 * (HIDDEN + BLOCK)  # the experts' inputs and products are kept, as where weights are trained
    assert many - few == LAYERS * (2 * (experts + adapters) + inputs)


RANK_DEFAULT = Training().lora_rank


def test_before_transformers_5_experts_were_modules() -> None:
    old = Training(method="lora", lora_rank=RANK, transformers=(4, 57))
    found = {tensor.module for tensor in adapter_tensors(tensors_of(model(MIXTRAL).spec, None), old)}
    assert "gate_proj.lora_A" in found


@pytest.mark.parametrize("shard", ["shard-grad-op", "no-reshard"])
def test_fsdps_other_strategies_compute_in_16_bits_too(shard: str) -> None:
    """Their mixed precision gathers 16-bit weights: no copies of autocast, and a 16-bit stream."""
    mixed = phase(SMALL, "forward+loss", precision="mixed", shard=shard, gpus=2)
    whole = phase(SMALL, "forward+loss", precision="mixed", shard="fsdp", gpus=2)
    assert "autocast_copies" not in mixed
    assert mixed["activations"] == whole["activations"]


def test_capped_logits_keep_their_tanh() -> None:
    plain, capped = (phase({**SMALL, "final_logit_softcapping": cap}, "forward+loss")["logits"] for cap in (None, 30.0))
    assert capped - plain == 64 * VOCABULARY * 2


DENSE_FIRST = {"model_type": "deepseek_v32", "num_hidden_layers": 6, "n_routed_experts": 8, "num_experts_per_tok": 2}


@pytest.mark.parametrize(
    ("fields", "dense"), [({}, 3), ({"first_k_dense_replace": 1}, 1), ({"mlp_layer_types": ["dense"] * 5 + ["sparse"]}, 5)]
)
def test_a_file_says_how_many_layers_are_dense(fields: dict[str, object], dense: int) -> None:
    """The class makes its list from the number; its default list is not the file's."""
    decoder = model({**DENSE_FIRST, **fields}).spec.decoder
    assert decoder and sum(isinstance(layer.ffn, Dense) for layer in decoder.layers) == dense


def test_llama_4_runs_every_token_through_every_expert() -> None:
    decoder = model(
        {"model_type": "llama4_text", "num_hidden_layers": 2, "num_local_experts": 16, "interleave_moe_layer_step": 1}
    ).spec.decoder
    assert decoder and [layer.ffn.experts_per_token for layer in decoder.layers if isinstance(layer.ffn, Experts)] == [16, 16]
