"""The token as a header, for clients of any other kind."""

from __future__ import annotations

import pytest

from syncauth.adapters.bearer_headers import HeaderProvider
from syncauth.adapters.bearer_origins import read_origins
from syncauth.errors import TokenUnavailableError
from tests.support.token_source import CountingTokens

LISTED = "https://api.example.com"


@pytest.fixture
def tokens() -> CountingTokens:
    """A user's tokens."""
    return CountingTokens()


@pytest.fixture
def provider(tokens: CountingTokens) -> HeaderProvider:
    """Headers for one listed origin."""
    return HeaderProvider(tokens, read_origins([LISTED]))


async def test_a_listed_origin_gets_the_header(provider: HeaderProvider) -> None:
    """The header is there for a listed origin, for coroutines and for threads."""
    expected = {"Authorization": "Bearer token-1"}

    assert await provider.headers(f"{LISTED}/notes") == expected
    assert provider.headers_now("wss://api.example.com/socket") == expected


@pytest.mark.parametrize(
    "url", ["https://example.com", "http://api.example.com", f"{LISTED}@evil.example", "/notes", ""]
)
async def test_nothing_else_gets_one(
    provider: HeaderProvider, tokens: CountingTokens, url: str
) -> None:
    """I10: for any other URL there are no headers, and no token is asked for."""
    tokens.failure = TokenUnavailableError("no token now", retry_at=None, online=False)
    tokens.dead.add("token-1")

    assert await provider.headers(url) == {}
    assert provider.headers_now(url) == {}


async def test_refused_headers_are_renewed_once(
    provider: HeaderProvider, tokens: CountingTokens
) -> None:
    """Headers that a server did not take lead to one renewal, however often the same ones are named."""
    refused = await provider.headers(LISTED)

    again = await provider.headers(LISTED, refused=refused)
    late = provider.headers_now(LISTED, refused=refused)

    assert again == late == {"Authorization": "Bearer token-2"}
    assert tokens.renewals == 1


async def test_a_dead_token_is_not_shown(provider: HeaderProvider, tokens: CountingTokens) -> None:
    """Where no token is usable, one is renewed, or the error says why not."""
    tokens.dead.add("token-1")
    assert await provider.headers(LISTED) == {"Authorization": "Bearer token-2"}

    tokens.dead.add("token-2")
    tokens.failure = TokenUnavailableError("no token now", retry_at=None, online=False)
    with pytest.raises(TokenUnavailableError):
        await provider.headers(LISTED)
    with pytest.raises(TokenUnavailableError):
        provider.headers_now(LISTED)


def test_headers_print_no_token(provider: HeaderProvider) -> None:
    """I10: the headers go into a request as any other dictionary does, and show their names alone."""
    headers = provider.headers_now(LISTED)

    assert dict(headers)["Authorization"] == "Bearer token-1"
    for text in (repr(headers), str(headers), f"{headers}", repr([headers]), repr(provider)):
        assert "token-1" not in text
