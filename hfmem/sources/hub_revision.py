"""From a reference to one commit and its files: asked of the Hub, or known from what is cached."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, urlsplit

from huggingface_hub import constants

from hfmem.errors import HfmemError, NetworkError
from hfmem.sources.cache_layout import COMMIT, commit_of, snapshot_of
from hfmem.sources.directory import DirectorySource
from hfmem.sources.hub_cache import CommitCache
from hfmem.sources.hub_errors import Subject, not_the_hub
from hfmem.sources.hub_info import RevisionInfo, decode_info
from hfmem.sources.hub_requests import Requests
from hfmem.sources.reference import HubRepo

DEFAULT_REVISION = "main"
MAX_INFO_BYTES = 64 * 1024 * 1024

_INFO = "info 3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """A revision made definite, and whether the Hub was asked for it."""

    info: RevisionInfo
    asked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """The places where a repository's revisions are known."""

    endpoint: str
    reference: HubRepo
    requests: Requests
    cache: CommitCache
    directory: Path  # of the repository in the Hub library's cache
    max_age: float = 0.0  # seconds for which the commit of a branch is believed

    def resolve(self) -> Resolved:
        """The commit: without a request where the reference names one that is cached, or when offline."""
        if constants.is_offline_mode():
            return Resolved(info=self._offline(), asked=False)
        commit = self.revision if COMMIT.fullmatch(self.revision) else self.cache.commit_of(self.revision, self.max_age)
        kept = self._kept(commit) if commit else None
        if kept is not None:
            return Resolved(info=kept, asked=False)
        return Resolved(info=self._asked(), asked=True)

    @property
    def revision(self) -> str:
        """The revision by its name."""
        return self.reference.revision or DEFAULT_REVISION

    def snapshot(self, commit: str) -> DirectorySource | None:
        """The files of a commit that the Hub library has downloaded."""
        snapshot = snapshot_of(self.directory, commit)
        try:
            return DirectorySource(snapshot.path) if snapshot else None
        except HfmemError:
            return None

    def _asked(self) -> RevisionInfo:
        try:
            info = self._answered()
        except NetworkError as error:
            raise self._with_cached_hint(error) from error
        self.cache.keep(info.commit, _INFO, info.encode())
        self.cache.keep_commit(self.revision, info.commit)
        return info

    def _answered(self) -> RevisionInfo:
        revision = f"/revision/{quote(self.reference.revision, safe='')}" if self.reference.revision else ""
        url = f"{self.endpoint}/api/models/{self.reference.repo_id}{revision}?blobs=true"
        subject = self._subject()
        answer = self.requests.whole(url, subject, limit=MAX_INFO_BYTES)
        try:
            info = decode_info(answer.body)
        except ValueError as error:
            raise not_the_hub(subject, f"in what it says of {subject}, {error}") from error
        if not self._is_asked_repo(info, redirected=urlsplit(answer.url).path != urlsplit(url).path):
            raise not_the_hub(subject, f"it answers {subject} with the repository {info.repo_id}")
        if COMMIT.fullmatch(self.revision) and info.commit != self.revision:
            raise not_the_hub(subject, f"it answers {subject} with the commit {info.commit}")
        return info

    def _is_asked_repo(self, info: RevisionInfo, *, redirected: bool) -> bool:
        """Whether the answer is about the repository asked for: the same, a renamed one, or one that had no owner then."""
        asked, found = self.reference.repo_id.lower(), info.repo_id.lower()
        return redirected or found == asked or ("/" not in asked and found.endswith(f"/{asked}"))

    def _offline(self) -> RevisionInfo:
        for commit in self._cached_commits():
            info = self._kept(commit) or self._downloaded(commit)
            if info is not None:
                return info
        raise NetworkError(
            f"{self._subject()} is not in the cache, and HF_HUB_OFFLINE is set",
            code="offline",
            hint="unset HF_HUB_OFFLINE once to fetch it, or name a directory",
        )

    def _cached_commits(self) -> Iterator[str]:
        """Ours first: it is from the last time the Hub was asked."""
        known = self.cache.commit_of(self.revision), commit_of(self.directory, self.revision)
        candidates = (self.revision, *known) if COMMIT.fullmatch(self.revision) else known
        return (commit for commit in candidates if commit is not None)

    def _kept(self, commit: str) -> RevisionInfo | None:
        text = self.cache.find(commit, _INFO)
        try:
            return decode_info(text) if text is not None else None
        except ValueError:  # written by another version
            return None

    def _downloaded(self, commit: str) -> RevisionInfo | None:
        snapshot = self.snapshot(commit)
        if snapshot is None:
            return None
        return RevisionInfo(repo_id=self.reference.repo_id, commit=commit, gated=False, files=snapshot.files(), is_whole=False)

    def _with_cached_hint(self, error: NetworkError) -> NetworkError:
        if next(self._cached_commits(), None) is None or error.code not in ("connection", "timeout"):
            return error
        hint = "a cached revision is available; HF_HUB_OFFLINE=1 uses it"
        return NetworkError(error.message, code=error.code, hint=hint)

    def _subject(self) -> Subject:
        return Subject(endpoint=self.endpoint, repo_id=self.reference.repo_id, revision=self.revision)
