"""The way to an answer: where redirects may lead, and what a connection that fails means."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import httpx2
from huggingface_hub import get_session

from hfmem.errors import NetworkError
from hfmem.sources.hub_errors import Subject, Transient, not_the_hub
from hfmem.sources.hub_identity import origin_of
from hfmem.sources.wording import cleaned

_PROXY_HINT = "check HTTPS_PROXY, ALL_PROXY, SSL_CERT_FILE and HF_ENDPOINT"


def send(url: str, headers: dict[str, str], *, idle_seconds: float, subject: Subject) -> httpx2.Response:
    """The answer to one GET, with its body still to come; redirects are answers too."""
    client = _client(subject)
    request = client.build_request("GET", url, headers=headers, timeout=idle_seconds)
    return client.send(request, stream=True, follow_redirects=False)


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


@contextmanager
def our_errors(subject: Subject) -> Iterator[None]:
    """Turns what a connection can raise into our errors."""
    try:
        yield
    except httpx2.TimeoutException as error:
        raise Transient(f"{subject.host} does not answer in time for {subject}", code="timeout") from error
    except (httpx2.UnsupportedProtocol, httpx2.LocalProtocolError, httpx2.InvalidURL) as error:
        raise not_the_hub(subject, f"the way to {subject} leads to no web address") from error
    except httpx2.TransportError as error:
        raise _connection_error(error, subject) from error


def _connection_error(error: httpx2.TransportError, subject: Subject) -> NetworkError:
    message = f"no connection to {subject.host} for {subject}: {cleaned(str(error), limit=120)}"
    if _is_untrusted(error):
        return NetworkError(message, code="connection", hint="its certificate is not trusted; check SSL_CERT_FILE")
    hint = "check the network and HF_ENDPOINT; with HF_HUB_OFFLINE=1 only what is cached is read"
    return Transient(message, code="connection", hint=hint)


def _is_untrusted(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _client(subject: Subject) -> httpx2.Client:
    """The client that huggingface_hub shares: it has the user's proxy and certificates, and no limit of time."""
    try:
        return get_session()
    except (ImportError, ValueError, OSError) as error:  # a proxy or certificate file that cannot be used
        message = f"no connection to {subject.host} can be set up: {cleaned(str(error), limit=120)}"
        raise NetworkError(message, code="connection", hint=_PROXY_HINT) from error
