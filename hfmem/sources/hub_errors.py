"""What the Hub's refusals mean: a status and its headers become one error of ours."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from hfmem.errors import AccessDenied, HfmemError, NetworkError, NotFound
from hfmem.sources.rate_limit import nothing_left
from hfmem.sources.wording import cleaned, quoted

TRANSIENT_STATUSES = frozenset({408, 429, 500, 502, 503, 504})

_INVALID_TOKEN = ("invalid credentials", "invalid username or password")
_DISABLED = "access to this resource is disabled"


class Transient(NetworkError):
    """A failure that another try may mend; `wait_seconds` is what the server asks for, None when it does not say."""

    def __init__(self, message: str, *, code: str, hint: str | None = None, wait_seconds: float | None = None) -> None:
        super().__init__(message, code=code, hint=hint)
        self.wait_seconds = wait_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is asked of which Hub, for the words of an error."""

    endpoint: str
    repo_id: str
    revision: str
    name: str | None = None

    def __str__(self) -> str:
        file = f"{quoted(self.name)} of " if self.name else ""
        return f"{file}{self.repo_id}" + (f" at {quoted(self.revision)}" if self.revision else "")  # a list has none

    @property
    def host(self) -> str:
        """The endpoint without any credentials in it."""
        address = urlsplit(self.endpoint)
        return f"{address.scheme}://{address.netloc.rpartition('@')[2]}"


def refusal(status: int, headers: Mapping[str, str], subject: Subject, *, token_sent: bool) -> HfmemError:
    """
    The error for a status of 400 or more from the Hub itself that another try would not mend.

    The body is not looked at: it may be of any size and encoding, and what the Hub has to say is in its headers.
    """
    code = headers.get("x-error-code", "")
    said = cleaned(headers.get("x-error-message", ""))
    if code == "GatedRepo":
        return _gated(subject, token_sent)
    if status in (401, 403) and said.lower().startswith(_DISABLED):
        return AccessDenied(f"the Hub has disabled access to {subject.repo_id}", code="disabled")
    if status == 401 and (said.lower().startswith(_INVALID_TOKEN) or (token_sent and not code)):
        return bad_token(f"{subject.host} does not accept the token")
    if code == "RevisionNotFound":
        return _no_revision(subject)
    if code == "EntryNotFound" or (status == 404 and not code and subject.name):
        return NotFound(f"there is no {subject}", code="file-not-found")
    if code == "RepoNotFound" or status in (401, 404):
        return _no_repo(subject, token_sent)
    if status == 403:
        hint = "the token may lack the permission to read this repository"
        return AccessDenied(_told(f"{subject.host} forbids {subject}", said), code="forbidden", hint=hint)
    return NetworkError(_told(f"{subject.host} answers {subject} with status {status}", said), code="refused")


def transient(status: int, headers: Mapping[str, str], subject: Subject) -> Transient:
    """The error for a status that another try may mend."""
    wait = wait_seconds(status, headers)
    asked = f"; it asks to wait {wait:.0f} s" if wait is not None else ""
    if status == 429:
        hint = "wait, or log in with `hf auth login` for a higher limit"
        message = f"the rate limit of {subject.host} is reached{asked}"
        return Transient(message, code="rate-limited", hint=hint, wait_seconds=wait)
    code = "timeout" if status == 408 else "server-error"
    return Transient(f"{subject.host} answers {subject} with status {status}{asked}", code=code, wait_seconds=wait)


def wait_seconds(status: int, headers: Mapping[str, str]) -> float | None:
    """
    How long the server asks to wait.

    `RateLimit` is on every reply, so its time counts only on a 429 that left nothing to spend.
    """
    left = nothing_left(headers) if status == 429 else None
    return left[1] if left is not None else _retry_after(headers.get("retry-after", "").strip())


def bad_token(message: str) -> AccessDenied:
    """The error for a token that is malformed or refused; it never quotes the token."""
    return AccessDenied(message, code="bad-token", hint="log in again with `hf auth login`, or correct HF_TOKEN")


def not_the_hub(subject: Subject, found: str) -> NetworkError:
    """The error for an answer the Hub would not give."""
    hint = "a login page or proxy may be in between; check the network and HF_ENDPOINT"
    return NetworkError(f"{subject.host} does not answer as the Hub: {found}", code="not-the-hub", hint=hint)


def _retry_after(text: str) -> float | None:
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, IndexError, OverflowError, OSError):
        return None


def _gated(subject: Subject, token_sent: bool) -> AccessDenied:
    ask = f"request access at {subject.host}/{subject.repo_id}"
    state = "this token has no access to it" if token_sent else "no token was sent"
    hint = ask if token_sent else f"{ask}, then log in with `hf auth login`"
    return AccessDenied(f"{subject.repo_id} is gated and {state}", code="gated", hint=hint)


def _no_repo(subject: Subject, token_sent: bool) -> NotFound:
    message = f"{subject.repo_id} does not exist on {subject.host} or is private"
    hint = "check the name" if token_sent else "check the name; for a private one, log in with `hf auth login`"
    return NotFound(message, code="repo-not-found", hint=hint)


def _no_revision(subject: Subject) -> NotFound:
    message = f"{subject.repo_id} has no revision {quoted(subject.revision)}"
    return NotFound(message, code="revision-not-found", hint=f"see {subject.host}/{subject.repo_id}/tree/main")


def _told(message: str, said: str) -> str:
    return f"{message}: {said}" if said else message
