"""Lists of models: how they are read, worked through, kept and shown, and how the library gives them."""

import asyncio
import csv
import io
import json
import os
import pickle
import re
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import replace
from itertools import count, islice
from pathlib import Path
from typing import Any

import checkpoints
import pytest
from hub_server import HubServer, pointed_at
from many_repos import model
from typer.testing import CliRunner

import hfmem
import hfmem.hardware
from hfmem.batch.journal import Journal
from hfmem.batch.lists import Line, read_list
from hfmem.batch.many import Entry, Question, estimate_many, outcome_of
from hfmem.batch.rows import keyed, row_for
from hfmem.batch.running import run
from hfmem.cli import app
from hfmem.commands.list_options import Listed
from hfmem.commands.progress import Progress, shown
from hfmem.errors import HfmemError, NotFound, UsageError
from hfmem.memory.outcome import Outcome
from hfmem.memory.training.workload import Training
from hfmem.memory.workload import Inference
from hfmem.report.batch_csv import render_batch_csv
from hfmem.report.batch_rows import Row, row_of
from hfmem.report.batch_text import render_batch_markdown, render_batch_text

SMALL, OTHER = "Qwen/Qwen3-0.6B", "openai-community/gpt2"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(checkpoints.write(SMALL, tmp_path_factory.mktemp("small")))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(checkpoints.write(OTHER, tmp_path_factory.mktemp("other")))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server, pointed_at(server, tmp_path / "home"):
        yield server


def batch(*arguments: str, given: str | None = None) -> Any:
    return CliRunner().invoke(app, ["batch", *arguments], input=given)


# Reading a list: (name of the file, its text, what is read as (reference, options))
LISTS: list[tuple[str, str, list[tuple[str, dict[str, Any]]]]] = [
    ("a.txt", "a/b\n\n# remark\n  c/d  # why\r\ne@v1", [("a/b", {}), ("c/d", {}), ("e@v1", {})]),
    ("a.txt", "\ufeffa/b\n", [("a/b", {})]),
    ("a", "#x\na/b\n", [("a/b", {})]),
    ("a.txt", "", []),
    ("a.txt", "./dir with spaces/#1\n", [("./dir with spaces/#1", {})]),
    ("a.csv", "model_id,context\na/b,4096\nc/d,\n", [("a/b", {"context": "4096"}), ("c/d", {})]),
    ("a.csv", 'likes,ID\n5,"a/b"\n', [("a/b", {"likes": "5"})]),
    ("a.csv", "a/b\nc/d\n", [("a/b", {}), ("c/d", {})]),
    ("a.tsv", "model\tKV-dtype\na/b\tfp8\n", [("a/b", {"kv_dtype": "fp8"})]),
    ("a", "model,engine\na/b,vllm\n", [("a/b", {"engine": "vllm"})]),
    ("a.jsonl", '"a/b"\n{"model": "c/d", "context": 8}\n\n', [("a/b", {}), ("c/d", {"context": 8})]),
    ("a", '{"repo_id": "c/d", "kv-dtype": "fp8"}', [("c/d", {"kv_dtype": "fp8"})]),
]


@pytest.mark.parametrize(("name", "text", "expected"), LISTS)
def test_a_list_is_read_in_the_form_it_has(name: str, text: str, expected: list[Any], tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(text.encode())
    assert [(line.reference, dict(line.options)) for line in read_list(str(path))] == expected


def test_a_column_can_be_named(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("what,id\na/b,1\n")
    assert [line.reference for line in read_list(str(path), column="what")] == ["a/b"]
    with pytest.raises(UsageError, match="has no column 'who'") as caught:
        list(read_list(str(path), column="who"))
    assert caught.value.hint == "its columns are what, id: name one with --column"


@pytest.mark.parametrize("name", ["missing.txt", "."])
def test_a_list_that_cannot_be_read_is_a_usage_error(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        list(read_list(str(tmp_path / name)))


@pytest.mark.parametrize("line", ["{", "[1]", "7", '{"context": 1}', '{"model": 3}', "[" * 5000])
def test_a_line_that_names_no_model_is_a_row_that_says_so(line: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'"a/b"\n{line}\n')
    found = list(read_list(str(path)))
    assert found[0].fault is None
    assert found[1].fault is not None
    assert "line 2 of" in found[1].fault


# What a line says of its workload: (options, the workload that becomes of it)
SERVING = {"context": "4096", "batch": "2", "engine": "vllm", "ep": "true", "gpu_memory_utilization": "0.5", "kv_dtype": "fp8"}
WORKLOADS: list[tuple[dict[str, Any], Inference | Training]] = [
    ({}, Inference()),
    (SERVING, Inference(context=4096, batch=2, engine="vllm", ep=True, gpu_memory_utilization=0.5, kv_dtype="fp8")),
    ({"context": 4096, "ep": False}, Inference(context=4096)),
    ({"context": None, "engine": ""}, Inference()),
    ({"method": "lora", "lora_rank": "8", "autocast": "yes"}, Training(method="lora", lora_rank=8, autocast=True)),
    ({"mode": "training", "context": "512"}, Training(context=512)),
    ({"transformers": "4.48", "method": "full"}, Training(transformers=(4, 48))),
]


def options() -> dict[str, Any]:
    """The command's own, as they are where nothing is given."""
    found: dict[str, Any] = {}
    command = next(each for each in app.registered_commands if each.callback and each.callback.__name__ == "batch")
    import inspect

    for name, part in inspect.signature(command.callback).parameters.items():
        found[name] = part.default
    return {**found, "shard": "none"}


@pytest.mark.parametrize(("given", "expected"), WORKLOADS)
def test_a_line_may_have_a_workload_of_its_own(given: dict[str, Any], expected: Inference | Training) -> None:
    (entry,) = Listed([Line(reference="a/b", options=given)], options())
    assert (entry.error, entry.workload) == (None, expected)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"context": "many"}, "line 3: context is 'many', which is no int"),
        ({"context": 1.5}, "line 3: context is '1.5', which is no int"),
        ({"context": True}, "line 3: context is 'True', which is no int"),
        ({"ep": "perhaps"}, "line 3: ep is 'perhaps', which is no bool"),
        ({"engine": ["vllm"]}, "line 3: engine is \"['vllm']\", which is no str"),
        ({"context": "0"}, "--context is 0"),
        ({"engine": "tgi"}, "'tgi' is not known"),
        ({"method": "lora", "engine": "vllm"}, "--engine is an option of serving"),
        ({"tp": "2"}, "--tp is an option of serving engines"),
    ],
)
def test_a_line_with_a_value_that_makes_no_sense_is_a_row_that_says_so(given: dict[str, Any], said: str) -> None:
    (entry,) = Listed([Line(reference="a/b", options=given, where="line 3")], options())
    assert entry.error is not None
    assert said in str(entry.error)
    assert outcome_of(Question(), entry).status == "invalid"


def test_columns_that_are_no_options_are_named_once() -> None:
    listed = Listed([Line(reference="a/b", options={"likes": "5", "revision": "v1"})] * 2, options())
    assert [entry.revision for entry in listed] == ["v1", "v1"]
    assert list(listed.unused) == ["likes"]


# Running


def gone(item: Any, cause: BaseException) -> Any:
    return f"{item}: {type(cause).__name__}"


class Counting(ThreadPoolExecutor):
    """Remembers how many calls it was handed at most."""

    def __init__(self) -> None:
        super().__init__(2)
        self.handed = 0

    def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
        self.handed += 1
        return super().submit(*args, **kwargs)


def test_results_come_in_order_and_an_endless_list_is_taken_as_it_is_needed() -> None:
    with Counting() as pool:
        assert list(islice(run(lambda n: n * n, count(), gone, executor=pool, max_workers=2), 5)) == [0, 1, 4, 9, 16]
        assert pool.handed <= 5 + 2 * 4
        assert pool.submit(int).result() == 0  # the caller's executor is still open


def test_results_come_as_they_complete_where_order_does_not_matter() -> None:
    slow = threading.Event()

    def work(number: int) -> int:
        return number if number or slow.wait(10) else -1

    results = run(work, range(6), gone, max_workers=3, ordered=False)
    first = [next(results) for _ in range(5)]
    slow.set()
    assert (sorted(first), list(results)) == ([1, 2, 3, 4, 5], [0])


@pytest.mark.parametrize("ordered", [True, False])
def test_a_list_of_nothing_gives_nothing(ordered: bool) -> None:
    assert list(run(int, [], gone, ordered=ordered)) == []


# The library


@pytest.mark.parametrize("pool", [None, ThreadPoolExecutor, ProcessPoolExecutor])
def test_many_references_have_an_outcome_each(pool: type[Executor] | None, small: str, other: str, tmp_path: Path) -> None:
    references: list[str | Path | Entry] = [
        small,
        str(tmp_path / "missing"),
        Path(other),
        Entry(reference=small, workload=Inference(context=16)),
    ]
    executor = pool(2) if pool else None  # type: ignore[call-arg]
    outcomes = list(estimate_many(references, Inference(context=64), on=["RTX 4090"], executor=executor))
    if executor:
        executor.shutdown()
    assert [outcome.status for outcome in outcomes] == ["ok", "not-found", "ok", "ok"]
    assert [outcome.index for outcome in outcomes] == [0, 1, 2, 3]
    alone = hfmem.estimate(small, Inference(context=64), on=["RTX 4090"])
    assert outcomes[0].estimate is not None
    assert (outcomes[0].estimate.total_bytes, outcomes[0].estimate.devices) == (alone.total_bytes, alone.devices)
    assert isinstance(outcomes[1].error, NotFound)
    assert outcomes[1].error.hint == "check the path"
    assert outcomes[3].estimate is not None
    assert outcomes[3].estimate.workload == Inference(context=16)


def test_it_works_in_a_running_event_loop(small: str) -> None:
    async def cell() -> int:
        return next(outcome.estimate.total_bytes for outcome in estimate_many([small]) if outcome.estimate)

    assert asyncio.run(cell()) == hfmem.estimate(small).total_bytes


def test_an_outcome_goes_to_another_process_and_back(small: str) -> None:
    (outcome,) = estimate_many([small], on=["H100"])
    copy = pickle.loads(pickle.dumps(outcome))
    assert row_of(copy) == row_of(outcome)


def test_a_defect_of_ours_costs_one_row(small: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hfmem.api.load_opened", lambda *args: 1 // 0)
    (outcome,) = estimate_many([small])
    assert (outcome.status, str(outcome.error)) == ("error", "unexpected ZeroDivisionError: integer division or modulo by zero")


def test_an_outcome_is_an_estimate_or_an_error() -> None:
    with pytest.raises(ValueError, match="and not both"):
        Outcome(index=0, reference="a")


# What is remembered


def test_a_row_is_worked_out_once_for_a_commit_and_what_is_asked_of_it(hub: HubServer) -> None:
    hub.add("org/name", model(2))
    question, entry = Question(workload=Inference(context=128)), Entry(reference="org/name", index=5)
    first = row_for(question, entry)
    asked = hub.num_requests
    again = row_for(question, replace(entry, index=7))
    assert hub.num_requests == asked + 1  # whether the branch is still at this commit
    assert again == {**first, "index": 7}
    assert row_for(replace(question, workload=Inference(context=256)), entry)["total_bytes"] > first["total_bytes"]
    hub.add("org/name", model(3), revision="main")
    hub.repos["org/name"].commits["main"] = commit = "c" * 40
    hub.repos["org/name"].files[commit] = dict(model(3))
    assert row_for(question, entry)["num_parameters"] > first["num_parameters"]


def test_a_row_that_hangs_on_more_than_its_commit_is_not_remembered(hub: HubServer) -> None:
    hub.add("org/base", model(2))
    adapter = {"adapter_config.json": b'{"base_model_name_or_path": "org/base", "peft_type": "LORA", "r": 8}'}
    hub.add("org/adapter", {**adapter, "adapter_model.safetensors": model(1)["model.safetensors"]})
    entry = Entry(reference="org/adapter")
    first = row_for(Question(), entry)
    assert first["status"] == "ok"
    hub.repos["org/base"].commits["main"] = commit = "c" * 40
    hub.repos["org/base"].files[commit] = dict(model(40))
    assert row_for(Question(), entry)["total_bytes"] > first["total_bytes"]


# The journal

ROW: Row = {"key": "a" * 32, **row_of(Outcome(index=0, reference="x", error=NotFound("no", code="no"))), "status": "ok"}


def numbered(number: int, **changes: Any) -> Row:
    return {**ROW, "key": f"{number:016x}{0:016x}", "index": number, **changes}


def test_a_journal_gives_rows_in_the_order_of_the_list_and_knows_them_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal.at(path, resume=True) as first:
        first.keep(numbered(2, reference="ü" * 100_000))
        first.keep(numbered(0))
        assert [row["index"] for row in first] == [0, 2]
        assert [len(row["reference"]) for row in first] == [1, 100_000]
    with Journal.at(path, resume=True) as second:
        assert (second.has(numbered(2)["key"]), second.has(numbered(1)["key"]), len(second)) == (True, False, 0)
        assert second.take(9, numbered(2)["key"])["index"] == 9
        second.keep(numbered(1))
        assert [row["index"] for row in second] == [1, 9]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_was_being_written_is_taken_away(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal.at(path, resume=False) as first:
        first.keep(numbered(0))
        first.keep(numbered(1))
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal.at(path, resume=True) as second:
        assert (second.has(numbered(0)["key"]), second.has(numbered(1)["key"])) == (True, False)
        second.keep(numbered(1))
    assert len([json.loads(line) for line in path.read_text().splitlines()]) == 2


@pytest.mark.parametrize("content", [b"my notes\n", b"{}\n", b'{"key": 1, "index": 0}\n', b"\xff\xfe\n", b"[]\nmore"])
def test_a_file_that_is_no_journal_is_left_as_it_is(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"line 1 of .* is no row of a journal"):
        Journal.at(path, resume=True)
    with pytest.raises(UsageError, match="has rows of an earlier run"):
        Journal.at(path, resume=False)
    assert path.read_bytes() == content


def test_two_runs_do_not_write_one_journal(tmp_path: Path) -> None:
    with Journal.at(tmp_path / "journal", resume=False) as first:
        with pytest.raises(UsageError, match="another run writes"):
            Journal.at(tmp_path / "journal", resume=True)
        first.keep(numbered(0))


def test_a_journal_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the journal .* cannot be written"):
        Journal.at(tmp_path / "no" / "journal", resume=False)
    if os.path.exists("/dev/full"):
        with Journal(io.FileIO("/dev/full", "r+")) as full, pytest.raises(HfmemError, match="No space left"):
            full.keep(numbered(0))


# The command


def test_the_table_has_a_line_a_model_and_says_why_there_is_none(small: str, other: str, tmp_path: Path) -> None:
    (tmp_path / "models.txt").write_text(f"{small}\n{tmp_path}/missing\n{other}\n")
    found = batch(str(tmp_path / "models.txt"), "--on", "RTX 4090", "--context", "64")
    assert found.exit_code == 0
    lines = found.stdout.splitlines()
    assert lines[0].split() == ["MODEL", "STATUS", "PARAMETERS", "WEIGHTS", "CACHE", "TOTAL", "RTX", "4090"]
    assert lines[1].startswith(small)
    assert lines[1].endswith("✓ fits")
    assert lines[4].endswith("(check the path) [path-not-found]")
    assert lines[-1] == "3 models: 2 ok, 1 not-found"
    assert found.stderr.startswith("3/3 · 2 ok · 1 not-found")
    strict = batch(str(tmp_path / "models.txt"), "--strict", "-q")
    assert (strict.exit_code, strict.stderr) == (8, "")


@pytest.mark.parametrize("format", ["json", "jsonl", "csv", "markdown", "html"])
def test_every_format_has_every_model(format: str, small: str, other: str) -> None:
    found = batch("-", "--format", format, "-q", given=f"{small}\n{other}\n")
    assert found.exit_code == 0, found.output
    assert small in found.stdout.replace("\\", "")
    assert other in found.stdout.replace("\\", "")
    if format == "json":
        assert [row["reference"] for row in json.loads(found.stdout)] == [small, other]


def test_rows_can_be_had_as_they_complete(small: str, other: str) -> None:
    found = batch("-", "--as-completed", "-q", given=f"{small}\n{other}\n")
    assert {json.loads(line)["reference"] for line in found.stdout.splitlines()} == {small, other}


def test_lines_with_workloads_of_their_own(small: str) -> None:
    given = f"model,context,method,likes\n{small},128,,3\n{small},256,lora,4\n{small},x,,5\n"
    found = batch("-", "--format", "jsonl", given=given)
    rows = [json.loads(line) for line in found.stdout.splitlines()]
    assert [(row["status"], row["mode"], row["context"], row["method"]) for row in rows[:2]] == [
        ("ok", "inference", 128, None),
        ("ok", "training", 256, "lora"),
    ]
    assert (rows[2]["status"], rows[2]["message"]) == ("invalid", "line 4 of standard input: context is 'x', which is no int")
    assert "note: columns that are no options were not used: 'likes'" in found.stderr


def test_the_same_model_twice_has_two_rows_and_is_worked_out_as_often_as_it_is_listed(small: str, tmp_path: Path) -> None:
    output = tmp_path / "all.jsonl"
    assert batch("-", "-o", str(output), "-q", given=f"{small}\n{small}\n").exit_code == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["index"] for row in rows] == [0, 1]


# What is refused before anything is done: (arguments, part of the message)
REFUSED = [
    ([], "give a list, or --author or --search"),
    (["-", "--author", "a"], "give a list, or --author or --search"),
    (["nowhere.txt"], "the list nowhere.txt cannot be read"),
    (["-", "-o", "x.docx"], "has no ending that says what to write"),
    (["-", "-o", "no/such/x.csv"], "is no directory"),
    (["-", "-o", "x.csv", "-o", "./x.csv"], "two outputs are the same file"),
    (["-", "--format", "xml"], "--format 'xml' is not known"),
    (["-", "--resume"], "there is no journal to go on from"),
    (["-", "--shard", "0/3"], "--shard 0/3 is no part of a list"),
    (["-", "--shard", "1/2", "--shard", "2/2"], "--shard is given twice"),
    (["-", "--on", "RTX 9999"], "RTX 9999"),
    (["hf://collections/nothing"], "is no collection"),
    (["https://example.com/list.txt"], "is no collection"),
]


@pytest.mark.parametrize(("arguments", "said"), REFUSED)
def test_what_cannot_be_done_is_refused_before_anything_is(arguments: list[str], said: str, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        found = batch(*arguments, given="")
    assert found.exit_code == 2, found.output
    assert said in found.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_list_and_training_have_a_shard_each(small: str) -> None:
    found = batch(
        "-", "--train", "--shard", "1/2", "--shard", "zero3", "--gpus", "4", "--format", "jsonl", "-q", given=f"{small}\nx\n"
    )
    (row,) = [json.loads(line) for line in found.stdout.splitlines()]
    assert (row["status"], row["mode"]) == ("ok", "training")
    alone = hfmem.estimate(small, Training(shard="zero3", gpus=4))
    assert row["total_bytes"] == alone.total_bytes


def test_models_of_an_author_come_page_by_page(hub: HubServer) -> None:
    for number in range(7):
        hub.add(f"org/m{number}", model(1))
        hub.add(f"else/m{number}", model(1))
    hub.page_size = 3
    found = batch("--author", "org", "--limit", "5", "--format", "jsonl", "-q")
    assert [json.loads(line)["reference"] for line in found.stdout.splitlines()] == [f"org/m{number}" for number in range(5)]
    found = batch("--search", "M6", "--format", "jsonl", "-q")
    assert [json.loads(line)["reference"] for line in found.stdout.splitlines()] == ["org/m6", "else/m6"]


@pytest.mark.parametrize("origin", ["http://127.0.0.1:9", "http://localhost:1"])
def test_the_next_page_is_never_asked_of_another_server(origin: str, hub: HubServer) -> None:
    for number in range(4):
        hub.add(f"org/m{number}", model(1))
    hub.page_size, hub.next_origin = 2, origin
    found = batch("--author", "org", "-q")
    assert found.exit_code == 6
    assert "the next page is at" in found.stderr


def test_a_page_that_names_itself_as_the_next_is_not_followed_forever(hub: HubServer) -> None:
    body = json.dumps([{"id": "org/m"}]).encode()
    address = f"{hub.url}/api/models?author=org&sort=downloads&direction=-1&limit=100"
    hub.fail(r"^/api/models$", "body", body=body, headers={"Link": f'<{address}>; rel="next"'})
    assert batch("--author", "org", "-q").exit_code == 6


def test_a_collection_gives_its_models(hub: HubServer) -> None:
    hub.add("org/name", model(1))
    hub.collections["org/best-1a2b"] = [{"type": "paper", "id": "2401.1"}, {"type": "model", "id": "org/name"}]
    found = batch("hf://collections/org/best-1a2b", "--format", "jsonl", "-q")
    assert [json.loads(line)["status"] for line in found.stdout.splitlines()] == ["ok"]
    assert batch("hf://collections/org/other", "-q").exit_code == 4


# Reports

HOSTILE = ["=cmd|' /C calc'!A0", "+1", "-1", "@SUM(1)", "\t=1", " =1", "<b>x</b>|y", "a\x1b[31m\u202eb", "＝1"]


def hostile_rows() -> list[Row]:
    return [row_of(Outcome(index=i, reference=text, error=NotFound(text, code="no"))) for i, text in enumerate(HOSTILE)]


def test_no_cell_of_a_table_is_a_formula_or_speaks_to_the_terminal() -> None:
    cells = list(csv.DictReader(io.StringIO("".join(render_batch_csv(hostile_rows())))))
    assert [row["reference"][0] for row in cells] == ["'"] * 6 + ["<", "a", "'"]
    text = "".join(render_batch_text(hostile_rows()))
    assert "\x1b" not in text + cells[7]["reference"]
    assert "\u202e" not in text
    markdown = "".join(render_batch_markdown(hostile_rows()))
    assert "\\<b\\>x\\</b\\>\\|y" in markdown
    assert all(len(re.findall(r"(?<!\\)\|", line)) == 8 for line in markdown.splitlines()[:-2])


def test_parquet_has_the_numbers_as_numbers(small: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install 'hfmem-cli[parquet]'")
    output = tmp_path / "all.parquet"
    assert batch("-", "-o", str(output), "--on", "H100", "-q", given=f"{small}\nmissing/../x\n").exit_code == 0
    rows = parquet.read_table(output).to_pylist()
    assert [row["status"] for row in rows] == ["ok", "not-found"]
    assert rows[0]["total_bytes"] == hfmem.estimate(small).total_bytes
    assert rows[0]["H100 80GB verdict"] == "fits"
    assert rows[1]["total_bytes"] is None


# Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_says_how_far_it_is_and_what_it_waits_for() -> None:
    progress = Progress(2000, lambda: 12.3)
    for status in ("ok", "ok", "gated"):
        progress.count(status)
    progress.count("ok", known=True)
    line = progress.line()
    assert line.startswith("4/2,000 · 3 ok · 1 gated · 1 known already · ")
    assert line.endswith(" left · waits 12 s for the Hub's rate limit")
    assert Progress(None, lambda: 0.0).line() == "0"


def test_progress_is_written_over_on_a_terminal_and_in_lines_elsewhere() -> None:
    for stream, start in ((Terminal(), "\r\x1b[2K1/1 · 1 ok"), (io.StringIO(), "1/1 · 1 ok")):
        progress = Progress(1, lambda: 0.0)
        with shown(progress, quiet=False, stream=stream):
            progress.count("ok")
        assert stream.getvalue().startswith(start)
        assert stream.getvalue().endswith("/s\n")
    silent = io.StringIO()
    with shown(Progress(1, lambda: 0.0), quiet=True, stream=silent):
        pass
    assert silent.getvalue() == ""


# What must never be taken for another


def two_files(hub: HubServer) -> None:
    small, big = model(2), model(20)
    files = {
        "config.json": big["config.json"],
        "small.safetensors": small["model.safetensors"],
        "big.safetensors": big["model.safetensors"],
    }
    hub.add("org/two", files)


def test_files_of_one_repository_have_rows_of_their_own(hub: HubServer) -> None:
    two_files(hub)
    references = ["hf://org/two@main/small.safetensors", "hf://org/two@main/big.safetensors"]
    sizes = {
        name: layers * (4 * 64 * 64 + 3 * 128 * 64 + 2 * 64) + 2 * 256 * 64 + 64
        for name, layers in zip(references, (2, 20), strict=True)
    }
    for order in (references, references[::-1], references):
        rows = [row_for(Question(), Entry(reference=reference)) for reference in order]
        assert {row["reference"]: row["num_parameters"] for row in rows} == sizes


def test_what_part_of_the_files_gave_offline_is_not_taken_for_the_commits(hub: HubServer, tmp_path: Path) -> None:
    commit = hub.add("org/name", model(20))
    repo = tmp_path / "home" / "hub" / "models--org--name"
    (repo / "snapshots" / commit).mkdir(parents=True)
    (repo / "refs").mkdir()
    (repo / "refs" / "main").write_text(commit)
    small = model(2)
    for name, content in small.items():
        data = content if isinstance(content, bytes) else content.part(0, content.size)
        (repo / "snapshots" / commit / name).write_bytes(data)
    with pointed_at(hub, tmp_path / "home", offline=True):
        part = row_for(Question(), Entry(reference="org/name"))
    assert row_for(Question(), Entry(reference="org/name"))["num_parameters"] > part["num_parameters"]


def test_a_key_is_the_same_in_every_process_and_another_for_everything_else() -> None:
    code = (
        "from hfmem.batch.many import Entry, Question; from hfmem.batch.rows import keyed; from hfmem.hardware import parse_target;"
        "from hfmem.memory.workload import Inference; on = tuple(map(parse_target, ['H100', '2xL40S', 'MI300X', '80GiB']));"
        "print(keyed(Question(on=on, workload=Inference(context=5)), Entry(reference='a')).key)"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True
        ).stdout
        for seed in ("1", "2", "3", "4")
    }
    assert len(found) == 1
    base = Question(workload=Inference(context=5))
    others = [
        keyed(base, Entry(reference="a")),
        keyed(replace(base, workload=Inference(context=6)), Entry(reference="a")),
        keyed(replace(base, curve=True), Entry(reference="a")),
        keyed(replace(base, on=(hfmem.hardware.parse_target("H100"),)), Entry(reference="a")),
        keyed(replace(base, on=(hfmem.hardware.parse_target("2xH100"),)), Entry(reference="a")),
        keyed(base, Entry(reference="b")),
        keyed(base, Entry(reference="a", revision="v1")),
        keyed(base, Entry(reference="a", workload=Training())),
        keyed(base, Entry(reference="a", error=UsageError("no", code="no"))),
    ]
    assert len({entry.key for entry in others}) == len(others)


@pytest.mark.parametrize(
    "arguments",
    [["list.csv", "-o", "list.csv"], ["list.csv", "-o", "./x/../list.csv"], ["list.csv", "-o", "o.jsonl", "--journal", "o.jsonl"],
     ["list.csv", "-o", "o.jsonl", "--journal", "list.csv", "--resume"]],
)  # fmt: skip
def test_no_file_is_written_over_another(
    arguments: list[str], small: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    (tmp_path / "list.csv").write_text(f"model_id\n{small}\n")
    found = batch(*arguments)
    assert (found.exit_code, "give each a name of its own" in found.stderr) == (2, True)
    assert (tmp_path / "list.csv").read_text() == f"model_id\n{small}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["list.csv", "x"]


# What ends a run early


def test_what_was_done_before_a_list_went_wrong_is_in_the_outputs(hub: HubServer, tmp_path: Path) -> None:
    for number in range(4):
        hub.add(f"org/m{number}", model(1))
    hub.page_size = 2
    hub.fail(r"^/api/models$", "status", status=404, times=0)
    hub.next_origin = "http://127.0.0.1:9"
    output = tmp_path / "all.jsonl"
    found = batch("--author", "org", "-o", str(output))
    assert found.exit_code == 6
    assert [json.loads(line)["status"] for line in output.read_text().splitlines()] == ["ok", "ok"]
    assert "stopped: the outputs have what was done until then" in found.stderr
    hub.next_origin = None
    again = batch("--author", "org", "-o", str(output), "--resume")
    assert (again.exit_code, "2 known already" in again.stderr) == (0, True)
    assert [json.loads(line)["reference"] for line in output.read_text().splitlines()] == [
        f"org/m{number}" for number in range(4)
    ]


def test_a_list_that_ends_with_an_error_gives_what_came_before_it(small: str) -> None:
    def references() -> Iterator[str]:
        yield small
        yield small
        raise RuntimeError("the cable is out")

    for ordered in (True, False):
        outcomes = estimate_many(references(), ordered=ordered)
        assert [next(outcomes).status, next(outcomes).status] == ["ok", "ok"]
        with pytest.raises(RuntimeError, match="the cable is out"):
            next(outcomes)


def die(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), 9)
    return number


@pytest.mark.parametrize("ordered", [True, False])
def test_a_worker_that_dies_costs_the_calls_it_had(ordered: bool) -> None:
    with ProcessPoolExecutor(1) as pool:
        found: list[Any] = []
        with pytest.raises(BrokenExecutor):
            found.extend(run(die, range(1000), gone, executor=pool, max_workers=1, ordered=ordered))
    assert "3: BrokenProcessPool" in found
    assert {0, 1, 2} <= {each for each in found if isinstance(each, int)}


def test_a_call_that_raises_costs_itself() -> None:
    assert list(run(lambda n: 1 // n, [1, 0, 1], gone)) == [1, "0: ZeroDivisionError", 1]


def test_one_output_that_cannot_be_written_keeps_no_other_from_being(small: str, tmp_path: Path) -> None:
    found = batch("-", "-o", str(tmp_path / "a.csv"), "-o", "/proc/x.csv", given=f"{small}\n")
    assert (found.exit_code, list(tmp_path.iterdir())) == (2, [])  # found before any work
    first, last = tmp_path / "a.csv", tmp_path / "c.csv"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("hfmem.report.batch_json.render_batch_lines", refuse)
        found = batch("-", "-o", str(first), "-o", str(tmp_path / "b.jsonl"), "-o", str(last), given=f"{small}\n")
    assert first.read_text() == last.read_text()
    assert not (tmp_path / "b.jsonl").exists()
    assert found.exit_code == 1


def refuse(*args: Any, **kwargs: Any) -> str:
    raise HfmemError("the disk is full", code="not-saved")


def test_statuses_that_may_be_mended_are_tried_again(tmp_path: Path) -> None:
    later, output = tmp_path / "later", tmp_path / "all.jsonl"
    arguments = ["-", "-o", str(output), "--journal", str(tmp_path / "kept"), "--resume", "-q"]
    batch(*arguments, given=f"{later}\n")
    assert json.loads(output.read_text())["status"] == "not-found"
    checkpoints.write(OTHER, later)
    batch(*arguments, given=f"{later}\n")
    assert json.loads(output.read_text())["status"] == "ok"


def test_a_journal_with_rows_of_other_options_is_kept_and_said_so(small: str, tmp_path: Path) -> None:
    output, journal = tmp_path / "all.jsonl", tmp_path / "all.jsonl.journal"
    batch("-", "-o", str(output), "--journal", str(journal), "--context", "64", given=f"{small}\n")
    found = batch("-", "-o", str(output), "--resume", "--context", "128", given=f"{small}\n")
    assert "note: 1 rows of" in found.stderr
    assert "are of other models or options; it is kept" in found.stderr
    assert len(journal.read_text().splitlines()) == 2


def test_a_run_that_did_nothing_leaves_no_journal(tmp_path: Path) -> None:
    found = batch("-", "--column", "z", "-o", str(tmp_path / "left.csv"), given="a,b\n1,2\n")
    assert (found.exit_code, list(tmp_path.iterdir())) == (2, [])


@pytest.mark.parametrize("kind", ["fifo", "device"])
def test_a_journal_is_a_regular_file(kind: str, small: str, tmp_path: Path) -> None:
    place = tmp_path / "journal" if kind == "fifo" else Path("/dev/null")
    if kind == "fifo":
        os.mkfifo(place)
    found = batch("-", "--journal", str(place), given=f"{small}\n")
    assert (found.exit_code, "is no regular file" in found.stderr) == (2, True)


@pytest.mark.parametrize("row", [{"key": "a" * 32, "index": 0}, {"key": "a" * 32, "index": 0, "status": "ok"}])
def test_a_row_without_its_columns_is_no_row(row: Row, tmp_path: Path) -> None:
    (tmp_path / "journal").write_text(json.dumps(row) + "\n")
    with pytest.raises(UsageError, match="is no row of a journal"):
        Journal.at(tmp_path / "journal", resume=True)


# Odd lists


def test_lines_are_counted_from_the_first_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('# one\n# two\n\n{bad\n"a/b"\n{worse\n')
    found = list(read_list(str(tmp_path / "a.jsonl")))
    assert [(line.fault or "").split(" is not")[0][:6] for line in found] == ["line 4", "", "line 6"]


def test_a_very_long_line_is_one_fault_and_is_not_shown_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("a/b\n" + "x" * 5_000_000 + "\nc/d\n")
    found = list(read_list(str(path)))
    assert [line.reference for line in found if not line.fault] == ["a/b", "c/d"]
    assert [(len(line.reference), line.fault) for line in found if line.fault] == [
        (200, f"line 2 of {path} is too long for a reference")
    ]


def test_a_file_that_is_no_text_is_refused(small: str) -> None:
    with pytest.raises(UsageError, match="is no text"):
        list(read_list(f"{small}/model.safetensors"))


def test_standard_input_is_read_as_a_file_is(small: str) -> None:
    given = b"\xef\xbb\xbf" + f"{small}\r\n./m_".encode() + b"\xff\n"
    process = subprocess.run(
        [sys.executable, "-m", "hfmem", "batch", "-", "--format", "jsonl", "-q"], input=given, capture_output=True
    )
    assert process.returncode == 0, process.stderr
    assert [json.loads(line)["status"] for line in process.stdout.splitlines()] == ["ok", "not-found"]
    closed = subprocess.run(f"{sys.executable} -m hfmem batch - <&-", shell=True, capture_output=True, text=True)
    assert (closed.returncode, closed.stderr.splitlines()[0]) == (2, "error: standard input is closed")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("model,context,context\na/b,1,2\n", "has the column 'context' twice"),
        ("model,model\na/b,c/d\n", "has the column 'model' twice"),
    ],
)
def test_a_header_that_says_two_things_is_refused(given: str, said: str) -> None:
    found = batch("-", given=given)
    assert (found.exit_code, said in found.stderr) == (2, True)


def test_a_table_as_spreadsheets_of_half_of_europe_write_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("model_id;context\na/b;64\n")
    assert [(line.reference, line.options) for line in read_list(str(tmp_path / "a.csv"))] == [("a/b", {"context": "64"})]


def test_a_mode_nobody_knows_is_a_row_that_says_so() -> None:
    (entry,) = Listed([Line(reference="a/b", options={"mode": "banana"}, where="line 3")], options())
    assert str(entry.error) == "line 3: mode is 'banana'"


def test_a_limit_holds_for_lists_too(small: str, other: str) -> None:
    found = batch("-", "--limit", "1", "--format", "jsonl", "-q", given=f"{small}\n{other}\n")
    assert len(found.stdout.splitlines()) == 1


def test_an_odd_name_in_a_listing_costs_its_own_row_alone(hub: HubServer) -> None:
    hub.add("org/m-", model(1))
    hub.add("org/m1", model(1))
    found = batch("--author", "org", "--format", "jsonl", "-q")
    assert [json.loads(line)["status"] for line in found.stdout.splitlines()] == ["invalid", "ok"]


def test_parquet_takes_whatever_a_row_can_have(small: str, tmp_path: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="Parquet is an extra: pip install 'hfmem-cli[parquet]'")
    output = tmp_path / "all.parquet"
    given = json.dumps({"model": small, "context": 2_000_000_000, "batch": 2_000_000_000}) + '\n"x\\ud800y/b"\n'
    assert batch("-", "-o", str(output), "-q", given=given).exit_code == 0
    rows = parquet.read_table(output).to_pylist()
    assert [row["status"] for row in rows] == ["ok", "invalid"]
    assert rows[0]["total_bytes"] is None  # more than 2^63


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: estimate_many("a/b"), "references is one reference"),
        (lambda: estimate_many(Path("a")), "references is one reference"),  # type: ignore[arg-type]
        (lambda: estimate_many(["a"], on="H100"), "on is one device"),
        (lambda: estimate_many(["a"], {"context": 1}), "the workload is a dict"),  # type: ignore[arg-type]
        (lambda: estimate_many(["a"], max_workers=0), "max_workers is 0"),
    ],
)
def test_a_call_that_could_never_work_fails_at_once(call: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        call()


def test_a_message_mentions_nobody_and_links_nowhere_in_markdown() -> None:
    row = row_of(Outcome(index=0, reference="a~~b~~", error=NotFound("@user https://evil.example &lt;b&gt; \u061c", code="no")))
    text = "".join(render_batch_markdown([row]))
    assert "a\\~\\~b\\~\\~" in text
    assert "@user" not in text and "https://" not in text and "&lt;" not in text and "\u061c" not in text


def test_memory_does_not_grow_with_rows_that_are_known(tmp_path: Path) -> None:
    """Ten thousand rows of an earlier run, whose text is thirty megabytes."""
    path = tmp_path / "journal"
    with Journal.at(path, resume=False) as first:
        for number in range(10_000):
            first.keep(numbered(number, message="x" * 3000))
    from hfmem.commands.batch_run import work

    entries = [Entry(reference="x", index=number) for number in range(10_000)]
    with Journal.at(path, resume=True) as journal, pytest.MonkeyPatch.context() as patch:
        patch.setattr("hfmem.commands.batch_run.keyed", lambda question, entry: replace(entry, key=numbered(entry.index)["key"]))
        tracemalloc.start()
        places = list(work(entries, Question(), journal, Progress(None, lambda: 0.0), executor=None, max_workers=2))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert places == list(range(10_000))
    assert peak < 8_000_000
