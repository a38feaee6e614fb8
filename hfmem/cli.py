"""The command line: parse, call, print. Data goes to stdout, everything else to stderr."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Annotated

import typer

from hfmem._version import __version__
from hfmem.errors import ExitCode, HfmemError

if TYPE_CHECKING:
    from hfmem.memory.estimate import Estimate

app = typer.Typer(
    help="How much GPU memory a Hugging Face model needs, before anything is downloaded.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


class Format(str, Enum):
    """How a report is written."""

    text = "text"
    json = "json"
    markdown = "markdown"


ModelArg = Annotated[str, typer.Argument(help="A directory or file, a Hub id (org/name[@revision]), hf://… or a Hub URL.")]
ContextOpt = Annotated[int | None, typer.Option(help="Tokens per sequence [default: min(8192, the model's maximum)].")]
BatchOpt = Annotated[int, typer.Option(help="Sequences at once.")]
EngineOpt = Annotated[str, typer.Option(help="The engine that serves: transformers.")]
WeightsOpt = Annotated[str | None, typer.Option(help="What if the weights were loaded as this dtype [default: as stored].")]
KvOpt = Annotated[str | None, typer.Option(help="Dtype of cached keys and values [default: the checkpoint's or the model's].")]
EncoderOpt = Annotated[int | None, typer.Option(help="Tokens an encoder reads [default: the model's own number, or 512].")]
RevisionOpt = Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub repository.")]
TokenOpt = Annotated[str | None, typer.Option(help="A Hub token; prefer HF_TOKEN, which no process list shows.")]
CacheOpt = Annotated[str | None, typer.Option(help="Where the Hub cache is [default: HF_HUB_CACHE].")]
ExplainOpt = Annotated[bool, typer.Option("--explain", help="Show formulas with their numbers and where those came from.")]
PartialOpt = Annotated[bool, typer.Option("--partial", help="Exit 0 although a part is unknown.")]
FormatOpt = Annotated[Format, typer.Option("--format", help="How the report is written.")]
QuietOpt = Annotated[bool, typer.Option("--quiet", "-q", help="Print the total in bytes and nothing else.")]


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
    model: ModelArg,
    context: ContextOpt = None,
    batch: BatchOpt = 1,
    engine: EngineOpt = "transformers",
    weights_dtype: WeightsOpt = None,
    kv_dtype: KvOpt = None,
    encoder_tokens: EncoderOpt = None,
    revision: RevisionOpt = None,
    token: TokenOpt = None,
    cache_dir: CacheOpt = None,
    explain: ExplainOpt = False,
    partial: PartialOpt = False,
    format: FormatOpt = Format.text,
    quiet: QuietOpt = False,
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
        found = api.estimate(api.load(model, revision=revision, token=token, cache_dir=cache_dir), workload)
        show(found, format, explain=explain, partial=partial, quiet=quiet)


MethodOpt = Annotated[str, typer.Option(help="full, lora or qlora.")]
PrecisionOpt = Annotated[str, typer.Option(help="bf16, fp16, fp32, or mixed: float32 weights, computed in 16 bits.")]
AutocastOpt = Annotated[
    bool | None, typer.Option(help="Compute under autocast, as trainers do with bf16=True [default: mixed does].")
]
MasterOpt = Annotated[bool | None, typer.Option(help="16-bit weights with a float32 copy in the optimizer [default: ZeRO has].")]
GradientOpt = Annotated[str | None, typer.Option(help="bf16, fp16 or fp32 [default: the weights' dtype].")]
OptimizerOpt = Annotated[str, typer.Option(help="adamw_torch_fused, adamw_torch, adamw_8bit, paged_adamw_8bit, sgd, muon …")]
InBackwardOpt = Annotated[bool, typer.Option("--optimizer-in-backward", help="Each gradient is used and freed at once.")]
CheckpointingOpt = Annotated[str, typer.Option(help="none, selective, full (every layer) or offloaded.")]
ReentrantOpt = Annotated[bool | None, typer.Option(help="Reentrant checkpointing [default: before transformers 5].")]
AttentionOpt = Annotated[str, typer.Option(help="flash (flash_attention_2 …), sdpa or eager.")]
PaddedOpt = Annotated[
    bool | None, typer.Option("--padded/--packed", help="Sequences of many lengths, or packed [default: unknown].")
]
KernelsOpt = Annotated[str, typer.Option(help="eager, liger, unsloth (fused norms and LoRA) or compile.")]
LossOpt = Annotated[str, typer.Option(help="standard, bf16, fused-ce (one kernel over logits), chunked or fused (no logits).")]
KeepLogitsOpt = Annotated[bool, typer.Option("--keep-logits", help="The loop keeps the model's output during the backward pass.")]
LogitsToKeepOpt = Annotated[int | None, typer.Option(help="Tokens of each sequence that are scored [default: all].")]
TaskOpt = Annotated[str, typer.Option(help="causal-lm, sequence-classification or token-classification.")]
LabelsOpt = Annotated[int, typer.Option(help="Labels of a classifier.")]
ObjectiveOpt = Annotated[str, typer.Option(help="sft, dpo, orpo or grpo.")]
RankOpt = Annotated[int, typer.Option(help="Rank of LoRA adapters.")]
TargetsOpt = Annotated[str, typer.Option(help="Modules with adapters, by comma, or all-linear.")]
DropoutOpt = Annotated[bool, typer.Option("--lora-dropout", help="Adapters with dropout, which keeps a mask.")]
DoraOpt = Annotated[bool, typer.Option("--dora", help="Adapters with a learned magnitude (DoRA).")]
AdapterOpt = Annotated[str, typer.Option(help="fp32 (PEFT's default) or bf16.")]
SaveOpt = Annotated[str, typer.Option(help="Modules trained whole beside the adapters, by comma.")]
FreezeOpt = Annotated[str, typer.Option(help="Parts or modules that are not trained, by comma: vision, embeddings …")]
QuantizationOpt = Annotated[str, typer.Option(help="Of --method qlora: nf4, fp4 or int8.")]
DoubleOpt = Annotated[bool, typer.Option(help="Quantise the scales of 4-bit weights too.")]
ResidualOpt = Annotated[
    bool, typer.Option("--float32-residual", help="Norms in float32, as after prepare_model_for_kbit_training.")
]
ShardOpt = Annotated[str, typer.Option(help="none, ddp, zero1, zero2, zero3, fsdp, fsdp1, shard-grad-op or no-reshard.")]
GpusOpt = Annotated[int, typer.Option(help="Devices that share the work.")]
TensorOpt = Annotated[int, typer.Option(help="Devices that split every matrix.")]
SequenceOpt = Annotated[bool, typer.Option(help="Tensor parallelism splits norms and residuals too.")]
ContextParallelOpt = Annotated[int, typer.Option(help="Devices that split every sequence.")]
OffloadOpt = Annotated[str, typer.Option(help="To the CPU: none, optimizer or parameters (and everything else).")]
AccumOpt = Annotated[int, typer.Option(help="Micro-batches a step; above 1, gradients stay between them.")]
ImageOpt = Annotated[int | None, typer.Option(help="Patches of images, or frames of audio, a sequence brings [default: none].")]
VersionsOpt = Annotated[str, typer.Option("--transformers", help="The version of transformers that trains.")]


@app.command()
def train(
    model: ModelArg,
    context: ContextOpt = None,
    batch: BatchOpt = 1,
    method: MethodOpt = "full",
    precision: PrecisionOpt = "bf16",
    autocast: AutocastOpt = None,
    master_weights: MasterOpt = None,
    gradient_dtype: GradientOpt = None,
    optimizer: OptimizerOpt = "adamw_torch_fused",
    optimizer_in_backward: InBackwardOpt = False,
    checkpointing: CheckpointingOpt = "none",
    reentrant: ReentrantOpt = None,
    attention: AttentionOpt = "sdpa",
    padded: PaddedOpt = None,
    kernels: KernelsOpt = "eager",
    loss: LossOpt = "standard",
    keep_logits: KeepLogitsOpt = False,
    logits_to_keep: LogitsToKeepOpt = None,
    task: TaskOpt = "causal-lm",
    num_labels: LabelsOpt = 2,
    objective: ObjectiveOpt = "sft",
    lora_rank: RankOpt = 16,
    lora_targets: TargetsOpt = "all-linear",
    lora_dropout: DropoutOpt = False,
    dora: DoraOpt = False,
    adapter_dtype: AdapterOpt = "fp32",
    modules_to_save: SaveOpt = "",
    freeze: FreezeOpt = "",
    quantization: QuantizationOpt = "nf4",
    double_quantization: DoubleOpt = True,
    float32_residual: ResidualOpt = False,
    shard: ShardOpt = "none",
    gpus: GpusOpt = 1,
    tensor_parallel: TensorOpt = 1,
    sequence_parallel: SequenceOpt = True,
    context_parallel: ContextParallelOpt = 1,
    offload: OffloadOpt = "none",
    grad_accum: AccumOpt = 1,
    image_tokens: ImageOpt = None,
    encoder_tokens: EncoderOpt = None,
    transformers: VersionsOpt = "5.23",
    revision: RevisionOpt = None,
    token: TokenOpt = None,
    cache_dir: CacheOpt = None,
    explain: ExplainOpt = False,
    partial: PartialOpt = False,
    format: FormatOpt = Format.text,
    quiet: QuietOpt = False,
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


def show(found: Estimate, format: Format, *, explain: bool, partial: bool, quiet: bool) -> None:
    """Print an estimate; a part that is unknown is exit code 7 unless that was allowed."""
    write(str(found.total_bytes) if quiet else rendered(found, format, explain))
    if not found.complete and not partial:
        raise typer.Exit(ExitCode.CANNOT_TELL)


def rendered(found: Estimate, format: Format, explain: bool) -> str:
    """The report in the format asked for; each renderer is loaded when it is used."""
    if format is Format.json:
        from hfmem.report.json_report import render_json

        return render_json(found)
    if format is Format.markdown:
        from hfmem.report.markdown import render_markdown

        return render_markdown(found, explain=explain)
    from hfmem.report.text import render_text

    return render_text(found, explain=explain)


def write(text: str) -> None:
    """Print to stdout whatever its encoding can show."""
    if sys.stdout is None:  # what Python makes of a closed descriptor
        raise HfmemError("there is nowhere to write: standard output is closed", code="no-output")
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding) + "\n")
        sys.stdout.flush()
    except OSError as error:
        discard_output()
        if isinstance(error, BrokenPipeError):  # whoever read has read enough
            raise typer.Exit(ExitCode.UNEXPECTED) from error
        raise HfmemError(f"standard output cannot be written: {error.strerror}", code="no-output") from error


def discard_output() -> None:
    """Let what is left in the buffer go nowhere, so that the interpreter does not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def failures() -> Iterator[None]:
    """Every failure as one or two lines on stderr and its documented exit code; a traceback only with HFMEM_DEBUG."""
    try:
        yield
    except HfmemError as error:
        complain(error.message, error.hint)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        raise typer.Exit(ExitCode.INTERRUPTED) from error
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if os.environ.get("HFMEM_DEBUG"):
            raise
        complain(f"unexpected {type(error).__name__}: {error}", "set HFMEM_DEBUG=1 for the traceback, and please report it")
        raise typer.Exit(ExitCode.UNEXPECTED) from error


def complain(message: str, hint: str | None) -> None:
    from hfmem.report.escape import terminal

    typer.echo(f"error: {terminal(message)}", err=True)
    if hint:
        typer.echo(f"hint: {terminal(hint)}", err=True)


def main() -> None:
    """The entry point of `hfmem` and `python -m hfmem`."""
    gc.set_threshold(100_000)  # a short process: looking for cycles costs more than they do
    app()
