"""
The loss: logits in the model's dtype, in float32, and their gradients, of every token.

Bytes a token and vocabulary entry, by how transformers writes it:
    5.x and from 4.49   logits 2 + float32 4 + log-softmax 4, then gradients 4 + 4 with 4 freed: peak 12, and 4h
    4.46 to 4.48        a shifted copy more: 14, and 6h
    up to 4.45          float32 only, and a shifted copy: 12, and 6h
    fused-ce            one kernel turns logits into their gradients: 8, and 6h
    chunked             logits and their gradients in the model's dtype: 4
    fused               none; the head's gradient is held in float32 while it is summed
Source: modeling_llama.py and loss_utils.py of the versions; the slopes of measured runs at two batch sizes agree.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LossPath:
    """Bytes a token: per vocabulary entry, and per element of the hidden size."""

    vocab_bytes: int
    hidden_bytes: int


STANDARD: tuple[tuple[tuple[int, int], LossPath], ...] = (
    ((4, 49), LossPath(vocab_bytes=12, hidden_bytes=4)),
    ((4, 46), LossPath(vocab_bytes=14, hidden_bytes=6)),
    ((0, 0), LossPath(vocab_bytes=12, hidden_bytes=6)),
)
OTHER = {
    "fused-ce": LossPath(vocab_bytes=8, hidden_bytes=6),
    "chunked": LossPath(vocab_bytes=4, hidden_bytes=4),
    "fused": LossPath(vocab_bytes=0, hidden_bytes=8),
}


def loss_path(loss: str, transformers_version: tuple[int, int]) -> LossPath:
    """The row of a loss; the standard one depends on the version of transformers."""
    if loss in OTHER:
        return OTHER[loss]
    return next(path for since, path in STANDARD if transformers_version >= since)


def loss_bytes(tokens: int, vocab_size: int, hidden: int, path: LossPath) -> int:
    """tokens × (vocabulary × c + hidden × c)."""
    return tokens * (vocab_size * path.vocab_bytes + hidden * path.hidden_bytes)
