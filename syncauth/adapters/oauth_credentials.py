"""
What an app hands to `log_in` for each grant of OAuth 2.0, and what a person is shown.

This module must never do I/O: the callables that are given here are called by the grants.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from syncauth.errors import InvalidConfig
from syncauth.models import Credentials, Secret

CODE: Final = "oauth2-code"
DEVICE: Final = "oauth2-device"
PASSWORD: Final = "oauth2-password"  # noqa: S105 - the name of a grant

LONGEST_LOGIN_SECONDS: Final = 600.0
_LAST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class DevicePrompt:
    """What to show a person who logs in on another device (RFC 8628 section 3.3).

    `complete_uri` holds the code already, fit for a QR code; "" where the issuer gives none.
    `expires_in` is in seconds.
    """

    user_code: str
    verification_uri: str
    complete_uri: str
    expires_in: float


Open = Callable[[str], object] | Callable[[str], Awaitable[object]]
Show = Callable[[DevicePrompt], object] | Callable[[DevicePrompt], Awaitable[object]]


def browser_login(
    open_url: Open,
    *,
    port: int = 0,
    wait: float = LONGEST_LOGIN_SECONDS,
    parameters: Mapping[str, str] | None = None,
) -> Credentials:
    """Log in by the system's browser: authorization code, PKCE and a redirect to loopback.

    Args:
        open_url: is given the address to open, in a thread of its own or awaited: for example
            `webbrowser.open`. One that returns False says that there is no browser.
        port: the loopback port of the redirect; 0 takes a free one (RFC 8252 section 7.3). Some
            servers know one port alone.
        wait: how many seconds the person has.
        parameters: further parameters of the authorization request, such as `login_hint`.

    Raises:
        InvalidConfig: the port or the time cannot be.
    """
    if not 0 <= port <= _LAST_PORT:
        raise InvalidConfig("this is no port", setting="port", remedy="Give 0 for a free one")
    if not wait > 0:
        raise InvalidConfig("this is no duration", setting="wait", remedy="Give seconds above 0")
    payload = {"open": open_url, "port": port, "wait": wait, "parameters": dict(parameters or {})}
    return Credentials(CODE, payload)


def device_login(show: Show) -> Credentials:
    """Log in by a browser on another device (RFC 8628).

    Args:
        show: is given a `DevicePrompt`, in a thread of its own or awaited.
    """
    return Credentials(DEVICE, {"show": show})


def password_login(username: str, password: str) -> Credentials:
    """Log in with a password, for servers that have nothing better (RFC 6749 section 4.3)."""
    return Credentials(PASSWORD, {"username": username, "password": Secret(password)})
