"""The options of the command line: each a type, its name where it is not the argument's, and a line of help."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer


class Format(str, Enum):
    """How a report is written."""

    text = "text"
    json = "json"
    markdown = "markdown"
    svg = "svg"


ModelArg = Annotated[str, typer.Argument(help="A directory or file, a Hub id (org/name[@revision]), hf://… or a Hub URL.")]
ContextOpt = Annotated[int | None, typer.Option(help="Tokens per sequence [default: min(8192, the model's maximum)].")]
BatchOpt = Annotated[int, typer.Option(help="Sequences at once.")]
EngineOpt = Annotated[str, typer.Option(help="The engine that serves: transformers, vllm[@0.19], sglang or llama.cpp.")]
WeightsOpt = Annotated[str | None, typer.Option(help="What if the weights were loaded as this dtype [default: as stored].")]
KvOpt = Annotated[str | None, typer.Option(help="Dtype of cached keys and values [default: the checkpoint's or the model's].")]
EncoderOpt = Annotated[int | None, typer.Option(help="Tokens an encoder reads [default: the model's own number, or 512].")]
RevisionOpt = Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub repository.")]
TokenOpt = Annotated[str | None, typer.Option(help="A Hub token; prefer HF_TOKEN, which no process list shows.")]
CacheOpt = Annotated[str | None, typer.Option(help="Where the Hub cache is [default: HF_HUB_CACHE].")]
ExplainOpt = Annotated[bool, typer.Option("--explain", help="Show formulas with their numbers and where those came from.")]
PartialOpt = Annotated[bool, typer.Option("--partial", help="Exit 0 although a part is unknown.")]
FormatOpt = Annotated[Format, typer.Option("--format", help="How the report is written.")]
VerifyOpt = Annotated[bool, typer.Option("--verify", help="Count the class's parameters too [needs the verify extra].")]
QuietOpt = Annotated[bool, typer.Option("--quiet", "-q", help="Print the total in bytes and nothing else.")]
VerdictOpt = Annotated[bool, typer.Option("--quiet", "-q", help="Print healthy, suspicious or broken and nothing else.")]
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
TrainOpt = Annotated[bool, typer.Option("--train", help="Verify a training step; takes every option of `hfmem train`.")]
DryRunOpt = Annotated[bool, typer.Option("--dry-run", help="Run the model's real code on fake tensors: no GPU, no weights.")]
TextbookOpt = Annotated[bool, typer.Option("--textbook", help="Show what rules of thumb say of the same.")]
StrictOpt = Annotated[bool, typer.Option("--strict", help="Exit 1 when a difference is not explained, or a witness is silent.")]
TimelineOpt = Annotated[
    bool, typer.Option("--timeline", help="With --dry-run and --format json: bytes alive after every module.")
]
SecondsOpt = Annotated[float, typer.Option(help="Seconds a witness may take.", min=1, max=86400)]
GibOpt = Annotated[float, typer.Option(help="GiB a witness may take.", min=0.5, max=4096)]
TpOpt = Annotated[int, typer.Option("--tp", help="Ranks that share every layer (tensor parallel).")]
PpOpt = Annotated[int, typer.Option("--pp", help="Stages of layers (pipeline parallel).")]
DpOpt = Annotated[int, typer.Option("--dp", help="Copies of the attention layers (data parallel).")]
EpOpt = Annotated[bool, typer.Option("--ep", help="Hand experts out whole over the ranks (expert parallel).")]
SeqsOpt = Annotated[int | None, typer.Option(help="Sequences an engine runs at once [default: the engine's, by device].")]
BatchedOpt = Annotated[
    int | None,
    typer.Option(help="Tokens of an engine's step; SGLang: chunked prefill; llama.cpp: ubatch [default: by device]."),
]
UtilizationOpt = Annotated[
    float | None, typer.Option(help="Share of the device an engine takes; SGLang: mem_fraction_static [default: the engine's].")
]
EagerOpt = Annotated[bool, typer.Option("--enforce-eager", help="No CUDA graphs.")]
FlashOpt = Annotated[bool, typer.Option(help="llama.cpp: flash attention.")]
OnOpt = Annotated[list[str] | None, typer.Option("--on", help='A device: "RTX 4090", 2xH100, 80GiB, local; may be given again.')]
ExitOpt = Annotated[bool, typer.Option("--exit-code", help="Exit 3 when a device is too small.")]
FitTrainOpt = Annotated[bool, typer.Option("--train", help="Fit a training step; takes every option of `hfmem train`.")]
GridOpt = Annotated[bool, typer.Option("--grid", help="What every context and batch needs.")]
SiblingOpt = Annotated[list[str] | None, typer.Option(help="Another checkpoint to try where the model does not fit.")]
WordOpt = Annotated[bool, typer.Option("--quiet", "-q", help="Print a verdict a line and nothing else.")]
QueryArg = Annotated[str | None, typer.Argument(help="A part of a name.")]
VendorOpt = Annotated[str | None, typer.Option(help="nvidia, amd, intel or apple.")]
MinMemoryOpt = Annotated[str | None, typer.Option(help="At least this much memory, such as 24GiB.")]
RunsOpt = Annotated[str | None, typer.Option(help="Computes in this dtype: bfloat16, fp8, fp4, int8.")]
LocalOpt = Annotated[bool, typer.Option("--local", help="The devices in this machine.")]
NamesOpt = Annotated[bool, typer.Option("--quiet", "-q", help="Print the names and nothing else.")]
AxisOpt = Annotated[str, typer.Option("--x", help="What grows: context, batch or tp; its own option is where it ends.")]
OutputOpt = Annotated[Path | None, typer.Option("--output", "-o", help="A file to write: .svg, .html or .png [png: plot extra].")]
PlotTrainOpt = Annotated[bool, typer.Option("--train", help="Draw a training step; takes every option of `hfmem train`.")]
WidthOpt = Annotated[
    int | None, typer.Option(help="Columns of the chart in a terminal [default: the terminal's].", min=28, max=1000)
]
LastOpt = Annotated[bool, typer.Option("--quiet", "-q", help="Print the last number that fits, a line a device.")]
ListArg = Annotated[
    str | None, typer.Argument(help="A list: a file (lines, CSV, JSON Lines), - for standard input, or hf://collections/…")
]
ColumnOpt = Annotated[str | None, typer.Option(help="The column of models [default: model_id, model, id …].")]
AuthorOpt = Annotated[str | None, typer.Option(help="The models of a user or organisation instead of a list.")]
SearchOpt = Annotated[str | None, typer.Option(help="The models whose name holds this instead of a list.")]
LimitOpt = Annotated[
    int | None, typer.Option(help="The first so many [default: all of a list, the 100 most downloaded of a search].", min=1)
]
BatchTrainOpt = Annotated[bool, typer.Option("--train", help="A training step of each; takes every option of `hfmem train`.")]
OutputsOpt = Annotated[
    list[Path] | None,
    typer.Option("--output", "-o", help="A file: .html .csv .jsonl .json .md .parquet .svg or .txt; may be given again."),
]
BatchFormatOpt = Annotated[
    str | None,
    typer.Option("--format", help="On standard output: text, json, jsonl, csv, markdown, html or svg [default: text]."),
]
AsCompletedOpt = Annotated[bool, typer.Option("--as-completed", help="Print rows as JSON Lines as soon as they are known.")]
ResumeOpt = Annotated[bool, typer.Option("--resume", help="Go on from the journal of a run that did not end.")]
JournalOpt = Annotated[Path | None, typer.Option(help="Where finished rows are kept [default: beside the first output].")]
PartOpt = Annotated[
    list[str] | None, typer.Option("--shard", help="A part of the list, as 2/8; with --train also how devices share a model.")
]
SchedulerOpt = Annotated[str | None, typer.Option(help="The address of a dask scheduler whose workers do it [dask extra].")]
WorkersOpt = Annotated[int, typer.Option(help="Models at once.", min=1, max=1024)]
MaxAgeOpt = Annotated[float, typer.Option(help="Seconds for which a branch that was asked for is not asked for again.", min=0)]
StrictBatchOpt = Annotated[bool, typer.Option("--strict", help="Exit 8 when a model has no estimate.")]
SilentOpt = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
LocalDirOpt = Annotated[Path | None, typer.Option(help="A copy of the repository: say what of it is missing.")]
HashOpt = Annotated[bool, typer.Option("--hash", help="Compare contents with the Hub's digests; reads every byte.")]
ClassOpt = Annotated[bool, typer.Option("--verify", help="Compare tensors with the model's class [needs the verify extra].")]
