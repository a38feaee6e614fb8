"""
What serving engines do that no configuration says, by version: each constant with its source.

Sources: the code of vLLM 0.8.5 to 0.33 and SGLang 0.5.23; `[logs]` are start-up logs, fixtures/serving_measured.json.
"""

from __future__ import annotations

from dataclasses import dataclass

GIB, MIB = 2**30, 2**20

# Model types whose chunked layers vLLM sizes as full ones (`VLLM_ALLOW_CHUNKED_LOCAL_ATTN_WITH_HYBRID_KV_CACHE` is off).
PROMOTED_CHUNKS = frozenset(("llama4", "llama4_text"))
# Latent attention without a latent kernel: keys and values are cached expanded (absent from `is_deepseek_mla`).
EXPANDED_LATENT = frozenset(("minicpm3", "youtu", "mistral4", "mistral_large4"))
INDEXER_SCALE_DIM = 128
# Recurrent types → the configuration's key for the state's dtype, and the dtype without it.
STATE_DTYPES: dict[str, tuple[str, str | None]] = {
    "nemotron_h": ("mamba_ssm_cache_dtype", "float32"),
    "nemotron_h_puzzle": ("mamba_ssm_cache_dtype", "float32"),
    "qwen3_5": ("mamba_ssm_dtype", None),
    "qwen3_5_moe": ("mamba_ssm_dtype", None),
    "qwen3_5_text": ("mamba_ssm_dtype", None),
    "qwen3_5_moe_text": ("mamba_ssm_dtype", None),
    "kimi_linear": ("", "float32"),
    "glm5_next": ("", "float32"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What changed between versions of vLLM; a row holds from its version to the next row's."""

    version: tuple[int, ...]
    utilization: float = 0.90  # default of --gpu-memory-utilization (`CacheConfig`)
    graphs_in_budget: bool = False  # the estimated CUDA graphs are taken from the pool (VLLM_MEMORY_PROFILER_ESTIMATE_CUDAGRAPHS)
    sampler_bytes: float = 14.47  # bytes the sampler holds of one logit during the profile run [logs]
    tokens_of_requests: bool = False  # "KV cache size" is concurrency × length, not blocks ÷ groups × block size
    group_ratio: float = 1.5  # kinds within this ratio of each other are padded to the commonest
    in_flight_batches: int = 1  # batches whose tokens a window still holds
    state_blocks: int = 1  # blocks a request's recurrent state has: two where prefixes of hybrid models are cached
    expert_workspace: bool = True  # the fused experts' workspace stays allocated after the profile run [logs]
    groups_kinds: bool = True  # the hybrid manager; without it windows are sized as full attention
    chunks_prompts: bool = True  # False: a profile run reads a whole prompt (V0)
    huge_batches: bool = False  # 16384 tokens on cards of 160 GiB and more
    large_batches: bool = True  # 1024 sequences and 8192 tokens on cards of 70 GiB and more
    other_bytes: tuple[tuple[int, int], ...] = ()  # ranks → MiB outside torch: NCCL, all-reduce buffers, contexts' growth [logs]


EARLY = ((1, 100), (2, 320), (4, 350), (8, 1900))
MIDDLE = ((1, 70), (2, 550), (4, 550), (8, 1900))
LATE = ((1, 255), (2, 2120), (4, 2220), (8, 2260))
OLD_SAMPLER = 38.06
RELEASES: tuple[Release, ...] = (
    Release(
        version=(0, 0), sampler_bytes=OLD_SAMPLER, group_ratio=1.0, expert_workspace=False, groups_kinds=False,
        chunks_prompts=False, large_batches=False, other_bytes=EARLY,
    ),
    Release(
        version=(0, 9), sampler_bytes=OLD_SAMPLER, group_ratio=1.0, expert_workspace=False, groups_kinds=False,
        other_bytes=MIDDLE,
    ),
    Release(version=(0, 10), sampler_bytes=OLD_SAMPLER, group_ratio=1.0, expert_workspace=False, other_bytes=MIDDLE),
    Release(version=(0, 11), sampler_bytes=OLD_SAMPLER, group_ratio=1.25, expert_workspace=False, other_bytes=MIDDLE),
    Release(version=(0, 14), sampler_bytes=OLD_SAMPLER, group_ratio=1.25, other_bytes=MIDDLE),
    Release(version=(0, 17), group_ratio=1.25, other_bytes=MIDDLE),
    Release(version=(0, 18), group_ratio=1.25, other_bytes=LATE),
    Release(version=(0, 19), other_bytes=LATE),
    Release(version=(0, 21), utilization=0.92, graphs_in_budget=True, tokens_of_requests=True, other_bytes=LATE),
    Release(
        version=(0, 27), utilization=0.92, graphs_in_budget=True, tokens_of_requests=True, state_blocks=2, other_bytes=LATE,
    ),
    Release(
        version=(0, 28), utilization=0.92, graphs_in_budget=True, tokens_of_requests=True, state_blocks=2, in_flight_batches=2,
        huge_batches=True, other_bytes=LATE,
    ),
)  # fmt: skip
NEWEST = (0, 33)

# The context before the first snapshot: one rank, several (79.19 − 78.68 and 79.19 − 77.66 GiB free on an H100) [logs].
CONTEXT_BYTES, CONTEXT_BYTES_SEVERAL = 522 * MIB, 1570 * MIB
# One captured size of one layer: 0.61 GiB for 28 layers and 51 sizes, 1.75 for 80; mixtures of experts take more [logs].
GRAPH_BYTES, EXPERT_GRAPHS, GRAPH_SIZES, LARGEST_GRAPH = int(0.43 * MIB), 1.7, 16, 512
# Width of what a profile run holds of a token: multiples of the hidden size and of the intermediate size [logs].
SAMPLED_HIDDEN, FORWARD_HIDDEN, FORWARD_INNER, PROFILE_CONSTANT = 1.16, 3.5, 3.0, int(0.05 * GIB)
TOWER_CONSTANT = int(0.15 * GIB)
# Cards from these sizes on read longer batches (`EngineArgs.get_batch_defaults`).
HUGE_CARD, LARGE_CARD = 160 * GIB, 70 * GIB


def release_of(version: tuple[int, ...]) -> Release:
    """The newest row that is not newer than a version."""
    return max((row for row in RELEASES if row.version <= version), key=lambda row: row.version)
