"""Who may read what, and where a token goes: to the endpoint's own origin, and nowhere else."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_server import Content, HubServer, Sparse, pointed_at

from hfmem.errors import AccessDenied, ExitCode, HfmemError, NetworkError, NotFound
from hfmem.sources.hub import HubSource
from hfmem.sources.hub_identity import Identity, origin_of
from hfmem.sources.patience import Patience
from hfmem.sources.reference import HubRepo

TOKEN = "hf_canary0123456789"
FILES: dict[str, Content] = {"config.json": b"{}", "model.safetensors": Sparse(b"0123456789", 10**10)}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubServer]:
    with HubServer() as server, pointed_at(server, tmp_path):
        yield server


def opened(repo_id: str = "org/name", *, revision: str | None = None, token: str | None = None) -> HubSource:
    patience = Patience(idle_seconds=1, answer_seconds=5, sleep=lambda seconds: None)
    return HubSource.open(HubRepo(repo_id=repo_id, revision=revision), token=token, patience=patience)


# state of the repository, is a token sent, what is asked for, the error's class, code, and what its message or hint says
REFUSALS: list[tuple[str, bool, str, type[HfmemError], str, str]] = [
    ("missing", False, "open", NotFound, "repo-not-found", "does not exist on http://127"),
    ("missing", False, "open", NotFound, "repo-not-found", "log in with `hf auth login`"),
    ("missing", True, "open", NotFound, "repo-not-found", "is private"),
    ("private", False, "open", NotFound, "repo-not-found", "is private"),
    ("disabled", False, "open", AccessDenied, "disabled", "has disabled access"),
    ("gated", False, "read", AccessDenied, "gated", "no token was sent"),
    ("gated", False, "read", AccessDenied, "gated", "/org/name, then log in with `hf auth login`"),
    ("gated", True, "read", AccessDenied, "gated", "this token has no access"),
    ("gated", False, "range", AccessDenied, "gated", "request access at http://127"),
    ("gated", False, "headers", AccessDenied, "gated", "request access"),
    ("revision", False, "open", NotFound, "revision-not-found", "has no revision 'absent'"),
]


@pytest.mark.parametrize(("state", "with_token", "action", "kind", "code", "words"), REFUSALS)
def test_a_refusal_says_what_it_means(
    hub: HubServer, state: str, with_token: bool, action: str, kind: type[HfmemError], code: str, words: str
) -> None:
    if state != "missing":
        hub.add("org/name", FILES, gated=state == "gated", private=state == "private", disabled=state == "disabled")
    hub.allow(TOKEN, gated=False)
    with pytest.raises(HfmemError) as caught:
        source = opened(revision="absent" if state == "revision" else None, token=TOKEN if with_token else None)
        if action == "read":
            source.read("config.json", limit=10)
        if action == "range":
            source.read_range("model.safetensors", 0, 8)
        if action == "headers":
            source.sharded_headers("model.safetensors.index.json")
        action = "nothing"
    assert action != "nothing"
    error = caught.value
    assert (type(error), error.code) == (kind, code)
    assert error.exit_code == (ExitCode.ACCESS_DENIED if kind is AccessDenied else ExitCode.NOT_FOUND)
    assert words in f"{error.message} {error.hint}"


def test_a_gated_model_can_be_listed(hub: HubServer) -> None:
    hub.add("org/name", FILES, gated=True)
    source = opened()
    assert source.origin.gated
    assert source.files()["model.safetensors"] == 10**10


def test_a_gated_and_a_private_model_open_with_a_token(hub: HubServer) -> None:
    hub.allow(TOKEN)
    hub.add("org/name", FILES, gated=True, private=True)
    assert opened(token=TOKEN).read("config.json", limit=10) == b"{}"


@pytest.mark.parametrize("token", ["hf_wrong", "hf_a\nb", "hf_ä", "hf_x y", "", "\x1b[31m"])
def test_a_bad_token_is_named_but_never_quoted(hub: HubServer, token: str) -> None:
    hub.add("org/name", FILES)
    with pytest.raises(AccessDenied) as caught:
        opened(token=token)
    assert caught.value.code == "bad-token"
    said = f"{caught.value.message} {caught.value.hint}"
    assert said.isprintable()
    assert not token or token not in said
    assert len(hub.log) == (token == "hf_wrong")


# what the Hub says: status, headers, a token is sent; the error's class and code
ANSWERS: list[tuple[int, dict[str, str], bool, type[HfmemError], str]] = [
    (401, {}, False, NotFound, "repo-not-found"),
    (401, {}, True, AccessDenied, "bad-token"),
    (401, {"X-Error-Message": "Invalid username or password."}, True, AccessDenied, "bad-token"),
    (401, {"X-Error-Code": "GatedRepo"}, True, AccessDenied, "gated"),
    (403, {}, True, AccessDenied, "forbidden"),
    (403, {"X-Error-Message": "no permission"}, True, AccessDenied, "forbidden"),
    (404, {}, False, NotFound, "repo-not-found"),
    (404, {"X-Error-Code": "EntryNotFound"}, False, NotFound, "file-not-found"),
    (400, {"X-Error-Message": "bad revision"}, False, NetworkError, "refused"),
]


@pytest.mark.parametrize(("status", "headers", "with_token", "kind", "code"), ANSWERS)
def test_statuses_and_what_they_mean(
    hub: HubServer, status: int, headers: dict[str, str], with_token: bool, kind: type[HfmemError], code: str
) -> None:
    hub.fail("/api/models", "status", status=status, headers=headers)
    with pytest.raises(HfmemError) as caught:
        opened(token=TOKEN if with_token else None)
    assert (type(caught.value), caught.value.code) == (kind, code)


def test_a_file_the_list_has_but_the_server_does_not(hub: HubServer) -> None:
    hub.add("org/name", FILES)
    hub.fail("/resolve/", "status", status=404)
    with pytest.raises(NotFound, match=r"there is no 'config.json' of org/name at 'main'") as caught:
        opened().read("config.json", limit=10)
    assert caught.value.code == "file-not-found"


def test_what_the_server_says_cannot_touch_the_terminal(hub: HubServer) -> None:
    said = "\x1b[2J\x1b]0;title\x07red \x1b[31malert\x9b5m " + "x" * 1000
    hub.fail("/api/models", "status", status=400, headers={"X-Error-Message": said})
    with pytest.raises(NetworkError, match="red alert") as caught:
        opened()
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 420


def all_files(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())


def test_the_token_goes_to_the_endpoint_alone_and_is_written_nowhere(
    hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(0)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    hub.allow(TOKEN)
    hub.add("org/name", FILES, gated=True)
    source = opened()
    source.read("config.json", limit=10)
    source.read_range("model.safetensors", 0, 8)
    assert {seen.authorization for seen in hub.log if seen.origin == "hub"} == {f"Bearer {TOKEN}"}
    assert {seen.authorization for seen in hub.log if seen.origin == "storage"} == {None}
    assert TOKEN.encode() not in all_files(tmp_path)
    assert TOKEN not in caplog.text
    assert all(TOKEN not in (seen.user_agent or "") + seen.path for seen in hub.log)


@pytest.mark.parametrize("leg", ["^/api/models/", "/resolve/", "resolve-cache"])
def test_a_redirect_to_another_origin_loses_the_token_for_good(hub: HubServer, leg: str) -> None:
    with HubServer() as evil:
        evil.allow(TOKEN)
        evil.add("org/name", FILES)
        evil.fail("back", "redirect", to=f"{hub.url}/api/whoami-v2")
        hub.allow(TOKEN)
        hub.add("org/name", FILES)
        hub.fail(leg, "redirect", to=f"{evil.url}/back")
        with pytest.raises(HfmemError):
            opened(token=TOKEN).read("config.json", limit=10)
        assert [seen.authorization for seen in evil.log] == [None]
        assert [seen.authorization for seen in hub.log if "whoami" in seen.path] == [None]


def test_the_given_token_wins_over_the_stored_one(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("hf_file\n")
    for known in ("hf_file", "hf_variable", "hf_given"):
        hub.allow(known)
    hub.add("org/name", FILES)
    opened()
    monkeypatch.setenv("HF_TOKEN", "hf_variable")
    opened()
    opened(token="hf_given")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN", True)
    opened()
    assert [seen.authorization for seen in hub.log] == ["Bearer hf_file", "Bearer hf_variable", "Bearer hf_given", None]


def test_a_stored_token_that_cannot_be_read(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.add("org/name", FILES)
    (tmp_path / "token").write_bytes(b"\xff\xfe")
    with pytest.raises(AccessDenied, match="the stored token cannot be read"):
        opened()
    monkeypatch.setenv("HF_OIDC_RESOURCE", "org/name")
    with pytest.raises(AccessDenied, match="HF_OIDC_RESOURCE"):
        opened()


@pytest.mark.parametrize(
    ("endpoint", "sent"),
    [
        ("https://huggingface.co", True),
        ("http://huggingface.co", False),
        ("http://localhost:8080", True),
        ("http://127.0.0.2", True),
        ("http://[::1]:80", True),
        ("http://localhost.evil.example", False),
        ("http://10.0.0.1", False),
    ],
)
def test_a_token_never_crosses_a_network_in_the_clear(endpoint: str, sent: bool) -> None:
    headers = Identity(origin_of(endpoint), TOKEN).headers(with_token=True)
    assert ("authorization" in headers) == sent


def test_the_user_agent_names_this_program(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_USER_AGENT_ORIGIN", "partner")
    hub.add("org/name", FILES)
    opened()
    agent: Any = hub.log[0].user_agent
    assert agent.startswith("hfmem/")
    assert agent.endswith("; origin/partner")
    assert not [seen for seen in hub.log if "agent-harnesses" in seen.path]
