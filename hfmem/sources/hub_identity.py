"""Who asks: the user agent, and the token with the one place it may go."""

from __future__ import annotations

import ipaddress
import platform
import re
from functools import cached_property
from urllib.parse import urlsplit

from huggingface_hub import __version__ as hub_version
from huggingface_hub import constants

from hfmem._version import __version__
from hfmem.errors import AccessDenied, UsageError
from hfmem.sources.hub_errors import bad_token

Origin = tuple[str, str, int]


class Identity:
    """
    The headers that say who asks.

    The user agent is written here because `build_hf_headers` first asks the Hub for its list of agent
    programs: a request more, and three seconds of it where the network is slow.
    """

    def __init__(self, home: Origin, token: str | None) -> None:
        self._home = home
        self._given = token

    def headers(self, *, with_token: bool) -> dict[str, str]:
        """The headers of a request; with the token only where the caller is at the endpoint's own origin."""
        headers = {"user-agent": user_agent()}
        if with_token and _is_private(self._home) and self._token:
            headers["authorization"] = f"Bearer {self._token}"
        return headers

    @cached_property
    def _token(self) -> str | None:
        """Looked up on first use, because the stored token of an OAuth login may need a request to renew it."""
        token = self._given if self._given is not None else _stored_token()
        if token is not None and re.fullmatch(r"[\x21-\x7e]+", token) is None:
            raise bad_token("the token is empty or holds spaces, line breaks or letters outside ASCII")
        return token


def origin_of(url: str) -> Origin:
    """Scheme, host and port."""
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "https" else 80)
    return address.scheme, (address.hostname or "").lower(), port


def home_of(endpoint: str) -> Origin:
    """The origin of the configured endpoint, the only one a token may be sent to."""
    try:
        home = origin_of(endpoint)
    except ValueError:
        home = ("", "", 0)
    if home[0] not in ("http", "https") or not home[1]:
        raise UsageError("HF_ENDPOINT is no web address", code="invalid-endpoint", hint="write https://host")
    return home


def user_agent() -> str:
    """The name of this program and of what it runs on."""
    parts = [f"hfmem/{__version__}", f"hf_hub/{hub_version}", f"python/{platform.python_version()}"]
    if constants.HF_HUB_USER_AGENT_ORIGIN:
        parts.append(f"origin/{constants.HF_HUB_USER_AGENT_ORIGIN}")
    return "; ".join(parts)


def _stored_token() -> str | None:
    from huggingface_hub import get_token
    from huggingface_hub.errors import OIDCError

    if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
        return None
    try:
        return get_token()
    except (OSError, UnicodeError) as error:
        raise bad_token("the stored token cannot be read") from error
    except OIDCError as error:
        raise AccessDenied("HF_OIDC_RESOURCE is set but gives no token", code="bad-token") from error


def _is_private(origin: Origin) -> bool:
    """Whether nobody between here and there can read along."""
    scheme, host, _ = origin
    return scheme == "https" or host == "localhost" or _is_loopback(host)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
