"""The command line: parse, call, print. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hfmem import options as opt
from hfmem._version import __version__
from hfmem.errors import ExitCode, UsageError
from hfmem.terminal import failures, write

if TYPE_CHECKING:
    from hfmem.memory.estimate import Estimate
    from hfmem.memory.training.workload import Training
    from hfmem.memory.workload import Inference
    from hfmem.witness.values import Verification

app = typer.Typer(
    help="How much GPU memory a Hugging Face model needs, before anything is downloaded.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"hfmem {__version__}")
        raise typer.Exit


VersionOpt = Annotated[bool, typer.Option("--version", "-v", help="Print the version.", callback=print_version, is_eager=True)]


@app.callback()
def root(version: VersionOpt = False) -> None:
    """How much GPU memory a Hugging Face model needs, before anything is downloaded."""


@app.command()
def estimate(
    model: opt.ModelArg,
    context: opt.ContextOpt = None,
    batch: opt.BatchOpt = 1,
    engine: opt.EngineOpt = "transformers",
    weights_dtype: opt.WeightsOpt = None,
    kv_dtype: opt.KvOpt = None,
    encoder_tokens: opt.EncoderOpt = None,
    revision: opt.RevisionOpt = None,
    token: opt.TokenOpt = None,
    cache_dir: opt.CacheOpt = None,
    explain: opt.ExplainOpt = False,
    partial: opt.PartialOpt = False,
    format: opt.FormatOpt = opt.Format.text,
    quiet: opt.QuietOpt = False,
    verify: opt.VerifyOpt = False,
) -> None:
    """
    Estimate the memory serving a model needs.

    Examples:  hfmem estimate Qwen/Qwen3-8B --context 32768   |   hfmem estimate ./checkpoint --format json
    """
    with failures():
        from hfmem import api
        from hfmem.memory.workload import Inference

        workload = Inference(
            batch=batch,
            context=context,
            engine=engine,
            weights_dtype=weights_dtype,
            kv_dtype=kv_dtype,
            encoder_tokens=encoder_tokens,
        )
        found = api.estimate(api.load(model, revision=revision, token=token, cache_dir=cache_dir), workload, verify=verify)
        show(found, format, explain=explain, partial=partial, quiet=quiet)


@app.command()
def train(
    model: opt.ModelArg,
    context: opt.ContextOpt = None,
    batch: opt.BatchOpt = 1,
    method: opt.MethodOpt = "full",
    precision: opt.PrecisionOpt = "bf16",
    autocast: opt.AutocastOpt = None,
    master_weights: opt.MasterOpt = None,
    gradient_dtype: opt.GradientOpt = None,
    optimizer: opt.OptimizerOpt = "adamw_torch_fused",
    optimizer_in_backward: opt.InBackwardOpt = False,
    checkpointing: opt.CheckpointingOpt = "none",
    reentrant: opt.ReentrantOpt = None,
    attention: opt.AttentionOpt = "sdpa",
    padded: opt.PaddedOpt = None,
    kernels: opt.KernelsOpt = "eager",
    loss: opt.LossOpt = "standard",
    keep_logits: opt.KeepLogitsOpt = False,
    logits_to_keep: opt.LogitsToKeepOpt = None,
    task: opt.TaskOpt = "causal-lm",
    num_labels: opt.LabelsOpt = 2,
    objective: opt.ObjectiveOpt = "sft",
    lora_rank: opt.RankOpt = 16,
    lora_targets: opt.TargetsOpt = "all-linear",
    lora_dropout: opt.DropoutOpt = False,
    dora: opt.DoraOpt = False,
    adapter_dtype: opt.AdapterOpt = "fp32",
    modules_to_save: opt.SaveOpt = "",
    freeze: opt.FreezeOpt = "",
    quantization: opt.QuantizationOpt = "nf4",
    double_quantization: opt.DoubleOpt = True,
    float32_residual: opt.ResidualOpt = False,
    shard: opt.ShardOpt = "none",
    gpus: opt.GpusOpt = 1,
    tensor_parallel: opt.TensorOpt = 1,
    sequence_parallel: opt.SequenceOpt = True,
    context_parallel: opt.ContextParallelOpt = 1,
    offload: opt.OffloadOpt = "none",
    grad_accum: opt.AccumOpt = 1,
    image_tokens: opt.ImageOpt = None,
    encoder_tokens: opt.EncoderOpt = None,
    transformers: opt.VersionsOpt = "5.23",
    revision: opt.RevisionOpt = None,
    token: opt.TokenOpt = None,
    cache_dir: opt.CacheOpt = None,
    explain: opt.ExplainOpt = False,
    partial: opt.PartialOpt = False,
    format: opt.FormatOpt = opt.Format.text,
    quiet: opt.QuietOpt = False,
) -> None:
    """
    Estimate the memory one training step needs on each device.

    Examples:  hfmem train Qwen/Qwen3-8B --method qlora --checkpointing full   |   hfmem train DIR --shard fsdp --gpus 8
    """
    given = dict(locals())
    with failures():
        from hfmem import api
        from hfmem.memory.training.workload import parse_training

        loaded = api.load(model, revision=revision, token=token, cache_dir=cache_dir)
        found = api.estimate(loaded, parse_training(given))
        show(found, format, explain=explain, partial=partial, quiet=quiet)


def takes_options_of(*commands: Callable[..., None]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """A command that hands on other commands' options declares them by naming the commands; Typer reads the signature."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(function, eval_str=True).parameters
        found = {name: part for name, part in own.items() if part.kind is not inspect.Parameter.VAR_KEYWORD}
        for command in commands:
            theirs = inspect.signature(command, eval_str=True).parameters
            found |= {name: part for name, part in theirs.items() if name not in found and name not in NOT_SHARED}
        function.__annotations__ = {name: part.annotation for name, part in found.items()} | {"return": None}
        function.__signature__ = inspect.Signature(list(found.values()))  # type: ignore[attr-defined]
        return function

    return decorate


SERVING = ("batch", "context", "encoder_tokens", "engine", "weights_dtype", "kv_dtype")  # the first three are training's too
NOT_SHARED = ("explain", "partial", "verify")


@app.command()
@takes_options_of(train, estimate)
def verify(
    model: opt.ModelArg,
    train: opt.TrainOpt = False,
    dry_run: opt.DryRunOpt = False,
    textbook: opt.TextbookOpt = False,
    strict: opt.StrictOpt = False,
    timeline: opt.TimelineOpt = False,
    time_limit: opt.SecondsOpt = 120.0,
    memory_limit: opt.GibOpt = 4.0,
    format: opt.FormatOpt = opt.Format.text,
    **options: Any,
) -> None:
    """
    Check an estimate against the model's class and, with --dry-run, against its code.

    Examples:  hfmem verify Qwen/Qwen3-8B   |   hfmem verify DIR --train --method lora --context 4096 --dry-run
    """
    with failures():
        from hfmem import api
        from hfmem.witness.ask import Limits

        if timeline and format is not opt.Format.json:
            raise UsageError("--timeline is written as JSON alone", code="bad-workload", hint="add --format json")
        workload = workload_of(train, options)
        where = {name: options[name] for name in ("revision", "token", "cache_dir")}
        limits = Limits(memory_bytes=int(memory_limit * 2**30), seconds=time_limit)
        wanted = {"runs": dry_run or timeline, "timeline": timeline, "textbook": textbook, "limits": limits}
        found = api.verify(api.load(model, **where), workload, **wanted)
        write(word(found.agrees) if options["quiet"] else rendered_verification(found, format))
        if found.agrees is None:
            raise typer.Exit(ExitCode.CANNOT_TELL)
        if strict and not found.is_settled:
            raise typer.Exit(ExitCode.UNEXPECTED)


def workload_of(train: bool, options: dict[str, Any]) -> Inference | Training:
    """The workload to verify. Raises `UsageError` for options of the other command."""
    from hfmem.memory.training.workload import parse_training
    from hfmem.memory.workload import Inference

    training, serving = parse_training(options), Inference(**{name: options[name] for name in SERVING})
    if train:
        lost = [name for name in SERVING[3:] if getattr(serving, name) != getattr(Inference(), name)]
        if lost:
            raise UsageError(
                f"--{lost[0].replace('_', '-')} is an option of serving", code="bad-workload", hint="leave --train out"
            )
        return training
    lost = [name for name in training.changed_options() if name not in SERVING]
    if lost:
        raise UsageError(f"--{lost[0].replace('_', '-')} is an option of training", code="bad-workload", hint="add --train")
    return serving


def word(agrees: bool | None) -> str:
    return "unknown" if agrees is None else "agrees" if agrees else "disagrees"


def rendered_verification(found: Verification, format: opt.Format) -> str:
    if format is opt.Format.json:
        from hfmem.report.verify_json import render_verification_json

        return render_verification_json(found)
    if format is opt.Format.markdown:
        from hfmem.report.verify_markdown import render_verification_markdown

        return render_verification_markdown(found)
    from hfmem.report.verify_text import render_verification

    return render_verification(found)


def show(found: Estimate, format: opt.Format, *, explain: bool, partial: bool, quiet: bool) -> None:
    """Print an estimate; a part that is unknown is exit code 7 unless that was allowed."""
    write(str(found.total_bytes) if quiet else rendered(found, format, explain))
    if not found.complete and not partial:
        raise typer.Exit(ExitCode.CANNOT_TELL)


def rendered(found: Estimate, format: opt.Format, explain: bool) -> str:
    """The report in the format asked for; each renderer is loaded when it is used."""
    if format is opt.Format.json:
        from hfmem.report.json_report import render_json

        return render_json(found)
    if format is opt.Format.markdown:
        from hfmem.report.markdown import render_markdown

        return render_markdown(found, explain=explain)
    from hfmem.report.text import render_text

    return render_text(found, explain=explain)


def main() -> None:
    """The entry point of `hfmem` and `python -m hfmem`."""
    gc.set_threshold(100_000)  # a short process: looking for cycles costs more than they do
    app()
