"""The command line: what it prints where, and every documented exit code."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import checkpoints
import pytest
from typer.testing import CliRunner

from hfmem.cli import app
from hfmem.errors import ExitCode

RUNNER = CliRunner()
LLAMA = "meta-llama/Llama-3.2-1B"


def run(*arguments: str | Path) -> Any:
    return RUNNER.invoke(app, ["estimate", *map(str, arguments)])


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkpoints.write(LLAMA, tmp_path_factory.mktemp("llama"))


def test_json_is_the_documented_object(llama: Path) -> None:
    result = run(llama, "--context", "4096", "--batch", "2", "--format", "json")
    found = json.loads(result.stdout)
    assert result.exit_code == 0
    assert list(found) == [
        "schema", "model", "workload", "phases", "complete", "peak_phase", "total_bytes", "low_bytes", "high_bytes",
        "devices", "notes", "versions",
    ]  # fmt: skip
    assert found["schema"] == "hfmem.estimate/1"
    assert list(found["model"])[:18] == [
        "reference", "source", "revision", "commit", "model_type", "architecture", "dtype", "quantization", "num_layers",
        "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "vocab_size", "max_position_embeddings",
        "num_parameters", "stored_bytes", "loaded_bytes",
    ]  # fmt: skip
    assert found["model"]["num_parameters"] == 1_235_814_400
    assert found["workload"] | {"context": 4096, "batch": 2, "mode": "inference", "engine": "transformers"} == found["workload"]
    items = {item["name"]: item for item in found["phases"][-1]["items"]}
    assert items["kv_cache"]["bytes"] == 2 * 16 * 8 * (64 + 64) * 4096 * 2
    assert list(items["kv_cache"]) == ["name", "bytes", "low_bytes", "high_bytes", "basis", "formula", "note"]
    assert found["complete"] is True


def test_quiet_prints_the_total_alone(llama: Path) -> None:
    total = json.loads(run(llama, "--format", "json").stdout)["total_bytes"]
    assert run(llama, "-q").stdout == f"{total}\n"


def test_markdown_is_a_table(llama: Path) -> None:
    text = run(llama, "--format", "markdown", "--explain").stdout
    assert "| component | size | range | known by | formula |" in text
    assert "| kv cache | 256.00 MiB |" in text


def test_explain_shows_numbers_and_keys(llama: Path) -> None:
    text = run(llama, "--explain").stdout
    assert "16 layers × 8 kv heads × (64 + 64) × 8,192 tokens × 2 B" in text
    assert "num_key_value_heads        config.json:num_key_value_heads" in text


def test_a_report_has_its_parts(llama: Path) -> None:
    lines = run(llama).stdout.splitlines()
    assert "LlamaForCausalLM · 1.24 B parameters" in lines[0]
    assert lines[1] == "inference with transformers · batch 1 · context 8,192"
    assert lines[3].split() == ["COMPONENT", "SIZE", "SHARE", "RANGE", "KNOWN", "BY"]
    assert [line.split()[0] for line in lines[4:10]] == ["weights", "kv", "activations", "logits", "runtime", "total"]
    assert set("█▓▒") <= set(lines[11])
    assert lines[-1].startswith("next: hfmem estimate ")


def directory(tmp_path: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


CONFIG = json.dumps({"model_type": "llama", "num_hidden_layers": 2}).encode()
FOREIGN = json.dumps({"model_type": "no-such-type", "num_hidden_layers": 2}).encode()  # no class that could be counted
# what is given, exit code, words on stderr (or stdout where an answer is given)
FAILURES: list[tuple[str, dict[str, bytes] | None, list[str], ExitCode, str]] = [
    ("no such path", None, ["./nothing-here"], ExitCode.NOT_FOUND, "nothing-here"),
    ("empty directory", {}, [], ExitCode.NOT_FOUND, "neither weights nor config.json"),
    ("no weights", {"config.json": FOREIGN}, [], ExitCode.CANNOT_TELL, "there are no weight files"),
    ("no weights, accepted", {"config.json": FOREIGN}, ["--partial"], ExitCode.OK, "there are no weight files"),
    ("broken header", {"config.json": CONFIG, "model.safetensors": b"12345678"}, [], ExitCode.BROKEN, "header of"),
    ("pointer", {"model.safetensors": b"version https://git-lfs.github.com/spec/v1\n"}, [], ExitCode.BROKEN, "Git LFS pointer"),
    ("broken GGUF", {"model-Q4_K_M.gguf": b"GGUF"}, [], ExitCode.BROKEN, "a GGUF file has at least 16"),
    ("batch 0", {"config.json": CONFIG}, ["--batch", "0"], ExitCode.USAGE, "--batch is 0"),
    ("unknown dtype", {"config.json": CONFIG}, ["--kv-dtype", "int3"], ExitCode.USAGE, "one of: auto, float32"),
    ("unknown engine", {"config.json": CONFIG}, ["--engine", "tgi"], ExitCode.USAGE, "engines: transformers"),
    ("unknown option", {"config.json": CONFIG}, ["--contxt", "1"], ExitCode.USAGE, "No such option"),
    ("unknown format", {"config.json": CONFIG}, ["--format", "xml"], ExitCode.USAGE, "xml"),
]


@pytest.mark.parametrize(("files", "options", "code", "words"), [row[1:] for row in FAILURES], ids=[row[0] for row in FAILURES])
def test_failures_have_their_exit_code_and_words(
    tmp_path: Path, files: dict[str, bytes] | None, options: list[str], code: ExitCode, words: str
) -> None:
    target = [] if files is None else [directory(tmp_path, files)]
    result = run(*target, *options)
    assert result.exit_code == code
    assert words in result.stdout + result.stderr
    assert "Traceback" not in result.stdout + result.stderr
    assert result.stdout == "" or code in (ExitCode.OK, ExitCode.CANNOT_TELL)


def test_an_error_is_one_line_and_a_hint(tmp_path: Path) -> None:
    result = run(directory(tmp_path, {}))
    assert [line.split(":")[0] for line in result.stderr.splitlines()] == ["error", "hint"]


def test_control_characters_of_a_checkpoint_never_reach_the_terminal(tmp_path: Path) -> None:
    config = {"model_type": "ll\x1b[31mama\u202e", "architectures": ["X\x1b]0;title\x07"], "num_hidden_layers": 2}
    result = run(directory(tmp_path, {"config.json": json.dumps(config).encode()}))
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "\\x1b" in result.stdout


def test_the_documented_exit_codes_are_all_there_are() -> None:
    assert {code.name: int(code) for code in ExitCode} == {
        "OK": 0, "UNEXPECTED": 1, "USAGE": 2, "DOES_NOT_FIT": 3, "NOT_FOUND": 4, "ACCESS_DENIED": 5, "NETWORK": 6,
        "CANNOT_TELL": 7, "BATCH_FAILURES": 8, "BROKEN": 9, "INTERRUPTED": 130,
    }  # fmt: skip


def test_an_unexpected_error_is_no_traceback(monkeypatch: pytest.MonkeyPatch, llama: Path) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("surprise")

    monkeypatch.setattr("hfmem.api.load", fail)
    result = run(llama)
    assert result.exit_code == ExitCode.UNEXPECTED
    assert "unexpected RuntimeError: surprise" in result.stderr


def test_an_interrupt_is_130(monkeypatch: pytest.MonkeyPatch, llama: Path) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("hfmem.api.load", interrupt)
    assert run(llama).exit_code == ExitCode.INTERRUPTED


def process(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8", **variables}
    command = [sys.executable, "-m", "hfmem", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, encoding="utf-8", check=False)


def test_the_command_runs_as_a_process(llama: Path) -> None:
    found = process("estimate", llama, "-q")
    assert found.returncode == 0
    assert int(found.stdout) > 2_471_628_800
    assert found.stderr == ""


def test_a_terminal_without_unicode_gets_an_answer(llama: Path) -> None:
    found = process("estimate", llama, PYTHONIOENCODING="ascii")
    assert found.returncode == 0
    assert "GiB" in found.stdout


# where standard output leads, and what is said of it
NO_OUTPUT = {"/dev/full": "standard output cannot be written: No space left on device", "&-": "standard output is closed"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full to write to")
@pytest.mark.parametrize("where", NO_OUTPUT)
def test_output_that_cannot_be_written_is_said(where: str, llama: Path) -> None:
    command = f"{shlex.quote(sys.executable)} -m hfmem estimate {shlex.quote(str(llama))} >{where}"
    found = subprocess.run(command, shell=True, stderr=subprocess.PIPE, text=True, check=False)
    assert found.returncode == ExitCode.UNEXPECTED
    assert NO_OUTPUT[where] in found.stderr
    assert "Traceback" not in found.stderr
    assert "Exception" not in found.stderr


def test_the_version_is_printed() -> None:
    assert process("--version").stdout.startswith("hfmem 0.")
