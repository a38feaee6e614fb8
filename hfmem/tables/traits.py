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


class Traits(NamedTuple):
    """What an eager layer saves for its backward pass depends on these."""

    norm: str = "rms"  # "rms", "gemma" (weight applied in float32) or "layer"
    norms_per_layer: int = 2
    head_norms: bool = False  # queries and keys normalised per head
    activation_tensors: int = 2  # tensors of the block's width the activation keeps: 2, python-written GELU 5
    fused_projections: bool = False  # one projection for queries, keys and values, kept whole
    hidden_dropouts: int = 0  # masks of one byte an element
    repeats_keys: bool = False  # wrote keys and values out for every head before flash attention too, until transformers 4.48
    own_loss: bool = False  # computed its loss without a float32 copy until transformers 4.52
    scores: Scores = Scores()
    float32_routing: bool = False  # experts' outputs are multiplied by weights in float32
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
    **dict.fromkeys(("deepseek_v3", "glm4_moe"), Traits(float32_routing=True)),
    **dict.fromkeys(("granite", "granitemoe"), Traits(scales_embeddings=True)),
}
