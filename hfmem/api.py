"""The joiner: from a reference to a model, from a model and a workload to an estimate."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfmem.checkpoint.json_text import MAX_CONFIG_BYTES, parse_object
from hfmem.checkpoint.read import read_checkpoint
from hfmem.checkpoint.tensors import Checkpoint
from hfmem.errors import BrokenCheckpoint, CannotTell, ConfigError, HfmemError, NotFound
from hfmem.memory.estimate import Estimate, Note
from hfmem.memory.subject import Model, describe
from hfmem.memory.workload import Inference
from hfmem.model.read import read_model
from hfmem.model.spec import ModelSpec, Unknown
from hfmem.sources import open_source
from hfmem.sources.base import Source
from hfmem.sources.reference import is_repo_id

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hfmem.memory.training.workload import Training
    from hfmem.witness.values import Verification

MODELOPT_FILE = "hf_quant_config.json"


def load(reference: str | Path, *, revision: str | None = None, token: str | None = None, cache_dir: str | None = None) -> Model:
    """
    Read what a directory, file, Hub id or Hub URL says of a model; never its weights, never its code.

    Raises `HfmemError`: not found, no access, no network, an unsupported format, or a broken checkpoint.
    """
    source = open_source(str(reference), revision=revision, token=token, cache_dir=cache_dir)
    model = load_source(source)
    base = model.checkpoint.adapter_base
    return with_base(model, base, token=token, cache_dir=cache_dir) if base else model


def load_source(source: Source) -> Model:
    """The same for a source at hand, such as files in memory."""
    checkpoint = read_checkpoint(source)
    spec = read_gguf_spec(checkpoint) if checkpoint.format == "gguf" else read_spec(source, checkpoint.config_file)
    spec = spec_of_format(spec, checkpoint)
    return describe(source.origin, spec, checkpoint)


def estimate(model: Model | str | Path, workload: Inference | Training | None = None, *, verify: bool = False) -> Estimate:
    """
    The memory a workload takes; a reference is loaded first. `verify` counts the class's parameters too.

    A model without weight files is weighed as its class is built, where the verify extra is installed.
    """
    subject = model if isinstance(model, Model) else load(model)
    if verify or subject.checkpoint.format == "config-only":
        from hfmem.witness.verify import count_too

        subject = count_too(subject, asked=verify)
    if workload is None or isinstance(workload, Inference):
        from hfmem.memory.serving import estimate_inference

        return estimate_inference(subject, workload or Inference())
    from hfmem.memory.training.estimate import estimate_training

    return estimate_training(subject, workload)


def verify(model: Model | str | Path, workload: Inference | Training | None = None, **options: Any) -> Verification:
    """
    An estimate beside its witnesses (`witness.verify.verify` has the options).

    Raises `CannotTell` where the verify extra is not installed.
    """
    from hfmem.witness.verify import verify as verified

    subject = model if isinstance(model, Model) else load(model)
    return verified(subject, estimate(subject, workload), **options)


def read_spec(source: Source, path: str) -> ModelSpec:
    """The model a config.json describes; what is wrong with it is a named unknown, for the weights are still right."""
    try:
        data = source.read(path, limit=MAX_CONFIG_BYTES)
        raw = parse_object(data, path, ConfigError, strict=False)
        return read_model({**raw, **quantization_beside(source, raw)})
    except (ConfigError, NotFound, BrokenCheckpoint) as error:
        unknown = Unknown(part="config", code=error.code, message=error.message, hint=error.hint)
        return ModelSpec(model_type="", architecture=None, unknowns=(unknown,))


def read_gguf_spec(checkpoint: Checkpoint) -> ModelSpec:
    """The model a GGUF file describes itself; a config.json beside it is another engine's."""
    from hfmem.model.gguf import read_gguf_model

    return read_gguf_model(checkpoint.metadata, checkpoint.groups)


def quantization_beside(source: Source, raw: Mapping[str, object]) -> dict[str, object]:
    """The quantization_config of ModelOpt's older exports, which write it into a file of its own."""
    if raw.get("quantization_config") is not None or MODELOPT_FILE not in source.files():
        return {}
    data = source.read(MODELOPT_FILE, limit=MAX_CONFIG_BYTES)
    return {"quantization_config": {"quant_method": "modelopt", **parse_object(data, MODELOPT_FILE, ConfigError, strict=False)}}


def spec_of_format(spec: ModelSpec, checkpoint: Checkpoint) -> ModelSpec:
    """Pipelines and adapters have no config.json of their own, and that is no fault."""
    if checkpoint.format not in ("diffusers", "adapter") or spec.model_type:
        return spec
    return ModelSpec(model_type=checkpoint.format, architecture=None, writes_tokens=False)


def with_base(model: Model, base: str, *, token: str | None, cache_dir: str | None) -> Model:
    """The adapter with the model it was trained on, where that is on the Hub; a path in a file is never followed."""
    from dataclasses import replace

    try:
        if not is_repo_id(base):
            raise CannotTell(f"{base!r} is no Hub id", code="bad-base", hint="estimate the base model too")
        found = load_source(open_source(f"hf://{base}", token=token, cache_dir=cache_dir))
        if found.checkpoint.adapter_base:
            raise CannotTell(f"{base!r} is an adapter itself", code="bad-base", hint="estimate the base model too")
        return replace(model, base=found)
    except HfmemError as error:
        note = Note(code="base-not-read", message=f"the base model was not read: {error.message}", hint=error.hint)
        return replace(model, notes=(*model.notes, note))
