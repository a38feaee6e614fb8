"""What every tool is asked about caches: configurations as repositories, and the bytes that count as right."""

from __future__ import annotations

import gzip
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import checkpoints
from bench_hub import content
from hub_repos import Content, safetensors_head
from measured_rows import ROOT

from hfmem.model.kinds import Attention, CacheDtypes, CrossAttention, Usage
from hfmem.model.read import read_model
from hfmem.model.spec import ModelSpec

CONFIG_FOLDER = ROOT.parent / "shared" / "data" / "configs"
MEASURED_IN_FLOAT32 = {"xlnet", "reformer"}
ENCODER_TOKENS = 11  # of the measurements of encoder-decoders
LONG_CONTEXT = 32768
MEASURED_TYPES = "fixtures/caches.json.gz"
Shapes = Mapping[str, Mapping[str, Sequence[int]]]  # repository → tensor → shape


@dataclass(frozen=True, kw_only=True)
class Case:
    """One question about a cache, the files to publish for it, and the answers that are right."""

    subject: str  # "defaults", "variants", "checkpoints" or "configs"
    repo: str
    files: Mapping[str, Content]
    batch: int
    tokens: int
    kv_bytes: int
    accepted: tuple[int, ...]

    @property
    def question(self) -> dict[str, Any]:
        shape = {"batch": self.batch, "tokens": self.tokens, "kv_bytes": self.kv_bytes}
        return {"id": self.repo, "repo": self.repo, "encoder_tokens": ENCODER_TOKENS, **shape}


def measured_rows() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(gzip.decompress((ROOT / MEASURED_TYPES).read_bytes()))
    return rows


def configurations() -> dict[str, Mapping[str, Any]]:
    """Repository → configuration: every measured one with every value written out, and the real ones at hand."""
    return {repo_of(row): raw_of(row) for row in measured_rows()} | real_configurations()


def repo_of(row: Mapping[str, Any]) -> str:
    subject = "defaults" if row["variant"] == "default" else "variants"
    return f"{subject}/{re.sub(r'[^a-z0-9_-]', '-', row['type'])}-{row['variant'].replace(':', '-')}"


def raw_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The measured configuration with a dtype and a class, as checkpoints have; a head_dim of null is left out, as most do."""
    raw = {key: value for key, value in row["full"].items() if key != "head_dim" or value is not None}
    return raw | {"dtype": "float32" if row["type"] in MEASURED_IN_FLOAT32 else "bfloat16", "architectures": [class_name(raw)]}


def measured_cases(shapes: Shapes) -> Iterator[Case]:
    """Every measured configuration at its last measured point."""
    for row in measured_rows():
        batch, prompt, tokens, size = row["points"][-1]
        kv_bytes = 4 if row["type"] in MEASURED_IN_FLOAT32 else 2
        usage = Usage(batch=batch, tokens=tokens, prompt_tokens=prompt, encoder_tokens=ENCODER_TOKENS)
        raw, repo = raw_of(row), repo_of(row)
        spec = read_model(raw)
        yield Case(
            subject=repo.split("/")[0],
            repo=repo,
            files=published(raw, spec, shapes.get(repo)),
            batch=batch,
            tokens=tokens,
            kv_bytes=kv_bytes,
            accepted=accepted(spec, usage, kv_bytes, size),
        )


def class_name(raw: Mapping[str, Any]) -> str:
    """A class as checkpoints name theirs; measured configurations were made without one, and hf-mem wants to see it."""
    tail = "ForConditionalGeneration" if "text_config" in raw or raw.get("is_encoder_decoder") else "ForCausalLM"
    return "".join(part.title() for part in raw["model_type"].split("_")) + tail


def published(raw: Mapping[str, Any], spec: ModelSpec, shapes: Mapping[str, Sequence[int]] | None) -> dict[str, Content]:
    """config.json and a header with the tensors that tell of caches, from which some tools read shapes."""
    found = shapes or dict(key_projections(spec))
    tensors = {name: ("BF16", tuple(shape), 2 * math.prod(shape)) for name, shape in found.items()}
    return {"config.json": json.dumps(raw).encode(), "model.safetensors": safetensors_head(tensors)}


def key_projections(spec: ModelSpec) -> Iterator[tuple[str, tuple[int, int]]]:
    """What most classes would hold, for the few that could not be built."""
    yield "lm_head.weight", (8, 8)
    for index, layer in enumerate(spec.decoder.layers if spec.decoder else ()):
        for mixer in layer.mixers:
            if isinstance(mixer, Attention):
                yield f"model.layers.{index}.self_attn.k_proj.weight", (mixer.num_kv_heads * mixer.key_dim, spec.hidden_size or 1)


def accepted(
    spec: ModelSpec, usage: Usage, kv_bytes: int, measured: int | None = None, state_bytes: int | None = None
) -> tuple[int, ...]:
    """
    The measured bytes, then what is right without recurrent states, without what was cached of an encoder, and without both.

    No peer has a word for either, so none is blamed for leaving them out. Without a measurement hfmem's own sum comes first.
    """
    dtypes = CacheDtypes(kv_bits=8 * kv_bytes, model_bytes=state_bytes or kv_bytes)
    mixers = [mixer for layer in (spec.decoder.layers if spec.decoder else ()) for mixer in layer.mixers]
    states = sum(mixer.cache_bytes(usage, dtypes) for mixer in mixers if mixer.item == "recurrent_state")
    crossed = sum(mixer.cache_bytes(usage, dtypes) for mixer in mixers if isinstance(mixer, CrossAttention))
    total = sum(mixer.cache_bytes(usage, dtypes) for mixer in mixers) if measured is None else measured
    return tuple(dict.fromkeys((total, total - states, total - crossed, total - states - crossed)))


def real_configurations() -> dict[str, Mapping[str, Any]]:
    """
    Configurations as they were published, of the measured types; none where the folder is not there.

    Left out are those whose text part is said to be another repository's, which hf-mem would read and is not at hand.
    """
    known = {row["type"] for row in measured_rows()}
    named = {path: json.loads(path.read_bytes()) for path in sorted(CONFIG_FOLDER.glob("*.json")) if path.name != "SOURCES.json"}
    return {
        f"configs/{re.sub(r'[^A-Za-z0-9._-]', '-', path.stem)}": raw
        for path, raw in named.items()
        if raw.get("model_type") in known and not (raw.get("text_config") or {}).get("_name_or_path")
    }


def config_cases(shapes: Shapes) -> Iterator[Case]:
    """The real configurations at a long context."""
    for repo, raw in real_configurations().items():
        yield from long_case("configs", repo, raw, published(raw, read_model(raw), shapes.get(repo)))


def checkpoint_cases(folder: Path) -> Iterator[Case]:
    """The bundled checkpoints, unpacked into a folder."""
    for name in checkpoints.names():
        place = checkpoints.write(name, folder / name.replace("/", "--"))
        raw = {key: value for key, value in checkpoints.config(name).items() if key != "head_dim" or value is not None}
        files = {path.name: content(path) for path in place.iterdir()} | {"config.json": json.dumps(raw).encode()}
        yield from long_case("checkpoints", name, raw, files)


def long_case(subject: str, repo: str, raw: Mapping[str, Any], files: Mapping[str, Content]) -> Iterator[Case]:
    """One sequence as long as the model allows; nothing for one that keeps no cache or is not fully read."""
    spec = read_model(raw)
    tokens = min(LONG_CONTEXT, spec.max_position_embeddings or LONG_CONTEXT)
    usage = Usage(batch=1, tokens=tokens, prompt_tokens=tokens - 1, encoder_tokens=ENCODER_TOKENS)
    sizes = tuple(dict.fromkeys(size for width in (2, 4) for size in accepted(spec, usage, 2, state_bytes=width)))
    if spec.writes_tokens and not spec.unknowns and sizes[0]:
        yield Case(subject=subject, repo=repo, files=files, batch=1, tokens=tokens, kv_bytes=2, accepted=sizes)
