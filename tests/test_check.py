"""The doctor: good checkpoints damaged in one way each, and what it says of them; healthy ones are not accused."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import checkpoints
import pytest
from gguf_builder import gguf
from hub_server import Content, HubServer, pointed_at
from typer.testing import CliRunner

from hfmem.checking import check
from hfmem.cli import app
from hfmem.doctor.values import Checkup

INDEX = checkpoints.INDEX
A, B = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
CONFIG = {
    "model_type": "llama", "architectures": ["LlamaForCausalLM"], "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 256, "torch_dtype": "bfloat16", "tie_word_embeddings": False,
}  # fmt: skip
LAYER = {
    "self_attn.q_proj": (64, 64), "self_attn.k_proj": (32, 64), "self_attn.v_proj": (32, 64), "self_attn.o_proj": (64, 64),
    "mlp.gate_proj": (128, 64), "mlp.up_proj": (128, 64), "mlp.down_proj": (64, 128),
    "input_layernorm": (64,), "post_attention_layernorm": (64,),
}  # fmt: skip


def layer(number: int) -> dict[str, tuple[int, ...]]:
    return {f"model.layers.{number}.{name}.weight": shape for name, shape in LAYER.items()}


SHARDS: dict[str, dict[str, tuple[int, ...]]] = {
    A: {"model.embed_tokens.weight": (256, 64), **layer(0)},
    B: {**layer(1), "model.norm.weight": (64,), "lm_head.weight": (256, 64)},
}


def header(shapes: dict[str, tuple[int, ...]], dtype: str = "BF16") -> dict[str, Any]:
    found: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape in shapes.items():
        size = 2
        for dim in shape:
            size *= dim
        found[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [end, end + size]}
        end += size
    return found


def index(shards: dict[str, dict[str, tuple[int, ...]]] = SHARDS, **metadata: Any) -> dict[str, Any]:
    size = sum(
        entry["data_offsets"][1] - entry["data_offsets"][0]
        for s in shards.values()
        for n, entry in header(s).items()
        if n[0] != "_"
    )
    return {
        "metadata": {"total_size": size, **metadata},
        "weight_map": {name: file for file, names in shards.items() for name in names},
    }


def good(directory: Path) -> Path:
    """A checkpoint of two shards, config, index and tokenizer with nothing wrong."""
    directory.mkdir(parents=True, exist_ok=True)
    for file, shapes in SHARDS.items():
        checkpoints.write_file(directory / file, header(shapes))
    write(directory / INDEX, index())
    write(directory / "config.json", CONFIG)
    write(directory / "tokenizer.json", {"model": {"vocab": {"a": 0, "b": 255}}, "added_tokens": [{"id": 254}]})
    return directory


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


Damage = Callable[[Path], object]


def cut(name: str, end: int) -> Damage:
    """Keep bytes to `end`, from the file's end where that is negative."""
    return lambda d: os.truncate(d / name, end if end >= 0 else (d / name).stat().st_size + end)


def put(name: str, content: bytes) -> Damage:
    return lambda d: (d / name).write_bytes(content)


def removed(*names: str) -> Damage:
    def damage(directory: Path) -> None:
        for name in names:
            (directory / name).unlink()

    return damage


def config(**more: Any) -> Damage:
    return lambda d: write(d / "config.json", {**CONFIG, **more})


def shard(name: str, change: Callable[[dict[str, Any]], object]) -> Damage:
    """Write a shard with its header changed."""

    def damage(directory: Path) -> None:
        content = header(SHARDS[name])
        change(content)
        text = json.dumps(content).encode()
        data = header_end(header(SHARDS[name]))
        with (directory / name).open("wb") as file:
            file.write(len(text).to_bytes(8, "little") + text)
            file.truncate(8 + len(text) + data)

    return damage


def header_end(content: dict[str, Any]) -> int:
    return int(max(entry["data_offsets"][1] for name, entry in content.items() if name != "__metadata__"))


def field(key: str, value: Any, tensor: str = "model.norm.weight") -> Damage:
    return shard(B, lambda content: content[tensor].update({key: value}))


def mapped(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(directory: Path) -> None:
        content = index()
        change(content)
        write(directory / INDEX, content)

    return damage


def rewritten(shards: dict[str, dict[str, tuple[int, ...]]], indexed: bool = True) -> Damage:
    """Write other shards, and their own index or none."""

    def damage(directory: Path) -> None:
        for file, shapes in shards.items():
            checkpoints.write_file(directory / file, header(shapes))
        if indexed:
            write(directory / INDEX, index(shards))

    return damage


def swapped(directory: Path) -> None:
    (directory / A).rename(directory / "x")
    (directory / B).rename(directory / A)
    (directory / "x").rename(directory / B)


def outside(name: str) -> Damage:
    def damage(directory: Path) -> None:
        (directory / name).rename(directory.parent / "elsewhere")
        (directory / name).symlink_to(directory.parent / "elsewhere")

    return damage


def dangling(directory: Path) -> None:
    (directory / B).unlink()
    (directory / B).symlink_to(directory / "gone")


def fifo(directory: Path) -> None:
    (directory / B).unlink()
    os.mkfifo(directory / B)


def adapter(base: object) -> Damage:
    def damage(directory: Path) -> None:
        for name in (A, B, INDEX, "config.json"):
            (directory / name).unlink()
        checkpoints.write_file(
            directory / "adapter_model.safetensors", header({"base_model.model.lm_head.lora_A.weight": (8, 64)})
        )
        write(directory / "adapter_config.json", {"peft_type": "LORA", "r": 8, "base_model_name_or_path": base})

    return damage


POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"
TOP = "model.norm.weight"
MORE = {A: SHARDS[A], B: {**SHARDS[B], "model.embed_tokens.weight": (256, 64)}}
FEWER = {A: SHARDS[A], B: {name: shape for name, shape in SHARDS[B].items() if name != TOP}}
SHORT = {A: {**SHARDS[A], "model.embed_tokens.weight": (200, 64)}, B: SHARDS[B]}
WIDE = {A: SHARDS[A], B: {**SHARDS[B], **{n: (96, 64) for n in SHARDS[B] if "k_proj" in n}}}
WIDER = {file: {n: ((96, 64) if "k_proj" in n else shape) for n, shape in names.items()} for file, names in SHARDS.items()}
ONE_LAYER = {A: SHARDS[A], B: {n: s for n, s in SHARDS[B].items() if "layers" not in n}}

# what is done to a good checkpoint, the verdict, a code that is among the findings, the file it names
DAMAGES: list[tuple[str, Damage, str, str, str | None]] = [
    ("a shard is gone", removed(B), "broken", "missing-shard", B),
    ("a shard is empty", put(B, b""), "broken", "too-short", B),
    ("cut in the length", cut(B, 7), "broken", "too-short", B),
    ("cut behind the length", cut(B, 8), "broken", "truncated-header", B),
    ("cut in the header", cut(B, 100), "broken", "truncated-header", B),
    ("cut in the data", cut(B, -1000), "broken", "truncated", B),
    ("cut by a byte", cut(B, -1), "broken", "truncated", B),
    ("a byte behind the data", lambda d: os.truncate(d / B, (d / B).stat().st_size + 1), "broken", "trailing-bytes", B),
    ("an LFS pointer", put(B, POINTER), "broken", "lfs-pointer", B),
    ("a web page", put(B, b"<!DOCTYPE html><html></html>"), "broken", "not-safetensors", B),
    ("a pickle", put(B, b"\x80\x02}q\x00."), "broken", "too-short", B),
    ("a zip", put(B, b"PK\x03\x04" + b"\0" * 60), "broken", "not-safetensors", B),
    ("a GGUF file", put(B, b"GGUF\x03\0\0\0" + b"\0" * 60), "broken", "not-safetensors", B),
    ("a length of nothing", put(B, b"\0" * 64), "broken", "empty-header", B),
    ("a length beyond all", put(B, b"\xff" * 64), "broken", "header-too-large", B),
    ("no JSON", put(B, (20).to_bytes(8, "little") + b"{" * 20), "broken", "bad-json", B),
    ("a list", put(B, (2).to_bytes(8, "little") + b"[]"), "broken", "not-an-object", B),
    ("not UTF-8", put(B, (8).to_bytes(8, "little") + b'{"\xff": 1}'), "broken", "not-utf8", B),
    ("a shape too small", field("shape", [63]), "broken", "size-mismatch", B),
    ("a negative dimension", field("shape", [-64]), "broken", "bad-dim", B),
    ("a dimension that is text", field("shape", ["64"]), "broken", "bad-dim", B),
    ("a wider dtype", field("dtype", "F32"), "broken", "size-mismatch", B),
    ("an unknown dtype", field("dtype", "F128"), "suspicious", "unknown-dtype", None),
    ("no dtype", shard(B, lambda c: c[TOP].pop("dtype")), "broken", "missing-field", B),
    ("no offsets", shard(B, lambda c: c[TOP].pop("data_offsets")), "broken", "missing-field", B),
    ("offsets of text", field("data_offsets", ["0", "128"]), "broken", "bad-offset", B),
    ("offsets reversed", field("data_offsets", [128, 0]), "broken", "bad-offset", B),
    ("offsets that overlap", field("data_offsets", [0, 128]), "broken", "hole-or-overlap", B),
    ("a hole", shard(B, lambda c: c.pop(TOP)), "broken", "hole-or-overlap", B),
    ("a tensor that is a list", shard(B, lambda c: c.update({TOP: []})), "broken", "bad-tensor", B),
    ("metadata of numbers", shard(B, lambda c: c.update({"__metadata__": {"a": 1}})), "broken", "bad-metadata", B),
    ("both shards bad", lambda d: (cut(A, -1)(d), cut(B, 7)(d)), "broken", "truncated", A),
    ("a tensor in two shards", rewritten(MORE, indexed=False), "broken", "duplicate-tensor", B),
    ("a tensor in the index only", rewritten(FEWER, indexed=False), "suspicious", "index-mismatch", INDEX),
    ("a tensor the index has not", mapped(lambda i: i["weight_map"].pop(TOP)), "suspicious", "index-mismatch", INDEX),
    ("a tensor in the other shard", mapped(lambda i: i["weight_map"].update({TOP: A})), "suspicious", "index-mismatch", INDEX),
    ("shards swapped", swapped, "suspicious", "index-mismatch", INDEX),
    ("a total too large", mapped(lambda i: i["metadata"].update(total_size=10**9)), "healthy", "declared-total-differs", INDEX),
    ("a total too small", mapped(lambda i: i["metadata"].update(total_size=10)), "healthy", "declared-total-differs", INDEX),
    ("a total of text", mapped(lambda i: i["metadata"].update(total_size="many")), "healthy", "declared-total-differs", INDEX),
    ("an index without a map", mapped(lambda i: i.pop("weight_map")), "broken", "empty-index", INDEX),
    ("an index of nothing", mapped(lambda i: i.update(weight_map={})), "broken", "empty-index", INDEX),
    ("an index that leads out", mapped(lambda i: i["weight_map"].update({TOP: "../x.safetensors"})), "broken", "unsafe-path", INDEX),
    ("an index of a URL", mapped(lambda i: i["weight_map"].update({TOP: "http://x/y"})), "broken", "unsafe-path", INDEX),
    ("an index of a third shard", mapped(lambda i: i["weight_map"].update({TOP: "z.safetensors"})), "broken", "missing-shard", "z.safetensors"),
    ("an index that is no JSON", put(INDEX, b"{"), "broken", "bad-json", INDEX),
    ("an index with a mark", lambda d: (d / INDEX).write_text("\ufeff{}"), "broken", "bad-json", INDEX),
    ("an index that is empty", put(INDEX, b""), "broken", "empty-file", INDEX),
    ("no index, a number missing", removed(INDEX, B), "broken", "missing-shard", B),
    ("no config", removed("config.json"), "suspicious", "no-config", None),
    ("no weights", removed(A, B, INDEX), "suspicious", "no-weights", None),
    ("a config cut short", cut("config.json", 30), "broken", "bad-json", "config.json"),
    ("a config that is a list", put("config.json", b"[]"), "broken", "not-an-object", "config.json"),
    ("a config that is a pointer", put("config.json", POINTER), "broken", "lfs-pointer", "config.json"),
    ("a larger vocabulary", config(vocab_size=300), "broken", "config-disagrees", "config.json"),
    ("a table too short", rewritten(SHORT), "broken", "config-disagrees", "config.json"),
    ("fewer key-value heads", config(num_key_value_heads=1), "broken", "config-disagrees", "config.json"),
    ("wider keys", rewritten(WIDER), "broken", "config-disagrees", "config.json"),
    ("more layers", config(num_hidden_layers=4), "broken", "config-disagrees", "config.json"),
    ("fewer layers", config(num_hidden_layers=1), "suspicious", "extra-layers", "config.json"),
    ("another dtype", config(torch_dtype="float32"), "healthy", "dtype-differs", "config.json"),
    ("layers missing", rewritten(ONE_LAYER), "broken", "config-disagrees", "config.json"),
    ("another feed-forward width", config(intermediate_size=256), "broken", "config-disagrees", "config.json"),
    ("packed by the config alone", config(quantization_config={"quant_method": "gptq", "bits": 4}), "suspicious", "quantization-mismatch", "config.json"),
    ("a larger tokenizer", lambda d: write(d / "tokenizer.json", {"model": {"vocab": {"a": 256}}}), "suspicious", "vocabulary-mismatch", "tokenizer.json"),
    ("more added tokens", lambda d: write(d / "tokenizer.json", {"added_tokens": [{"id": 400}]}), "suspicious", "vocabulary-mismatch", "tokenizer.json"),
    ("a tokenizer cut short", put("tokenizer.json", b"{"), "suspicious", "bad-json", "tokenizer.json"),
    ("a download left unfinished", put("x.safetensors.incomplete", b"abc"), "suspicious", "unfinished-download", "x.safetensors.incomplete"),
    ("pickles beside", put("pytorch_model.bin", b"PK\x03\x04"), "healthy", "same-weights-twice", None),
    ("a link out of the directory", outside(B), "broken", "link-leaves-directory", B),
    ("a tokenizer linked from outside", outside("tokenizer.json"), "suspicious", "link-leaves-directory", "tokenizer.json"),
    ("a link to nothing", dangling, "broken", "dangling-link", B),
    ("a pipe", fifo, "broken", "not-a-regular-file", B),
    ("a pointer that no loader reads", put("pytorch_model.bin", POINTER), "suspicious", "lfs-pointer", "pytorch_model.bin"),
    ("a consolidated file that is a pointer", put("consolidated.safetensors", POINTER), "suspicious", "lfs-pointer", "consolidated.safetensors"),
    ("a training state that is empty", put("optimizer.pt", b""), "suspicious", "empty-file", "optimizer.pt"),
    ("a tokenizer's configuration cut short", put("tokenizer_config.json", b'{"a": '), "suspicious", "bad-json", "tokenizer_config.json"),
    ("generation's configuration of nothing", put("generation_config.json", b"\0" * 9), "suspicious", "bad-json", "generation_config.json"),
    ("an adapter without a base", adapter(None), "suspicious", "no-base", "adapter_config.json"),
]  # fmt: skip


def test_a_good_checkpoint_has_no_findings(tmp_path: Path) -> None:
    found = check(good(tmp_path / "good"))
    assert (found.verdict, found.findings, found.num_files, found.num_tensors) == ("healthy", (), 5, 21)
    assert found.stored_bytes == index()["metadata"]["total_size"]


@pytest.mark.parametrize(("damage", "verdict", "code", "file"), [row[1:] for row in DAMAGES], ids=[row[0] for row in DAMAGES])
def test_damage_is_named(damage: Damage, verdict: str, code: str, file: str | None, tmp_path: Path) -> None:
    directory = good(tmp_path / "good")
    damage(directory)
    before = listing(directory)
    found = check(directory)
    assert (code, file) in {(each.code, each.file) for each in found.findings}, found.findings
    assert found.verdict == verdict, found.findings
    assert listing(directory) == before


def listing(directory: Path) -> list[tuple[str, int]]:
    return sorted((path.name, path.lstat().st_mtime_ns) for path in directory.iterdir())


@pytest.mark.parametrize(("said", "verdict"), [(8, "healthy"), (4, "broken"), (16, "broken")])
def test_experts_are_counted(said: int, verdict: str, tmp_path: Path) -> None:
    directory = checkpoints.write("mistralai/Mixtral-8x7B-v0.1", tmp_path / "moe")
    content = json.loads((directory / "config.json").read_text())
    write(directory / "config.json", {**content, "num_local_experts": said})
    found = check(directory)
    assert found.verdict == verdict
    messages = [each.message for each in found.findings if each.code == "config-disagrees"]
    assert all(f"has 8 experts, config.json says {said}" in message for message in messages)
    assert bool(messages) == (said != 8)


@pytest.mark.parametrize(("said", "verdict"), [(32, "healthy"), (64, "broken")])
def test_experts_in_one_tensor_are_counted(said: int, verdict: str, tmp_path: Path) -> None:
    directory = checkpoints.write("openai/gpt-oss-20b", tmp_path / "moe")
    content = json.loads((directory / "config.json").read_text())
    write(directory / "config.json", {**content, "num_local_experts": said})
    assert check(directory).verdict == verdict


def test_every_fault_is_found_not_the_first_alone(tmp_path: Path) -> None:
    directory = good(tmp_path / "good")
    for damage in (cut(A, -1), put(B, POINTER), put("config.json", b"[]"), put("x.incomplete", b"")):
        damage(directory)
    assert {each.code for each in check(directory).findings} >= {
        "truncated",
        "lfs-pointer",
        "not-an-object",
        "unfinished-download",
    }


def test_shards_may_lie_in_a_folder(tmp_path: Path) -> None:
    directory = good(tmp_path / "good")
    (directory / "w").mkdir()
    for name in (A, B):
        (directory / name).rename(directory / "w" / name)
    content = index()
    content["weight_map"] = {tensor: f"w/{name}" for tensor, name in content["weight_map"].items()}
    write(directory / INDEX, content)
    assert broken(check(directory)) == []


def test_a_lone_surrogate_in_the_hubs_headers_is_no_crash(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/name", repository(good(tmp_path / "good")))
    reply = {"headers": {A: {"a\ud800": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}}}
    hub.fail("safetensors-metadata", "body", body=json.dumps(reply).encode(), headers={"Content-Type": "application/json"})
    assert check("org/name").preflight is not None


def test_thousands_alike_are_counted(tmp_path: Path) -> None:
    names: dict[str, tuple[int, ...]] = {f"t{number}": (1,) for number in range(500)}
    directory = good(tmp_path / "good")
    rewritten({A: names, B: SHARDS[B]}, indexed=False)(directory)
    found = check(directory)
    assert any(
        each.message.startswith("480 more of index-mismatch") or "more of index-mismatch" in each.message
        for each in found.findings
    )
    assert len(found.findings) < 60


@pytest.mark.parametrize("name", checkpoints.names())
def test_no_real_checkpoint_is_accused(name: str, tmp_path: Path) -> None:
    assert broken(check(checkpoints.write(name, tmp_path / "it"))) == []


def broken(found: Checkup) -> list[str]:
    return [each.message for each in found.findings if each.severity == "broken"]


@pytest.mark.parametrize(
    ("options", "exit_code", "words"),
    [
        ([], 9, "✗ broken      model-00002-of-00002.safetensors is 1 bytes short"),
        (["-q"], 9, "broken\n"),
        (["--format", "json"], 9, '"schema": "hfmem.check/1"'),
        (["--format", "markdown"], 9, "| broken | truncated | model-00002-of-00002.safetensors |"),
    ],
)
def test_the_command(options: list[str], exit_code: int, words: str, tmp_path: Path) -> None:
    cut(B, -1)(good(tmp_path / "good"))
    done = CliRunner().invoke(app, ["check", str(tmp_path / "good"), *options])
    assert (done.exit_code, done.stderr) == (exit_code, "")
    assert words in done.stdout


def test_the_command_of_a_good_one_and_of_none(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["check", str(good(tmp_path / "good"))])
    assert done.exit_code == 0 and done.stdout.endswith("healthy: nothing found\n")
    (tmp_path / "empty").mkdir()
    for nothing in ("gone", "empty"):
        assert CliRunner().invoke(app, ["check", str(tmp_path / nothing)]).exit_code == 4


def test_a_file_alone_needs_no_config(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    checkpoints.write_file(file, header(SHARDS[A]))
    assert check(file).findings == ()
    cut("model.safetensors", -1)(tmp_path)
    assert [each.code for each in check(file).findings] == ["truncated"]


@pytest.mark.parametrize(("method", "verdict"), [("awq", "suspicious"), ("bitsandbytes", "healthy"), ("torchao", "healthy")])
def test_a_method_applied_while_loading_needs_no_packed_files(method: str, verdict: str, tmp_path: Path) -> None:
    directory = good(tmp_path / "good")
    config(quantization_config={"quant_method": method, "bits": 4})(directory)
    assert check(directory).verdict == verdict


def test_a_gguf_needs_no_config_and_its_damage_is_found(tmp_path: Path) -> None:
    content = gguf({"general.architecture": "llama"}, {"token_embd.weight": ("Q4_K", [256, 8])})
    (tmp_path / "m.gguf").write_bytes(content)
    assert broken(check(tmp_path)) == []
    (tmp_path / "m.gguf").write_bytes(content[: len(content) - 10])
    assert check(tmp_path).verdict == "broken"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server, pointed_at(server, tmp_path / "home"):
        yield server


def repository(directory: Path) -> dict[str, Content]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.parametrize(
    ("damage", "verdict", "codes"),
    [
        (None, "healthy", []),
        (cut(B, -30_000), "broken", ["truncated"]),
        (cut(B, -8), "broken", ["truncated"]),  # fewer bytes than a header's padding are only seen in the file itself
        (config(num_hidden_layers=4), "broken", ["config-disagrees"]),
        (put("config.json", b"[]"), "broken", ["not-an-object"]),
    ],
    ids=["good", "a shard cut", "a shard cut a little", "more layers", "no config"],
)
def test_a_repository_is_judged_without_a_download(
    hub: HubServer, damage: Damage | None, verdict: str, codes: list[str], tmp_path: Path
) -> None:
    directory = good(tmp_path / "good")
    if damage:
        damage(directory)
    hub.add("org/name", repository(directory))
    found = check("org/name")
    assert (found.verdict, [each.code for each in found.findings]) == (verdict, codes)
    assert hub.num_requests < 12 and sum(seen.body_bytes for seen in hub.log) < 30_000


def test_a_repository_that_may_not_be_read_is_no_broken_one(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/name", repository(good(tmp_path / "good")), gated=True)
    found = check("org/name")
    assert (found.verdict, [each.code for each in found.findings]) == ("suspicious", ["gated"])
    assert found.preflight is not None
    assert (found.preflight.gated, found.preflight.may_read) == (True, False)
    assert {each.name for each in found.preflight.files} == {A, B, INDEX, "config.json", "tokenizer.json"}
    command = CliRunner().invoke(app, ["check", "org/name"])
    assert command.exit_code == 5
    assert "gated, and you may not read it" in command.stdout
    hub.allow("hf_token")
    seen = check("org/name", token="hf_token")
    assert (seen.verdict, seen.preflight is not None and seen.preflight.may_read) == ("healthy", True)
