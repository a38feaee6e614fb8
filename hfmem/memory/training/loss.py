"""
The loss: logits in the model's dtype, in float32, and their gradients, of every token.

Bytes a token and vocabulary entry, by how transformers writes it; beside them is what the last norm saved, and where weights
are frozen and the peak is in the forward pass, its output (2 bytes an element of the hidden size):
    5.x and from 4.49   logits 2 + float32 4 + log-softmax 4, then gradients 4 + 4 with 4 freed: peak 12, in the backward pass
    4.46 to 4.48        a shifted copy more: 14
    up to 4.45          float32 only, and a shifted copy: 12
    bf16                logits, log-softmax and gradient in 16 bits: 6; so do encoder-decoders and masked language models
    fused-ce            one kernel turns logits into their gradients: 8; 10 where the caller kept them (4.46 to 4.48)
    own                 classes with a loss of their own until 4.52: logits, shifted, log-softmax, gradient: 8; under autocast
                        the last two in float32: 16
    chunked             logits of all chunks, and their log-softmax in float32: 6; compiled, which recomputes it, logits and
                        the gradient of one of 8 chunks: 2.25
    fused               none; hidden states and their gradient
    preferences         DPO, ORPO, GRPO gather log-probabilities: logits, log-softmax and gradient in 16 bits: 6
Capped logits (Gemma 2) keep their tanh: 2 more.
Who keeps the output object keeps the logits too: 2 more.
Source: modeling_llama.py and loss_utils.py of the versions; the slopes of measured runs at two batch sizes agree.
"""

from __future__ import annotations

from typing import NamedTuple

from hfmem.memory.training.activations import norm_bytes
from hfmem.memory.training.adapters import base_bytes
from hfmem.memory.training.numerics import Numerics
from hfmem.memory.training.workload import Training
from hfmem.tables.traits import Traits


class LossPath(NamedTuple):
    """Bytes a token: per vocabulary entry, and per element of the hidden size beyond what the last norm saved."""

    vocab_bytes: float
    hidden_bytes: int = 0


STANDARD: tuple[tuple[tuple[int, int], LossPath], ...] = (
    ((4, 49), LossPath(vocab_bytes=12)),
    ((4, 46), LossPath(vocab_bytes=14, hidden_bytes=2)),
    ((0, 0), LossPath(vocab_bytes=12, hidden_bytes=2)),
)
FUSED_CE = (
    ((4, 49), LossPath(vocab_bytes=8, hidden_bytes=2)),
    ((4, 46), LossPath(vocab_bytes=10, hidden_bytes=2)),
    ((0, 0), LossPath(vocab_bytes=8, hidden_bytes=2)),
)
OTHER = {
    "bf16": LossPath(vocab_bytes=6),
    "chunked": LossPath(vocab_bytes=6, hidden_bytes=2),
    "chunked-compile": LossPath(vocab_bytes=2.25, hidden_bytes=2),
    "fused": LossPath(vocab_bytes=0, hidden_bytes=4),
}
# Classes that wrote a loss of their own, by loss and autocast, under which cross-entropy computes in float32.
OWN_LOSS_UNTIL = (4, 52)
OWN = {
    ("standard", False): LossPath(vocab_bytes=8, hidden_bytes=6),
    ("standard", True): LossPath(vocab_bytes=16, hidden_bytes=12),
    ("fused-ce", False): LossPath(vocab_bytes=6, hidden_bytes=4),
    ("fused-ce", True): LossPath(vocab_bytes=12, hidden_bytes=8),
}
SEQUENCES = {"sft": 1, "dpo": 2, "orpo": 2, "grpo": 1}  # in one forward pass, for each sample
REFERENCES = frozenset(("dpo",))  # objectives that hold a second model where the first one is trained whole


def loss_path(workload: Training, traits: Traits) -> LossPath:
    """The row of a loss; the standard one depends on the version of transformers."""
    if workload.objective != "sft" and workload.loss == "standard":
        return OTHER["bf16"]
    if workload.loss in OTHER:
        return OTHER["chunked-compile" if (workload.loss, workload.kernels) == ("chunked", "compile") else workload.loss]
    if traits.half_loss and workload.loss == "standard" and not workload.autocasts:
        return OTHER["bf16"]
    if traits.own_loss and workload.transformers < OWN_LOSS_UNTIL:
        return OWN[workload.loss, workload.autocasts]
    rows = FUSED_CE if workload.loss == "fused-ce" else STANDARD
    return next(path for since, path in rows if workload.transformers >= since)


def loss_bytes(workload: Training, numerics: Numerics, tokens: int, vocab_size: int, hidden: int, caps: bool = False) -> int:
    """
    tokens × (vocabulary × c + hidden states); `tokens` are those of the sequences, scored are all or `logits_to_keep` of each.

    A classifier scores its labels instead of the vocabulary. `caps`: logits pass through a tanh.
    """
    path, scored = loss_path(workload, numerics.traits), tokens
    if workload.logits_to_keep is not None:
        scored = min(tokens, workload.batch * SEQUENCES[workload.objective] * workload.logits_to_keep)
    entries = vocab_size if workload.task == "causal-lm" else workload.num_labels
    each = vocab_bytes(path, workload, caps)
    kept = base_bytes(workload) if workload.keep_logits and each else 0
    return round(scored * entries * (each + kept)) + tokens * hidden_bytes(path, numerics, hidden)


def vocab_bytes(path: LossPath, workload: Training, caps: bool = False) -> float:
    """
    In float32 throughout, logits need no copy: they, their log-softmax or shifted copy, and a gradient, 4 bytes each.

    Capped logits keep their tanh.
    """
    capped = base_bytes(workload) if caps and path.vocab_bytes else 0
    if workload.is_single and path.vocab_bytes and workload.loss in ("standard", "bf16"):
        return 12 + capped
    return path.vocab_bytes + capped


def hidden_bytes(path: LossPath, numerics: Numerics, hidden: int) -> int:
    """
    What the last norm saved, and around it: its output, which a trained head has saved already.

    Embeddings that are multiplied stay as the leaf of the graph where weights are frozen.
    """
    around = max(0, path.hidden_bytes - 2) if numerics.trains else path.hidden_bytes + 2 * numerics.traits.scales_embeddings
    return norm_bytes(hidden, numerics) + around * hidden
