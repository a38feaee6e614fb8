"""Shard indexes: what is refused and with which code, what is read with a remark, and how little of it is kept."""

import gc
import json
import random
import re
import tracemalloc
from collections.abc import Mapping

import pytest
from trees import INDEX, Watched, as_json, index, safetensors

from hfmem.checkpoint.index import ShardIndex, parse_index
from hfmem.checkpoint.read import read_checkpoint
from hfmem.checkpoint.tensors import Checkpoint
from hfmem.errors import BrokenCheckpoint, ExitCode, HeaderError, HfmemError, ShardIndexError
from hfmem.sources.memory import MemorySource

ONE, TWO = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
A, B = safetensors({"a": ("F32", [2])}), safetensors({"b": ("F32", [2])})
A_AND_B = safetensors({"a": ("F32", [2]), "b": ("F32", [2])})
SHARDS = {ONE: A, TWO: B}
MAP = {"a": ONE, "b": TWO}
DEEP = b"[" * 100_000 + b"]" * 100_000


def failure(files: Mapping[str, bytes]) -> HfmemError:
    with pytest.raises(HfmemError) as caught:
        read_checkpoint(MemorySource(files))
    return caught.value


def read(content: object, shards: Mapping[str, bytes] = SHARDS) -> Checkpoint:
    return read_checkpoint(MemorySource({INDEX: as_json(content), **shards}))


def codes(checkpoint: Checkpoint) -> list[str]:
    return [remark.code for remark in checkpoint.remarks]


# Names that lead out of the checkpoint, elsewhere, or to what is no shard.
UNSAFE = [
    "../../../../etc/passwd", "../../../api/whoami-v2", "../model.safetensors", "a/../../model.safetensors",
    "a/../model.safetensors",
    "/etc/passwd", "/model.safetensors", "//evil/model.safetensors", "https://evil/x", "https://evil/model.safetensors",
    "file:///model.safetensors", "%2e%2e/model.safetensors", "%2e%2e%2fmodel.safetensors", "..\\..\\x", "..\\model.safetensors",
    "C:\\model.safetensors", "model.safetensors?x=1", "a?x=1#y", "?x.safetensors", "#.safetensors", "", ".", "..",
    "./model.safetensors",
    "a//model.safetensors", "a/", "~/model.safetensors", "model.safetensors\n", "model\0.safetensors", "mod el.safetensors",
    "modèl.safetensors", "\u202emodel.safetensors", "\uff0e\uff0e/model.safetensors", "model.safetensors.index.json",
    "config.json",
    "pytorch_model.bin", "model.SAFETENSORS", "safetensors", ".safetensors/", "a" * 250 + ".safetensors",
]  # fmt: skip


@pytest.mark.parametrize("name", UNSAFE)
def test_a_name_that_is_no_shard_of_the_checkpoint_is_refused_and_never_asked_for(name: str) -> None:
    source = Watched({INDEX: index({"a": ONE, "b": name}), **SHARDS})
    with pytest.raises(ShardIndexError) as caught:
        read_checkpoint(source)
    assert (caught.value.code, caught.value.exit_code) == ("unsafe-path", ExitCode.BROKEN)
    assert source.asked == [INDEX]


def test_an_escape_cannot_hide_an_unsafe_name() -> None:
    content = b'{"weight_map": {"a": "\\u002e\\u002e\\u002fmodel.safetensors"}}'
    assert failure({INDEX: content, **SHARDS}).code == "unsafe-path"


@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.safetensors", "../pytorch_model.bin", "x.pt"])
def test_an_index_of_pickles_names_only_bin_files(name: str) -> None:
    assert failure({"pytorch_model.bin.index.json": index({"a": name}), "model.pt": b""}).code == "unsafe-path"


# name, index, error class, code
REFUSED: list[tuple[str, object, type[HfmemError], str]] = [
    ("no weight_map", {"metadata": {}}, ShardIndexError, "empty-index"),
    ("an empty object", {}, ShardIndexError, "empty-index"),
    ("empty weight_map", {"weight_map": {}}, ShardIndexError, "empty-index"),
    ("empty weight_map with spaces", b'{"weight_map" : {  } }', ShardIndexError, "empty-index"),
    ("weight_map a list", {"weight_map": [ONE]}, ShardIndexError, "bad-index"),
    ("weight_map null", {"weight_map": None}, ShardIndexError, "bad-index"),
    ("weight_map a string", {"weight_map": ONE}, ShardIndexError, "bad-index"),
    ("weight_map a number", {"weight_map": 1}, ShardIndexError, "bad-index"),
    ("an int for a file", {"weight_map": {"a": 1}}, ShardIndexError, "bad-index"),
    ("a list for a file", {"weight_map": {"a": [ONE]}}, ShardIndexError, "bad-index"),
    ("null for a file", {"weight_map": {"a": ONE, "b": None}}, ShardIndexError, "bad-index"),
    ("an object for a file", {"weight_map": {"a": {"file": ONE}}}, ShardIndexError, "bad-index"),
    ("metadata a list", {"metadata": [1], "weight_map": MAP}, ShardIndexError, "bad-index"),
    ("metadata a string", {"metadata": "x", "weight_map": MAP}, ShardIndexError, "bad-index"),
    ("a list", [MAP], ShardIndexError, "not-an-object"),
    ("a string", "weight_map", ShardIndexError, "not-an-object"),
    ("null", None, ShardIndexError, "not-an-object"),
    ("nothing", b"", ShardIndexError, "bad-json"),
    ("cut in a name", b'{"weight_map": {"a', ShardIndexError, "bad-index"),
    ("cut before the map", b'{"weight_m', ShardIndexError, "bad-json"),
    ("cut behind the map", index(MAP)[:-1], ShardIndexError, "bad-json"),
    ("a comma too many", b'{"weight_map": {"a": "x.safetensors",}}', ShardIndexError, "bad-index"),
    ("a comma too few", b'{"weight_map": {"a": "x.safetensors" "b": "x.safetensors"}}', ShardIndexError, "bad-index"),
    ("a line break in a name", b'{"weight_map": {"a\n": "x.safetensors"}}', ShardIndexError, "bad-index"),
    ("an escape JSON does not have", b'{"weight_map": {"\\x61": "x.safetensors"}}', ShardIndexError, "bad-json"),
    ("garbage behind", index(MAP) + b" x", ShardIndexError, "bad-json"),
    ("a web page", b"<!DOCTYPE html><html></html>", ShardIndexError, "bad-json"),
    ("an LFS pointer", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", ShardIndexError, "bad-json"),
    ("a byte-order mark", b"\xef\xbb\xbf" + index(MAP), ShardIndexError, "bad-json"),
    ("UTF-16", index(MAP).decode().encode("utf-16"), ShardIndexError, "not-utf8"),
    ("a name that is not UTF-8", b'{"weight_map": {"\xff": "x.safetensors"}}', ShardIndexError, "not-utf8"),
    ("nested deeply", DEEP, ShardIndexError, "too-deep"),
    ("nested deeply before the map", b'{"metadata": ' + DEEP + b", " + index(MAP)[1:], ShardIndexError, "too-deep"),
    ("nested deeply behind the map", index(MAP)[:-1] + b', "x": ' + DEEP + b"}", ShardIndexError, "too-deep"),
    ("nested deeply for the map", b'{"weight_map": ' + DEEP + b"}", ShardIndexError, "too-deep"),
    ("5,000 digits", b'{"n": ' + b"9" * 5000 + b", " + index(MAP)[1:], ShardIndexError, "number-too-large"),
    ("a tensor named twice", f'{{"weight_map": {{"a": "{ONE}", "a": "{TWO}"}}}}'.encode(), ShardIndexError, "duplicate-key"),
    ("one name escaped", f'{{"weight_map": {{"a": "{ONE}", "\\u0061": "{ONE}"}}}}'.encode(), ShardIndexError, "duplicate-key"),
    ("two weight_maps", index(MAP)[:-1] + b', "weight_map": {"a": "x.safetensors"}}', ShardIndexError, "duplicate-key"),
    ("two weight_maps, the second empty", index(MAP)[:-1] + b', "weight_map": {}}', ShardIndexError, "duplicate-key"),
    ("two weight_maps, the first null", b'{"weight_map": null, ' + index(MAP)[1:], ShardIndexError, "duplicate-key"),
    ("a shard that is not there", {"weight_map": {**MAP, "c": "model-00003.safetensors"}}, ShardIndexError, "missing-shard"),
    ("10,001 shards", {"weight_map": {f"w{i}": f"m{i}.safetensors" for i in range(10_001)}}, ShardIndexError, "too-many-shards"),
]  # fmt: skip


@pytest.mark.parametrize(("content", "error", "code"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_a_broken_index_is_named(content: object, error: type[HfmemError], code: str) -> None:
    found = failure({INDEX: as_json(content), **SHARDS})
    assert (type(found), found.code, found.exit_code) == (error, code, ExitCode.BROKEN)
    assert INDEX in found.message


def test_missing_shards_are_listed_and_none_is_asked_for() -> None:
    names = [f"model-{number:05d}-of-05000.safetensors" for number in range(5000)]
    source = Watched({INDEX: index({f"w{number}": name for number, name in enumerate(names)})})
    with pytest.raises(ShardIndexError, match=rf"{names[0]}, {names[1]}, {names[2]} and 4997 more") as caught:
        read_checkpoint(source)
    assert caught.value.code == "missing-shard"
    assert source.asked == [INDEX]


def test_what_the_file_is_instead_is_the_hint() -> None:
    assert "web page" in str(failure({INDEX: b"<!DOCTYPE html>", **SHARDS}).hint)
    assert "LFS pointer" in str(failure({INDEX: b"version https://git-lfs.github.com/spec/v1", **SHARDS}).hint)


# name, files beside the index of MAP, error class, code
BROKEN_SHARDS: list[tuple[str, dict[str, bytes], type[HfmemError], str]] = [
    ("a tensor in two shards", {ONE: A, TWO: A_AND_B}, BrokenCheckpoint, "duplicate-tensor"),
    ("the same shard twice", {ONE: A, TWO: A}, BrokenCheckpoint, "duplicate-tensor"),
    ("a shard 4 bytes short", {ONE: A, TWO: B[:-4]}, HeaderError, "truncated"),
    ("a shard cut in its header", {ONE: A, TWO: B[:20]}, HeaderError, "truncated-header"),
    ("a shard of nothing", {ONE: A, TWO: b""}, HeaderError, "too-short"),
    ("a shard that is a pointer", {ONE: A, TWO: b"version https://git-lfs.github.com/spec/v1\n"}, HeaderError, "lfs-pointer"),
    ("a pickle by a shard's name", {ONE: A, TWO: b"\x80\x04\x95" + bytes(100)}, HeaderError, "not-safetensors"),
]  # fmt: skip


@pytest.mark.parametrize(("shards", "error", "code"), [row[1:] for row in BROKEN_SHARDS], ids=[row[0] for row in BROKEN_SHARDS])
def test_a_broken_shard_is_named(shards: dict[str, bytes], error: type[HfmemError], code: str) -> None:
    found = failure({INDEX: index(MAP), **shards})
    assert (type(found), found.code, found.exit_code) == (error, code, ExitCode.BROKEN)
    assert TWO in found.message


WITH_C = {ONE: A, TWO: safetensors({"b": ("F32", [2]), "c": ("BF16", [4])})}
# name, weight_map, shards, bytes, what the remark says
MISMATCHES: list[tuple[str, dict[str, str], dict[str, bytes], int, str]] = [
    ("a name no shard has", {**MAP, "mtp.fc.weight": TWO}, SHARDS, 2 * 4 + 2 * 4, "names 1 tensors that no file has"),
    ("two names no shard has", {**MAP, "c": ONE, "d": TWO}, SHARDS, 2 * 4 + 2 * 4, "names 2 tensors that no file has"),
    ("a tensor not listed", MAP, WITH_C, 2 * 4 + 2 * 4 + 4 * 2, "hold 1 tensors .* the first 'c'; they are counted"),
    ("swapped shards", {"a": TWO, "b": ONE}, SHARDS, 2 * 4 + 2 * 4, "2 tensors are in another file"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("weight_map", "shards", "stored", "remark"), [row[1:] for row in MISMATCHES], ids=[row[0] for row in MISMATCHES]
)
def test_headers_win_over_an_index_that_differs(
    weight_map: dict[str, str], shards: dict[str, bytes], stored: int, remark: str
) -> None:
    found = read({"weight_map": weight_map}, shards)
    assert found.stored_bytes == stored
    assert codes(found) == ["index-mismatch"]
    assert re.search(remark, found.remarks[0].message)


# name, total_size as JSON text, what is declared, whether there is a remark; the shards hold 16 bytes
TOTALS: list[tuple[str, str, int | None, bool]] = [
    ("right", "16", 16, False),
    ("right, as a float", "16.0", 16, False),
    ("wrong", "17", 17, True),
    ("wrong, as a float", "1.37e10", 13_700_000_000, True),
    ("zero", "0", None, True),
    ("-1", "-1", None, True),
    ("a string", '"16"', None, True),
    ("NaN", "NaN", None, True),
    ("Infinity", "Infinity", None, True),
    ("a fraction", "16.5", None, True),
    ("10^30", "1" + "0" * 30, None, True),
    ("1e300", "1e300", None, True),
    ("true", "true", None, True),
    ("a list", "[16]", None, True),
    ("null", "null", None, False),
]


@pytest.mark.parametrize(("text", "declared", "remarked"), [row[1:] for row in TOTALS], ids=[row[0] for row in TOTALS])
def test_total_size_is_compared_and_never_used(text: str, declared: int | None, remarked: bool) -> None:
    found = read(f'{{"metadata": {{"total_size": {text}}}, "weight_map": {json.dumps(MAP)}}}'.encode())
    assert found.stored_bytes == 2 * 4 + 2 * 4
    assert [total.num_bytes for total in found.declared] == ([declared] if declared else [])
    assert codes(found) == (["declared-total-differs"] if remarked else [])


# name, index: each is read as if it were plain
ODD: list[tuple[str, bytes]] = [
    ("no metadata", as_json({"weight_map": MAP})),
    ("null metadata", as_json({"metadata": None, "weight_map": MAP})),
    ("metadata last", as_json({"weight_map": MAP, "metadata": {"total_size": 16}})),
    ("extra keys", as_json({"format": "pt", "weight_map": MAP, "mergekit_version": "0.1"})),
    ("no spaces", json.dumps({"weight_map": MAP}, separators=(",", ":")).encode()),
    ("many spaces", json.dumps({"weight_map": MAP}, indent=40).replace(":", "\t\r\n :").encode()),
    ("a weight_map in the metadata", as_json({"metadata": {"weight_map": {"x": "../x"}}, "weight_map": MAP})),
    ("weight_map as text in the metadata", as_json({"metadata": {"note": '"weight_map": {"x": "../x"}'}, "weight_map": MAP})),
    ("a key that ends in weight_map", as_json({'x"weight_map': {"x": "../x"}, "weight_map": MAP})),
    ("a weight_map in a list", as_json({"metadata": {"old": [{"weight_map": {"x": "../x"}}]}, "weight_map": MAP})),
    ("a weight_map nested behind", as_json({"weight_map": MAP, "metadata": {"weight_map": {"x": "../x"}}})),
    ("slashes escaped", as_json({"weight_map": MAP}).replace(b"-of-", b"\\u002dof-")),
    ("names escaped", as_json({"weight_map": MAP}).replace(b'"a"', b'"\\u0061"')),
    ("NaN in the metadata", as_json({"metadata": {"loss": float("nan")}, "weight_map": MAP})),
]


@pytest.mark.parametrize("content", [row[1] for row in ODD], ids=[row[0] for row in ODD])
def test_an_odd_but_valid_index_is_read(content: bytes) -> None:
    found = read(content)
    assert found.stored_bytes == 2 * 4 + 2 * 4
    assert list(found.files) == [ONE, TWO]
    assert codes(found) == []


@pytest.mark.parametrize(
    "name", ['a"b', "a\\b", "a\nb", "a/b", "\u00e9", "\U0001f600", "weight_map", "", "}", '":"', "a\x1b[31m"]
)
@pytest.mark.parametrize("is_ascii", [True, False])
def test_a_tensor_name_means_the_same_in_index_and_header(name: str, is_ascii: bool) -> None:
    content = json.dumps({"weight_map": {name: ONE, "b": TWO}}, ensure_ascii=is_ascii).encode()
    assert codes(read(content, {ONE: safetensors({name: ("F32", [2])}), TWO: B})) == []


def test_shards_may_lie_in_folders() -> None:
    found = read(
        {"weight_map": {"a": "part/one.safetensors", "b": "two.safetensors"}}, {"part/one.safetensors": A, "two.safetensors": B}
    )
    assert found.stored_bytes == 2 * 4 + 2 * 4


def test_one_shard_written_in_two_ways_is_one_shard() -> None:
    content = f'{{"weight_map": {{"b": "{TWO}", "c": "{TWO.replace("-", chr(92) + "u002d")}"}}}}'.encode()
    found = read(content, WITH_C)
    assert (found.stored_bytes, list(found.files), codes(found)[0]) == (2 * 4 + 4 * 2, [TWO], "same-weights-twice")


def test_a_single_file_wins_over_an_index() -> None:
    found = read(index(MAP), {**SHARDS, "model.safetensors": safetensors({"a": ("F32", [3])})})
    assert found.stored_bytes == 3 * 4
    assert list(found.files) == ["model.safetensors"]
    assert codes(found) == ["same-weights-twice"]
    assert ONE in found.remarks[0].message


def test_an_index_beside_a_single_file_is_mentioned_even_alone() -> None:
    found = read({"weight_map": {"x": "../../x"}}, {"model.safetensors": A})
    assert (found.stored_bytes, codes(found)) == (2 * 4, ["same-weights-twice"])
    assert INDEX in found.remarks[0].message


def test_files_an_index_does_not_name_are_not_counted() -> None:
    found = read(index(MAP), {**SHARDS, "consolidated.safetensors": A})
    assert (found.stored_bytes, codes(found)) == (2 * 4 + 2 * 4, ["same-weights-twice"])


@pytest.mark.parametrize("seed", range(5))
def test_however_tensors_are_split_the_sum_is_the_same(seed: int) -> None:
    rng = random.Random(seed)
    tensors = {f"w{number}": ("F32", [rng.randrange(9)]) for number in range(50)}
    count = rng.randrange(1, 9)
    places = {name: f"model-{rng.randrange(count)}.safetensors" for name in tensors}
    shards = {file: safetensors({n: t for n, t in tensors.items() if places[n] == file}) for file in set(places.values())}
    found = read({"weight_map": places}, shards)
    assert found.stored_bytes == sum(4 * shape[0] for _, shape in tensors.values())
    assert (found.num_tensors, codes(found)) == (50, [])


def as_json_reads_it(data: bytes) -> tuple[dict[int, str], object]:
    content = json.loads(data)
    return {hash(name): file for name, file in content["weight_map"].items()}, content.get("metadata") or {}


def as_we_read_it(found: ShardIndex) -> tuple[dict[int, str], object]:
    return {key: found.shards[number] for key, number in found.places.items()}, found.metadata


def test_whatever_is_accepted_is_what_json_says() -> None:
    rng = random.Random(7)
    text = json.dumps({"metadata": {"n": 1}, "weight_map": {**MAP, '\u00e9"': ONE, "weight_map": TWO}}, indent=1).encode()
    accepted = 0
    for _ in range(20_000):
        changed = bytearray(text)
        for _ in range(rng.randint(1, 3)):
            place = rng.randrange(len(changed))
            changed[place : place + rng.randint(0, 2)] = rng.choice(
                [b"", b'"', b"{", b"}", b"\\", b",", b":", b"a", b"\xc3", b"[", b" "]
            )
        try:
            found = parse_index(bytes(changed), INDEX)
        except ShardIndexError:
            continue
        accepted += 1
        assert as_we_read_it(found) == as_json_reads_it(bytes(changed)), bytes(changed)
    assert accepted > 1000


def large_index(count: int) -> bytes:
    experts = (
        f"model.layers.{i // 1500}.mlp.experts.{i % 500}.{('gate', 'up', 'down')[i % 1500 // 500]}_proj.weight"
        for i in range(count)
    )
    return index({name: f"model-{i // 600 + 1:05d}-of-00150.safetensors" for i, name in enumerate(experts)}, total_size=1)


def test_of_a_large_index_only_hashes_stay() -> None:
    data = large_index(90_000)
    gc.collect()
    tracemalloc.start()
    try:
        found = parse_index(data, INDEX)
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (len(found.places), len(found.shards)) == (90_000, 150)
    assert all(type(key) is int for key in found.places)
    assert kept < 100 * 90_000  # a hash and its place in a dictionary; the names are as long again
    assert peak < 2 * len(data)


def test_many_maps_inside_other_things_take_no_time() -> None:
    decoys = b'{"metadata": [' + b'{"weight_map": {}},' * 100_000 + b'0], "weight_map": {"a": "x.safetensors"}}'
    with pytest.raises(ShardIndexError) as caught:
        parse_index(decoys, INDEX)
    assert caught.value.code == "bad-index"
