"""A Hub with many small models, so many of them with a fault, and what should become of each."""

from __future__ import annotations

import json
from typing import Any

from hub_server import Content, HubServer, Sparse, safetensors_head

HIDDEN, VOCAB = 64, 256


def model(layers: int, *, config: bytes | None = None) -> dict[str, Content]:
    """A Llama of so many layers in one file: weights are zeros that are never sent."""
    tensors: dict[str, tuple[str, tuple[int, ...], int]] = {
        "model.embed_tokens.weight": ("BF16", (VOCAB, HIDDEN), VOCAB * HIDDEN * 2)
    }
    tensors |= {"lm_head.weight": ("BF16", (VOCAB, HIDDEN), VOCAB * HIDDEN * 2)}
    tensors["model.norm.weight"] = ("BF16", (HIDDEN,), HIDDEN * 2)
    for layer in range(layers):
        for name in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"model.layers.{layer}.{name}.weight"] = ("BF16", (HIDDEN,), HIDDEN * 2)
        for name in ("q_proj", "k_proj", "v_proj", "o_proj"):
            tensors[f"model.layers.{layer}.self_attn.{name}.weight"] = ("BF16", (HIDDEN, HIDDEN), HIDDEN * HIDDEN * 2)
        for name, shape in {"gate_proj": (128, HIDDEN), "up_proj": (128, HIDDEN), "down_proj": (HIDDEN, 128)}.items():
            tensors[f"model.layers.{layer}.mlp.{name}.weight"] = ("BF16", shape, 128 * HIDDEN * 2)
    fields = {
        "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": HIDDEN, "intermediate_size": 128,
        "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 4, "vocab_size": VOCAB,
        "max_position_embeddings": 4096, "torch_dtype": "bfloat16",
    }  # fmt: skip
    return {"config.json": config or json.dumps(fields).encode(), "model.safetensors": safetensors_head(tensors)}


def cut_header(files: dict[str, Content]) -> dict[str, Content]:
    head = files["model.safetensors"]
    assert isinstance(head, Sparse)
    return {**files, "model.safetensors": Sparse(head.head[:300], 300)}


# What goes wrong with a repository, by its name, and what its row should say in the end.
FAULTS: tuple[tuple[str, str], ...] = (
    ("asks to wait", "ok"), ("503 twice", "ok"), ("reset once", "ok"), ("cut once", "ok"), ("slow", "ok"),
    ("always 500", "network"), ("web page", "network"), ("gated", "gated"), ("private", "not-found"), ("missing", "not-found"),
    ("no model", "not-found"), ("malformed config", "partial"), ("cut header", "broken"),
)  # fmt: skip


def damage(hub: HubServer, at: str, fault: str) -> None:
    """Let one repository have a fault."""
    if fault in ("gated", "private"):
        setattr(hub.repos[at], fault, True)
    elif fault == "missing":
        del hub.repos[at]
    elif fault in CONTENTS:
        hub.add(at, CONTENTS[fault])
    else:
        pattern, kind, details = REPLIES[fault]
        hub.fail(pattern.format(at), kind, **details)


INFO, CONFIG = "^/api/models/{}$", "/{}/resolve/.*config"
REPLIES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "asks to wait": (INFO, "status", {"status": 429, "headers": {"Retry-After": "1"}, "times": 1}),
    "503 twice": (INFO, "status", {"status": 503, "times": 2}),
    "always 500": (INFO, "status", {"status": 500}),
    "reset once": (CONFIG, "reset", {"times": 1}),
    "cut once": ("resolve-cache/models/{}/", "cut", {"times": 1}),
    "slow": ("resolve-cache/models/{}/", "drip", {"times": 1}),
    "web page": (CONFIG, "html", {}),
}
CONTENTS: dict[str, dict[str, Content]] = {
    "no model": {"README.md": b"nothing"},
    "malformed config": model(2, config=b'{"model_type": "llama", '),
    "cut header": cut_header(model(2)),
}


def publish(hub: HubServer, count: int, *, one_in: int = 20) -> dict[str, str]:
    """So many models, every `one_in`th with the next of the faults; id → the status its row should have."""
    expected: dict[str, str] = {}
    for number in range(count):
        repo_id = f"org/model-{number}"
        hub.add(repo_id, model(1 + number % 4))
        expected[repo_id] = "ok"
        if number % one_in == one_in - 1:
            fault, status = FAULTS[number // one_in % len(FAULTS)]
            damage(hub, repo_id, fault)
            expected[repo_id] = status
    return expected
