"""
Write hfmem/tables/activations.json: what layers of every model type save beyond the formulas of `memory/training`.

    python scripts/generate_activations.py [TYPE …] > hfmem/tables/activations.json

It takes half an hour, so that `scripts/check` does not run it; a test traces some types again.

Each type's real layers run on small tensors (`trace_layers.py`) under several geometries; what they save beyond the formula
is solved for whole bytes a token and element of each width. A type whose rest is no such sum gets no row.
"""

from __future__ import annotations

import gzip
import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

import torch
import transformers
from trace_layers import SETTLED, bytes_a_token

from hfmem.memory.training.activations import layer_bytes
from hfmem.memory.training.extras import WIDTHS, kind_of, widths
from hfmem.memory.training.mixing import Tokens
from hfmem.memory.training.numerics import numerics_of
from hfmem.memory.training.workload import Training
from hfmem.model.read import read_model
from hfmem.model.spec import ModelSpec
from hfmem.tables.traits import LLAMA, TRAITS

HIDDEN = ("hidden_size", "n_embd", "d_model", "dim", "embed_dim")
BLOCK = (
    "intermediate_size", "ffn_dim", "n_inner", "d_ff", "decoder_ffn_dim", "moe_intermediate_size", "ffn_hidden_size",
    "intermediate_size_mlp", "dim_ff", "hidden_dim",
)  # fmt: skip
HEADS = ("num_attention_heads", "n_head", "num_heads", "decoder_attention_heads", "n_heads", "num_key_value_heads")
KEYS = ("num_key_value_heads",)
ROUTED = ("num_experts_per_tok", "top_k_experts", "moe_topk", "num_experts_per_token")
EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
SHARED = ("n_shared_experts", "num_shared_experts", "shared_expert_intermediate_size")
# Fields multiplied together, and by what: every change is a geometry of its own.
CHANGES: tuple[tuple[tuple[str, ...], float], ...] = (
    ((), 1), (BLOCK, 2), (HEADS, 2), (HIDDEN, 2), (KEYS, 0.5), (ROUTED, 2), ((*HIDDEN, *HEADS), 2), (("head_dim",), 2),
    (("q_lora_rank",), 2), (("kv_lora_rank",), 2), (("qk_nope_head_dim",), 2), (("v_head_dim",), 2), (EXPERTS, 2), (SHARED, 2),
    ((*HIDDEN, *ROUTED), 2), ((*HEADS, "head_dim"), 2), ((*KEYS, "head_dim"), 0.5),
)  # fmt: skip
SHRINK = (((*HIDDEN, *BLOCK), 1 / 8), (HEADS, 1 / 4))
LAYERS, VOCABULARY, SECONDS = 6, 512, 15
LARGEST_REST = 512  # bytes a token of no width: more is a width that is not known
Row = tuple[dict[str, int], float, float]  # widths of a layer, bytes a token beyond the formula, and all it saves


def generate(names: list[str]) -> dict[str, Any]:
    rows = json.loads(gzip.decompress((ROOT / "fixtures" / "caches.json.gz").read_bytes()))
    known = {row["type"]: row["full"] for row in rows if row["variant"] == "default" and (not names or row["type"] in names)}
    return {name: found for name in sorted(known) if (found := extras_of(name, known[name]))}


def extras_of(name: str, config: dict[str, Any]) -> dict[str, Any]:
    """Kind of layer → what it saves beyond the formula, trained and frozen; kinds that fit no sum are left out."""
    found: dict[str, dict[str, Any]] = {}
    for trains in (True, False):
        by_kind: dict[str, list[Row]] = {}
        for change, factor in CHANGES:
            traced = list(measured(small(config), change, factor, trains))
            if not traced and not change:
                return {}  # the class does not run at all, so that no change of it will
            for kind, row in traced:
                by_kind.setdefault(kind, []).append(row)
        for kind, rows in by_kind.items():
            answer = solve(rows)
            if answer is not None:
                found.setdefault(kind, {})["trained" if trains else "frozen"] = answer
    print(name, found, file=sys.stderr, flush=True)
    return {kind: sides for kind, sides in found.items() if len(sides) == 2}


def small(config: dict[str, Any]) -> dict[str, Any]:
    """A few layers and a small vocabulary, which no layer's bytes depend on."""
    count = config.get("num_hidden_layers") or config.get("n_layer") or config.get("num_layers")
    if not isinstance(count, int) or ("layer_types" not in config and count > 12 and "block" in str(config)):
        return config
    cut = min(count, LAYERS)
    changed = {key: value[:cut] if isinstance(value, list) and len(value) == count else value for key, value in config.items()}
    for key in ("num_hidden_layers", "n_layer", "num_layers", "decoder_layers"):
        if key in changed:
            changed[key] = cut
    for names, factor in SHRINK:
        changed = scaled(changed, names, factor)
    if changed.get("first_k_dense_replace"):
        changed["first_k_dense_replace"] = 4  # so that layers of both kinds are among those counted
    return {**changed, "vocab_size": VOCABULARY, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def scaled(config: dict[str, Any], names: tuple[str, ...], factor: float) -> dict[str, Any]:
    """A configuration with some widths multiplied; one that would not stay whole stays as it is."""
    met = {key: config[key] * factor for key in names if isinstance(config.get(key), int)}
    return {**config, **{key: int(value) for key, value in met.items() if value >= 1 and value == int(value)}}


def measured(config: dict[str, Any], change: tuple[str, ...], factor: float, trains: bool) -> Iterator[tuple[str, Row]]:
    """Rows of the distinct layers of a changed configuration; nothing where the class refuses it."""
    changed = scaled(config, change, factor)
    if changed == config and change:
        return
    try:
        spec = read_model(changed)
        with time_limit(SECONDS):
            slopes = bytes_a_token(changed, spec.num_layers or 0, trains)
        yield from rows_of(spec, slopes, trains)
    except Exception as error:  # a class refuses a geometry in any way it likes; the others answer for its type
        print(f"{config['model_type']} {change[:1]}: {type(error).__name__}", file=sys.stderr)


def rows_of(spec: ModelSpec, slopes: list[float], trains: bool) -> Iterator[tuple[str, Row]]:
    traits = TRAITS.get(spec.read_as or spec.text_type or spec.model_type, LLAMA)
    looped = Training(method="full" if trains else "lora", transformers=(4, 57))  # as traced: a loop over experts
    numerics = numerics_of(looped, traits)
    hidden = spec.hidden_size or 0
    for layer, slope in zip(spec.decoder.layers[SETTLED:] if spec.decoder else (), slopes, strict=True):
        formula = layer_bytes(layer, hidden, numerics, Tokens(context=1, attention="flash")).saved
        yield kind_of(layer), (widths(layer, hidden), slope - formula, slope)


def solve(rows: list[Row]) -> dict[str, int] | None:
    """Whole bytes of every width whose sum is the rest of all rows; None where there are none."""
    if all(abs(rest) <= allowed(total) for _, rest, total in rows):
        return {}
    names = independent(rows)
    matrix = torch.tensor([[float(found.get(name, 0)) for name in names] for found, _, _ in rows], dtype=torch.float64)
    rests = torch.tensor([[rest] for _, rest, _ in rows], dtype=torch.float64)
    answer = torch.linalg.lstsq(matrix, rests).solution[:, 0].tolist()
    whole = {name: round(value) for name, value in zip(names, answer, strict=True) if round(value)}
    fits = [
        abs(sum(found.get(name, 0) * each for name, each in whole.items()) - rest) <= allowed(total)
        for found, rest, total in rows
    ]
    return whole if all(fits) and abs(whole.get("one", 0)) <= LARGEST_REST else None


def allowed(total: float) -> float:
    """Bytes a sum may miss: what a few scalars a token take, or a thousandth."""
    return max(16, total / 1000)


def independent(rows: list[Row]) -> list[str]:
    """Widths that change on their own, in the order of WIDTHS."""
    chosen: list[str] = []
    for name in WIDTHS:
        matrix = torch.tensor(
            [[float(found.get(key, 0)) for key in (*chosen, name)] for found, _, _ in rows], dtype=torch.float64
        )
        if torch.linalg.matrix_rank(matrix / matrix.abs().amax(0).clamp(min=1)) > len(chosen):
            chosen.append(name)
    return chosen


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise `TimeoutError` in code that runs too long."""
    signal.signal(signal.SIGALRM, too_long)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)


def too_long(*_: Any) -> None:
    raise TimeoutError


def written(table: dict[str, Any]) -> str:
    """A row a line, so that looking one up does not parse the others."""
    rows = [f"  {json.dumps(name)}: {json.dumps(kinds, sort_keys=True)}" for name, kinds in table.items()]
    return '{"transformers": ' + json.dumps(transformers.__version__) + ',\n"types": {\n' + ",\n".join(rows) + "\n}}\n"


if __name__ == "__main__":
    chosen = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    print(written(generate(chosen)), end="")
