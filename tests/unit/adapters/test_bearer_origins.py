"""Only a listed origin is one to which a token may go."""

from __future__ import annotations

from typing import Any

import httpx
import httpx2
import pytest

from syncauth.adapters.bearer_origins import origin_of, origin_of_text, own_origin, read_origins
from syncauth.errors import InsecureServer, InvalidConfig


@pytest.mark.parametrize(
    ("listed", "asked"),
    [
        ("https://api.example.com", "https://api.example.com/v1?q=1#x"),
        ("https://api.example.com", "https://API.Example.COM:443/"),
        ("https://api.example.com:443/", "https://api.example.com"),
        ("https://api.example.com.", "https://api.example.com/"),
        ("https://api.example.com", "https://api.example.com./"),
        ("HTTPS://api.example.com", "wss://api.example.com/socket"),
        ("https://bücher.example", "https://xn--bcher-kva.example/"),
        ("https://xn--bcher-kva.example", "https://BÜCHER.example/"),
        ("https://[2001:db8:0:0::1]:8443", "https://[2001:DB8::1]:8443/"),
        ("http://127.0.0.1:8080", "http://127.0.0.1:8080/"),
        ("http://[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080/"),
        ("http://localhost.:8080", "ws://LOCALHOST:8080/"),
        ("http://dev.localhost:80", "http://dev.localhost/"),
    ],
)
def test_one_origin_may_be_written_in_many_ways(listed: str, asked: str) -> None:
    """I10: case, default port, ASCII form, length of an address and the dot of the root make no difference."""
    origins = read_origins([listed])

    assert origin_of_text(asked) in origins
    assert origin_of(httpx.URL(asked)) in origins
    assert origin_of(httpx2.URL(asked)) in origins


@pytest.mark.parametrize(
    "asked",
    [
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://example.com/",
        "https://api.example.com.evil.example/",
        "https://evil.example/https://api.example.com",
        "https://evil.example?@api.example.com",
        "https://evil.example#@api.example.com",
        "https://api.example.com@evil.example/",
        "https://api.example.com:443@evil.example/",
        "https://api.example.com%2f@evil.example/",
        "https://api.example.com\\@evil.example/",
        "https://evil.example\\@api.example.com/",
        "https://user:password@api.example.com/",
        "https://user@api.example.com/",
        "https://api.example.com..",
        "https://.api.example.com",
        "https://api.example.com%00.evil.example/",
        "https://api%2eexample.com/",
        "https://\uff41pi.example.com/",  # a wide letter
        "https://\u0430pi.example.com/",  # the first letter is Cyrillic
        "https:///api.example.com",
        "https:api.example.com",
        "//api.example.com/",
        "/v1/notes",
        "ftp://api.example.com/",
        "https://api.example.com:99999/",
        "https://[::ffff:127.0.0.1]/",
        "",
    ],
)
def test_nothing_else_passes_for_a_listed_origin(asked: str) -> None:
    """I10: another origin, a user in the address, and what cannot be read without doubt get no token."""
    origins = read_origins(["https://api.example.com", "http://127.0.0.1"])

    assert origin_of_text(asked) not in origins
    for library in (httpx, httpx2):
        try:
            url = library.URL(asked)
        except library.InvalidURL:
            continue
        # What `httpx` reads as a relative address is joined with the client's own before it is sent.
        assert url.is_relative_url or origin_of(url) not in origins


@pytest.mark.parametrize(
    "asked",
    ["https://api.example.com\t/", " https://api.example.com", "https://api.exa\nmple.com/"],
)
def test_signs_that_programs_drop_make_an_address_doubtful(asked: str) -> None:
    """I10: one program drops a line break inside an address where another stops reading."""
    assert origin_of_text(asked) is None


@pytest.mark.parametrize(
    "origin",
    [
        "api.example.com",
        "https://",
        "https://api.example.com/v1",
        "https://api.example.com?",
        "https://api.example.com#",
        "https://user:password@api.example.com",
        "wss://api.example.com",
        "ftp://api.example.com",
        "https://*.example.com ",
        "https://api.example.com:port",
        "",
        None,
        b"https://api.example.com",
    ],
)
def test_what_is_no_origin_cannot_be_listed(origin: Any) -> None:
    """A list that means something else than it says is refused when it is given."""
    with pytest.raises(InvalidConfig) as caught:
        read_origins([origin])

    assert caught.value.setting == "origins"


@pytest.mark.parametrize("origins", ["https://api.example.com", None, 7])
def test_a_list_is_wanted(origins: Any) -> None:
    """A text is an iterable of letters, but no list of origins."""
    with pytest.raises(InvalidConfig, match="no origins"):
        read_origins(origins)


@pytest.mark.parametrize("origin", ["http://api.example.com", "http://10.0.0.1:8080"])
def test_clear_text_to_another_machine_cannot_be_listed(origin: str) -> None:
    """I10: whoever sits on the network would read the token."""
    with pytest.raises(InsecureServer, match="clear text"):
        read_origins([origin])


def test_a_star_is_no_wildcard() -> None:
    """I10: an origin is one, and no pattern matches several."""
    assert origin_of_text("https://api.example.com") not in read_origins(["https://*.example.com"])


def test_the_app_s_own_origin_is_that_of_its_url() -> None:
    """A path of the server's URL is no part of the origin."""
    assert own_origin("https://sync.example.com/base") == "https://sync.example.com"
    assert own_origin("http://[::1]:8080/x") == "http://[::1]:8080"
    assert read_origins([own_origin("https://sync.example.com/base")]) == read_origins(
        ["https://sync.example.com"]
    )
