"""A workload with vLLM's defaults filled in."""

from __future__ import annotations

from dataclasses import dataclass

from hfmem.checkpoint.tensors import DTYPE_BITS
from hfmem.memory.engines.lines import ASSUMED_CARD, in_16_bits
from hfmem.memory.engines.pages import Paging
from hfmem.memory.engines.shards import Split
from hfmem.memory.engines.split import split_of
from hfmem.memory.engines.values import Card, Request, cdiv
from hfmem.memory.inference import Setting, settle
from hfmem.memory.subject import Model
from hfmem.memory.workload import Inference
from hfmem.tables.engines import (
    HUGE_CARD,
    LARGE_CARD,
    NEWEST,
    Release,
    release_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The part of a setting that requests do not change."""

    split: Split
    release: Release
    version: tuple[int, ...]
    weights_dtype: str | None
    model_dtype: str
    kv_bits: int
    sequences: int
    tokens: int
    capability: str | None

    @property
    def element(self) -> int:
        return DTYPE_BITS[self.model_dtype] // 8

    @property
    def paging(self) -> Paging:
        windows = self.release.groups_kinds
        return Paging(kv_bits=self.kv_bits, model_bytes=self.element, tp=self.split.tp, windows=windows)


@dataclass(frozen=True, slots=True, kw_only=True)
class VllmSetting:
    """A workload with vLLM's defaults filled in."""

    base: Setting
    release: Release
    version: tuple[int, ...]
    split: Split
    sequences: int
    tokens: int
    utilization: float
    eager: bool
    card: Card

    @property
    def frame(self) -> Frame:
        """What a rank's weights and groups depend on, whatever the requests."""
        return Frame(
            split=self.split,
            release=self.release,
            version=self.version,
            weights_dtype=self.base.weights_dtype,
            model_dtype=self.base.model_dtype,
            kv_bits=int(self.base.kv_bits),
            sequences=self.sequences,
            tokens=self.tokens,
            capability=self.card.compute_capability,
        )

    @property
    def request(self) -> Request:
        batches = self.release.in_flight_batches
        in_flight = self.tokens * (batches if batches == 1 else self.split.pp + 1)
        return Request(
            context=self.base.context,
            in_flight=in_flight,
            encoder_tokens=self.base.encoder_tokens,
            state_blocks=self.release.state_blocks,
        )

    @property
    def replica_batch(self) -> int:
        """Sequences of one data-parallel replica."""
        return cdiv(self.base.batch, self.split.dp)

    @property
    def options(self) -> dict[str, object]:
        """What the report says was settled."""
        split = self.split
        return {
            "engine_version": ".".join(str(part) for part in self.version),
            "tp": split.tp,
            "pp": split.pp,
            "dp": split.dp,
            "ep": split.expert,
            "max_num_seqs": self.sequences,
            "max_num_batched_tokens": self.tokens,
            "gpu_memory_utilization": self.utilization,
            "enforce_eager": self.eager,
        }


def settle_vllm(model: Model, workload: Inference, card: Card | None) -> VllmSetting:
    """vLLM's defaults for a model and a card."""
    version = workload.engine_version or NEWEST
    release, found = release_of(version), card or ASSUMED_CARD
    base = in_16_bits(settle(model.spec, model.weights, workload))
    large = found.total_bytes >= LARGE_CARD and found.reads_long_batches and release.large_batches
    tokens = 16384 if found.total_bytes >= HUGE_CARD and large and release.huge_batches else 8192 if large else 2048
    if not release.chunks_prompts:
        tokens = max(base.context, 2048)
    sequences = workload.max_num_seqs or (1024 if large else 256)
    tokens = max(1, min(tokens, sequences * base.context))  # `EngineArgs`: no more than all sequences could ever hold
    return VllmSetting(
        base=base,
        release=release,
        version=version,
        split=split_of(model.spec, workload),
        sequences=sequences,
        tokens=workload.max_num_batched_tokens or tokens,
        utilization=workload.gpu_memory_utilization or release.utilization,
        eager=workload.enforce_eager,
        card=found,
    )
