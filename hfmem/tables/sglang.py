"""
What SGLang does that no configuration says: each constant with the function of SGLang 0.5.23 it comes from.

`[logs]` are start-up logs, fixtures/serving_measured.json.
"""

from __future__ import annotations

from dataclasses import dataclass

GIB, MIB = 2**30, 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class CardRow:
    """Defaults of a card with less than `below_mib` of memory (`handle_gpu_memory_settings`)."""

    below_mib: float
    chunk: int  # --chunked-prefill-size
    graph_batch: int  # largest captured decode batch
    graph_batch_wide: int  # with four ranks or more


CARDS: tuple[CardRow, ...] = (
    CardRow(below_mib=20 * 1024, chunk=2048, graph_batch=8, graph_batch_wide=8),
    CardRow(below_mib=35 * 1024, chunk=4096, graph_batch=48, graph_batch_wide=160),
    CardRow(below_mib=60 * 1024, chunk=4096, graph_batch=32, graph_batch_wide=160),
    CardRow(below_mib=160 * 1024, chunk=8192, graph_batch=256, graph_batch_wide=512),
    CardRow(below_mib=float("inf"), chunk=16384, graph_batch=512, graph_batch_wide=512),
)
WIDE_RANKS = 4

# The reserve in MiB that the default --mem-fraction-static leaves (`handle_gpu_memory_settings`, `reserve_for_graph_mb`).
RESERVED, RESERVED_TOKEN, RESERVED_RANK = 512.0, 1.5, 128.0
LEAST_ACTIVE_TOKENS = 2048
RESERVED_GRAPH_BATCH, RESERVED_REPLICA_BATCH, RESERVED_REPLICA_LARGE, LARGE_GRAPH_BATCH = 2.0, 3.0, 4.5, 300
RESERVED_PREFILL_GRAPH, RESERVED_PREFILL_LATENT = 8.0, 1536.0
LARGE_CARD_MIB, RESERVED_LARGE_CARD = 60 * 1024, 10 * 1024.0
# Batches of tokens whose prefill is captured, up to the chunk (`generate_prefill_cuda_graph_batch_sizes`).
PREFILL_SIZES = (
    *range(4, 33, 4), *range(48, 257, 16), *range(288, 513, 32), *range(576, 1025, 64), *range(1280, 4097, 256),
    *range(4608, 16385, 512),
)  # fmt: skip
LATENT_PREFILL_LIMIT = 8192

# Towers take from the fraction: 0.95, and 0.1 for every ViT-L/14 the tower is larger (`adjust_mem_fraction_for_vlm`).
TOWER_FACTOR, TOWER_STEP, TOWER_LOW, TOWER_HIGH, TOWER_LAYERS, TOWER_HIDDEN = 0.95, 0.1, 0.8, 1.05, 24, 1024
TOWER_CACHE_BYTES = 100 * MIB  # SGLANG_VLM_CACHE_SIZE_MB, taken from the pool (`mm_runtime_reservation_gb`)

# Classes with a pool of their own for windowed layers (`is_hybrid_swa_model`); every other class keeps whole sequences.
WINDOWED = frozenset((
    "Llama4ForConditionalGeneration", "GptOssForCausalLM", "GraniteSWAForCausalLM", "GraniteMoeSWAForCausalLM",
    "IQuestQ1ForCausalLM", "MiMoV2ForCausalLM", "MiMoV2FlashForCausalLM", "Step3p5ForCausalLM",
    "Step3p7ForConditionalGeneration", "Gemma4ForCausalLM", "Gemma4ForConditionalGeneration", "EmbeddingGemma2Model",
    "Gemma4UnifiedForConditionalGeneration", "DiffusionGemmaForBlockDiffusion", "LagunaForCausalLM", "MellumForCausalLM",
    "MuseGlimmerForCausalLM", "MuseGlimmerForConditionalGeneration", "InklingForConditionalGeneration", "BeamForCausalLM",
    "UnlimitedOCRForCausalLM", "DeepseekV4ForCausalLM",
))  # fmt: skip
# Tokens of the windowed pool for one of the full pool (`--swa-full-tokens-ratio`), and state memory for one of keys
# (`--mamba-full-memory-ratio`): the default and the classes that set their own.
WINDOW_RATIO, WINDOW_RATIOS = 0.8, {"DeepseekV4ForCausalLM": 0.1, "InklingForConditionalGeneration": 0.1}
STATE_RATIO, STATE_RATIOS = 0.9, {"InklingForConditionalGeneration": 0.1}
# Slots of recurrent state for a running request: with the radix cache three, and two more where the class tracks states
# while steps overlap (`_calculate_mamba_ratio`, `get_mamba_tracking_slots`, `_MAMBA_EXTRA_BUFFER_ARCHS`).
STATE_SLOTS, STATE_SLOTS_TRACKED = 3, 5
TRACKED = frozenset((
    "KimiLinearForCausalLM", "Qwen3_5ForConditionalGeneration", "Qwen3_5MoeForConditionalGeneration", "Qwen3_5ForCausalLM",
    "Qwen3_5MoeForCausalLM", "Qwen3NextForCausalLM", "Qwen4ExpForConditionalGeneration", "NemotronH_Omni_Reasoning_V3",
    "InternS2PreviewForConditionalGeneration", "MiniCPMV4_6ForConditionalGeneration", "MiniCPMV4_7ForConditionalGeneration",
    "BailingMoeV2_5ForCausalLM", "BailingMoeV3ForCausalLM", "BailingMoeV3VLForConditionalGeneration", "FalconH1ForCausalLM",
    "GraniteMoeHybridForCausalLM", "Glm5NextForConditionalGeneration", "NemotronHForCausalLM", "NemotronHPuzzleForCausalLM",
    "KimiK3ForConditionalGeneration", "InklingForConditionalGeneration",
))  # fmt: skip
CONVOLUTION_BYTES, STATE_BYTES = 2, 4  # bfloat16 and float32 (`mamba2_state_dtype`)

# Requests that may run (`resolve_max_num_reqs`).
LEAST_REQUESTS, MOST_REQUESTS, REQUESTS_PER_CONTEXT = 2048, 4096, 512

# 8-bit latents of a sparse model carry a float32 scale for 128 elements, and their rotary key in bfloat16
# (`calculate_mla_kv_cache_dim`); Blackwell's kernels read them raw.
LATENT_SCALE_DIM, LATENT_SCALE_BYTES, ROTARY_BYTES = 128, 4, 2
BLACKWELL = "10."
PAGE, SPARSE_PAGE, BLACKWELL_PAGE, COMPRESSED_PAGE = 1, 64, 64, 256
# DeepSeek-V4: a slot is the head, its rotary part in bfloat16 and 8 bytes of scales (`DSV4PoolConfigurator`).
COMPRESSED_ROTARY, COMPRESSED_SCALES, COMPRESSED_RING = 64, 8, 8

# NCCL and all-reduce buffers by ranks, in MiB: "Init torch distributed end … mem usage" [logs].
DISTRIBUTED: tuple[tuple[int, int], ...] = ((1, 0), (2, 250), (4, 250), (8, 1500), (16, 1750))
