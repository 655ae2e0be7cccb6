"""Tokens are read, never judged; renewal is planned by the life that was told."""

import base64
import json

import pytest
from hypothesis import given, strategies as st

from syncauth.errors import InvalidToken
from syncauth.models import Secret
from syncauth.sansio.tokens import claims_of, margin, refresh_at


def jwt(payload: object, signature: str = "c2ln") -> Secret:
    """Return a token with this payload."""
    body = base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip("=")
    return Secret(f"eyJhbGciOiJIUzI1NiJ9.{body}.{signature}")


@given(st.floats(0.001, 10_000_000))
def test_the_margin_is_at_most_half_the_life_and_five_minutes(life: float) -> None:
    """A short life is never renewed all the time, a long one never hours ahead."""
    assert margin(life) <= life / 2
    assert margin(life) <= 300


@pytest.mark.parametrize(
    ("life", "expected"), [(1800, 300), (600, 120), (40, 10), (12, 6), (3600, 300)]
)
def test_the_margin_is_a_fifth_of_the_life_but_at_least_ten_seconds(
    life: float, expected: float
) -> None:
    """max(10 s, 20 %), bounded above by 5 min and half the life."""
    assert margin(life) == expected


def test_a_life_under_two_seconds_is_renewed_on_demand_only() -> None:
    """No refresh is planned, so a server with tiny lives is not hammered."""
    assert refresh_at(100.0, 1.9) is None
    assert refresh_at(100.0, 2.0) == 101.0


def test_claims_are_read_without_looking_at_the_signature() -> None:
    """The payload comes back as it is."""
    assert claims_of(jwt({"exp": 2, "iat": 1, "sub": "ä"})) == {"exp": 2, "iat": 1, "sub": "ä"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "a.b",
        "a.b.c.d",
        "a.!!!.c",
        jwt({"exp": 2, "iat": 1}, signature="").reveal(),
        jwt([1, 2]).reveal(),
        jwt({"iat": 1}).reveal(),
        jwt({"exp": None, "iat": 1}).reveal(),
        jwt({"exp": "2", "iat": 1}).reveal(),
        jwt({"exp": True, "iat": 1}).reveal(),
        "a." + "W" * 4000 + ".c",
    ],
)
def test_what_is_no_jwt_is_refused_without_repeating_it(text: str) -> None:
    """I10: neither the message nor its cause holds the token's text."""
    with pytest.raises(InvalidToken) as caught:
        claims_of(Secret(text))

    assert len(text) < 3 or text not in str(caught.value)
    assert caught.value.__cause__ is None
