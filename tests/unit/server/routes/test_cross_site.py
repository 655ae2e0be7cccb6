"""Which requests come from pages of other sites, by what browsers say and no page can forge."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers

from syncauth.server.routes.cross_site import is_cross_site

TRUSTED = frozenset({"https://app.example.com"})
HOST = {"host": "sync.example.com"}


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"sec-fetch-site": "same-origin"},
        {"sec-fetch-site": "none"},
        {"sec-fetch-site": "same-origin", "origin": "https://sync.example.com"},
        {"origin": "https://sync.example.com"},
        {"origin": "http://SYNC.example.com"},
        {"origin": "https://app.example.com"},
        {"origin": "https://App.Example.com", "sec-fetch-site": "cross-site"},
    ],
)
def test_own_and_trusted_pages_and_programs_are_let_through(headers: dict[str, str]) -> None:
    """The server's own origin, one that the team listed, and what is no browser."""
    assert not is_cross_site(Headers(HOST | headers), TRUSTED)


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"sec-fetch-site": "something new"},
        {"sec-fetch-site": "cross-site", "origin": "https://sync.example.com"},
        {"origin": "https://evil.example.com"},
        {"origin": "https://sync.example.com:8443"},
        {"origin": "https://sync.example.com.evil.com"},
        {"origin": "http://app.example.com"},
        {"origin": "https://app.example.com.evil.com"},
        {"origin": "null"},
        {"origin": "https://[evil"},
        {"origin": "sync.example.com"},
    ],
)
def test_pages_of_other_sites_are_told(headers: dict[str, str]) -> None:
    """Siblings under one domain, other ports, opaque origins and what cannot be read are others."""
    assert is_cross_site(Headers(HOST | headers), TRUSTED)


def test_an_origin_without_a_host_to_compare_is_another() -> None:
    """A request that names no host has no origin of its own."""
    assert is_cross_site(Headers({"origin": "https://sync.example.com"}), ())
