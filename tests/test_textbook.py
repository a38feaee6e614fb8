"""Rules of thumb people know, with their arithmetic: what each says, and where ours differ and why."""

import pytest
from test_training import model, train

from hfmem.memory.training.activations import layer_bytes
from hfmem.memory.training.matrices import elements, tensors_of
from hfmem.memory.training.mixing import Tokens
from hfmem.memory.training.numerics import numerics_of
from hfmem.memory.training.static import static_state
from hfmem.memory.training.workload import Training
from hfmem.model.kinds import Attention
from hfmem.model.read import read_model
from hfmem.model.spec import Dense, Layer
from hfmem.tables.kernels import KERNELS
from hfmem.tables.traits import Traits

GIB = 2**30
LLAMA_8B = {
    "model_type": "llama", "num_hidden_layers": 32, "hidden_size": 4096, "intermediate_size": 14336, "num_attention_heads": 32,
    "num_key_value_heads": 8, "vocab_size": 128256, "tie_word_embeddings": False,
}  # fmt: skip

# rule, arithmetic, published figure
RULES = [
    ("16 bytes a parameter, mixed-precision AdamW: 8.0 B", 16 * 8.0e9, 128e9),
    ("Mixtral-8x22B, float32 copy: 141 B parameters", 4 * 141e9 / GIB, 525.27),
    ("Mixtral-8x22B, 16-bit gradients", 2 * 141e9 / GIB, 262.63),
    ("Mixtral-8x22B, two float32 moments", 2 * 4 * 141e9 / GIB, 1050.53),
    ("keys and values 2·b·s·L·h·2: 7B, b 64, s 2048, L 32, h 4096", 2 * 64 * 2048 * 32 * 4096 * 2, 68.7e9),
    ("inference 32·s·b·h + 4·a·s²·b: s 2048, b 1, h 4096, a 32", 32 * 2048 * 4096 + 4 * 32 * 2048**2, 805_306_368),
    ("full 16-bit fine-tuning, 8 bytes a parameter: 7 B", 8 * 7e9, 56e9),
    ("mixed precision, 16 bytes a parameter: 7 B", 16 * 7e9, 112e9),
    ("LoRA, 2 bytes a parameter of the base: 7 B", 2 * 7e9, 14e9),
    ("QLoRA, half a byte a parameter of the base: 7 B", 0.5 * 7e9, 3.5e9),
]


@pytest.mark.parametrize(("arithmetic", "published"), [row[1:] for row in RULES], ids=[row[0] for row in RULES])
def test_rules_of_thumb_are_their_arithmetic(arithmetic: float, published: float) -> None:
    assert arithmetic == pytest.approx(published, rel=5e-4)


# precision and method, the rule's bytes a parameter, ours over all parameters
PER_PARAMETER = [
    ({"precision": "bf16"}, 8, 8.0),
    ({"precision": "mixed"}, 16, 16.0),
    ({"precision": "bf16", "master_weights": True}, 16, 16.0),
    ({"method": "lora"}, 2, 2.084),  # and 16 bytes for each of 42 million adapter parameters
    ({"method": "qlora"}, 0.5, 0.794),  # and embeddings, head and norms in 16 bits, which the rule leaves out
]


@pytest.mark.parametrize(("options", "rule", "ours"), PER_PARAMETER)
def test_static_bytes_a_parameter_beside_the_rule(options: dict[str, object], rule: float, ours: float) -> None:
    tensors = tensors_of(read_model(LLAMA_8B), None)
    found = static_state(tensors, Training(**options))  # type: ignore[arg-type]
    total = found.weights + found.adapters + found.master_weights + found.optimizer + found.gradients
    assert total / elements(tensors) == pytest.approx(ours, abs=0.001)
    assert ours >= rule


def test_korthikantis_layer_is_ours_without_its_scores() -> None:
    """
    s·b·h·(34 + 5·a·s/h): 11 + 19 + 4 for attention, block and norms of a GELU layer whose block is 4h wide.

    Flash attention keeps no scores (5·a·s/h): a log-sum-exp of 4a instead, and 8 for the norms' statistics.
    """
    hidden, heads = 4096, 32
    layer = Layer(
        kind="full_attention",
        mixers=(Attention(num_heads=heads, num_kv_heads=heads, key_dim=128, value_dim=128),),
        ffn=Dense(intermediate_size=4 * hidden, gated=False),
    )
    numerics = numerics_of(Training(), Traits(norm="layer", hidden_dropouts=2))
    found = layer_bytes(layer, hidden, numerics, Tokens(context=2048, attention="flash"))
    assert found.saved == 34 * hidden + 4 * heads + 8


def test_four_times_the_parameters_says_nothing_of_the_tokens() -> None:
    """accelerate's training figure, 4 × the float32 model, is a maximum of static parts; logits alone pass it here."""
    found = train(LLAMA_8B, batch=8, context=8192, checkpointing="full", precision="bf16")
    assert found.item("logits") is not None
    assert found.totals["allocated_bytes"] > 4 * 2 * elements(tensors_of(model(LLAMA_8B).spec, None))


def test_kernels_rows_keep_no_more_than_eager() -> None:
    tokens = Tokens(context=2048, attention="flash")
    layer = read_model(LLAMA_8B).decoder.layers[0]  # type: ignore[union-attr]
    kept = {name: layer_bytes(layer, 4096, numerics_of(Training(kernels=name), Traits()), tokens).saved for name in KERNELS}
    assert kept["eager"] == 200_840  # 16h + 4q + 4kv + 8f + 4n + 8, as Llama-3.1-8B's real layers do
    assert all(size <= kept["eager"] for size in kept.values())
