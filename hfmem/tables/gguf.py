"""
What llama.cpp knows of an architecture and GGUF metadata do not say: which layers slide, recur, or share a cache.

Rows are `load_arch_hparams` of src/models/*.cpp, and `create_memory` of src/llama-model.cpp (as in llama-cpp-python 0.3.36).
An architecture without a row is read from its fields alone.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Which layers see only a window: all but every `period`-th, unless the file has a pattern of its own."""

    period: int | None = None  # None: the file must say; 0: every layer slides
    full_first: bool = False  # the full layer begins each group instead of ending it
    default: int | None = None  # the window where the file has none
    fixed: int | None = None  # the window whatever the file says, where that is not 0
    is_required: bool = False
    is_chunked: bool = False
    only_with_layers: int | None = None  # slides only at this depth


WINDOWS: dict[str, Windows] = {
    "afmoe": Windows(period=4),
    "cohere2": Windows(period=4, is_required=True),
    "cohere2moe": Windows(period=4, full_first=True, is_required=True),
    "exaone-moe": Windows(period=4, default=128),
    "exaone4": Windows(period=4, default=4096, only_with_layers=64),
    "gemma2": Windows(period=2, default=4096),
    "gemma3": Windows(period=6),
    "gemma3n": Windows(period=5, is_required=True),
    "gemma4": Windows(is_required=True),
    "gpt-oss": Windows(period=2, is_required=True),
    "granite_swa": Windows(is_required=True),
    "laguna": Windows(period=4, full_first=True),
    "lfm2": Windows(period=0),
    "llama4": Windows(period=4, default=8192, fixed=8192, is_chunked=True),
    "maple": Windows(is_required=True),
    "mellum": Windows(period=4),
    "mimo2": Windows(is_required=True),
    "muse-glimmer": Windows(period=4, is_required=True),
    "olmo2": Windows(period=4),
    "plamo3": Windows(period=8),
    "smallthinker": Windows(period=4, full_first=True, fixed=4096),
    "spark2_5": Windows(is_required=True),
    "step35": Windows(is_required=True),
}

# How an architecture says which layers recur: "all"; "beside" attention in each; those without "kv-heads", or without
# them and a feed-forward block; or all but every n-th ("interval").
RECURRENT: dict[str, str] = {
    **dict.fromkeys(("mamba", "mamba2", "rwkv6", "rwkv6qwen2", "rwkv7", "arwkv7"), "all"),
    **dict.fromkeys(("jamba", "plamo2", "granitehybrid", "lfm2", "lfm2moe", "kimi-linear", "kimi-k3", "bailingmoe3"), "kv-heads"),
    **dict.fromkeys(("nemotron_h", "nemotron_h_moe"), "kv-heads-and-ffn"),
    **dict.fromkeys(("qwen3next", "qwen35", "qwen35moe", "qwen4exp", "minimax-01"), "interval"),
    "falcon-h1": "beside",
}
INTERVALS = {"minimax-01": 8}
DEFAULT_INTERVAL = 4
# A state of heads × width², with no field of its own.
LINEAR_ATTENTION = frozenset(("minimax-01",))
# Fields that only layers with a state of fixed size need.
RECURRENT_FIELDS = ("wkv.head_size", "shortconv.l_cache", "kda.head_dim", "ssm.state_size")

# Layers from here on read the cache of an earlier one; others say so in attention.shared_kv_layers.
SHARED_FROM = {"gemma3n": 20}
# Layers keep an indexer's key beside their own; of minimax-m3, those behind the leading dense ones.
INDEXED = frozenset(("deepseek32", "glm-dsa", "hy_v4", "minimax-m3", "qwen4exp"))
# Caches of a kind that is not read here.
UNREAD = {
    "deepseek4": "keeps compressed entries beside a window",
    "dots3note": "keeps latent keys of two widths",
    "glm5-next": "pools its indexer's keys",
    "nanbeige": "walks its layers several times",
}
# Without a cache: encoders, and models that write by diffusion.
CACHELESS = frozenset(
    (
        "bert modern-bert nomic-bert nomic-bert-moe neo-bert jina-bert-v2 jina-bert-v3 eurobert gemma-embedding t5encoder "
        "wavtokenizer-dec dream llada llada-moe rnd1"
    ).split()
)
# The architecture of a vision or audio projector, which lies in a file of its own and writes nothing.
PROJECTOR = "clip"
