"""Findings about what the files mean together: configuration, tensors, packing, vocabulary, adapter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from hfmem.checkpoint.formats import ADAPTER, DIFFUSERS, SENTENCE
from hfmem.checkpoint.json_text import MAX_CONFIG_BYTES, decode, loads, parse_object
from hfmem.checkpoint.tensors import Checkpoint
from hfmem.doctor.fetching import BESIDE
from hfmem.doctor.values import Finding, Severity, failed
from hfmem.errors import BrokenCheckpoint, ConfigError
from hfmem.model.agreement import disagreements, extra_layers
from hfmem.model.spec import ModelSpec
from hfmem.sources.base import Published, Source
from hfmem.tables.packing import AUXILIARY

WITHOUT_CONFIG = (ADAPTER, DIFFUSERS, SENTENCE)
TOKENIZER, MAX_TOKENIZER_BYTES = "tokenizer.json", 100_000_000
# Remarks of reading that are more than worth knowing.
SEVERITIES: dict[str, Severity] = {
    "no-tensors": "broken", "unknown-dtype": "suspicious", "missing-component": "broken", "several-checkpoints": "suspicious",
    "trailing-bytes": "suspicious",
}  # fmt: skip
# Methods that transformers also applies while it loads, to files that are not packed.
ON_LOAD = frozenset(
    ("bitsandbytes", "torchao", "hqq", "quanto", "eetq", "fbgemm_fp8", "fp8", "finegrained_fp8", "higgs", "fp_quant")
)
FLOATS = ("F32", "F16", "BF16")
PACKED_DTYPES = frozenset(("I8", "U8", "I32", "U32", "F4", "F8_E4M3", "F8_E5M2", "F8_E8M0", "F8_E4M3FNUZ"))


def config_findings(source: Source) -> Iterator[Finding]:
    """A config.json that is absent beside weights that have none of their own, or no JSON object."""
    files = source.files()
    if "config.json" not in files:
        is_needed = source.origin.source != "file" and not any(name in files for name in WITHOUT_CONFIG)
        if is_needed and not any(name.endswith(".gguf") for name in files):
            yield Finding(severity="suspicious", code="no-config", message="there is no config.json beside the weights")
        return
    try:
        parse_object(source.read("config.json", limit=MAX_CONFIG_BYTES), "config.json", ConfigError, strict=False)
    except (ConfigError, BrokenCheckpoint) as error:
        yield failed(error, "config.json")


def beside_findings(source: Source) -> Iterator[Finding]:
    """Small JSON files that loaders read beside the weights, and that are none."""
    if isinstance(source, Published):
        return  # a request each
    for name, size in source.files().items():
        last = name.rpartition("/")[2]
        is_read = last.endswith(".json") and last not in ("config.json", TOKENIZER) and BESIDE.fullmatch(last)
        if is_read and not last.startswith("vocab") and (size or 0) <= MAX_CONFIG_BYTES:
            try:
                text = decode(source.read(name, limit=MAX_CONFIG_BYTES), name, ConfigError, strict=False)
                loads(text, name, ConfigError, strict=False)
            except (ConfigError, BrokenCheckpoint) as error:
                yield failed(error, name, "suspicious")


def meaning_findings(source: Source, spec: ModelSpec, checkpoint: Checkpoint) -> Iterator[Finding]:
    """What configuration, tensors and tokenizer say of each other."""
    for remark in (remark for part in checkpoint.parts() for remark in part.remarks):
        severity = SEVERITIES.get(remark.code, "note")
        yield Finding(severity=severity, code=remark.code, message=remark.message, hint=remark.hint)
    wrong: Severity = "broken" if spec.is_native else "suspicious"
    for remark in disagreements(spec, checkpoint):
        yield Finding(severity=wrong, code=remark.code, message=remark.message, file="config.json", hint=remark.hint)
    if checkpoint.format == "config-only":
        message, hint = "there are no weights here, only a configuration", "download them, or name the directory they are in"
        yield Finding(severity="suspicious", code="no-weights", message=message, hint=hint)
    for remark in extra_layers(spec, checkpoint):
        yield Finding(severity="suspicious", code=remark.code, message=remark.message, file="config.json", hint=remark.hint)
    yield from stored_dtype(spec, checkpoint)
    yield from packing(spec, checkpoint)
    yield from vocabulary(source, spec)
    yield from adapter(checkpoint)


def stored_dtype(spec: ModelSpec, checkpoint: Checkpoint) -> Iterator[Finding]:
    """Weights in another float dtype than the configuration names: they are converted while they are loaded."""
    sizes: Counter[str] = Counter()
    for group in (group for part in checkpoint.parts() for group in part.groups if group.dtype in FLOATS):
        sizes[group.dtype] += group.stored_bytes
    most = max(sizes, key=lambda dtype: sizes[dtype], default=None)
    if most and spec.dtype in FLOATS and most != spec.dtype and not spec.quantization:
        yield Finding(
            severity="note",
            code="dtype-differs",
            message="the weights are stored in another dtype than config.json names; loading converts them",
            file="config.json",
            found=most,
            expected=spec.dtype,
        )


def packing(spec: ModelSpec, checkpoint: Checkpoint) -> Iterator[Finding]:
    """A packing that only the configuration, or only the files, know of."""
    groups = [group for part in checkpoint.parts() for group in part.groups]
    if not groups or checkpoint.format not in ("safetensors", "sentence-transformers"):
        return
    is_packed = any(group.dtype in PACKED_DTYPES and len(group.shape) > 1 for group in groups)
    method = spec.quantization.method if spec.quantization else None
    if method and not is_packed and method not in ON_LOAD:
        yield Finding(
            severity="suspicious",
            code="quantization-mismatch",
            message=f"config.json says the weights are packed ({method}), the files hold none that are",
            file="config.json",
            hint="the config.json may be another checkpoint's",
        )
    helpers = next((g.first_name for g in groups if g.pattern.rpartition(".")[2] in AUXILIARY and "scale" in g.pattern), None)
    if not method and is_packed and helpers:
        message = f"the files hold packed weights ({helpers}), config.json has no quantization_config"
        yield Finding(severity="suspicious", code="quantization-mismatch", message=message, file="config.json", tensor=helpers)


def vocabulary(source: Source, spec: ModelSpec) -> Iterator[Finding]:
    """The largest id of the tokenizer against the rows of the table it looks up."""
    if TOKENIZER not in source.files() or not spec.vocab_size or isinstance(source, Published):
        return  # over the network it is many megabytes for one number
    try:
        content = parse_object(source.read(TOKENIZER, limit=MAX_TOKENIZER_BYTES), TOKENIZER, ConfigError, strict=False)
    except (ConfigError, BrokenCheckpoint) as error:
        yield failed(error, TOKENIZER, "suspicious")
        return
    largest = max(ids(content), default=-1)
    if largest >= spec.vocab_size:
        yield Finding(
            severity="suspicious",
            code="vocabulary-mismatch",
            message=f"{TOKENIZER} has the id {largest:,}, config.json a vocabulary of {spec.vocab_size:,}",
            file=TOKENIZER,
            found=f"{largest}",
            expected=f"at most {spec.vocab_size - 1}",
            hint="an id beyond the table stops generation; resize the embeddings or use the model's own tokenizer",
        )


def ids(content: Mapping[str, Any]) -> Iterator[int]:
    """Ids of a tokenizer's vocabulary, which is a map or a list, and of the tokens added to it."""
    model, added = content.get("model"), content.get("added_tokens")
    words = model.get("vocab") if isinstance(model, Mapping) else None
    if isinstance(words, Mapping):
        yield from (number for number in words.values() if isinstance(number, int))
    elif isinstance(words, list) and words:
        yield len(words) - 1
    for token in added if isinstance(added, list) else ():
        if isinstance(token, Mapping) and isinstance(token.get("id"), int):
            yield token["id"]


def adapter(checkpoint: Checkpoint) -> Iterator[Finding]:
    if checkpoint.format == "adapter" and checkpoint.adapter_base is None:
        message = f"{ADAPTER} names no base model (base_model_name_or_path)"
        yield Finding(severity="suspicious", code="no-base", message=message, file=ADAPTER, hint="the adapter alone cannot run")
