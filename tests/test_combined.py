"""The Hub's one reply for all headers: read shard by shard, refused where it is no JSON, and never all at once in memory."""

import json
import threading
import time
import tracemalloc
from typing import Any

import pytest

from hfmem.checkpoint import room
from hfmem.checkpoint.combined import combined_parts
from hfmem.errors import HeaderError

REPLY = {"index": {"metadata": {"total_size": 4}}, "headers": {"a": {"t": {"dtype": "F32"}}, "b": {}}, "more": [1, "x"]}


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("names", [["index", "headers", "more"], ["headers", "more", "index"]])
def test_parts_come_in_their_order_whatever_the_space_between(names: list[str], indent: int | None) -> None:
    text = json.dumps({name: REPLY[name] for name in names}, indent=indent).encode()
    found = list(combined_parts(b" \n" + text + b"\n"))
    shards = [("headers", "a", {"t": {"dtype": "F32"}}), ("headers", "b", {})]
    expected = [part for name in names for part in (shards if name == "headers" else [(name, "", REPLY[name])])]
    assert found == expected


# (a reply, the error's code)
BAD = [
    (b"", "not-an-object"), (b"[]", "not-an-object"), (b"{", "bad-json"), (b'{"headers": {', "bad-json"), (b'{"headers": {"a": {}', "bad-json"),
    (b'{"headers": {"a": {}}', "bad-json"), (b'{"headers": {"a": {}}}}', "bad-json"), (b'{"headers": {"a" {}}}', "bad-json"),
    (b'{"headers": {"a": {},}}', "bad-json"), (b'{"headers": {1: {}}}', "bad-json"), (b'{"a": 1 "b": 2}', "bad-json"), (b'{"a": }', "bad-json"),
    (b"\xff", "not-utf8"), (b'{"a": ' + b"[" * 100 + b"]" * 100 + b"}", "too-deep"), (b'{"a": ' + b"[" * 100_000, "too-deep"),
    (b'{"a": ' + b"9" * 5000 + b"}", "number-too-large"),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "code"), BAD)
def test_what_is_no_json_is_named(reply: bytes, code: str) -> None:
    with pytest.raises(HeaderError) as caught:
        list(combined_parts(reply))
    assert caught.value.code == code


def test_only_one_shard_is_in_memory() -> None:
    header = {
        f"model.layers.0.{n}.weight": {"dtype": "BF16", "shape": [4096, 14336], "data_offsets": [n, n + 1]} for n in range(1000)
    }
    reply = json.dumps({"headers": {f"shard-{number}": header for number in range(100)}}).encode()
    tracemalloc.start()
    for _ in combined_parts(reply):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1.3 * len(reply)


def test_large_replies_are_taken_apart_a_few_at_a_time() -> None:
    at_work: list[int] = []
    seen: list[int] = []

    def work(num_bytes: int) -> None:
        with room.room_for(num_bytes):
            at_work.append(num_bytes)
            seen.append(sum(at_work))
            time.sleep(0.01)
            at_work.remove(num_bytes)

    sizes = [4 * 2**20] * 6 + [10**9] + [1000] * 4
    threads = [threading.Thread(target=work, args=(size,)) for size in sizes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(total for total in seen if total < 10**9) <= 2 * 4 * 2**20 + 4000
    assert len(seen) == len(sizes)


def test_room_is_given_back_after_a_failure() -> None:
    def fail() -> Any:
        with room.room_for(10**9):
            raise HeaderError("no", code="no")

    for _ in range(3):
        with pytest.raises(HeaderError):
            fail()
    with room.room_for(10**9):
        pass
