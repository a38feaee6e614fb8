"""One request to the Hub: redirected a few times, tried a few times, and over by its deadline."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

import httpx2
from huggingface_hub import constants, get_session

from hfmem.errors import HfmemError, NetworkError
from hfmem.sources.hub_body import Range, range_body, total_bytes, whole_body
from hfmem.sources.hub_errors import TRANSIENT_STATUSES, Subject, Transient, not_the_hub, refusal, transient
from hfmem.sources.hub_identity import Identity, origin_of
from hfmem.sources.patience import Deadline, Patience, within
from hfmem.sources.wording import cleaned

MAX_REDIRECTS = 5

_REDIRECTS = frozenset({301, 302, 303, 307, 308})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The body of an answer, where it was found in the end, and the commits its headers named on the way."""

    body: bytes
    url: str
    commits: frozenset[str]
    total_bytes: int | None = None  # of the file that a range is of


@dataclass(frozen=True, slots=True)
class _Reply:
    """An answer whose body has not been read."""

    response: httpx2.Response
    commits: frozenset[str]
    token_sent: bool


class Requests:
    """Reads addresses of one endpoint; several threads may share it."""

    def __init__(self, endpoint: str, *, token: str | None, patience: Patience) -> None:
        self._home = origin_of(endpoint)
        self._identity = Identity(endpoint, token)
        self._patience = patience

    def whole(self, url: str, subject: Subject, *, limit: int) -> Answer:
        """A whole body of at most `limit` bytes."""

        def read(reply: _Reply, deadline: Deadline) -> Answer:
            return _answer(reply, whole_body(reply.response, limit, deadline, subject))

        return self._tried(url, subject, {"accept-encoding": "gzip"}, read)

    def range(self, url: str, subject: Subject, asked: Range) -> Answer:
        """A range of a body, and nothing beyond it."""

        def read(reply: _Reply, deadline: Deadline) -> Answer:
            return _answer(reply, range_body(reply.response, asked, deadline, subject))

        return self._tried(url, subject, {"accept-encoding": "identity", "range": asked.header()}, read)

    def _tried(self, url: str, subject: Subject, headers: dict[str, str], read: Read) -> Answer:
        tries = 0
        while True:
            try:
                return self._once(url, subject, headers, read)
            except Transient as failure:
                tries += 1
                wait = self._patience.wait_before_try(tries, failure.wait_seconds)
                if wait is None:
                    raise
            self._patience.sleep(wait)

    def _once(self, url: str, subject: Subject, headers: dict[str, str], read: Read) -> Answer:
        _require_online(subject)
        seconds = self._patience.answer_seconds
        deadline = Deadline(seconds)

        def call() -> Answer:
            with _our_errors(subject), self._reply(url, subject, headers, deadline) as reply:
                return read(reply, deadline)

        try:
            return within(seconds, call)
        except TimeoutError as error:
            raise NetworkError(f"{subject.host} takes more than {seconds:.0f} s for {subject}", code="timeout") from error

    @contextmanager
    def _reply(self, url: str, subject: Subject, headers: dict[str, str], deadline: Deadline) -> Iterator[_Reply]:
        commits: set[str] = set()
        at_home = True
        for _ in range(MAX_REDIRECTS + 1):
            deadline.check()
            at_home = at_home and origin_of(url) == self._home  # once it has left, the token stays here
            ours = self._identity.headers(url) if at_home else {"user-agent": self._identity.headers("")["user-agent"]}
            response = self._send(url, headers | ours)
            try:
                if at_home and "x-repo-commit" in response.headers:
                    commits.add(response.headers["x-repo-commit"])
                if response.status_code not in _REDIRECTS:
                    _check(response, subject, at_home=at_home, token_sent="authorization" in ours)
                    yield _Reply(response, frozenset(commits), "authorization" in ours)
                    return
                url = next_address(url, response.headers.get("location", ""), subject)
            finally:
                response.close()
        raise not_the_hub(subject, f"it redirects {subject} more than {MAX_REDIRECTS} times")

    def _send(self, url: str, headers: dict[str, str]) -> httpx2.Response:
        # The shared client brings the user's proxy and certificates, and has no time limit of its own.
        client = get_session()
        request = client.build_request("GET", url, headers=headers, timeout=self._patience.idle_seconds)
        return client.send(request, stream=True, follow_redirects=False)


Read = Callable[[_Reply, Deadline], Answer]


def next_address(url: str, location: str, subject: Subject) -> str:
    """Where a redirect leads, which must be the web and no less private than before."""
    try:
        target = urljoin(url, location)
        scheme, host, _ = origin_of(target)
    except ValueError as error:
        raise not_the_hub(subject, "it redirects to no address") from error
    if not location or scheme not in ("http", "https") or not host:
        raise not_the_hub(subject, f"it redirects to no web address: {cleaned(location, limit=80)!r}")
    if urlsplit(url).scheme == "https" and scheme == "http":
        message = f"{subject.host} redirects {subject} from https to plain http, to {cleaned(host)!r}"
        raise NetworkError(message, code="insecure-redirect")
    return target
