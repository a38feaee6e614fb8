"""GGUF files that are damaged or lie: each has its code, none crashes, and nothing of a declared size is made before it is checked."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable

import pytest
from gguf_builder import ARRAY, BOOL, F32, STRING, U8, U16, U32, U64, As, Tensors, Writer, gguf
from hypothesis import given, settings
from hypothesis import strategies as st
from trees import safetensors

from hfmem import api
from hfmem.checkpoint.gguf import read_gguf
from hfmem.checkpoint.gguf_values import MAX_NESTED_ARRAYS
from hfmem.errors import CannotTell, ExitCode, HeaderError, HfmemError
from hfmem.sources.base import Origin
from hfmem.sources.memory import MemorySource

W = Writer()
META = {"general.architecture": "llama", "llama.block_count": 1, "tokens": ["a", "b"]}
ONE: Tensors = {"w": ("F32", [8])}
TWO: Tensors = {"a": ("F32", [8]), "b": ("F32", [8])}
GOOD = gguf(META, TWO)


def verdict(content: bytes) -> str:
    """Our error code for a file, "ok" where it is accepted."""
    try:
        read_gguf(MemorySource({"m.gguf": content}), "m.gguf")
    except HfmemError as error:
        assert isinstance(error, (HeaderError, CannotTell))
        assert error.exit_code is (ExitCode.BROKEN if isinstance(error, HeaderError) else ExitCode.CANNOT_TELL)
        assert "m.gguf" in error.message
        assert error.message.isprintable()
        assert len(error.message) < 400
        return error.code
    return "ok"


def file(
    tensors: bytes = b"", pairs: bytes = b"", *, num_tensors: int = 0, num_pairs: int = 0, version: int = 3, data: int = 0
) -> bytes:
    """A file of parts written by hand, padded to where its data begin."""
    head = b"GGUF" + W.number(U32, version) + W.number(U64, num_tensors) + W.number(U64, num_pairs) + pairs + tensors
    return head + bytes(-len(head) % 32 + data if data else 0)


def pair(key: str | bytes, value: bytes) -> bytes:
    return W.string(key) + value


def one_pair(key: str | bytes, value: bytes) -> bytes:
    return file(pairs=pair(key, value), num_pairs=1, data=64)


def one_tensor(
    name: str | bytes = "w", kind: int = 0, dims: list[int] | None = None, offset: int = 0, *, data: int = 64
) -> bytes:
    return file(W.tensor(name, kind, [8] if dims is None else dims, offset), num_tensors=1, data=data)


def two(first: tuple[int, list[int], int], second: tuple[int, list[int], int], *, data: int = 4096) -> bytes:
    return file(W.tensor("a", *first) + W.tensor("b", *second), num_tensors=2, data=data)


def array(kind: int, length: int, content: bytes = b"") -> bytes:
    return W.number(U32, ARRAY) + W.number(U32, kind) + W.number(U64, length) + content


def nested(depth: int) -> bytes:
    return W.number(U32, ARRAY) + (W.number(U32, ARRAY) + W.number(U64, 1)) * depth + W.number(U32, U8) + W.number(U64, 0)


def raw_dims(num_dims: int) -> bytes:
    return file(W.string("w") + W.number(U32, num_dims), num_tensors=1, data=64)


# name, file, code
DAMAGED: list[tuple[str, bytes, str]] = [
    ("no bytes", b"", "too-short"),
    ("the magic alone", b"GGUF", "too-short"),
    ("seven bytes", b"GGUF\3\0\0", "too-short"),
    ("magic and version", b"GGUF\3\0\0\0", "truncated-header"),
    ("zeros", bytes(64), "bad-magic"),
    ("another magic", b"GGUE" + bytes(60), "bad-magic"),
    ("an LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "lfs-pointer"),
    ("a web page", b"<!DOCTYPE html><html></html>", "not-gguf"),
    ("a zip archive", b"PK\3\4" + bytes(60), "not-gguf"),
    ("a pickle", b"\x80\x04" + bytes(60), "not-gguf"),
    ("a safetensors file", safetensors({"w": ("F32", [2])}), "not-gguf"),
    ("GGML, of before GGUF", b"lmgg" + bytes(60), "not-gguf"),
    ("GGJT, of before GGUF", b"tjgg" + bytes(60), "not-gguf"),
    ("version 0", file(version=0), "bad-version"),
    ("version 4", file(version=4), "unsupported-version"),
    ("version 99", file(version=99), "unsupported-version"),
    ("version 2^31 - 1", file(version=2**31 - 1), "unsupported-version"),
    ("2^63 tensors", file(num_tensors=2**63), "too-many-tensors"),
    ("2^64 - 1 tensors", file(num_tensors=2**64 - 1), "too-many-tensors"),
    ("1,000,000 tensors in a small file", file(num_tensors=1_000_000), "truncated-header"),
    ("2^64 - 1 keys", file(num_pairs=2**64 - 1), "too-many-keys"),
    ("100,000 keys in a small file", file(num_pairs=100_000), "truncated-header"),
    ("a key of 2^64 - 1 bytes", file(pairs=W.number(U64, 2**64 - 1) + bytes(64), num_pairs=1), "name-too-long"),
    ("a key of 65,535 bytes in a small file", file(pairs=W.number(U64, 65_535) + bytes(64), num_pairs=1), "truncated-header"),
    ("an empty key", one_pair("", W.value(1)), "empty-name"),
    ("a key that is not UTF-8", one_pair(b"\xff", W.value(1)), "not-utf8"),
    ("a key that comes twice", file(pairs=pair("k", W.value(1)) + pair("k", W.value(2)), num_pairs=2, data=64), "duplicate-key"),
    ("an unknown value type", one_pair("k", W.number(U32, 13) + bytes(8)), "bad-type"),
    ("value type 2^32 - 1", one_pair("k", W.number(U32, 2**32 - 1) + bytes(8)), "bad-type"),
    ("a string of 2^63 bytes", one_pair("k", W.number(U32, STRING) + W.number(U64, 2**63)), "truncated-header"),
    ("a string of a gigabyte", one_pair("k", W.number(U32, STRING) + W.number(U64, 2**30)), "truncated-header"),
    ("an array of an unknown type", one_pair("k", array(99, 1, bytes(8))), "bad-type"),
    ("an empty array of an unknown type", one_pair("k", array(99, 0)), "bad-type"),
    ("an array of 2^63 numbers", one_pair("k", array(U64, 2**63)), "truncated-header"),
    ("an array of 2^64 - 1 bytes", one_pair("k", array(U8, 2**64 - 1)), "truncated-header"),
    ("an array of 2^63 strings", one_pair("k", array(STRING, 2**63)), "truncated-header"),
    ("an array of 13 strings in 96 bytes", one_pair("k", array(STRING, 13)), "truncated-header"),
    ("a string of 2^64 - 1 bytes in an array", one_pair("k", array(STRING, 2, W.number(U64, 2**64 - 1))), "truncated-header"),
    ("a string of 2^40 bytes in an array", one_pair("k", array(STRING, 2, W.number(U64, 2**40))), "truncated-header"),
    ("an array of 2^63 arrays", one_pair("k", array(ARRAY, 2**63)), "too-deep"),
    ("an array of too many arrays", one_pair("k", array(ARRAY, MAX_NESTED_ARRAYS + 1)), "too-deep"),
    ("an array of 1,000 arrays in 64 bytes", one_pair("k", array(ARRAY, 1000)), "truncated-header"),
    ("arrays nested 9 deep", one_pair("k", nested(8)), "too-deep"),
    ("arrays nested 5,000 deep", one_pair("k", nested(5000)), "too-deep"),
    ("alignment 0", gguf({"general.alignment": 0}, ONE), "bad-alignment"),
    ("alignment 24", gguf({"general.alignment": 24}, ONE), "bad-alignment"),
    ("alignment 2^40", gguf({"general.alignment": As(U64, 2**40)}, ONE), "bad-alignment"),
    ("an alignment that is a word", gguf({"general.alignment": "32"}, ONE), "bad-alignment"),
    ("an alignment that is true", gguf({"general.alignment": True}, ONE), "bad-alignment"),
    ("an alignment that is 32.0", gguf({"general.alignment": 32.0}, ONE), "bad-alignment"),
    ("an alignment of 2^31 in a small file", gguf({"general.alignment": 2**31}, ONE), "truncated"),
    ("an empty tensor name", one_tensor(""), "empty-name"),
    ("a tensor name that is not UTF-8", one_tensor(b"w\xc3\x28"), "not-utf8"),
    ("a tensor name of 2^63 bytes", file(W.number(U64, 2**63) + bytes(64), num_tensors=1), "name-too-long"),
    ("a tensor that comes twice", file(W.tensor("w", 0, [8], 0) + W.tensor("w", 0, [8], 32), num_tensors=2, data=64), "duplicate-tensor"),
    ("5 dimensions", one_tensor(dims=[1, 1, 1, 1, 1]), "bad-dim"),
    ("2^32 - 1 dimensions", raw_dims(2**32 - 1), "bad-dim"),
    ("a dimension of 2^63", one_tensor(dims=[2**63]), "overflow"),
    ("dimensions of 2^63 together", one_tensor(dims=[2**32, 2**31]), "overflow"),
    ("dimensions that come round to 0", one_tensor(dims=[2**32, 2**32]), "overflow"),
    ("four dimensions of 2^63", one_tensor(dims=[2**63 - 1] * 4), "overflow"),
    ("an unknown type of 2^64 elements", one_tensor(kind=77, dims=[2**32, 2**32]), "overflow"),
    ("2^62 elements of 4 bytes", one_tensor(dims=[2**62]), "overflow"),
    ("2^40 elements in a small file", one_tensor(dims=[2**40]), "truncated"),
    ("a row that ends inside a block", one_tensor(kind=2, dims=[33]), "misaligned"),
    ("seven of a block of 32", one_tensor(kind=8, dims=[7, 32]), "misaligned"),
    ("blocks that would fit the whole but not a row", one_tensor(kind=12, dims=[128, 2]), "misaligned"),
    ("an offset of 1", one_tensor(offset=1), "bad-offset"),
    ("an offset of 2^64 - 32", one_tensor(offset=2**64 - 32), "bad-offset"),
    ("an offset of 2^63", one_tensor(offset=2**63), "bad-offset"),
    ("a first tensor that leaves a hole", one_tensor(offset=32), "hole-or-overlap"),
    ("an offset far past the file", one_tensor(offset=2**62), "hole-or-overlap"),
    ("two tensors at one place", two((0, [8], 0), (0, [8], 0)), "hole-or-overlap"),
    ("a tensor that overlaps", two((0, [16], 0), (0, [8], 32)), "hole-or-overlap"),
    ("a hole between two", two((0, [8], 0), (0, [8], 64)), "hole-or-overlap"),
    ("the second far past the file", two((0, [8], 0), (0, [8], 2**62)), "hole-or-overlap"),
    ("an unknown type and a next tensor past the file", two((77, [8], 0), (0, [8], 2**62)), "truncated"),
    ("an unknown type with no data at all", file(W.tensor("w", 77, [8], 0), num_tensors=1), "truncated"),
    ("data that are a byte short", one_tensor(data=32)[:-1], "truncated"),
    ("no data", file(W.tensor("w", 0, [8], 0), num_tensors=1), "truncated"),
    ("data cut in the last tensor", GOOD[:-20], "truncated"),
    ("cut before the data", GOOD[: len(GOOD) - 96], "truncated-header"),
    ("version 1 read as 3", b"GGUF" + W.number(U32, 3) + gguf(META, TWO, version=1)[8:], "too-many-tensors"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "code"), [row[1:] for row in DAMAGED], ids=[row[0] for row in DAMAGED])
def test_a_damaged_file_has_its_code(content: bytes, code: str) -> None:
    assert verdict(content) == code


ACCEPTED: list[tuple[str, bytes]] = [
    ("a true that is 2", one_pair("k", W.number(U32, BOOL) + b"\2")),
    ("not a number", one_pair("k", W.value(As(F32, float("nan"))))),
    ("arrays nested 8 deep", one_pair("k", nested(7))),
    ("an empty string", one_pair("k", W.value(""))),
    ("a name of 1,000 characters", one_tensor("w" * 1000)),
    ("a name with control characters", one_tensor("w\x1b[31m")),
    ("alignment 1", gguf({"general.alignment": 1}, ONE, alignment=1)),
    ("offsets out of order", two((0, [8], 32), (0, [8], 0))),
]


@pytest.mark.parametrize("content", [row[1] for row in ACCEPTED], ids=[row[0] for row in ACCEPTED])
def test_what_is_only_odd_is_read(content: bytes) -> None:
    assert verdict(content) == "ok"


def test_control_characters_in_names_are_escaped() -> None:
    assert verdict(file(W.tensor("\x1b[31m", 0, [8], 0) * 2, num_tensors=2, data=64)) == "duplicate-tensor"


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_file_cut_anywhere_is_truncated(version: int) -> None:
    whole = gguf({**META, "list": [1, 2, 3], "nested": As(ARRAY, [[1], [2]], ARRAY), "f": 0.5}, TWO, version=version)
    for length in range(len(whole)):
        assert verdict(whole[:length]) in ("too-short", "truncated-header", "truncated")
    assert verdict(whole) == "ok"


class Unsized:
    """A file whose size the source does not say, and that gives little at a time."""

    max_workers = 1
    origin = Origin(reference="unsized", source="memory")

    def __init__(self, content: bytes, step: int = 7) -> None:
        self.content, self.step = content, step

    def files(self) -> dict[str, int | None]:
        return {"m.gguf": None}

    def read(self, name: str, *, limit: int) -> bytes:
        raise NotImplementedError

    def read_range(self, name: str, start: int, length: int) -> bytes:
        return self.content[start : start + min(length, self.step)]

    def sharded_headers(self, index: str) -> bytes | None:
        return None


def test_a_file_of_unknown_size_is_read_until_it_ends() -> None:
    assert read_gguf(Unsized(GOOD), "m.gguf").tensors == read_gguf(MemorySource({"m.gguf": GOOD}), "m.gguf").tensors
    for length in range(len(GOOD) - 96):
        with pytest.raises(HeaderError) as caught:
            read_gguf(Unsized(GOOD[:length]), "m.gguf")
        assert caught.value.code == "truncated-header"
    with pytest.raises(CannotTell, match="the file's size is not known"):
        read_gguf(Unsized(one_tensor(kind=77)), "m.gguf")
    with pytest.raises(HeaderError) as caught:
        read_gguf(Unsized(one_pair("k", W.number(U32, STRING) + W.number(U64, 2**40))), "m.gguf")
    assert caught.value.code == "header-too-large"


def test_a_header_past_the_limit_is_refused_before_it_is_read() -> None:
    class Endless(Unsized):
        def files(self) -> dict[str, int | None]:
            return {"m.gguf": 2**40}

        def read_range(self, name: str, start: int, length: int) -> bytes:
            self.step += length
            return self.content[start : start + length].ljust(length, b"\0")

    source = Endless(one_pair("k", array(STRING, 2**33)), 0)
    with pytest.raises(HeaderError) as caught:
        read_gguf(source, "m.gguf")
    assert (caught.value.code, source.step) == ("header-too-large", 2**20)


LIES: list[Callable[[int], bytes]] = [
    lambda size: one_pair("k", array(STRING, size)), lambda size: one_pair("k", array(U8, size)),
    lambda size: one_pair("k", W.number(U32, STRING) + W.number(U64, size)), lambda size: file(num_tensors=size),
    lambda size: file(num_pairs=size), lambda size: one_tensor(dims=[size]), lambda size: one_pair("k", array(ARRAY, size)),
]  # fmt: skip


@pytest.mark.parametrize("size", [2**20, 2**28, 2**40, 2**63, 2**64 - 1])
def test_nothing_of_a_declared_size_is_made(size: int) -> None:
    tracemalloc.start()
    for lie in LIES:
        assert verdict(lie(size)) != "ok"
    assert tracemalloc.get_traced_memory()[1] < 2**20
    tracemalloc.stop()


def outcome(content: bytes) -> None:
    """Whatever the file holds, it is read or it is an error of ours; so is the model it describes."""
    try:
        api.load_source(MemorySource({"m.gguf": content}))
    except HfmemError as error:
        assert error.message.isprintable()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_random_bytes_never_crash(content: bytes) -> None:
    outcome(content)
    outcome(b"GGUF\3\0\0\0" + content)


FULL = {
    **META, "llama.embedding_length": 64, "llama.attention.head_count": 4, "llama.attention.head_count_kv": [2], "llama.feed_forward_length": 8,
    "llama.attention.sliding_window": As(U16, 7), "llama.attention.sliding_window_pattern": [True],
}  # fmt: skip
SEED = gguf(FULL, TWO)


@settings(max_examples=600, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), min_size=1, max_size=6), st.integers(0, len(SEED)))
def test_mutations_never_crash(changes: list[tuple[int, int]], end: int) -> None:
    content = bytearray(SEED)
    for position, byte in changes:
        content[position] = byte
    outcome(bytes(content))
    outcome(bytes(content[:end]))


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(SEED) - 8), st.sampled_from([0, 1, 2**31, 2**32 - 1, 2**32, 2**62, 2**63 - 1, 2**63, 2**64 - 1]))
def test_extreme_numbers_never_crash(position: int, number: int) -> None:
    outcome(SEED[:position] + struct.pack("<Q", number) + SEED[position + 8 :])
