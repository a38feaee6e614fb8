"""`hfmem batch` as whole commands against a Hub that misbehaves: every repository has its row, whatever happens."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import HubServer
from many_repos import publish

from hfmem.batch.journal import FINAL

# A process of its own, and a small one: the peak of a child begins at its parent's, and here that is the whole suite's.
RUNNER = """
import os, sys
child = os.fork()
if child == 0:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, usage = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""
MAX_PEAK_BYTES = 250 * 10**6


@pytest.fixture
def hub() -> Iterator[HubServer]:
    with HubServer() as server:
        yield server


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "hfmem", "batch", *arguments]


def environment(hub: HubServer, home: Path) -> dict[str, str]:
    home.mkdir(exist_ok=True)
    return {**os.environ, **hub.environment(home), "HF_HUB_DISABLE_TELEMETRY": "1"}


def run(hub: HubServer, home: Path, *arguments: str) -> tuple[int, int, str]:
    """Exit code, peak bytes and standard error of one command."""
    runner = [sys.executable, "-S", "-c", RUNNER, *command(*arguments)]
    found = subprocess.run(runner, env=environment(hub, home), capture_output=True, text=True, check=False)
    code, peak = found.stdout.splitlines()[-1].split()
    return int(code), int(peak) * 1024, found.stderr


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def listed(path: Path, names: Iterator[str] | list[str] | dict[str, str]) -> Path:
    path.write_text("".join(f"{name}\n" for name in names))
    return path


def test_two_thousand_repositories_of_which_five_in_a_hundred_fail_have_the_right_rows(hub: HubServer, tmp_path: Path) -> None:
    expected = publish(hub, 2000)
    models = listed(tmp_path / "models.txt", expected)
    outputs = [tmp_path / f"all.{ending}" for ending in ("jsonl", "csv", "html")]
    arguments = [str(models), *(word for path in outputs for word in ("-o", str(path))), "--on", "RTX 4090"]
    code, peak, said = run(hub, tmp_path / "home", *arguments)
    assert code == 0, said
    assert peak < MAX_PEAK_BYTES
    found = rows(outputs[0])
    assert {row["reference"]: row["status"] for row in found} == expected
    assert [row["reference"] for row in found] == list(expected)
    assert [row["index"] for row in found] == list(range(2000))
    with outputs[1].open() as file:
        assert [row["reference"] for row in csv.DictReader(file)] == list(expected)
    assert outputs[2].read_text().count("org/model-1999") >= 1
    assert "2,000/2,000 · " in said
    requests = hub.num_requests
    assert requests <= 3.2 * 2000
    code, _, said = run(hub, tmp_path / "home", *arguments, "--strict")
    assert code == 8, said
    assert hub.num_requests - requests < 1.3 * 2000  # what is known of a commit is not asked for again
    assert [row["total_bytes"] for row in rows(outputs[0])] == [row["total_bytes"] for row in found]


def started(hub: HubServer, home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command(*arguments), env=environment(hub, home), stderr=subprocess.PIPE, text=True)


def wait_for_lines(path: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Until so many rows are there, or the process has ended."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.002)


def test_a_run_killed_twenty_times_ends_as_one_that_was_not(hub: HubServer, tmp_path: Path) -> None:
    models = listed(tmp_path / "models.txt", publish(hub, 150, one_in=10))
    whole, pieces = tmp_path / "whole.jsonl", tmp_path / "pieces.jsonl"
    assert run(hub, tmp_path / "home", str(models), "-o", str(whole), "-q")[0] == 0
    journal = tmp_path / "pieces.jsonl.journal"
    for attempt in range(20):
        process = started(hub, tmp_path / f"home{attempt}", str(models), "-o", str(pieces), "-q", "--resume")
        wait_for_lines(journal, 6 * (attempt + 1), process)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    finished = [json.loads(line) for line in journal.read_bytes().splitlines(keepends=True) if line.endswith(b"\n")]
    keys = [row["key"] for row in finished if row["status"] in FINAL]  # the others are tried again each time
    assert 90 <= len(keys) == len(set(keys))
    before = hub.num_requests
    assert run(hub, tmp_path / "last", str(models), "-o", str(pieces), "-q", "--resume")[0] == 0
    assert hub.num_requests - before < 3 * (150 - len(keys)) + 40
    assert pieces.read_bytes() == whole.read_bytes()
    assert not journal.exists()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])  # a job whose time is over gets the second
def test_an_interrupt_leaves_files_that_can_be_used_and_gone_on_from(
    kind: signal.Signals, hub: HubServer, tmp_path: Path
) -> None:
    models = listed(tmp_path / "models.txt", publish(hub, 200, one_in=1000))
    table, journal = tmp_path / "all.csv", tmp_path / "all.csv.journal"
    process = started(hub, tmp_path / "home", str(models), "-o", str(table), "--max-workers", "2")
    wait_for_lines(journal, 10, process)
    process.send_signal(kind)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "error: interrupted: the outputs have what was done until then\nhint: the same command with --resume goes on" in said
    with table.open() as file:
        done = list(csv.DictReader(file))
    assert 10 <= len(done) < 200
    assert {row["status"] for row in done} == {"ok"}
    refused = run(hub, tmp_path / "home", str(models), "-o", str(table))
    assert (refused[0], "has rows of an earlier run that did not end" in refused[2]) == (2, True)
    assert run(hub, tmp_path / "home", str(models), "-o", str(table), "--resume")[0] == 0
    with table.open() as file:
        assert [row["index"] for row in csv.DictReader(file)] == [str(index) for index in range(200)]


def test_rows_that_failed_on_the_network_are_tried_again_by_a_later_run(hub: HubServer, tmp_path: Path) -> None:
    publish(hub, 2)
    hub.fail("/api/models/org/model-1$", "status", status=404, headers={"Content-Type": "text/html"}, times=1)
    models, output = listed(tmp_path / "models.txt", ["org/model-0", "org/model-1"]), tmp_path / "all.jsonl"
    arguments = [str(models), "-o", str(output), "--journal", str(tmp_path / "kept"), "--resume"]
    assert run(hub, tmp_path / "home", *arguments)[0] == 0
    assert [row["status"] for row in rows(output)] == ["ok", "network"]
    before = hub.num_requests
    assert run(hub, tmp_path / "home", *arguments)[0] == 0
    assert [row["status"] for row in rows(output)] == ["ok", "ok"]
    assert hub.num_requests - before == 3
    assert len((tmp_path / "kept").read_text().splitlines()) == 3


def test_the_parts_of_a_list_are_the_whole_of_it(hub: HubServer, tmp_path: Path) -> None:
    expected = publish(hub, 7)
    models = listed(tmp_path / "models.txt", expected)
    found = []
    for number in (1, 2, 3):
        output = tmp_path / f"{number}.jsonl"
        assert run(hub, tmp_path / "home", str(models), "--shard", f"{number}/3", "-o", str(output), "-q")[0] == 0
        found += rows(output)
    assert sorted((row["index"], row["reference"]) for row in found) == list(enumerate(expected))
    assert run(hub, tmp_path / "home", str(models), "--shard", "4/3", "-q")[0] == 2


CLUSTER = """
import sys
from distributed import LocalCluster
if __name__ == "__main__":
    with LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, host="127.0.0.1") as cluster:
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""


def test_the_workers_of_a_dask_cluster_give_the_same_rows(hub: HubServer, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="dask is an extra: pip install 'hfmem-cli[dask]'")
    models = listed(tmp_path / "models.txt", publish(hub, 40, one_in=4))
    script = tmp_path / "cluster.py"
    script.write_text(CLUSTER)
    ours, theirs = tmp_path / "ours.jsonl", tmp_path / "theirs.jsonl"
    assert run(hub, tmp_path / "home", str(models), "-o", str(ours), "-q")[0] == 0
    hub.faults.clear()
    with subprocess.Popen(
        [sys.executable, str(script)],
        env=environment(hub, tmp_path / "dask"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as cluster:
        assert cluster.stdin is not None
        assert cluster.stdout is not None
        address = cluster.stdout.readline().strip()
        code, _, said = run(hub, tmp_path / "home2", str(models), "-o", str(theirs), "--scheduler", address)
        cluster.stdin.close()
    assert code == 0, said
    same = ("reference", "status", "total_bytes", "items", "index")
    fine = [[row[name] for name in same] for row in rows(ours) if row["status"] != "network"]
    assert [[row[name] for name in same] for row in rows(theirs) if row["reference"] in {each[0] for each in fine}] == fine


def test_a_scheduler_that_is_not_there_is_a_clear_error(hub: HubServer, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="dask is an extra: pip install 'hfmem-cli[dask]'")
    models = listed(tmp_path / "models.txt", ["org/model-0"])
    code, _, said = run(hub, tmp_path / "home", str(models), "--scheduler", "tcp://127.0.0.1:9")
    assert code == 6
    assert "error: the dask scheduler 'tcp://127.0.0.1:9' cannot be reached" in said
    assert "Traceback" not in said
