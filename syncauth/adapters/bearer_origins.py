"""
Which origins may be shown a user's access token, and whether a request goes to one of them (I10).

An origin is scheme, host and port (RFC 6454 section 4), compared in one form: the host in lower case, in its ASCII
form (RFC 5891) and without the dot of the root, an IPv6 address in its shortest form (RFC 5952), the port spelt out.
What cannot be read without doubt is no origin, and gets no token. This module must never do I/O, and must never
compare a text with a text where two programs could read it differently.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import httpx

from syncauth.config import is_loopback
from syncauth.errors import InsecureServer, InvalidConfig

_PORTS: Final = {"http": 80, "https": 443}
_PLAIN: Final = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
"""A WebSocket begins as a request to the same host and port (RFC 6455 section 3)."""
_DOUBTFUL: Final = frozenset('\\%"<>^`{|}')
"""No host name has these, and programs disagree about what they mean."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme ("http" or "https"), host in its one form, and port."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        """Write it as a person would."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}"


def origin_of(url: httpx.URL) -> Origin | None:
    """Return where a request with this URL goes; None if that is in doubt, or if it names a user or password.

    The parts are those that the client connects by, of `httpx` or of a library with the same `URL`.
    """
    scheme = _PLAIN.get(url.scheme)
    host = _one_form(url.raw_host.decode("ascii"))
    if scheme is None or host is None or url.userinfo:
        return None
    return Origin(scheme, host, _PORTS[scheme] if url.port is None else url.port)


def origin_of_text(url: str) -> Origin | None:
    """Return where a request with this URL goes, as `origin_of` does, for programs that have it as a text."""
    if any(sign.isspace() or not sign.isprintable() for sign in url) or "\\" in url:
        return None
    authority = url.partition("://")[2].partition("/")[0]
    if "@" in authority:
        return None
    try:
        return origin_of(httpx.URL(url))
    except httpx.InvalidURL:
        return None


def read_origins(origins: Iterable[str]) -> frozenset[Origin]:
    """Check the origins that an app lists, such as "https://api.example.com".

    Raises:
        InvalidConfig: one is no origin: it has a path, a query, a user, or another scheme than http and https; or
            these are not several texts.
        InsecureServer: one is http, and not of this machine.
    """
    if isinstance(origins, str) or not isinstance(origins, Iterable):
        raise _invalid("these are no origins", "a list of texts was expected")
    return frozenset(_read(origin) for origin in origins)


def own_origin(base_url: str) -> str:
    """Return the origin of a server's URL, which `check_server` has accepted."""
    origin = origin_of_text(base_url)
    if origin is None:
        raise _invalid("the server's URL has no origin", "its host cannot be read without doubt")
    return str(origin)


def _read(text: str) -> Origin:
    if not isinstance(text, str):
        raise _invalid("this is no origin", f"it is of type {type(text).__name__}")
    origin = origin_of_text(text)
    if origin is None or text.partition("://")[0].lower() not in _PORTS:
        raise _invalid("this is no origin", "a scheme, a host and perhaps a port were expected")
    if httpx.URL(text).raw_path != b"/" or "#" in text or "?" in text:
        why = "it has a path, a query or a fragment, which an origin has not"
        raise _invalid("this is no origin", why)
    if origin.scheme == "http" and not is_loopback(origin.host):
        what = f"http to {origin.host} would send tokens in clear text"
        raise InsecureServer(what, remedy="Use https; plain http is for loopback alone")
    return origin


def _one_form(host: str) -> str | None:
    """Return the host in the form in which hosts are compared; None if it has none."""
    name = host.lower().removesuffix(".")
    if not name or name.startswith(".") or name.endswith(".") or _DOUBTFUL & set(name):
        return None
    if ":" in name:
        return ipaddress.IPv6Address(name).compressed
    return name


def _invalid(what: str, why: str) -> InvalidConfig:
    remedy = "Give origins such as https://api.example.com, without user and path"
    return InvalidConfig(what, setting="origins", why=why, remedy=remedy)
