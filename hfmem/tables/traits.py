"""
How an architecture's modules are built where configurations do not say: norms, blocks, per-head norms.

Read off the modules of transformers 5.23; a type without a row is built as Llama is, and its activations carry a wider range.
"""

from __future__ import annotations

from typing import NamedTuple


class Scores(NamedTuple):
    """What eager attention keeps of each score: the softmax's output, and what it makes of it."""

    half_softmax: bool = False  # computed in the model's dtype: no float32 output beside a 16-bit copy
    before: int = 0  # bytes kept from before the softmax, such as a capped score's tanh
    dropped: bool = False  # probabilities are dropped by default: a mask and the dropped copy
    forward: int = 0  # bytes of a score alive at once in the forward pass, where it is neither 10 nor 6
    broadcasts: bool = False  # keys shared by heads are not written out for each
    biased: bool = False  # a bias a head and key, whatever computes attention


class Traits(NamedTuple):
    """What an eager layer saves for its backward pass depends on these."""

    norm: str = "rms"  # "rms", "gemma" (weight applied in float32) or "layer"
    norms_per_layer: int = 2
    head_norms: bool = False  # queries and keys normalised per head
    activation_tensors: int = 2  # tensors of the block's width the activation keeps: 2, python-written GELU 5
    fused_projections: bool = False  # one projection for queries, keys and values, kept whole
    hidden_dropouts: int = 0  # masks of one byte an element
    repeats_keys: bool = False  # wrote keys and values out for every head before flash attention too, until transformers 4.48
    half_loss: bool = False  # cross-entropy over logits as they are, without a float32 copy
    own_loss: bool = False  # computed its loss without a float32 copy until transformers 4.52
    scores: Scores = Scores()
    float32_routing: bool = False  # experts' outputs are multiplied by weights in float32
    float32_rotation: int | None = None  # None: in the model's dtype; else a value of FLOAT32_ROTATION
    fuses_gate: bool = False  # one projection gives gate and up
    stream_tensors: int = 4  # embeddings, a layer's input, residual, and the normalised copy its block reads
    block_tensors: float = 0  # of the block's width, alive at once, where neither gating nor the activation says
    eager_only: bool = False  # the class refuses sdpa and computes attention eagerly
    transposed: bool = False  # matrices are stored as input × output
    scales_embeddings: bool = False  # the embeddings stay beside their scaled copy


LLAMA = Traits()
# Traced: what scripts/generate_activations.py's small layers keep of their scores with eager attention, in training mode.
SCORES: dict[str, Scores] = {
    **dict.fromkeys(
        ("falcon", "gpt_oss", "mimo_v2_flash", "bart", "bigbird_pegasus", "blenderbot", "blenderbot-small", "marian", "mbart",
         "pegasus", "whisper"),
        Scores(half_softmax=True),
    ),
    **dict.fromkeys(
        ("bert", "bert-generation", "biogpt", "camembert", "data2vec-text", "electra", "ernie", "gpt2", "gpt-sw3", "plbart",
         "roberta", "roberta-prelayernorm", "roc_bert", "xlm-roberta", "xlm-roberta-xl", "xmod"),
        Scores(half_softmax=True, dropped=True),
    ),
    **dict.fromkeys(("gpt_bigcode", "seed_oss"), Scores(dropped=True)),
    **dict.fromkeys(("gemma2", "vaultgemma", "granite_swa", "granitemoe_swa"), Scores(before=2)),
    "falcon": Scores(half_softmax=True, forward=8, broadcasts=True),
    "bloom": Scores(forward=14),  # a layer's probabilities live until the next layer has its own
    **dict.fromkeys(("t5", "mt5", "umt5"), Scores(forward=6, biased=True)),  # a bias a head and key, and two copies of it
}  # fmt: skip
_LAYER_NORM = Traits(norm="layer")
TRAITS: dict[str, Traits] = {
    **dict.fromkeys(("llama", "internlm2", "baichuan", "yi", "minicpm"), LLAMA),
    **dict.fromkeys(("mistral", "mixtral", "qwen2", "qwen2_moe"), Traits(repeats_keys=True)),
    **dict.fromkeys(("qwen3", "qwen3_moe"), Traits(head_norms=True)),
    **dict.fromkeys(("gemma", "gemma2"), Traits(norm="gemma")),
    "gemma3_text": Traits(norm="gemma", head_norms=True, norms_per_layer=4),
    "phi3": Traits(fused_projections=True, hidden_dropouts=2, repeats_keys=True),
    "gpt_neox": Traits(norm="layer", fused_projections=True),
    "opt": Traits(norm="layer", activation_tensors=1, hidden_dropouts=2),
    **dict.fromkeys(
        ("gpt2", "gpt-sw3"),
        Traits(norm="layer", activation_tensors=5, fused_projections=True, hidden_dropouts=2, transposed=True),
    ),
    "gpt_bigcode": Traits(norm="layer", hidden_dropouts=2, own_loss=True),
    "phi": Traits(norm="layer", norms_per_layer=1, activation_tensors=5, hidden_dropouts=2),
    **dict.fromkeys(
        (
            "bert",
            "roberta",
            "camembert",
            "electra",
            "xlm-roberta",
            "xlm-roberta-xl",
            "ernie",
            "data2vec-text",
            "roc_bert",
            "xmod",
        ),
        Traits(norm="layer", hidden_dropouts=2),
    ),
    "starcoder2": _LAYER_NORM,
    **dict.fromkeys(("granite", "granitemoe"), Traits(scales_embeddings=True)),
}

# Traced as SCORES are, serving a prompt.
FLOAT32_ROUTING = frozenset(
    (
        "afmoe axk1 axk2 bailing_hybrid beam deepseek_v2 deepseek_v3 deepseek_v32 dots1 exaone_moe flint glm4_moe "
        "glm4_moe_lite glm4v_moe glm_moe_dsa hunyuan_v1_moe hy_v3 hy_v4 inkling2 kimi_k25 kimi_linear kolibri1 "
        "mimo_v2_flash minimax minimax_m2 minimax_m3_vl minimax_m3_vl_text gemma4 gemma4_text mistral_large4 mixtral "
        "nemo_speechlm solar_open unlimited_ocr"
    ).split()
)
# Bytes of an element of the queries alive while they are rotated in float32, beside queries, keys and values themselves; 0: both
# queries and keys are copied first, and pairs are stacked
FLOAT32_ROTATION: dict[str, int] = {
    **dict.fromkeys(("olmo", "olmo2", "olmo3", "flex_olmo", "olmo_hybrid"), 10),
    **dict.fromkeys(("ernie4_5", "ernie4_5_moe", "ernie4_5_vl_moe"), 14),
    **dict.fromkeys(("cohere", "cohere2", "cohere2_moe", "aya_vision", "cohere2_vision"), 0),
}
FUSES_GATE = frozenset("glm glm4 glm_ocr phi3 phi4_multimodal youtu zamba2".split())
# Classes that hand logits to the loss in the dtype they have: encoder-decoders and masked language models
HALF_LOSS = frozenset(
    (
        "albert bart bert big_bird blenderbot blenderbot-small camembert cpmant data2vec-text deberta-v2 distilbert electra "
        "ernie funnel gte jina_embeddings_v3 layoutlm m2m_100 marian mbart megatron-bert mobilebert modernvbert mpnet mt5 mvp "
        "nomic_bert "
        "pegasus pegasus_x plbart qwen2_audio rembert roberta roberta-prelayernorm roc_bert roformer t5 trocr umt5 whisper "
        "xlm-roberta xlm-roberta-xl yoso"
    ).split()
)
# Only outputs are normalised: 3. GPT-2's position table, and what its attention gave, stay alive: 6.
STREAM_TENSORS = {
    **dict.fromkeys("olmo2 olmo3 exaone4 exaone4_5 flex_olmo exaone_moe".split(), 3),
    "gpt2": 6,
    "gpt-sw3": 6,
    "stablelm": 6,
}
# xIELU, and squares of a ReLU, are written in Python
BLOCK_TENSORS = {"apertus": 5.5, "nemotron": 3, "arcee": 3, "persimmon": 3}
# Classes of transformers 5.23 whose `_supports_sdpa` is False
EAGER_ONLY = frozenset(
    (
        "big_bird bigbird_pegasus blip bloom codegen cpmant deepseek_v4 flaubert flint fsmt gemma2 git got_ocr2 gpt_neo "
        "gpt_neox_japanese gpt_oss gptj granite_swa granitemoe_swa hy_v4 imagegpt inkling2 inkling2_text led longt5 "
        "megatron-bert mimo_v2_flash mpt mvp nllb-moe openai-gpt pegasus_x pp_chart2table prophetnet reformer rembert "
        "roformer speech_to_text speecht5 switch_transformers t5gemma trocr vaultgemma xglm xlm xlnet"
    ).split()
)


def traits(model_type: str) -> Traits:
    """How a type's modules are built; as Llama's, where nothing is known of it."""
    return TRAITS.get(model_type, LLAMA)._replace(
        scores=SCORES.get(model_type, Scores()),
        float32_routing=model_type in FLOAT32_ROUTING,
        float32_rotation=FLOAT32_ROTATION.get(model_type),
        fuses_gate=model_type in FUSES_GATE,
        half_loss=model_type in HALF_LOSS,
        stream_tensors=STREAM_TENSORS.get(model_type, 4),
        block_tensors=BLOCK_TENSORS.get(model_type, 0),
        eager_only=model_type in EAGER_ONLY,
    )
