"""Findings about shards on the Hub, from its one reply for their headers: a file cannot be smaller than what is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from hfmem.checkpoint.combined import combined_parts
from hfmem.checkpoint.formats import choose
from hfmem.checkpoint.header import PREFIX_BYTES, read_entries
from hfmem.checkpoint.room import room_for
from hfmem.doctor.values import Finding
from hfmem.errors import HfmemError
from hfmem.sources.base import Source


def size_findings(source: Source) -> Iterator[Finding]:
    """Shards whose size leaves less for the header than its tensors take when they are written without a space."""
    files = source.files()
    index = choose(files).index
    with room_for(files.get(index) if index else None):
        reply = source.sharded_headers(index) if index else None
        for part, shard, header in combined_parts(reply) if reply is not None else ():
            size = files.get(shard)
            if part == "headers" and size is not None and isinstance(header, Mapping):
                yield from one_shard(shard, header, size)


def one_shard(shard: str, header: Mapping[str, Any], size: int) -> Iterator[Finding]:
    try:
        data_bytes = read_entries(header, shard, None).data_bytes
    except HfmemError:
        return  # named by whoever reads the checkpoint
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False)
    least = PREFIX_BYTES + len(text.encode("utf-8", "surrogatepass")) + data_bytes
    if size < least:
        yield Finding(
            severity="broken",
            code="truncated",
            message=f"{shard} is at least {least - size:,} bytes short of its header and tensors",
            file=shard,
            found=f"{size:,} bytes",
            expected=f"at least {least:,}",
            hint="the upload was cut: ask for it to be repeated, or use another revision",
        )
