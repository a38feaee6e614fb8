"""The values the engines share: how a model is split, what a request needs, what a pool holds."""

from __future__ import annotations

from dataclasses import dataclass


def cdiv(amount: int, size: int) -> int:
    """Division that rounds up."""
    return -(-amount // size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request at its longest. `in_flight` tokens are scheduled but not yet freed from a window."""

    context: int
    in_flight: int = 0
    encoder_tokens: int = 0
    state_blocks: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """The device an engine runs on, as far as it asks: memory its runtime reports, and what the chip is."""

    name: str
    total_bytes: int
    compute_capability: str | None = None

    @property
    def reads_long_batches(self) -> bool:
        """vLLM keeps A100 and GB10 on the small defaults whatever their memory."""
        return "a100" not in self.name.lower() and "gb10" not in self.name.lower()


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What an engine has room for on a device, as it would print it at its start."""

    kv_cache_bytes: int  # the pool of one rank
    kv_cache_tokens: int
    max_concurrency: float  # requests of `context` tokens
    budget_bytes: int  # what the engine allows itself of one device
    starts: bool  # there is room for one such request
    shortage: str = ""  # why it does not start
    max_sequences: int | None = None  # that run at a time whatever their length; None: no such limit
    bytes_per_token: float = 0.0  # of the pool; where kinds of layers differ, of a request of the context

    @property
    def max_running(self) -> float:
        """Requests that run at a time: by the pool, and by the engine's limit."""
        return self.max_concurrency if self.max_sequences is None else min(self.max_concurrency, self.max_sequences)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A paged cache as the engine would print it, on one rank; every rank of a tensor-parallel group holds the same."""

    num_bytes: int  # what the budget leaves for it
    bytes_per_block: int
    blocks_per_request: int
    tokens: int
    max_concurrency: float
    starts: bool  # one request of the maximum length fits

    @property
    def num_blocks(self) -> int:
        return self.num_bytes // self.bytes_per_block if self.bytes_per_block else 0

    @property
    def request_bytes(self) -> int:
        return self.bytes_per_block * self.blocks_per_request
