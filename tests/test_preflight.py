"""Before a download: what a loader fetches, what of it is here, whether there is room and access, and the line that gets it."""

import ast
import hashlib
import json
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import checkpoints
import pytest
from gguf_builder import gguf
from hub_server import Content, HubServer, Sparse, pointed_at, sharded
from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]  # what `hf download` selects by
from many_repos import model
from typer.testing import CliRunner

from hfmem.checking import check
from hfmem.cli import app
from hfmem.doctor.fetching import BESIDE, fetched, patterns
from hfmem.doctor.values import Preflight
from hfmem.errors import CannotTell, NotFound, UsageError

SMALL: dict[str, Content] = {**model(2), "tokenizer.json": b'{"model": {"vocab": {"a": 0}}}', "README.md": b"# words"}
INDEX = "model.safetensors.index.json"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server, pointed_at(server, tmp_path / "home"):
        yield server


def look(hub: HubServer, files: dict[str, Content], **options: Any) -> Preflight:
    hub.add("org/name", files)
    found = check("org/name", **options).preflight
    assert found is not None
    return found


def names(found: Preflight) -> set[str]:
    return {each.name for each in found.files}


SHARDS = [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
BINS = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]
# The files of a repository, and those of them that from_pretrained gets.
LISTINGS: list[tuple[str, list[str], set[str]]] = [
    ("safetensors before pickles", ["config.json", "model.safetensors", "pytorch_model.bin", "README.md"], {"config.json", "model.safetensors"}),
    ("shards and their index", ["config.json", INDEX, *SHARDS, *BINS, "pytorch_model.bin.index.json"], {"config.json", INDEX, *SHARDS}),
    ("one variant", ["config.json", "model.safetensors", "model.fp16.safetensors"], {"config.json", "model.safetensors"}),
    ("shards and a consolidated file", ["config.json", INDEX, *SHARDS, "consolidated.safetensors", "params.json"], {"config.json", INDEX, *SHARDS}),
    ("pickles where there is nothing else", ["config.json", "pytorch_model.bin", "training_args.bin"], {"config.json", "pytorch_model.bin"}),
    ("what a tokenizer reads", ["config.json", "model.safetensors", "vocab.json", "merges.txt", "tokenizer_config.json", "notes.txt"],
     {"config.json", "model.safetensors", "vocab.json", "merges.txt", "tokenizer_config.json"}),
    ("a sentencepiece model", ["config.json", "model.safetensors", "tokenizer.model", "spiece.model"], {"config.json", "model.safetensors", "tokenizer.model", "spiece.model"}),
    ("what a processor reads", ["config.json", "model.safetensors", "preprocessor_config.json", "chat_template.jinja"],
     {"config.json", "model.safetensors", "preprocessor_config.json", "chat_template.jinja"}),
    ("vocabularies of other names", ["config.json", "model.safetensors", "vocab-src.json", "bpe.codes", "dict.txt", "normalizer.json", "x.tiktoken"],
     {"config.json", "model.safetensors", "vocab-src.json", "bpe.codes", "dict.txt", "normalizer.json", "x.tiktoken"}),
    ("a pipeline and what lies beside it", ["model_index.json", "flux.safetensors", "ae.safetensors", "unet/config.json", "unet/diffusion_pytorch_model.safetensors",
     "unet/diffusion_pytorch_model.fp16.safetensors", "scheduler/scheduler_config.json", "onnx/config.json"],
     {"model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors", "scheduler/scheduler_config.json"}),
    ("modules of a sentence transformer", ["modules.json", "config.json", "model.safetensors", "1_Pooling/config.json", "openvino/openvino_model.xml"],
     {"modules.json", "config.json", "model.safetensors", "1_Pooling/config.json"}),
    ("a consolidated file alone", ["params.json", "tekken.json", "consolidated.safetensors"], {"params.json", "tekken.json", "consolidated.safetensors"}),
    ("other frameworks", ["config.json", "model.safetensors", "tf_model.h5", "flax_model.msgpack", "onnx/model.onnx"], {"config.json", "model.safetensors"}),
    ("originals in a folder", ["config.json", "model.safetensors", "original/consolidated.00.pth", "original/tokenizer.model"], {"config.json", "model.safetensors"}),
    ("an adapter", ["adapter_config.json", "adapter_model.safetensors", "optimizer.pt"], {"adapter_config.json", "adapter_model.safetensors"}),
]  # fmt: skip


@pytest.mark.parametrize(("listing", "expected"), [row[1:] for row in LISTINGS], ids=[row[0] for row in LISTINGS])
def test_a_loader_gets_one_set_of_weights_and_what_is_read_beside_it(listing: list[str], expected: set[str]) -> None:
    files = dict.fromkeys(listing, 1)
    assert set(fetched(files, None)) == expected
    command = patterns(files, tuple(sorted(expected)))
    assert set(filter_repo_objects(files, allow_patterns=command)) == expected


@pytest.mark.parametrize("name", ["model[1].safetensors", "a*b.json", "what?.json", "folder/it.json"])
def test_a_pattern_of_an_odd_name_matches_it_alone(name: str) -> None:
    files = dict.fromkeys([name, "model1.safetensors", "aXb.json", "whatX.json", "folder/other.txt"], 1)
    assert list(filter_repo_objects(files, allow_patterns=patterns(files, (name,)))) == [name]


def test_many_shards_are_one_pattern(hub: HubServer) -> None:
    found = look(hub, {**sharded(30), "pytorch_model.bin": Sparse(b"", 150 * 10**9), "README.md": b"x"})
    assert found.command == "hf download org/name --include '*.json' --include '*.safetensors'"
    assert len(found.files) == 32
    assert found.left_out == {".bin": 150 * 10**9}
    assert found.formats == ("safetensors", "pytorch")
    assert found.host_mapped_bytes == sum(each.num_bytes or 0 for each in found.files if each.name.endswith(".safetensors"))


def test_a_whole_repository_needs_no_pattern(hub: HubServer) -> None:
    files = {name: content for name, content in SMALL.items() if name != "README.md"}
    assert look(hub, files).command == "hf download org/name"
    assert look(hub, files, revision="main").command == "hf download org/name"


def test_a_revision_is_in_the_command(hub: HubServer) -> None:
    commit = hub.add("org/name", SMALL)
    hub.repos["org/name"].commits["v1.0"] = commit
    found = check("org/name@v1.0").preflight
    assert found is not None
    words = shlex.split(found.command)
    assert words[:5] == ["hf", "download", "org/name", "--revision", "v1.0"]
    assert (found.revision, found.commit, found.license) == ("v1.0", commit, "apache-2.0")


def test_vllm_fetches_the_consolidated_files_where_there_are_any(hub: HubServer) -> None:
    found = look(hub, {**sharded(2), "consolidated.safetensors": Sparse(b"", 7)})
    assert found.vllm_bytes == 7
    assert look(hub, sharded(2)).vllm_bytes is None


@pytest.mark.parametrize(("dtype", "width"), [("bfloat16", 0), ("float32", 4), ("float16", 2)])
def test_weights_in_another_dtype_than_the_configurations_take_main_memory(hub: HubServer, dtype: str, width: int) -> None:
    config = json.loads(SMALL["config.json"]) if isinstance(SMALL["config.json"], bytes) else {}
    found = look(hub, {**SMALL, "config.json": json.dumps({**config, "torch_dtype": dtype}).encode()})
    layer = 2 * 64 + 4 * 64 * 64 + 3 * 128 * 64
    assert found.host_converted_bytes == width * (2 * layer + 2 * 256 * 64 + 64)


def test_it_costs_no_request_more_than_an_estimate(hub: HubServer) -> None:
    hub.add("org/name", SMALL)
    check("org/name")
    assert hub.num_requests == 3  # the revision, its configuration and the beginning of its weights
    assert sum(seen.body_bytes for seen in hub.log) < 40_000


def test_what_the_hub_library_has_downloaded_is_not_fetched_again(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.add("org/name", SMALL)
    snapshot = tmp_path / "home" / "hub" / "models--org--name" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    config = SMALL["config.json"]
    assert isinstance(config, bytes)
    (snapshot / "config.json").write_bytes(config)
    (snapshot / "tokenizer.json").write_bytes(b"cut")
    found = check("org/name").preflight
    assert found is not None
    assert {each.name for each in found.files if each.is_here} == {"config.json"}
    assert found.missing_bytes == found.num_bytes - len(config)
    assert set(shlex.split(found.command)[3::2]) >= {"--include"}
    assert "config.json" not in shlex.split(found.command)


def test_a_disk_without_room_is_a_finding(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    hub.add("org/name", SMALL)
    found = check("org/name")
    assert [each.code for each in found.findings] == ["disk-full"]
    assert found.preflight is not None
    assert (found.verdict, found.preflight.free_bytes, found.preflight.has_room) == ("suspicious", 1000, False)


def test_a_device_is_judged_too(hub: HubServer) -> None:
    hub.add("org/name", SMALL)
    found = check("org/name", on=["RTX 4090", "1GiB"])
    assert [fit.verdict for fit in found.devices] == ["fits", "fits"]
    run = CliRunner().invoke(app, ["check", "org/name", "--on", "300MiB", "--exit-code"])
    assert run.exit_code == 3, run.output
    assert "✗" in run.stdout


# A copy in a directory


def copied(directory: Path, files: dict[str, Content]) -> Path:
    directory.mkdir(exist_ok=True)
    for name, content in files.items():
        (directory / name).write_bytes(content if isinstance(content, bytes) else content.part(0, content.size))
    return directory


def test_what_a_partial_copy_lacks_is_named_with_the_line_that_gets_it(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/name", SMALL)
    copy = copied(tmp_path / "copy", {"config.json": SMALL["config.json"], "tokenizer.json": b"cut"})
    found = check("org/name", local_dir=copy)
    assert {(each.code, each.file) for each in found.findings} >= {
        ("not-downloaded", "model.safetensors"),
        ("size-differs", "tokenizer.json"),
    }
    assert found.verdict == "broken"
    assert found.preflight is not None
    words = shlex.split(found.preflight.command)
    assert (words[-2:], set(words[3:-2:2])) == (["--local-dir", str(copy)], {"--include"})
    assert set(words[4:-2:2]) == {"model.safetensors", "tokenizer.json"}


def test_a_whole_copy_is_healthy_and_an_empty_one_lacks_everything(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/name", SMALL)
    assert check("org/name", local_dir=copied(tmp_path / "whole", SMALL)).verdict == "healthy"
    found = check("org/name", local_dir=copied(tmp_path / "empty", {}))
    assert {each.file for each in found.findings if each.code == "not-downloaded"} == set(SMALL) - {"README.md"}


def test_a_copy_needs_a_directory_and_a_repository(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/name", SMALL)
    with pytest.raises(NotFound, match="there is no directory"):
        check("org/name", local_dir=tmp_path / "missing")
    with pytest.raises(UsageError, match="is a copy of a Hub repository"):
        check(copied(tmp_path / "copy", SMALL), local_dir=tmp_path)


# Content


def cache_of(tmp_path: Path, commit: str, files: dict[str, Content]) -> Path:
    """A snapshot as the Hub library lays it out: links to blobs that are called by their digest."""
    repo = tmp_path / "hub" / "models--org--name"
    snapshot = repo / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (repo / "blobs").mkdir()
    for name, content in files.items():
        data = content if isinstance(content, bytes) else content.part(0, content.size)
        large = name.endswith(".safetensors")
        digest = hashlib.sha256(data).hexdigest() if large else hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
        (repo / "blobs" / digest).write_bytes(data)
        (snapshot / name).symlink_to(f"../../blobs/{digest}")
    return snapshot


def flip(path: Path) -> None:
    """Change one bit, which no size tells."""
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_a_snapshot_of_the_cache_is_verified_offline(name: str, tmp_path: Path) -> None:
    snapshot = cache_of(tmp_path, "a" * 40, SMALL)
    assert check(snapshot, hash=True).findings == ()
    target = (snapshot / name).resolve()
    flip(target)
    (finding,) = [each for each in check(snapshot, hash=True).findings if each.code == "digest-mismatch"]
    assert (finding.severity, finding.file, finding.expected) == ("broken", name, target.name)
    assert finding.found != finding.expected
    assert "digest-mismatch" not in {each.code for each in check(snapshot).findings}


def test_a_directory_is_verified_by_what_was_noted_when_it_was_downloaded(tmp_path: Path) -> None:
    directory = copied(tmp_path / "copy", SMALL)
    notes = directory / ".cache" / "huggingface" / "download"
    notes.mkdir(parents=True)
    digest = hashlib.sha256((directory / "model.safetensors").read_bytes()).hexdigest()
    (notes / "model.safetensors.metadata").write_text(f"{'a' * 40}\n{digest}\n1700000000.0\n")
    (notes / "config.json.metadata").write_text("torn")
    found = check(directory, hash=True)
    assert (found.verdict, [each.code for each in found.findings]) == ("healthy", ["digest-unknown"])
    flip(directory / "model.safetensors")
    assert check(directory, hash=True).verdict == "broken"


def test_a_copy_is_verified_against_the_hub(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/name", SMALL)
    directory = copied(tmp_path / "copy", SMALL)
    told: list[int] = []

    def begin(num_bytes: int) -> Any:
        told.append(-num_bytes)
        return told.append

    assert check("org/name", local_dir=directory, hash=True, begin=begin).findings == ()
    assert sum(told) == 0 and len(told) > 3  # every byte was told of
    flip(directory / "tokenizer.json")
    run = CliRunner().invoke(app, ["check", "org/name", "--local-dir", str(directory), "--hash", "--format", "json"])
    assert run.exit_code == 9
    found = json.loads(run.stdout)
    assert ("digest-mismatch", "tokenizer.json") in {(each["code"], each["file"]) for each in found["findings"]}
    assert found["preflight"]["missing_bytes"] == 0


def test_there_must_be_something_to_hash(hub: HubServer) -> None:
    hub.add("org/name", SMALL)
    with pytest.raises(UsageError, match="none of this repository are here"):
        check("org/name", hash=True)


# Meaning


def test_tied_weights_that_are_stored_twice_are_noted(tmp_path: Path) -> None:
    config = json.loads(bytes(SMALL["config.json"]) if isinstance(SMALL["config.json"], bytes) else b"")
    files = {**SMALL, "config.json": json.dumps({**config, "tie_word_embeddings": True}).encode()}
    (finding,) = check(copied(tmp_path / "copy", files)).findings
    assert (finding.severity, finding.code) == ("note", "tied-twice")
    assert f"{256 * 64 * 2:,} bytes" in finding.message


def test_tensors_are_compared_with_the_class(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="the class is built by the verify extra: pip install 'hfmem-cli[verify]'")
    pytest.importorskip("torch", reason="the class is built by the verify extra: pip install 'hfmem-cli[verify]'")
    whole = copied(tmp_path / "whole", SMALL)
    assert [each.code for each in check(whole, verify=True).findings] == []
    lacking = model(2)
    head = lacking["model.safetensors"]
    assert isinstance(head, Sparse)
    content = json.loads(head.head[8:])
    content["model.layers.0.strange.weight"] = content.pop("model.layers.0.self_attn.q_proj.weight")
    checkpoints.write_file(tmp_path / "model.safetensors", content)
    directory = copied(tmp_path / "copy", {**SMALL, "model.safetensors": (tmp_path / "model.safetensors").read_bytes()})
    found = {each.code: each for each in check(directory, verify=True).findings}
    assert "model.layers.*.self_attn.q_proj.weight" in found["missing-tensor"].message
    assert found["unknown-tensor"].tensor == "model.layers.*.strange"


def test_without_the_extra_the_class_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfmem.witness.ask.LIBRARIES", ("no-such-library",))
    with pytest.raises(CannotTell, match="verifying needs no-such-library"):
        check(copied(tmp_path / "copy", SMALL), verify=True)


# Parts of a repository


def test_a_folder_of_a_repository_is_fetched_by_its_names_there(hub: HubServer) -> None:
    hub.add(
        "org/name",
        {**{f"sub/{name}": content for name, content in SMALL.items()}, "config.json": b"{}", "model.safetensors": b"x" * 9},
    )
    found = check("hf://org/name/sub").preflight
    assert found is not None
    assert names(found) == {"sub/config.json", "sub/model.safetensors", "sub/tokenizer.json"}
    selected = set(
        filter_repo_objects(hub.repos["org/name"].files[found.commit or ""], allow_patterns=shlex.split(found.command)[4::2])
    )
    assert selected == names(found)


def test_one_gguf_of_several_is_fetched_alone(hub: HubServer) -> None:
    one = gguf({"general.architecture": "llama"}, {"token_embd.weight": ("Q4_K", [256, 8])})
    hub.add("org/name", {"m-Q8_0.gguf": one, "m-Q4_K_M.gguf": one})
    found = check("hf://org/name/m-Q8_0.gguf").preflight
    assert found is not None
    assert found.command == "hf download org/name --include m-Q8_0.gguf"


def test_a_projector_is_fetched_with_its_model(hub: HubServer) -> None:
    model_file = gguf({"general.architecture": "llama"}, {"token_embd.weight": ("Q4_K", [256, 8])})
    projector = gguf({"general.architecture": "clip"}, {"v.patch_embd.weight": ("F16", [8, 8])})
    hub.add("org/name", {"m-Q4_K_M.gguf": model_file, "mmproj-F16.gguf": projector, "m-Q8_0.gguf": model_file})
    found = check("org/name").preflight
    assert found is not None
    assert names(found) == {"m-Q4_K_M.gguf", "mmproj-F16.gguf"}


def test_code_is_fetched_where_the_configuration_names_it(hub: HubServer) -> None:
    config = json.loads(SMALL["config.json"]) if isinstance(SMALL["config.json"], bytes) else {}
    named = json.dumps({**config, "auto_map": {"AutoModel": "modeling_x.X"}}).encode()
    assert "modeling_x.py" in names(look(hub, {**SMALL, "config.json": named, "modeling_x.py": b""}))
    assert "modeling_x.py" not in names(look(hub, {**SMALL, "modeling_x.py": b""}))


def test_a_copy_of_a_folder_lies_in_that_folder(hub: HubServer, tmp_path: Path) -> None:
    hub.add("org/name", {f"sub/{name}": content for name, content in SMALL.items()})
    (tmp_path / "copy").mkdir()
    copied(tmp_path / "copy" / "sub", SMALL)
    assert check("hf://org/name/sub", local_dir=tmp_path / "copy", hash=True).verdict == "healthy"


def test_content_another_commit_brought_is_here(hub: HubServer, tmp_path: Path) -> None:
    old = hub.add("org/name", SMALL)
    cache_of(tmp_path / "home", old, SMALL)
    hub.repos["org/name"].commits["main"] = new = "b" * 40
    hub.repos["org/name"].files[new] = {**SMALL, "README.md": b"other words"}
    found = check("org/name").preflight
    assert found is not None
    assert (found.missing, found.commit) == ((), new)


def test_whether_a_token_may_read_is_asked_and_not_remembered(hub: HubServer) -> None:
    hub.add("org/name", SMALL, gated=True)
    hub.allow("hf_token")
    assert check("org/name", token="hf_token").preflight is not None
    found = check("org/name").preflight
    assert found is not None
    assert found.may_read is False


def test_offline_it_says_what_it_cannot_know(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.add("org/name", SMALL, private=True)
    cache_of(tmp_path / "home", commit, {name: SMALL[name] for name in ("config.json", "model.safetensors")})
    refs = tmp_path / "home" / "hub" / "models--org--name" / "refs"
    refs.mkdir()
    (refs / "main").write_text(commit)
    with pointed_at(hub, tmp_path / "home", offline=True):
        run = CliRunner().invoke(app, ["check", "org/name"])
    assert run.exit_code == 0, run.output
    assert "access not known offline" in run.stdout and "licence not known offline" in run.stdout
    assert "hf download" not in run.stdout


def test_a_known_commit_is_checked_again_without_a_request(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.add("org/name", SMALL)
    check("org/name")
    before = hub.num_requests
    check(f"org/name@{commit}")
    with pointed_at(hub, tmp_path / "home", offline=True):
        assert check("org/name").verdict == "healthy"
    assert hub.num_requests == before


def test_the_command_names_the_cache_that_was_looked_at(hub: HubServer, tmp_path: Path) -> None:
    found = look(hub, SMALL, cache_dir=str(tmp_path / "other"))
    assert shlex.split(found.command)[-2:] == ["--cache-dir", str(tmp_path / "other")]


@pytest.mark.parametrize("name", ["x`;touch pwned;`.safetensors", "a'b.safetensors", "$(id).safetensors", "-x.safetensors"])
def test_a_hostile_name_stays_a_word_of_the_command(hub: HubServer, name: str) -> None:
    hub.add("org/name", {**SMALL, "model.safetensors": b"", name: SMALL["model.safetensors"], "README.md": b""})
    del hub.repos["org/name"].files[hub.repos["org/name"].commits["main"]]["model.safetensors"]
    run = CliRunner().invoke(app, ["check", "org/name", "--format", "markdown"])
    (line,) = [line for line in run.stdout.splitlines() if line.startswith("hf download")]
    assert set(filter_repo_objects([name], allow_patterns=shlex.split(line)[4::2])) == {name}


def test_names_that_are_hidden_are_never_fetched_unseen(hub: HubServer) -> None:
    files = {name: content for name, content in SMALL.items() if name != "README.md"}
    assert "--include" in look(hub, {**files, "data:1.safetensors": b"x"}).command


def test_a_directory_of_which_nothing_is_known_was_not_verified(tmp_path: Path) -> None:
    found = check(copied(tmp_path / "copy", SMALL), hash=True)
    assert (found.verdict, [each.code for each in found.findings]) == ("suspicious", ["digest-unknown"])


@pytest.mark.parametrize("is_snapshot", [True, False])
def test_a_download_that_goes_on_is_seen_where_the_hub_library_keeps_it(is_snapshot: bool, tmp_path: Path) -> None:
    if is_snapshot:
        place = cache_of(tmp_path, "a" * 40, SMALL)
        part = place.parent.parent / "blobs" / "abc.incomplete"
    else:
        place = copied(tmp_path / "copy", SMALL)
        part = place / ".cache" / "huggingface" / "download" / "abc.incomplete"
        part.parent.mkdir(parents=True)
    part.write_bytes(b"12345")
    (finding,) = [each for each in check(place).findings if each.code == "unfinished-download"]
    assert "of 5 bytes" in finding.message


def test_every_vocabulary_file_of_transformers_is_fetched() -> None:
    transformers = pytest.importorskip(
        "transformers", reason="its tokenizers come with the verify extra: pip install 'hfmem-cli[verify]'"
    )
    root = Path(transformers.__file__).parent
    named: dict[str, str] = {}
    for path in (*root.glob("models/*/tokenization_*.py"), *root.glob("tokenization_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Assign)
                and isinstance(node.value, ast.Dict)
                and ast.unparse(node.targets[0]).lower() == "vocab_files_names"
            ):
                named |= {str(value.value): path.name for value in node.value.values if isinstance(value, ast.Constant)}
    assert len(named) > 20
    assert {name: file for name, file in named.items() if not BESIDE.fullmatch(name)} == {}
