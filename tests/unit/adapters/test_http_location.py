"""Which location of a server is believed."""

from __future__ import annotations

import json
from pathlib import PurePath

import pytest

from syncauth.adapters.http_answers import Answer, Malformed
from syncauth.adapters.http_location import Location, read_location
from syncauth.config import AppConfig
from syncauth.errors import InsecureServer

PATH = "/api/client/v2.0/app/field-notes/sync"


def read(base: str, http: str, socket: str = "", *, trusted: tuple[str, ...] = ()) -> Location:
    """Read a location that a server at `base` told."""
    config = AppConfig(base, "field-notes", PurePath("unused"), trusted_hosts=frozenset(trusted))
    body = json.dumps({"hostname": http, "ws_hostname": socket, "location": "US-VA"})
    return read_location(Answer(200, "application/json", body.encode()), config)


@pytest.mark.parametrize(
    ("base", "http", "socket", "calls", "sync"),
    [
        ("https://a.com", "https://a.com", "wss://a.com", "https://a.com", "wss://a.com"),
        ("https://a.com", "https://A.com:443/", "", "https://a.com", "wss://a.com"),
        ("https://a.com/x", "https://a.com", "wss://a.com", "https://a.com/x", "wss://a.com/x"),
        ("https://a.com", "https://a.com:8443", "", "https://a.com:8443", "wss://a.com:8443"),
        ("https://a.com/x", "https://a.com/x", "wss://a.com/x", "https://a.com/x", "wss://a.com/x"),
        ("https://a.com/p/x", "https://a.com/x/", "", "https://a.com/p/x", "wss://a.com/p/x"),
        ("https://a.com/x", "https://b.com/y/z/", "", "https://b.com/y/z", "wss://b.com/y/z"),
        ("https://a.com", "https://b.com", "wss://b.com/s", "https://b.com", "wss://b.com/s"),
        ("https://a.com", "https://eu.b.com", "wss://b.com", "https://eu.b.com", "wss://b.com"),
        ("http://[::1]:8", "http://127.0.0.1:9", "", "http://127.0.0.1:9", "ws://127.0.0.1:9"),
        ("http://localhost:8", "https://localhost", "", "https://localhost", "wss://localhost"),
        ("http://localhost:8", "http://localhost:8", "", "http://localhost:8", "ws://localhost:8"),
    ],
)
def test_a_location_that_may_be_believed(
    base: str, http: str, socket: str, calls: str, sync: str
) -> None:
    """The same place, another one over TLS that the app trusts, or another one of this machine."""
    found = read(base, http, socket, trusted=("EU.b.com", "b.com"))
    assert found == Location(calls, sync + PATH)


@pytest.mark.parametrize(
    ("base", "http", "socket"),
    [
        ("https://a.com", "http://a.com", ""),
        ("https://a.com", "https://a.com", "ws://a.com"),
        ("https://a.com", "http://b.com", ""),
        ("https://a.com", "https://c.com", ""),
        ("https://a.com", "https://a.com.c.com", ""),
        ("https://a.com", "https://a.com", "wss://c.com"),
        ("https://a.com", "https://localhost", ""),
        ("https://a.com", "http://127.0.0.1", ""),
        ("https://localhost", "http://localhost", ""),
        ("http://localhost", "http://a.com", ""),
        ("http://localhost", "https://c.com", ""),
        ("http://localhost", "https://b.com", ""),
    ],
)
def test_a_location_where_tokens_must_not_go_is_refused(base: str, http: str, socket: str) -> None:
    """Clear text, a host that is not trusted, or away from this machine (I10)."""
    with pytest.raises(InsecureServer):
        read(base, http, socket, trusted=("b.com",))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a.com",
        "https://",
        "https://ann:pw@a.com",
        "https://a.com/a//b",
        "https://a.com/a/../b",
        "https://a.com/.",
        "https://a.com/%2e%2e/b",
        "https://a.com/a b",
        "https://a.com/a\\b",
        "https://a.com?x=1",
        "https://a.com#x",
        "https://a.com:port",
        "https://[::1",
        "ftp://a.com",
        "javascript:alert(1)",
    ],
)
def test_what_is_no_address_of_a_server_is_malformed(text: str) -> None:
    """Neither for calls nor for sockets; an empty socket address means the one of calls."""
    with pytest.raises(Malformed):
        read("https://a.com", text)
    if text:
        with pytest.raises(Malformed):
            read("https://a.com", "https://a.com", text)
