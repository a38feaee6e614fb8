"""What a user writes for a model: a path, a Hub id, an `hf://` address or a Hub web address."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from hfmem.errors import NotFound, UsageError
from hfmem.sources.paths import is_safe_name
from hfmem.sources.wording import quoted

# The Hub's own rule: https://github.com/huggingface/huggingface_hub/blob/main/src/huggingface_hub/utils/_validators.py
_REPO_ID = re.compile(r"(\b[\w\-.]{1,96}\b/)?\b[\w\-.]{1,96}\b", re.ASCII)
# What git refuses in the name of a ref; `..` could also climb out of the address it becomes part of.
_NOT_IN_REVISION = re.compile(r"[\s~^:?*\[\\\x00-\x1f\x7f]|\.\.|//|@\{|(?:^|/)\.|/$|^/")
_REVISION_IN_PATH = re.compile(r"refs/(?:pr/\d+|convert/[\w.\-]+)|[^/]+")
_OTHER_KINDS = frozenset({"datasets", "spaces", "buckets", "kernels", "collections", "docs", "blog", "papers", "api"})
_LOCATIONS = frozenset({"tree", "blob", "resolve", "raw"})
_HUB_HOSTS = frozenset({"huggingface.co", "www.huggingface.co", "hf.co"})
_FORMS = "a directory, org/name, org/name@revision, hf://org/name or https://huggingface.co/org/name"


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalPath:
    """A directory or a file that exists."""

    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class HubRepo:
    """A model repository of the Hub, at a revision, from a folder or file of it on."""

    repo_id: str
    revision: str | None = None  # None is the default branch
    subfolder: str | None = None  # a folder or file the source is rooted at

    def __post_init__(self) -> None:
        if not is_repo_id(self.repo_id):
            raise _invalid(self.repo_id)
        if self.revision is not None:
            _check_revision(self.revision)
        if self.subfolder is not None and not is_safe_name(self.subfolder):
            raise UsageError(f"the path {quoted(self.subfolder)} does not stay inside the repo", code="unsafe-path")


Reference = LocalPath | HubRepo


def parse_reference(text: str, *, revision: str | None = None) -> Reference:
    """
    What the text names; whatever exists by that name on this machine wins over the Hub.

    `revision` may repeat the revision inside the text but not contradict it, and a path has none.
    """
    if "\x00" in text or not text.strip():
        raise _invalid(text)
    local = _local(text)
    if local is not None:
        if revision is not None:
            raise UsageError(f"{quoted(text)} is a path, which has no revision", code="revision-of-path")
        return local
    return _at(_hub(text), revision)


def is_repo_id(text: str) -> bool:
    """Whether the Hub could have a model by this id."""
    if _REPO_ID.fullmatch(text) is None:
        return False
    return "--" not in text and ".." not in text and not text.endswith(".git")


def _local(text: str) -> LocalPath | None:
    if text.startswith("file://"):
        return _existing(_file_address(text), text)
    if "://" in text:
        return None
    path = _expanded(text)
    if os.path.lexists(path):
        return LocalPath(path=path)
    return _existing(path, text) if _looks_like_a_path(text) else None


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # there is no such user, or no home directory
        return Path(text)


def _file_address(text: str) -> Path:
    address = _split(text)
    path = unquote(address.path)
    if address.netloc not in ("", "localhost") or "\x00" in path:
        raise _invalid(text)
    return Path(path)


def _existing(path: Path, text: str) -> LocalPath:
    if not os.path.lexists(path):
        raise NotFound(f"there is no file or directory {quoted(text)}", code="path-not-found", hint="check the path")
    return LocalPath(path=path)


def _looks_like_a_path(text: str) -> bool:
    return text.startswith((".", "/", "~")) or (_without_revision(text).count("/") > 1 and not _starts_with_host(text))


def _without_revision(text: str) -> str:
    return text.partition("@")[0]


def _starts_with_host(text: str) -> bool:
    return text.partition("/")[0].lower() in _HUB_HOSTS


def _hub(text: str) -> HubRepo:
    if text.startswith("hf://"):
        return _hf_address(text)
    if text.lower().startswith(("https://", "http://")):
        return _web_address(text)
    if _starts_with_host(text):
        return _web_address(f"https://{text}")
    repo_id, at, revision = text.partition("@")
    if not is_repo_id(repo_id):
        raise _invalid(text)
    return HubRepo(repo_id=repo_id, revision=revision if at else None)


def _hf_address(text: str) -> HubRepo:
    path = text.removeprefix("hf://").removeprefix("models/")
    _refuse_other_kinds(path, text)
    before, at, after = path.partition("@")
    if not at:
        return _repo(text, before.rstrip("/").split("/", 2), None)
    revision = _REVISION_IN_PATH.match(after)
    if revision is None or before.count("/") > 1:
        raise _invalid(text)
    folder = after[revision.end() :].strip("/")
    return HubRepo(repo_id=_id(before, text), revision=unquote(revision.group()), subfolder=folder or None)


def _web_address(text: str) -> HubRepo:
    address = _split(text)
    if not _is_hub(address):
        raise UsageError(f"{quoted(text)} is not an address of the Hub", code="not-the-hub-address", hint=_hint())
    path = address.path.strip("/")
    _refuse_other_kinds(path, text)
    parts = path.split("/")
    length = 1 if len(parts) > 1 and parts[1] in _LOCATIONS else 2
    repo_id, place = parts[:length], parts[length:]
    if not place:
        return _repo(text, repo_id, None)
    if place[0] not in _LOCATIONS or len(place) < 2:
        raise _invalid(text)
    return _placed(_id("/".join(repo_id), text), unquote("/".join(place[1:])))


def _placed(repo_id: str, place: str) -> HubRepo:
    revision = _REVISION_IN_PATH.match(place)
    name = revision.group() if revision else ""
    return HubRepo(repo_id=repo_id, revision=name, subfolder=place[len(name) :].strip("/") or None)


def _repo(text: str, parts: list[str], revision: str | None) -> HubRepo:
    folder = parts[2] if len(parts) > 2 else None
    return HubRepo(repo_id=_id("/".join(parts[:2]), text), revision=revision, subfolder=folder)


def _id(repo_id: str, text: str) -> str:
    if not is_repo_id(repo_id):
        raise _invalid(text)
    return repo_id


def _split(text: str) -> SplitResult:
    try:
        address = urlsplit(text)
        address.port  # noqa: B018  read for its ValueError
    except ValueError as error:
        raise _invalid(text) from error
    return address


def _is_hub(address: SplitResult) -> bool:
    if address.hostname in _HUB_HOSTS and address.port is None:
        return True
    endpoint = urlsplit(os.environ.get("HF_ENDPOINT", ""))
    return bool(endpoint.netloc) and address.netloc.lower() == endpoint.netloc.lower()


def _refuse_other_kinds(path: str, text: str) -> None:
    kind = path.partition("/")[0]
    if kind in _OTHER_KINDS:
        raise UsageError(f"{quoted(text)} is under {kind}/, which holds no models", code="not-a-model", hint=_hint())


def _at(repo: HubRepo, revision: str | None) -> HubRepo:
    if revision is None or revision == repo.revision:
        return repo
    if repo.revision is not None:
        both = f"{quoted(repo.revision)} in the reference and {quoted(revision)} beside it"
        raise UsageError(f"two revisions are given: {both}", code="two-revisions", hint="give one of them")
    return HubRepo(repo_id=repo.repo_id, revision=revision, subfolder=repo.subfolder)


def _check_revision(revision: str) -> None:
    if not revision or len(revision) > 255 or _NOT_IN_REVISION.search(revision) or not revision.isprintable():
        raise UsageError(f"{quoted(revision)} is no revision", code="invalid-revision", hint="a branch, tag or commit")


def _invalid(text: str) -> UsageError:
    return UsageError(f"{quoted(text)} is neither a path that exists nor a Hub id", code="invalid-id", hint=_hint())


def _hint() -> str:
    return f"write {_FORMS}"
