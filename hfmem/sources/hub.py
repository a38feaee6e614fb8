"""Models on the Hub: one commit, read file by file and range by range, and never asked twice for the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

from huggingface_hub import constants

from hfmem.errors import AccessDenied, BrokenCheckpoint, CannotTell, NetworkError, NotFound
from hfmem.sources.base import Origin, Repository, no_such_file, too_big
from hfmem.sources.cache_layout import repo_directory
from hfmem.sources.directory import DirectorySource
from hfmem.sources.hub_body import Range
from hfmem.sources.hub_cache import CommitCache
from hfmem.sources.hub_errors import Subject
from hfmem.sources.hub_requests import Answer, Requests
from hfmem.sources.hub_revision import DEFAULT_REVISION, Lookup, Resolved
from hfmem.sources.paths import Rooted, is_weights_file, rooted, safe_name
from hfmem.sources.patience import Patience
from hfmem.sources.reference import HubRepo
from hfmem.sources.wording import quoted

MAX_HEADERS_BYTES = 256 * 1024 * 1024

# What a server says that does not have the address of all headers, or fails on it; the shards can still be read.
_WITHOUT_SHARDED_HEADERS = frozenset({"refused", "not-the-hub", "server-error", "timeout", "too-big"})


class HubSource:
    """One commit of a model repository; made by `open`, and shared by threads."""

    max_workers = 8

    def __init__(self, lookup: Lookup, resolved: Resolved) -> None:
        info = resolved.info
        self._lookup = lookup
        self._info = info
        self._root = _root(lookup, resolved)
        self._snapshot = lookup.snapshot(info.commit)
        self.origin = Origin(
            reference=info.repo_id,
            source="hub" if resolved.asked else "cache",
            revision=lookup.revision,
            commit=info.commit,
            gated=info.gated,
        )

    @classmethod
    def open(
        cls,
        reference: HubRepo,
        *,
        token: str | None = None,
        cache_dir: str | None = None,
        patience: Patience | None = None,
        max_age: float = 0.0,
    ) -> HubSource:
        """Resolve the revision to its commit; every later read is of that commit."""
        endpoint = constants.ENDPOINT
        lookup = Lookup(
            endpoint=endpoint,
            reference=reference,
            requests=Requests(endpoint, token=token, patience=patience or Patience()),
            cache=CommitCache(endpoint=endpoint, repo_id=reference.repo_id),
            directory=repo_directory(Path(cache_dir or constants.HF_HUB_CACHE).expanduser(), reference.repo_id),
            max_age=max_age,
        )
        return cls(lookup, lookup.resolve())

    def files(self) -> Mapping[str, int | None]:
        """Name → bytes of every file, as the Hub lists them."""
        return self._root.shown

    def read(self, name: str, *, limit: int) -> bytes:
        """The whole of a small file."""
        path, num_bytes = self._located(name)
        if num_bytes is not None and num_bytes > limit:
            raise too_big(name, num_bytes, limit)

        def fetch() -> bytes:
            subject = self._subject(path)
            return self._pinned(
                self._lookup.requests.whole(self._address(path), subject, limit=limit, expected=num_bytes), subject
            )

        content = self._remembered(f"file:{path}", path, lambda snapshot: snapshot.read(path, limit=limit), fetch)
        if len(content) > limit:
            raise too_big(name, len(content), limit)
        return content

    def read_range(self, name: str, start: int, length: int) -> bytes:
        """`length` bytes from `start`, fewer only where the file ends."""
        path, num_bytes = self._located(name)
        if num_bytes is not None:
            length = min(length, num_bytes - start)
        if length <= 0:
            return b""
        key = f"range:{start}:{length}:{path}"
        return self._remembered(
            key,
            path,
            lambda snapshot: snapshot.read_range(path, start, length),
            lambda: self._fetched_range(path, Range(start=start, length=length), num_bytes),
        )

    def sharded_headers(self, index: str) -> bytes | None:
        """
        The headers of all shards in one reply; None where they have to be read one by one.

        The Hub gives it for the default branch alone, so it is asked only where that is the revision.
        """
        key = f"headers:{safe_name(index)}"
        content = self._lookup.cache.find(self._info.commit, key)
        if content is None and self._may_ask_for_headers():
            content = self._asked_headers(index)
            if content is not None:
                self._lookup.cache.keep(self._info.commit, key, content)
        return content

    def repository(self) -> Repository:
        """What a look before a download wants to know; nothing more is asked of the Hub for it."""
        info, cache = self._info, self._lookup.directory.parent
        return Repository(
            repo_id=info.repo_id,
            gated=info.gated,
            private=info.private,
            license=info.license,
            files=info.files,
            prefix=self._root.prefix,
            digests=info.digests,
            downloaded=frozenset(path for path in info.files if self._is_downloaded(path) or self._has_blob(path)),
            cache_dir=str(cache),
            is_usual_cache=cache == Path(constants.HF_HUB_CACHE).expanduser(),
            is_listed=info.is_whole,
            has_hidden=info.num_hidden > 0,
        )

    def may_read(self) -> bool | None:
        """The first byte of the smallest file, asked for anew: what is kept here says nothing of this token."""
        info = self._info
        sizes = {path: size for path, size in info.files.items() if size}
        if constants.is_offline_mode() or not sizes:
            return None
        path = min(sizes, key=lambda path: sizes[path] or 0)
        try:
            self._lookup.requests.part(self._address(path), self._subject(path), Range(start=0, length=1))
        except AccessDenied:
            return False
        return True

    def _has_blob(self, path: str) -> bool:
        """Whether another commit brought the same content, which the Hub library then only links."""
        digest, size = self._info.digests.get(path), self._info.files[path]
        if digest is None or size is None:
            return False
        try:
            return (self._lookup.directory / "blobs" / digest).stat().st_size == size
        except OSError:
            return False

    @property
    def snapshot(self) -> DirectorySource | None:
        """The files of this commit that the Hub library has downloaded."""
        return self._snapshot

    def recall(self, key: str) -> bytes | None:
        """What was kept for this commit, and the folder or file of it that is looked at."""
        return self._lookup.cache.find(self._info.commit, self._place(key)) if self._info.is_whole else None

    def remember(self, key: str, content: bytes) -> None:
        """Keep it for this commit, which never changes."""
        if self._info.is_whole:  # what a part of the files gives is no commit's
            self._lookup.cache.keep(self._info.commit, self._place(key), content)

    def _place(self, key: str) -> str:
        return f"{key}:{self._lookup.reference.subfolder or ''}"

    def _asked_headers(self, index: str) -> bytes | None:
        address = f"{self._lookup.endpoint}/api/models/{self._info.repo_id}/safetensors-metadata/{quote(index)}"
        try:
            answer = self._lookup.requests.whole(address, self._subject(index), limit=MAX_HEADERS_BYTES)
        except NotFound:
            return None
        except NetworkError as error:
            if error.code in _WITHOUT_SHARDED_HEADERS:
                return None
            raise
        belongs = not answer.commits - {self._info.commit}
        return answer.body if belongs and answer.body.lstrip()[:1] == b"{" else None

    def _may_ask_for_headers(self) -> bool:
        reference = self._lookup.reference
        if constants.is_offline_mode() or reference.revision not in (None, DEFAULT_REVISION) or reference.subfolder:
            return False
        shards = [name for name in self._root.shown if name.endswith(".safetensors")]
        return not all(self._is_downloaded(name) for name in shards)

    def _fetched_range(self, path: str, asked: Range, num_bytes: int | None) -> bytes:
        subject = self._subject(path)
        answer = self._lookup.requests.part(self._address(path), subject, asked)
        if num_bytes is not None and answer.total_bytes not in (None, num_bytes):
            message = f"{subject.host} says {subject} has {answer.total_bytes} bytes, and {num_bytes} in its list"
            raise NetworkError(message, code="wrong-size")
        return self._pinned(answer, subject)

    def _remembered(
        self, key: str, path: str, read_snapshot: Callable[[DirectorySource], bytes], fetch: Callable[[], bytes]
    ) -> bytes:
        """From our cache, else from what the Hub library downloaded, else from the Hub."""
        content = self._lookup.cache.find(self._info.commit, key)
        if content is not None:
            return content
        if self._snapshot is not None and self._is_downloaded(path):
            try:
                return read_snapshot(self._snapshot)
            except (BrokenCheckpoint, NotFound):
                pass  # a cache that others left broken is no reason to fail
        content = fetch()
        self._lookup.cache.keep(self._info.commit, key, content)
        return content

    def _is_downloaded(self, path: str) -> bool:
        """Whether the Hub library has the file whole; an interrupted copy has another size."""
        listed = self._info.files.get(path)
        return self._snapshot is not None and path in self._snapshot.files() and listed in (None, self._snapshot.files()[path])

    def _located(self, name: str) -> tuple[str, int | None]:
        if safe_name(name) not in self._root.readable:
            raise no_such_file(name, f"{self._info.repo_id} at {quoted(self._lookup.revision)}")
        return self._root.prefix + name, self._root.readable[name]

    def _pinned(self, answer: Answer, subject: Subject) -> bytes:
        if answer.commits - {self._info.commit}:
            raise NetworkError(f"{subject.host} answers {subject} from another commit", code="commit-changed")
        return answer.body

    def _address(self, path: str) -> str:
        return f"{self._lookup.endpoint}/{self._info.repo_id}/resolve/{self._info.commit}/{quote(path)}"

    def _subject(self, path: str) -> Subject:
        subject = Subject(endpoint=self._lookup.endpoint, repo_id=self._info.repo_id, revision=self._lookup.revision)
        return replace(subject, name=path)


def _root(lookup: Lookup, resolved: Resolved) -> Rooted:
    files, subfolder = resolved.info.files, lookup.reference.subfolder
    if subfolder is not None and subfolder in files and not is_weights_file(subfolder):
        message = f"{quoted(subfolder)} is no .safetensors file, shard index or .gguf file"
        raise CannotTell(message, code="unsupported-file", hint="leave it out to name the whole repository")
    root = rooted(files, subfolder)
    if root is None:
        place = f"{resolved.info.repo_id} at {quoted(lookup.revision)}"
        raise NotFound(f"{place} has no file or folder {quoted(subfolder or '')}", code="path-not-found")
    return root
