"""`hfmem estimate`."""

from __future__ import annotations

from hfmem import options as opt
from hfmem.commands.showing import show
from hfmem.commands.workloads import serving_of
from hfmem.terminal import failures


def estimate(
    model: opt.ModelArg,
    context: opt.ContextOpt = None,
    batch: opt.BatchOpt = 1,
    engine: opt.EngineOpt = "transformers",
    weights_dtype: opt.WeightsOpt = None,
    kv_dtype: opt.KvOpt = None,
    encoder_tokens: opt.EncoderOpt = None,
    tp: opt.TpOpt = 1,
    pp: opt.PpOpt = 1,
    dp: opt.DpOpt = 1,
    ep: opt.EpOpt = False,
    max_num_seqs: opt.SeqsOpt = None,
    max_num_batched_tokens: opt.BatchedOpt = None,
    gpu_memory_utilization: opt.UtilizationOpt = None,
    enforce_eager: opt.EagerOpt = False,
    flash_attention: opt.FlashOpt = True,
    on: opt.OnOpt = None,
    exit_code: opt.ExitOpt = False,
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

    Examples:  hfmem estimate Qwen/Qwen3-8B --context 32768   |   hfmem estimate ./checkpoint --engine vllm --on "RTX 4090"
    """
    given = dict(locals())
    with failures():
        from hfmem import api

        loaded = api.load(model, revision=revision, token=token, cache_dir=cache_dir)
        found = api.estimate(loaded, serving_of(given), on=on or (), verify=verify)
        show(found, format, explain=explain, partial=partial, quiet=quiet, exit_code=exit_code)
