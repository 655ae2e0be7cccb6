"""
Where a server says that it lives, and whether it may be believed with tokens.

A location may not turn TLS into clear text, may not lead away from a loopback server, and may name
another host only over TLS and only if the app listed it in `trusted_hosts`. This module must never
do I/O.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

import msgspec

from syncauth.adapters.http_answers import Answer, Malformed, decode_json
from syncauth.config import AppConfig, is_loopback
from syncauth.errors import InsecureServer

API: Final = "/api/client/v2.0"
_TO_HTTP: Final = {"ws": "http", "wss": "https"}
_TO_SOCKET: Final = {"http": "ws", "https": "wss"}
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_PLAIN_PATH: Final = re.compile(r"(/(?!\.\.?(/|$))[\w.~-]+)*/?", re.ASCII)
"""A path that means one place, however it is read: no empty or dotted steps, no escapes."""


@dataclass(frozen=True, slots=True)
class Location:
    """The two addresses of a server, without trailing slash: of calls, and of sync.

    Either may have a path before the API's, such as that of the mount in a larger application.
    """

    http: str
    socket: str


class _Location(msgspec.Struct, frozen=True):
    hostname: str
    ws_hostname: str = ""


def read_location(answer: Answer, config: AppConfig) -> Location:
    """Read and check the answer to a location lookup.

    Raises:
        Malformed: it has not the shape of the API.
        InsecureServer: it names a place where tokens must not go.
    """
    told = decode_json(answer, _Location)
    http = _accept(told.hostname, config)
    socket = http
    if told.ws_hostname:
        scheme, separator, rest = told.ws_hostname.partition("://")
        socket = _accept(f"{_TO_HTTP.get(scheme, scheme)}{separator}{rest}", config)
    scheme, _, rest = socket.partition("://")
    return Location(http, f"{_TO_SOCKET[scheme]}://{rest}{API}/app/{config.app_id}/sync")


def _accept(url: str, config: AppConfig) -> str:
    """Return the address without trailing slash if tokens may go there."""
    try:
        there, own = urlsplit(url), urlsplit(config.base_url)
        origin, own_origin = _origin(there), _origin(own)
    except ValueError as error:
        raise Malformed("the location is no address") from error
    plain = there.scheme in _DEFAULT_PORTS and there.hostname and _PLAIN_PATH.fullmatch(there.path)
    if not plain or there.query or there.fragment or "@" in there.netloc:
        raise Malformed("the location is no address of a server")
    if origin == own_origin:
        # The same place; what a proxy in between adds to the path is known to the app alone.
        return config.base_url
    _check_trust(there, own, config.trusted_hosts)
    return f"{there.scheme}://{there.netloc}{there.path.rstrip('/')}"


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    """Return scheme, host and port (RFC 6454 section 4)."""
    port = parts.port if parts.port is not None else _DEFAULT_PORTS.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _check_trust(there: SplitResult, own: SplitResult, trusted: frozenset[str]) -> None:
    host, own_host = there.hostname or "", own.hostname or ""
    if own.scheme == "https" and there.scheme != "https":
        why = "the server's location is http, though the app was given https"
        raise _insecure(why, "Let the server know that it is reached over https")
    if is_loopback(own_host):
        if not is_loopback(host):
            why = f"a loopback server names {host} as its location"
            raise _insecure(why, "Give the App that server's URL if it is meant")
    elif host != own_host and host not in {name.lower() for name in trusted}:
        why = f"the server names {host} as its location, which is not in trusted_hosts"
        raise _insecure(why, "Add it to trusted_hosts if it is yours")


def _insecure(why: str, remedy: str) -> InsecureServer:
    return InsecureServer("the server's location was refused", why=why, remedy=remedy)
