"""
How vLLM shares one pool of blocks between layers of different kinds.

Layers are put into groups that each have a table of blocks; all draw from one pool, so every group's page must have the
same bytes. Source: vLLM 0.33, `v1/core/kv_cache_planning.py` (`get_kv_cache_groups`, `unify_kv_cache_spec_page_size`,
`_get_kv_cache_groups_uniform_page_size`, `get_max_concurrency_for_kv_cache_config`); `scripts/vllm_plan` runs that code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hfmem.errors import CannotTell
from hfmem.memory.engines.pages import Page
from hfmem.memory.engines.values import Pool, Request, cdiv
from hfmem.tables.engines import Release

SPLITTABLE = ("full", "window", "chunk", "cross")  # kinds that may be padded to a page that is no multiple of theirs


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Layers that share a table of blocks."""

    pages: tuple[Page, ...]

    @property
    def num_bytes(self) -> int:
        return sum(page.num_bytes for page in self.pages)

    def blocks(self, request: Request) -> int:
        return max(page.blocks(request) for page in self.pages)

    @property
    def block_size(self) -> int:
        return self.pages[0].block_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The groups of a whole model and what a block of the pool costs."""

    groups: tuple[Group, ...]

    @property
    def bytes_per_block(self) -> int:
        return max((group.num_bytes for group in self.groups), default=0)

    def blocks_per_request(self, request: Request) -> int:
        return sum(group.blocks(request) for group in self.groups)

    @property
    def block_size(self) -> int:
        return min((group.block_size for group in self.groups), default=0)

    def bytes_per_token(self, request: Request) -> float:
        """Exact for one group of layers; for several what a request of the maximum length takes, over its tokens."""
        if len(self.groups) == 1 and self.groups[0].pages[0].kind in ("full", "latent"):
            return self.bytes_per_block / self.block_size
        return self.bytes_per_block * self.blocks_per_request(request) / request.context

    def pool(self, num_bytes: int, request: Request, release: Release) -> Pool:
        """What `num_bytes` hold; releases before 0.21 printed tokens as if every group kept a whole sequence."""
        size, each = self.bytes_per_block, self.blocks_per_request(request)
        count = max(0, num_bytes) // size if size else 0
        concurrency = count / each if each else 0.0
        tokens = int(concurrency * request.context)
        if not release.tokens_of_requests and self.groups:
            tokens = count // len(self.groups) * self.block_size
        return Pool(
            num_bytes=max(0, num_bytes),
            bytes_per_block=size,
            blocks_per_request=each,
            tokens=tokens,
            max_concurrency=concurrency,
            starts=not self.groups or count > each,  # one block is never given out
        )


def plan(pages: Sequence[Page], release: Release) -> Plan:
    """Groups of the pages. Raises `CannotTell` where vLLM itself refuses to unify them."""
    if not pages:
        return Plan(groups=())
    if is_uniform(pages):
        return Plan(groups=(Group(pages=tuple(pages)),))
    return Plan(groups=tuple(split(unified(pages), release)))


def is_uniform(pages: Sequence[Page]) -> bool:
    """Whether all layers need the same slots: all of them full (latent or not), or all with one and the same reach."""
    if len({page.block_size for page in pages}) > 1:
        return False
    kinds = {page.kind for page in pages}
    if kinds <= {"full", "latent"}:
        return True
    same_reach = len({page.reach for page in pages}) == 1
    return len(kinds) == 1 and same_reach and (kinds != {"state"} or len({page.num_bytes for page in pages}) == 1)


def unified(pages: Sequence[Page]) -> list[Page]:
    """Pages of one size: smaller ones hold more tokens where that comes out even, and are padded where not."""
    largest = max(page.num_bytes for page in pages)
    try:
        return [grown(page, largest) for page in pages]
    except CannotTell:
        full = [replace(page, kind="full", reach=0) if page.kind == "window" else page for page in pages]
        if is_uniform(full):
            return full
        raise


def grown(page: Page, largest: int) -> Page:
    if page.num_bytes == largest:
        return page
    if page.kind == "state":
        return replace(page, padded_bytes=largest)
    if largest % page.num_bytes == 0:
        return replace(page, block_size=page.block_size * (largest // page.num_bytes))
    if page.kind in SPLITTABLE:
        return replace(page, padded_bytes=largest)
    message = f"pages of {page.num_bytes:,} and {largest:,} bytes cannot share a pool"
    raise CannotTell(message, code="mixed-pages", hint="vLLM refuses this mixture of layers too")


def split(pages: Sequence[Page], release: Release) -> list[Group]:
    """Groups of equally many layers: as many as the rarest kind has, or the commonest where they are nearly as many."""
    if is_uniform(pages):
        return [Group(pages=tuple(pages))]
    buckets: dict[tuple[object, ...], list[Page]] = {}
    for page in pages:
        buckets.setdefault((page.kind, page.block_size, page.token_bytes, page.reach, page.num_bytes), []).append(page)
    counts = [len(bucket) for bucket in buckets.values()]
    size = max(counts) if max(counts) < min(counts) * release.group_ratio else min(counts)
    return [
        Group(pages=tuple(bucket[index :: cdiv(len(bucket), size)]))
        for bucket in buckets.values()
        for index in range(cdiv(len(bucket), size))
    ]
