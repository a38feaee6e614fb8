"""`hfmem train`."""

from __future__ import annotations

from hfmem import options as opt
from hfmem.commands.showing import show
from hfmem.terminal import failures


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
    on: opt.OnOpt = None,
    exit_code: opt.ExitOpt = False,
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
        found = api.estimate(loaded, parse_training(given), on=on or ())
        show(found, format, explain=explain, partial=partial, quiet=quiet, exit_code=exit_code)
