"""What goes wrong on the way to the Hub: every fault is one typed error, or is mended by another try."""

import pickle
import re
import socket
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest
from hub_server import Content, HubServer, Sparse, pointed_at

from hfmem.errors import ExitCode, HfmemError, NetworkError, UsageError
from hfmem.sources.hub import HubSource
from hfmem.sources.hub_errors import Subject
from hfmem.sources.hub_transport import next_address
from hfmem.sources.patience import Deadline, Patience
from hfmem.sources.reference import HubRepo

HUGE = 4 * 10**9
FILES: dict[str, Content] = {"config.json": b"0123456789" * 10, "model.safetensors": Sparse(b"0123456789", HUGE)}
INFO, CONFIG, STORAGE = r"^/api/models/", r"resolve-cache", r"%40"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server, pointed_at(server, tmp_path):
        server.add("org/name", FILES)
        yield server


class Reader:
    """Opens and reads with little patience, and remembers how long it was told to wait."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def open(self, **changes: Any) -> HubSource:
        settings: dict[str, Any] = {"idle_seconds": 0.4, "answer_seconds": 1.0, "sleep": self.waits.append}
        return HubSource.open(HubRepo(repo_id="org/name"), patience=Patience(**settings | changes))

    def read(self, what: str, **changes: Any) -> bytes:
        source = self.open(**changes)
        if what == CONFIG:
            return source.read("config.json", limit=1000)
        return source.read_range("model.safetensors", 2, 50) if what == STORAGE else b""


@pytest.fixture
def reader() -> Reader:
    return Reader()


# where, fault, its details, the error's code, tries
FAULTS = [
    (INFO, "status", {"status": 503}, "server-error", 3),
    (INFO, "status", {"status": 500}, "server-error", 3),
    (INFO, "status", {"status": 408}, "timeout", 3),
    (INFO, "status", {"status": 418}, "refused", 1),
    (INFO, "status", {"status": 204}, "not-the-hub", 1),
    (INFO, "status", {"status": 429}, "rate-limited", 3),
    (INFO, "status", {"status": 429, "headers": {"Retry-After": "86400"}}, "rate-limited", 1),
    (INFO, "reset", {}, "connection", 3),
    (INFO, "cut", {}, "cut-body", 3),
    (INFO, "hang", {}, "timeout", 1),
    (INFO, "drip", {}, "timeout", 1),
    (INFO, "html", {}, "not-the-hub", 1),
    (INFO, "status", {"status": 404, "headers": {"Content-Type": "text/html"}}, "not-the-hub", 1),
    (INFO, "loop", {}, "not-the-hub", 6),
    (INFO, "redirect", {"to": "file:///etc/passwd"}, "not-the-hub", 1),
    (INFO, "redirect", {"to": "http://[bad"}, "not-the-hub", 1),
    (INFO, "redirect", {"to": "http://1.2.3.999/"}, "not-the-hub", 1),
    (INFO, "redirect", {"to": ""}, "not-the-hub", 1),
    (INFO, "body", {"body": b"no archive", "headers": {"Content-Encoding": "gzip"}}, "not-the-hub", 1),
    (INFO, "body", {"body": b"x", "headers": {"Content-Encoding": "br"}}, "not-the-hub", 1),
    (CONFIG, "status", {"status": 502}, "server-error", 3),
    (CONFIG, "reset", {}, "connection", 3),
    (CONFIG, "cut", {}, "cut-body", 3),
    (CONFIG, "html", {}, "not-the-hub", 1),
    (CONFIG, "bomb", {}, "too-big", 1),
    (CONFIG, "body", {"body": b"short"}, "cut-body", 3),
    (CONFIG, "body", {"body": b"long" * 100}, "too-big", 1),
    (CONFIG, "commit_flip", {}, "commit-changed", 1),
    (r"/resolve/", "commit_flip", {}, "commit-changed", 1),
    (STORAGE, "status", {"status": 503}, "server-error", 3),
    (STORAGE, "status", {"status": 403}, "server-error", 3),
    (STORAGE, "reset", {}, "connection", 3),
    (STORAGE, "cut", {}, "cut-body", 3),
    (STORAGE, "hang", {}, "timeout", 1),
    (STORAGE, "no_range", {}, "read", 1),
    (STORAGE, "wrong_range", {}, "wrong-range", 1),
    (STORAGE, "encoded", {}, "encoded-range", 1),
    (STORAGE, "html", {}, "not-the-hub", 1),
    (STORAGE, "body", {"body": b"short"}, "wrong-size", 1),
    (STORAGE, "body", {"body": b"short", "status": 206, "headers": {"Content-Range": f"bytes 2-51/{HUGE}"}}, "cut-body", 3),
    (STORAGE, "body", {"body": b"x" * 50, "status": 206}, "wrong-range", 1),
    (STORAGE, "body", {"body": b"x" * 9, "status": 206, "headers": {"Content-Range": f"bytes 2-10/{HUGE}"}}, "wrong-range", 1),
]


@pytest.mark.parametrize(("where", "kind", "details", "code", "tries"), FAULTS, ids=[f"{c[0]} {c[1]} {c[3]}" for c in FAULTS])
def test_a_fault_that_stays_is_one_typed_error(
    hub: HubServer, reader: Reader, where: str, kind: str, details: dict[str, Any], code: str, tries: int
) -> None:
    hub.fail(where, kind, **details)
    what = CONFIG if where == "/resolve/" else where
    if code == "read":
        assert reader.read(what) == b"23456789" + bytes(42)
    else:
        with pytest.raises(NetworkError) as caught:
            reader.read(what)
        assert (caught.value.code, caught.value.exit_code) == (code, ExitCode.NETWORK)
        assert caught.value.message.isprintable()
    faulty = [seen for seen in hub.log if re.search(where, seen.path.partition("?")[0])]
    assert len(faulty) == tries
    assert sum(seen.body_bytes for seen in hub.log if seen.origin == "storage") < 10_000_000


MENDED = [
    (INFO, "status", {"status": 503}, [1.0]),
    (INFO, "status", {"status": 429, "headers": {"Retry-After": "7"}}, [8.0]),
    (INFO, "status", {"status": 503, "headers": {"Retry-After": "0"}}, [1.0]),
    (INFO, "status", {"status": 503, "headers": {"Retry-After": "soon"}}, [1.0]),
    (INFO, "reset", {}, [1.0]),
    (CONFIG, "cut", {}, [1.0]),
    (STORAGE, "reset", {}, [1.0]),
    (STORAGE, "cut", {}, [1.0]),
    (STORAGE, "status", {"status": 403}, [1.0]),
]


@pytest.mark.parametrize(("where", "kind", "details", "waits"), MENDED)
def test_a_fault_that_passes_is_mended(
    hub: HubServer, reader: Reader, where: str, kind: str, details: dict[str, Any], waits: list[float]
) -> None:
    hub.fail(where, kind, times=1, **details)
    reader.read(where)
    assert reader.waits == waits


def test_waits_double_and_the_last_try_waits_for_nothing(hub: HubServer, reader: Reader) -> None:
    hub.fail(INFO, "status", status=503)
    with pytest.raises(NetworkError):
        reader.open()
    assert reader.waits == [1.0, 2.0]


def test_the_rate_limits_own_clock_counts_when_nothing_is_left(hub: HubServer, reader: Reader) -> None:
    hub.rate_limit = '"api";r=0;t=12'
    hub.fail(INFO, "status", status=429, headers={"Retry-After": "3"}, times=1)
    reader.open()
    assert reader.waits == [13.0]


def test_the_rate_limits_clock_is_on_every_reply_and_does_not_count_otherwise(hub: HubServer, reader: Reader) -> None:
    hub.rate_limit = '"api";r=10;t=290'
    hub.fail(INFO, "status", status=429, headers={"Retry-After": "3"}, times=1)
    reader.open()
    assert reader.waits == [4.0]


def test_a_wait_may_be_given_as_a_date(hub: HubServer, reader: Reader) -> None:
    import time

    hub.fail(INFO, "status", status=503, headers={"Retry-After": formatdate(time.time() + 20, usegmt=True)}, times=1)
    reader.open()
    assert len(reader.waits) == 1
    assert 10 < reader.waits[0] <= 21


def test_a_server_that_asks_for_too_long_a_wait_gets_no_further_try(hub: HubServer, reader: Reader) -> None:
    hub.rate_limit = '"api";r=0;t=290'
    hub.fail(INFO, "status", status=429)
    with pytest.raises(NetworkError, match="asks to wait 290 s") as caught:
        reader.open()
    assert caught.value.code == "rate-limited"
    assert caught.value.hint is not None and "hf auth login" in caught.value.hint
    assert reader.waits == []


def test_without_ranges_only_what_is_near_the_start_is_read(hub: HubServer, reader: Reader) -> None:
    hub.fail(STORAGE, "no_range")
    source = reader.open()
    assert source.read_range("model.safetensors", 4 * 1024 * 1024 - 10, 10) == bytes(10)
    sent = sum(seen.body_bytes for seen in hub.log)
    assert sent < 20_000_000
    with pytest.raises(NetworkError, match="sends no ranges") as caught:
        source.read_range("model.safetensors", 4 * 1024 * 1024 - 10, 11)
    assert caught.value.code == "no-range"
    assert sum(seen.body_bytes for seen in hub.log) < sent + 20_000_000


def test_without_ranges_a_small_file_is_read_to_its_end(hub: HubServer, reader: Reader) -> None:
    hub.fail(CONFIG, "no_range")
    assert reader.open().read_range("config.json", 95, 50) == b"56789"


def test_a_range_of_a_file_of_another_size_is_refused(hub: HubServer, reader: Reader) -> None:
    source = reader.open()
    for files in hub.repos["org/name"].files.values():
        files["model.safetensors"] = Sparse(b"0123456789", HUGE + 1)
    with pytest.raises(NetworkError, match=f"says .* has {HUGE + 1} bytes, and {HUGE} in its list") as caught:
        source.read_range("model.safetensors", 0, 8)
    assert caught.value.code == "wrong-size"


def test_a_failed_read_is_not_kept(hub: HubServer, reader: Reader) -> None:
    hub.fail(CONFIG, "html", times=1)
    source = reader.open()
    with pytest.raises(NetworkError):
        source.read("config.json", limit=1000)
    assert source.read("config.json", limit=1000) == FILES["config.json"]


def test_a_rate_limit_on_the_combined_headers_is_not_made_worse_by_reading_every_shard(hub: HubServer, reader: Reader) -> None:
    hub.fail("safetensors-metadata", "status", status=429)
    with pytest.raises(NetworkError) as caught:
        reader.open().sharded_headers("model.safetensors.index.json")
    assert caught.value.code == "rate-limited"


def test_a_deadline_that_has_passed() -> None:
    with pytest.raises(TimeoutError):
        Deadline(-1).check()


def test_nobody_listens(tmp_path: Path, reader: Reader) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        pointed_at(f"http://127.0.0.1:{port}", tmp_path),
        pytest.raises(NetworkError, match="no connection to http://127") as caught,
    ):
        reader.open()
    assert caught.value.code == "connection"
    assert caught.value.hint is not None and "HF_ENDPOINT" in caught.value.hint
    assert reader.waits == [1.0, 2.0]


def test_a_server_that_never_answers(tmp_path: Path, reader: Reader) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(8)
        with pointed_at(f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path), pytest.raises(NetworkError) as caught:
            reader.open(idle_seconds=0.05)
    assert caught.value.code == "timeout"
    assert len(reader.waits) == 2


@pytest.mark.parametrize("endpoint", ["huggingface.co", "ftp://huggingface.co", "http://host:port", "http://", ""])
def test_an_endpoint_that_is_no_web_address(tmp_path: Path, reader: Reader, endpoint: str) -> None:
    with pointed_at(endpoint, tmp_path), pytest.raises(UsageError) as caught:
        reader.open()
    assert caught.value.code == "invalid-endpoint"


def test_a_proxy_that_cannot_be_used(tmp_path: Path, reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "gopher://127.0.0.1:1")
    with pointed_at("http://127.0.0.1:9", tmp_path), pytest.raises(NetworkError, match="can be set up") as caught:
        reader.open()
    assert caught.value.code == "connection"


SUBJECT = Subject(endpoint="https://huggingface.co", repo_id="org/name", revision="main")


def test_a_redirect_from_https_to_http_is_refused() -> None:
    with pytest.raises(NetworkError, match="from https to plain http") as caught:
        next_address("https://huggingface.co/a", "http://huggingface.co/a", SUBJECT)
    assert caught.value.code == "insecure-redirect"
    assert next_address("https://huggingface.co/a", "/b", SUBJECT) == "https://huggingface.co/b"
    assert next_address("http://127.0.0.1/a", "https://cdn/b", SUBJECT) == "https://cdn/b"


def test_a_certificate_nobody_trusts_is_not_tried_again() -> None:
    import ssl

    import httpx2

    from hfmem.sources.hub_transport import our_errors

    with pytest.raises(HfmemError, match="no connection") as caught, our_errors(SUBJECT):
        try:
            raise ssl.SSLCertVerificationError("self-signed certificate")
        except ssl.SSLError as error:
            raise httpx2.ConnectError("certificate verify failed") from error
    assert caught.value.hint is not None and "SSL_CERT_FILE" in caught.value.hint
    assert type(caught.value) is NetworkError


def test_credentials_in_the_endpoint_are_not_shown() -> None:
    subject = Subject(endpoint="https://user:secret@mirror:8443/hf", repo_id="a/b", revision="main")
    assert subject.host == "https://mirror:8443"


def test_one_reader_that_is_refused_makes_the_others_wait_before_they_ask(hub: HubServer) -> None:
    first, second = Reader(), Reader()
    hub.fail(INFO, "status", status=429, headers={"Retry-After": "4"}, times=1)
    first.open()
    second.open()
    assert first.waits == [5.0]
    assert len(second.waits) == 1
    assert 4.0 < second.waits[0] <= 5.0


def test_the_reply_that_takes_the_last_of_a_window_makes_the_next_request_wait(hub: HubServer, reader: Reader) -> None:
    hub.rate_limit = '"api";r=0;t=7'
    reader.open()
    assert reader.waits == []
    reader.open()
    assert len(reader.waits) == 1
    assert 7.0 < reader.waits[0] <= 8.0


def test_addresses_of_files_have_a_limit_of_their_own(hub: HubServer, reader: Reader) -> None:
    source = reader.open()
    hub.fail(INFO, "status", status=429, headers={"Retry-After": "9"}, times=1)
    reader.open()
    reader.waits.clear()
    source.read("config.json", limit=1000)
    assert reader.waits == []


def test_a_window_that_begins_too_late_is_left_to_the_hub_to_refuse(hub: HubServer, reader: Reader) -> None:
    hub.rate_limit = '"api";r=0;t=290'
    reader.open()
    reader.open()
    assert reader.waits == []


def test_an_error_comes_whole_from_another_process() -> None:
    error = NetworkError("no", code="timeout", hint="wait")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.message, copy.code, copy.hint) == (NetworkError, "no", "no", "timeout", "wait")
