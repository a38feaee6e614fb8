"""What users write for a model, and what it is taken for."""

from pathlib import Path

import pytest

from hfmem.errors import ExitCode, HfmemError, NotFound, UsageError
from hfmem.sources.reference import HubRepo, LocalPath, is_repo_id, parse_reference

SHA = "0123456789abcdef0123456789abcdef01234567"

HUB = [
    ("gpt2", "gpt2", None, None),
    ("org/name", "org/name", None, None),
    ("org/name@v1.0", "org/name", "v1.0", None),
    ("org/name@refs/pr/1", "org/name", "refs/pr/1", None),
    (f"org/name@{SHA}", "org/name", SHA, None),
    ("gpt2@main", "gpt2", "main", None),
    ("hf://org/name", "org/name", None, None),
    ("hf://gpt2", "gpt2", None, None),
    ("hf://models/org/name@dev", "org/name", "dev", None),
    ("hf://org/name@dev/sub/folder", "org/name", "dev", "sub/folder"),
    ("hf://org/name@refs/pr/3/sub", "org/name", "refs/pr/3", "sub"),
    ("hf://org/name@refs%2Fpr%2F3/sub", "org/name", "refs/pr/3", "sub"),
    ("hf://org/name/model-Q4_K_M.gguf", "org/name", None, "model-Q4_K_M.gguf"),
    ("https://huggingface.co/org/name", "org/name", None, None),
    ("https://huggingface.co/org/name/", "org/name", None, None),
    ("https://huggingface.co/gpt2", "gpt2", None, None),
    ("https://huggingface.co/gpt2/tree/main", "gpt2", "main", None),
    ("https://huggingface.co/org/name/tree/main", "org/name", "main", None),
    ("https://huggingface.co/org/name/tree/v2/sub/folder?x=1#y", "org/name", "v2", "sub/folder"),
    ("https://huggingface.co/org/name/tree/refs%2Fpr%2F1", "org/name", "refs/pr/1", None),
    ("https://huggingface.co/org/name/blob/main/a.safetensors", "org/name", "main", "a.safetensors"),
    ("https://huggingface.co/org/name/resolve/main/a.gguf", "org/name", "main", "a.gguf"),
    ("https://hf.co/org/name", "org/name", None, None),
    ("huggingface.co/org/name", "org/name", None, None),
    ("http://mirror.example:8080/org/name/tree/dev", "org/name", "dev", None),
]

REFUSED = [
    ("", "invalid-id"),
    ("   ", "invalid-id"),
    ("a\x00b", "invalid-id"),
    ("org/na me", "invalid-id"),
    ("org/name?x", "invalid-id"),
    ("org/name#x", "invalid-id"),
    ("org--name", "invalid-id"),
    ("org/a..b", "invalid-id"),
    ("org/name.git", "invalid-id"),
    ("org/name-", "invalid-id"),
    ("-x", "invalid-id"),
    ("café/name", "invalid-id"),
    ("org\\name", "invalid-id"),
    ("a" * 97, "invalid-id"),
    ("org/\x1b[31mname", "invalid-id"),
    ("org/name\n", "invalid-id"),
    ("name\u202etxt", "invalid-id"),
    ("\udc80", "invalid-id"),
    ("org/name@", "invalid-revision"),
    ("org/name@a b", "invalid-revision"),
    ("org/name@..", "invalid-revision"),
    ("org/name@a/../b", "invalid-revision"),
    ("org/name@.hidden", "invalid-revision"),
    ("org/name@a\x1bb", "invalid-revision"),
    ("org/name@a?b", "invalid-revision"),
    ("org/name@" + "a" * 256, "invalid-revision"),
    ("hf://", "invalid-id"),
    ("hf://org/name@", "invalid-id"),
    ("hf://org/name/extra@main", "invalid-id"),
    ("hf://org/name/../../x", "unsafe-path"),
    ("hf://org/name//x", "unsafe-path"),
    ("hf://datasets/org/name", "not-a-model"),
    ("https://huggingface.co/spaces/org/name", "not-a-model"),
    ("https://huggingface.co/org/name/discussions/1", "invalid-id"),
    ("https://huggingface.co/org/name/tree", "invalid-id"),
    ("https://huggingface.co/org/name/tree/main/%2e%2e/x", "unsafe-path"),
    ("https://huggingface.co/", "invalid-id"),
    ("https://huggingface.co:443/org/name", "not-the-hub-address"),
    ("https://evil.example/org/name", "not-the-hub-address"),
    ("https://huggingface.co@evil.example/org/name", "not-the-hub-address"),
    ("https://[::1/org/name", "invalid-id"),
    ("https://host:port/org/name", "invalid-id"),
    ("ftp://huggingface.co/org/name", "invalid-id"),
    ("file://elsewhere/x", "invalid-id"),
]

MISSING = [
    "./missing",
    "../missing",
    "/no/such/path",
    "~/no-such-path",
    "~nobody-by-this-name/x",
    "a/b/c",
    "file:///no/such",
]


@pytest.fixture(autouse=True)
def an_empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.example:8080")


@pytest.mark.parametrize(("text", "repo_id", "revision", "subfolder"), HUB, ids=[case[0] for case in HUB])
def test_a_hub_reference(text: str, repo_id: str, revision: str | None, subfolder: str | None) -> None:
    assert parse_reference(text) == HubRepo(repo_id=repo_id, revision=revision, subfolder=subfolder)


@pytest.mark.parametrize(("text", "code"), REFUSED, ids=[ascii(case[0])[:40] for case in REFUSED])
def test_what_is_no_reference_is_a_usage_error(text: str, code: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_reference(text)
    assert caught.value.code == code
    assert caught.value.exit_code == ExitCode.USAGE
    assert caught.value.message.isprintable()
    assert len(caught.value.message) < 400


@pytest.mark.parametrize("text", MISSING)
def test_a_path_that_does_not_exist_is_not_found(text: str) -> None:
    with pytest.raises(NotFound, match="there is no file or directory") as caught:
        parse_reference(text)
    assert caught.value.code == "path-not-found"
    assert repr(text) in caught.value.message


def test_a_path_that_exists_wins_over_the_hub(tmp_path: Path) -> None:
    (tmp_path / "org" / "name").mkdir(parents=True)
    assert parse_reference("org/name") == LocalPath(path=Path("org/name"))
    assert parse_reference(".") == LocalPath(path=Path("."))
    assert parse_reference("org/other") == HubRepo(repo_id="org/other")


def test_a_link_that_leads_nowhere_is_still_a_path(tmp_path: Path) -> None:
    (tmp_path / "name").symlink_to("nowhere")
    assert parse_reference("name") == LocalPath(path=Path("name"))


def test_home_and_file_addresses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "my model").mkdir()
    assert parse_reference("~/my model") == LocalPath(path=tmp_path / "my model")
    assert parse_reference(f"file://{tmp_path}/my%20model") == LocalPath(path=tmp_path / "my model")
    assert parse_reference(f"file://localhost{tmp_path}/my model") == LocalPath(path=tmp_path / "my model")


def test_a_revision_may_be_given_beside_the_reference() -> None:
    assert parse_reference("org/name", revision="v1") == HubRepo(repo_id="org/name", revision="v1")
    assert parse_reference("org/name@v1", revision="v1") == HubRepo(repo_id="org/name", revision="v1")
    assert parse_reference("hf://org/name/sub", revision="v1") == HubRepo(repo_id="org/name", revision="v1", subfolder="sub")


def test_two_different_revisions_are_a_usage_error() -> None:
    with pytest.raises(UsageError, match="'v1' in the reference and 'v2' beside it"):
        parse_reference("org/name@v1", revision="v2")


def test_a_revision_of_a_path_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="is a path, which has no revision"):
        parse_reference(".", revision="main")


def test_the_rule_for_ids_is_the_hubs() -> None:
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    for text in [case[0] for case in REFUSED if case[0]] + [
        "a/b",
        "a",
        "a.b/c_d-e",
        "a/b/c",
        "a/",
        "/a",
        "ab--c",
        "a.git",
        "A" * 96,
    ]:
        try:
            validate_repo_id(text)
        except HFValidationError:
            assert not is_repo_id(text), text
        else:
            assert is_repo_id(text), text


def test_a_repository_cannot_have_another_name() -> None:
    with pytest.raises(UsageError, match="nor a Hub id"):
        HubRepo(repo_id="../x")


def test_every_error_has_a_way_on() -> None:
    for text, _ in REFUSED:
        try:
            parse_reference(text)
        except HfmemError as error:
            assert error.hint or error.code == "unsafe-path"
