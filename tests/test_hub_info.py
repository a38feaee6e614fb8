"""What a server says of a revision is believed only where it is as the Hub writes it."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import HubServer, pointed_at

from hfmem.errors import BrokenCheckpoint, NetworkError
from hfmem.sources import open_source


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server, pointed_at(server, tmp_path):
        yield server


def info(**changes: object) -> bytes:
    """What the Hub says of a revision, with some fields changed; None removes one."""
    answer: dict[str, object] = {"id": "org/name", "sha": "a" * 40, "gated": False, "siblings": []} | changes
    return json.dumps({name: value for name, value in answer.items() if value is not None}).encode()


LIES = [
    (b"[]", "no JSON object"),
    (b"null", "no JSON object"),
    (b"{", "no JSON"),
    (b"\xff\xfe", "no JSON"),
    (b'{"a":' * 100_000, "nested too deeply"),
    (b"{}", "`id` is missing"),
    (info(id=None), "`id` is missing"),
    (info(id="../../etc"), "`id` is no repository id"),
    (info(id="other/name"), "with the repository other/name"),
    (info(sha=None), "`sha` is missing"),
    (info(sha="../../etc"), "`sha` is no commit"),
    (info(sha="A" * 40), "`sha` is no commit"),
    (info(gated=[]), "`gated` is missing or of another type"),
    (info(siblings=None), "`siblings` is missing"),
    (info(siblings={}), "`siblings` is missing or of another type"),
    (info(siblings=[1]), "`siblings` holds something else"),
    (info(siblings=[{"size": 1}]), "`rfilename` is missing"),
    (info(siblings=[{"rfilename": "a", "size": -5}]), "`size` of a file"),
    (info(siblings=[{"rfilename": "a", "size": "many"}]), "`size` of a file"),
    (info(siblings=[{"rfilename": "a", "size": True}]), "`size` of a file"),
    (info(siblings=[{"rfilename": "a", "size": 10**30}]), "`size` of a file"),
]


@pytest.mark.parametrize(("body", "words"), LIES, ids=[case[1] + str(number) for number, case in enumerate(LIES)])
def test_an_answer_that_is_not_the_hubs_is_refused(hub: HubServer, body: bytes, words: str) -> None:
    hub.fail("/api/models/", "body", body=body)
    with pytest.raises(NetworkError, match=words) as caught:
        open_source("org/name")
    assert caught.value.code == "not-the-hub"


def test_an_answer_for_another_commit_is_refused(hub: HubServer) -> None:
    hub.fail("/api/models/", "body", body=info())
    with pytest.raises(NetworkError, match="with the commit aaa"):
        open_source("org/name", revision="b" * 40)


def test_names_that_leave_the_repository_are_not_listed(hub: HubServer) -> None:
    siblings = [{"rfilename": name, "size": 1} for name in ("config.json", "../../../etc/passwd", "/etc/passwd", "a?b")]
    hub.fail("/api/models/", "body", body=info(siblings=siblings))
    assert open_source("org/name").files() == {"config.json": 1}


def test_sizes_may_be_unknown(hub: HubServer) -> None:
    commit = hub.add("org/name", {"config.json": b"0123456789"})
    hub.fail("/api/models/", "body", body=info(sha=commit, siblings=[{"rfilename": "config.json"}]))
    source = open_source("org/name")
    assert source.files() == {"config.json": None}
    assert source.read_range("config.json", 8, 10) == b"89"
    with pytest.raises(NetworkError, match="more than 5 bytes") as caught:
        source.read("config.json", limit=5)
    assert caught.value.code == "too-big"
    assert source.read("config.json", limit=50) == b"0123456789"
    with pytest.raises(BrokenCheckpoint, match="more than the 5"):
        source.read("config.json", limit=5)
