"""The joiner: from a reference to a model, from a model and a workload to an estimate."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hfmem.checkpoint.json_text import MAX_CONFIG_BYTES, parse_object
from hfmem.checkpoint.read import read_checkpoint
from hfmem.checkpoint.tensors import Checkpoint
from hfmem.errors import BrokenCheckpoint, CannotTell, ConfigError, HfmemError, NotFound, UsageError
from hfmem.memory.estimate import Estimate, Note
from hfmem.memory.subject import Model, describe
from hfmem.memory.workload import Inference
from hfmem.model.read import read_model
from hfmem.model.spec import ModelSpec, Unknown
from hfmem.sources import Access, open_source
from hfmem.sources.base import Source
from hfmem.sources.reference import is_repo_id

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from hfmem.hardware.report import FitReport
    from hfmem.hardware.sweep import Sweep
    from hfmem.hardware.values import Target
    from hfmem.memory.engines.values import Card
    from hfmem.memory.training.workload import Training
    from hfmem.witness.values import Verification

MODELOPT_FILE = "hf_quant_config.json"


def load(reference: str | Path, *, revision: str | None = None, token: str | None = None, cache_dir: str | None = None) -> Model:
    """
    Read what a directory, file, Hub id or Hub URL says of a model; never its weights, never its code.

    Raises `HfmemError`: not found, no access, no network, an unsupported format, or a broken checkpoint.
    """
    access = Access(token=token, cache_dir=cache_dir)
    return load_opened(open_source(str(reference), revision=revision, access=access), access)


def load_opened(source: Source, access: Access) -> Model:
    """The same for a source that is open; the base of an adapter is read with the same access."""
    model = load_source(source)
    base = model.checkpoint.adapter_base
    return with_base(model, base, access) if base else model


def load_source(source: Source) -> Model:
    """The same for a source at hand, such as files in memory."""
    checkpoint = read_checkpoint(source)
    return describe(source.origin, spec_of(source, checkpoint), checkpoint)


def spec_of(source: Source, checkpoint: Checkpoint) -> ModelSpec:
    """The model a checkpoint's configuration describes, whichever format has it."""
    spec = read_gguf_spec(checkpoint) if checkpoint.format == "gguf" else read_spec(source, checkpoint.config_file)
    return spec_of_format(spec, checkpoint)


def estimate(
    model: Model | str | Path,
    workload: Inference | Training | None = None,
    *,
    on: Sequence[str | Target] = (),
    verify: bool = False,
) -> Estimate:
    """
    The memory a workload takes; a reference is loaded first. `verify` counts the class's parameters too.

    `on` names devices ("RTX 4090", "2xH100", "80GiB", "local"): a serving engine runs on the first, and each gets a verdict.
    A model without weight files is weighed as its class is built, where the verify extra is installed.
    """
    subject = weighed(model, verify)
    asked = asked_of(subject, workload)
    if not on:
        return estimator_of(subject)(asked, None)
    rows = fit(subject, asked, on, instead=False).rows
    return replace(rows[0].estimate, devices=tuple(row.fit for row in rows))


def fit(
    model: Model | str | Path,
    workload: Inference | Training | None,
    on: Sequence[str | Target],
    *,
    siblings: Sequence[str] = (),
    grid: bool = False,
    instead: bool = True,
) -> FitReport:
    """
    A verdict for each device, the longest context and the largest batch, and what would fit instead.

    `siblings` are other checkpoints of the model (references) to try where it does not fit, `grid` adds every context and batch,
    `instead` False leaves the changes out. Raises `UsageError` for a device
    that is not known, and where devices and ranks contradict each other.
    """
    from hfmem.hardware.report import fit_report

    targets = targets_of(on)
    if not targets:
        raise UsageError("no device was named", code="no-device", hint='--on "RTX 4090", --on 2xH100, --on 80GiB or --on local')
    subject, notes = weighed(model, False), []
    others: dict[str, Callable[[Inference | Training, Card | None], Estimate]] = {}
    for name in siblings:
        try:
            others[name] = estimator_of(weighed(name, False))
        except HfmemError as error:
            notes.append(Note(code=error.code, message=f"{name} was not tried: {error.message}", hint=error.hint))
    found = fit_report(estimator_of(subject), asked_of(subject, workload), targets, others, grid=grid, instead=instead)
    return replace(found, notes=tuple(notes))


def curve(
    model: Model | str | Path,
    workload: Inference | Training | None = None,
    *,
    x: str = "context",
    points: Sequence[int] | None = None,
    on: Sequence[str | Target] = (),
) -> Sweep:
    """
    What a workload needs as its context, batch or ranks (`tp`) grow, and the last number each device holds.

    Without `points`, powers of two to the model's maximum, or to what the workload says of `x`. Raises `UsageError` for an axis
    the workload has not, and for a device that is not known.
    """
    from hfmem.hardware.sweep import sweep

    subject = weighed(model, False)
    return sweep(estimator_of(subject), asked_of(subject, workload), targets_of(on), x=x, points=points)


def targets_of(on: Sequence[str | Target]) -> list[Target]:
    """Devices by their names or as they are; `local` may be several."""
    from hfmem.hardware.parse import parse_targets

    check_devices(on)
    return [target for each in on for target in (parse_targets(each) if isinstance(each, str) else (each,))]


def asked_of(subject: Model, workload: Inference | Training | None) -> Inference | Training:
    """The workload, with the engine that serves the model's format."""
    from hfmem.memory.serving import engine_for

    asked = workload or Inference()
    check_workload(asked)
    return engine_for(subject, asked) if isinstance(asked, Inference) else asked


def check_devices(on: object) -> None:
    """One name would be taken apart into letters. Raises `UsageError`."""
    if isinstance(on, str):
        raise UsageError("on is one device, not a list of them", code="no-device", hint=f"[{on!r}]")


def check_workload(workload: object) -> None:
    """Raises `UsageError` for what is no workload."""
    if isinstance(workload, Inference):
        return
    from hfmem.memory.training.workload import Training  # few ask for it, and it costs time to load

    if not isinstance(workload, Training):
        kind = type(workload).__name__
        raise UsageError(f"the workload is a {kind}", code="bad-workload", hint="hfmem.Inference(…) or hfmem.Training(…)")


def weighed(model: Model | str | Path, verify: bool) -> Model:
    """The model at hand or loaded, with its class's weights where it has none."""
    subject = model if isinstance(model, Model) else load(model)
    if not verify and subject.checkpoint.format != "config-only":
        return subject
    from hfmem.witness.verify import count_too

    return count_too(subject, asked=verify)


def estimator_of(subject: Model) -> Callable[[Inference | Training, Card | None], Estimate]:
    """A function from workload and device to estimate that remembers its answers; only engines with a pool ask for the device."""
    known: dict[tuple[Inference | Training, Card | None], Estimate] = {}

    def answer(workload: Inference | Training, card: Card | None) -> Estimate:
        asks = isinstance(workload, Inference) and workload.engine_name != "transformers"
        key = (workload, card if asks else None)
        if key not in known:
            known[key] = sized(subject, workload, key[1])
        return known[key]

    return answer


def sized(subject: Model, workload: Inference | Training, card: Card | None) -> Estimate:
    if isinstance(workload, Inference):
        from hfmem.memory.serving import estimate_inference

        return estimate_inference(subject, workload, card)
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


def with_base(model: Model, base: str, access: Access) -> Model:
    """The adapter with the model it was trained on, where that is on the Hub; a path in a file is never followed."""
    try:
        if not is_repo_id(base):
            raise CannotTell(f"{base!r} is no Hub id", code="bad-base", hint="estimate the base model too")
        found = load_source(open_source(f"hf://{base}", access=access))
        if found.checkpoint.adapter_base:
            raise CannotTell(f"{base!r} is an adapter itself", code="bad-base", hint="estimate the base model too")
        return replace(model, base=found)
    except HfmemError as error:
        note = Note(code="base-not-read", message=f"the base model was not read: {error.message}", hint=error.hint)
        return replace(model, notes=(*model.notes, note))
