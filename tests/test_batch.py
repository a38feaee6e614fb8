"""Lists of models: how they are read, worked through, kept and shown, and how the library gives them."""

import asyncio
import csv
import io
import json
import os
import pickle
import re
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
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
from hfmem.batch.journal import Journal
from hfmem.batch.lists import Line, read_list
from hfmem.batch.many import Entry, Question, estimate_many, outcome_of
from hfmem.batch.rows import row_for
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
        assert list(islice(run(lambda n: n * n, count(), executor=pool, max_workers=2), 5)) == [0, 1, 4, 9, 16]
        assert pool.handed <= 5 + 2 * 4
        assert pool.submit(int).result() == 0  # the caller's executor is still open


def test_results_come_as_they_complete_where_order_does_not_matter() -> None:
    slow = threading.Event()

    def work(number: int) -> int:
        return number if number or slow.wait(10) else -1

    results = run(work, range(6), max_workers=3, ordered=False)
    first = [next(results) for _ in range(5)]
    slow.set()
    assert (sorted(first), list(results)) == ([1, 2, 3, 4, 5], [0])


@pytest.mark.parametrize("ordered", [True, False])
def test_a_list_of_nothing_gives_nothing(ordered: bool) -> None:
    assert list(run(int, [], ordered=ordered)) == []


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

ROW: Row = {"key": "a" * 32, "index": 0, "status": "ok", "reference": "x"}


def keyed(number: int, **changes: Any) -> Row:
    return {**ROW, "key": f"{number:016x}{0:016x}", "index": number, **changes}


def test_a_journal_gives_rows_in_the_order_of_the_list_and_knows_them_again(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal.at(path, resume=True) as first:
        first.keep(keyed(2, reference="ü" * 100_000))
        first.keep(keyed(0))
        assert [row["index"] for row in first] == [0, 2]
        assert [len(row["reference"]) for row in first] == [1, 100_000]
    with Journal.at(path, resume=True) as second:
        assert (second.has(keyed(2)["key"]), second.has(keyed(1)["key"]), len(second)) == (True, False, 0)
        assert second.take(9, keyed(2)["key"])["index"] == 9
        second.keep(keyed(1))
        assert [row["index"] for row in second] == [1, 9]


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_line_that_was_being_written_is_taken_away(cut: int, tmp_path: Path) -> None:
    path = tmp_path / "journal"
    with Journal.at(path, resume=False) as first:
        first.keep(keyed(0))
        first.keep(keyed(1))
    path.write_bytes(path.read_bytes()[:-cut])
    with Journal.at(path, resume=True) as second:
        assert (second.has(keyed(0)["key"]), second.has(keyed(1)["key"])) == (True, False)
        second.keep(keyed(1))
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
        first.keep(keyed(0))


def test_a_journal_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"the journal .* cannot be written"):
        Journal.at(tmp_path / "no" / "journal", resume=False)
    if os.path.exists("/dev/full"):
        with Journal(io.FileIO("/dev/full", "r+")) as full, pytest.raises(HfmemError, match="No space left"):
            full.keep(keyed(0))


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
    for stream, expected in ((Terminal(), "\r\x1b[2K0/1\n"), (io.StringIO(), "0/1\n")):
        with shown(Progress(1, lambda: 0.0), quiet=False, stream=stream):
            pass
        assert stream.getvalue() == expected
    silent = io.StringIO()
    with shown(Progress(1, lambda: 0.0), quiet=True, stream=silent):
        pass
    assert silent.getvalue() == ""
