"""One request to the Hub: redirected a few times, tried a few times, and over by its deadline."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from urllib.parse import urljoin

import httpx2
from huggingface_hub import constants

from hfmem.errors import HfmemError, NetworkError
from hfmem.sources.hub_body import Range, range_body, total_bytes, whole_body
from hfmem.sources.hub_errors import TRANSIENT_STATUSES, Subject, Transient, not_the_hub, refusal, transient
from hfmem.sources.hub_identity import Identity, home_of, origin_of
from hfmem.sources.hub_transport import next_address, our_errors, send
from hfmem.sources.patience import Deadline, Patience, within
from hfmem.sources.rate_limit import BUCKETS, bucket_of, gate_of, nothing_left

MAX_REDIRECTS = 5

_REDIRECTS = frozenset({301, 302, 303, 307, 308})

ReadBody = Callable[[httpx2.Response, Deadline], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The body of an answer, where it was found in the end, and the commits its headers named on the way."""

    body: bytes
    url: str
    commits: frozenset[str]
    total_bytes: int | None = None  # of the file that a range is of
    next_url: str | None = None  # the next page of a list, as `Link` names it


@dataclass(frozen=True, slots=True, kw_only=True)
class _Request:
    """What is asked, and how its answer is read."""

    url: str
    subject: Subject
    headers: dict[str, str]
    read_body: ReadBody


class Requests:
    """Reads addresses of one endpoint; several threads may share it."""

    def __init__(self, endpoint: str, *, token: str | None, patience: Patience) -> None:
        self._home = home_of(endpoint)
        self._identity = Identity(self._home, token)
        self._patience = patience
        self._gate = gate_of(self._home)

    def whole(self, url: str, subject: Subject, *, limit: int, expected: int | None = None) -> Answer:
        """A whole body of at most `limit` bytes, or of just as many as are expected."""
        read_body = partial(whole_body, limit=limit, expected=expected, subject=subject)
        return self._tried(_Request(url=url, subject=subject, headers={"accept-encoding": "gzip"}, read_body=read_body))

    def part(self, url: str, subject: Subject, asked: Range) -> Answer:
        """A range of a body, and nothing beyond it."""
        headers = {"accept-encoding": "identity", "range": asked.header()}
        read_body = partial(range_body, asked=asked, subject=subject)
        return self._tried(_Request(url=url, subject=subject, headers=headers, read_body=read_body))

    def _tried(self, request: _Request) -> Answer:
        tries = 0
        while True:
            try:
                if tries == 0:  # a later try has waited already
                    self._wait(request)
                return self._once(request)
            except Transient as failure:
                tries += 1
                if failure.code == "rate-limited" and failure.wait_seconds is not None:
                    self._gate.close(bucket_of(request.url), failure.wait_seconds, refused=True)
                wait = self._patience.wait_before_try(tries, failure.wait_seconds)
                if wait is None:
                    raise
            self._patience.sleep(wait)

    def _wait(self, request: _Request) -> None:
        seconds = self._gate.wait(bucket_of(request.url), self._patience.longest_wait_seconds, self._patience.sleep)
        if seconds is not None:
            raise transient(429, {"retry-after": f"{seconds:.0f}"}, request.subject)

    def _once(self, request: _Request) -> Answer:
        require_online(request.subject)
        seconds = self._patience.answer_seconds
        try:
            return within(seconds, partial(self._answer, request, Deadline(seconds)))
        except TimeoutError as error:
            message = f"{request.subject.host} takes more than {seconds:g} s for {request.subject}"
            raise NetworkError(message, code="timeout") from error

    def _answer(self, request: _Request, deadline: Deadline) -> Answer:
        commits: set[str] = set()
        with our_errors(request.subject), self._response(request, deadline, commits) as response:
            return Answer(
                body=request.read_body(response, deadline),
                url=str(response.url),
                commits=frozenset(commits),
                total_bytes=total_bytes(response),
                next_url=_next_page(response),
            )

    @contextmanager
    def _response(self, request: _Request, deadline: Deadline, commits: set[str]) -> Iterator[httpx2.Response]:
        url, at_home = request.url, True
        for _ in range(MAX_REDIRECTS + 1):
            deadline.check()
            at_home = at_home and origin_of(url) == self._home  # once it has left, the token stays behind
            response = self._sent(url, request, at_home=at_home)
            with _closing(response):
                self._heard(response, bucket_of(request.url), at_home=at_home)
                if at_home and "x-repo-commit" in response.headers:
                    commits.add(response.headers["x-repo-commit"])
                if response.status_code not in _REDIRECTS:
                    _check(response, request.subject, at_home=at_home)
                    yield response
                    return
                url = next_address(url, response.headers.get("location", ""), request.subject)
        raise not_the_hub(request.subject, f"it redirects {request.subject} more than {MAX_REDIRECTS} times")

    def _heard(self, response: httpx2.Response, bucket: str, *, at_home: bool) -> None:
        """The reply that took the last of a window says so, and the next request waits instead of being refused."""
        left = nothing_left(response.headers) if at_home and response.status_code < 400 else None
        if left is not None:
            self._gate.close(left[0] if left[0] in BUCKETS else bucket, left[1])

    def _sent(self, url: str, request: _Request, *, at_home: bool) -> httpx2.Response:
        headers = request.headers | self._identity.headers(with_token=at_home)
        return send(url, headers, idle_seconds=self._patience.idle_seconds, subject=request.subject)


def _next_page(response: httpx2.Response) -> str | None:
    url = response.links.get("next", {}).get("url")
    return urljoin(str(response.url), url) if url else None


def require_online(subject: Subject) -> None:
    """The error for a request that HF_HUB_OFFLINE forbids."""
    if constants.is_offline_mode():
        hint = "unset HF_HUB_OFFLINE to fetch it"
        raise NetworkError(f"{subject} is not in the cache, and HF_HUB_OFFLINE is set", code="offline", hint=hint)


@contextmanager
def _closing(response: httpx2.Response) -> Iterator[None]:
    try:
        yield
    finally:
        response.close()


def _check(response: httpx2.Response, subject: Subject, *, at_home: bool) -> None:
    """Raises for a status that brings no content, and for a page where content was asked for."""
    status = response.status_code
    if status in (200, 206) and not _is_page(response):
        return
    raise _failure(status, response, subject, at_home=at_home) if status >= 400 else _no_content(response, subject)


def _failure(status: int, response: httpx2.Response, subject: Subject, *, at_home: bool) -> HfmemError:
    headers = response.headers
    if status in TRANSIENT_STATUSES:
        return transient(status, headers, subject)
    from_the_hub = "x-error-code" in headers or "x-error-message" in headers
    if not at_home and not from_the_hub:  # a signed address that has expired, say: asking again brings a new one
        return Transient(f"the storage behind {subject.host} answers {subject} with {status}", code="server-error")
    if _is_page(response) and not from_the_hub:
        return not_the_hub(subject, f"it answers {subject} with status {status} and a web page")
    return refusal(status, headers, subject, token_sent="authorization" in response.request.headers)


def _no_content(response: httpx2.Response, subject: Subject) -> NetworkError:
    found = "a web page" if _is_page(response) else f"status {response.status_code}"
    return not_the_hub(subject, f"it answers {subject} with {found}")


def _is_page(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").strip().lower().startswith("text/html")
