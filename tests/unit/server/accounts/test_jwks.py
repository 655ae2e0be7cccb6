"""Published keys: what is fetched and when, what counts as a key, and whom a discovered issuer may name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from syncauth.models import Secret
from syncauth.server.accounts import issuer_documents
from syncauth.server.accounts.foreign_tokens import ForeignFault, ForeignTokens, ForeignUser
from syncauth.server.accounts.jwks import (
    AGAIN_AFTER,
    AGAIN_WITHOUT_KEYS,
    FETCHES_AT_ONCE,
    OLD_AFTER,
    is_as_safe,
)
from syncauth.server.settings.issuers import TokenIssuer
from tests.support.foreign_issuer import Key, KeyPlace, key_place, new_key, sign

START = 1000.0


@pytest.fixture
def place() -> Iterator[KeyPlace]:
    """Where keys are published."""
    with key_place() as made:
        yield made


class Checker:
    """Checks tokens of the place; monotonic time is the test's."""

    def __init__(self, place: KeyPlace, algorithm: Any = "ES256", **settings: Any) -> None:
        self._place = place
        self._algorithm = algorithm
        chosen = settings or {"jwks_url": place.url}
        issuer = TokenIssuer("issuers.id", place.issuer, ("field-notes",), algorithm, **chosen)
        self._tokens = ForeignTokens((issuer,))
        self.now = START

    async def check(self, key: Key, **header: Any) -> ForeignUser | ForeignFault:
        """Let the issuer sign, and check it."""
        claims = self._place.claims()
        text = sign(key, self._algorithm, claims, **header)
        wall = claims["exp"] - 60
        return await self._tokens.verify(Secret(text), "custom-token", wall=wall, now=self.now)

    async def accepts(self, key: Key, **header: Any) -> bool:
        """Tell whether a token is accepted."""
        return isinstance(await self.check(key, **header), ForeignUser)


# --- when it is fetched --------------------------------------------------------------------------


async def test_rotation_is_noticed_at_the_first_token_of_the_new_key(place: KeyPlace) -> None:
    """An unknown kid causes one fetch, also a moment after the last one; the old key is gone with it."""
    old, new = new_key("ES256", "k1"), new_key("ES256", "k2")
    place.publish(old)
    checker = Checker(place)
    assert await checker.accepts(old, kid="k1")
    place.publish(new)

    assert await checker.accepts(new, kid="k2")
    assert await checker.accepts(new, kid="k2")
    assert place.asked == 2
    assert not await checker.accepts(old, kid="k1")


async def test_invented_kids_cause_one_fetch_a_minute(place: KeyPlace) -> None:
    """After three at once; tokens of known keys are taken all the while."""
    key = new_key("ES256")
    place.publish(key)
    checker = Checker(place)
    assert await checker.accepts(key, kid="k1")
    for number in range(50):
        assert not await checker.accepts(key, kid=f"invented{number}")
        assert await checker.accepts(key, kid="k1")
    assert place.asked == 1 + FETCHES_AT_ONCE

    checker.now += 60
    for number in range(50):
        assert not await checker.accepts(key, kid=f"invented{number}")
    assert place.asked == 2 + FETCHES_AT_ONCE


async def test_many_at_once_share_one_fetch(place: KeyPlace) -> None:
    """Tokens that come together wait for the same fetch."""
    key = new_key("ES256")
    place.publish(key)
    checker = Checker(place)

    assert all(await asyncio.gather(*(checker.accepts(key, kid="k1") for _ in range(20))))
    assert place.asked == 1


async def test_known_key_does_not_wait_for_a_fetch(place: KeyPlace) -> None:
    """While a fetch for an unknown kid hangs, tokens of a known one are taken."""
    key = new_key("ES256")
    place.publish(key)
    checker = Checker(place)
    assert await checker.accepts(key, kid="k1")
    checker.now += AGAIN_AFTER
    place.drip = 0.05
    hanging = asyncio.ensure_future(checker.check(new_key("ES256"), kid="k9"))  # noqa: TID251
    await asyncio.to_thread(place.wait_asked, 2)

    assert await checker.accepts(key, kid="k1")
    assert not hanging.done()
    hanging.cancel()


async def test_old_set_is_fetched_anew_and_serves_while_the_place_is_down(place: KeyPlace) -> None:
    """After an hour a withdrawn key is gone; if nobody answers the last set goes on serving."""
    key, other = new_key("ES256", "k1"), new_key("ES256", "k2")
    place.publish(key)
    checker = Checker(place)
    assert await checker.accepts(key, kid="k1")
    place.status = 503
    checker.now += OLD_AFTER + 1
    assert await checker.accepts(key, kid="k1")
    place.status = 200
    place.publish(other)
    checker.now += AGAIN_AFTER

    assert not await checker.accepts(key, kid="k1")
    assert place.asked == 3


async def test_without_any_keys_a_token_is_unchecked_and_soon_asked_for_again(
    place: KeyPlace,
) -> None:
    """An issuer that is down at the start refuses nobody: it is told apart, and asked again in seconds."""
    key = new_key("ES256")
    place.publish(key)
    place.status = 500
    checker = Checker(place)

    assert await checker.check(key, kid="k1") is ForeignFault.UNCHECKED
    assert await checker.check(key, kid="k1") is ForeignFault.UNCHECKED
    assert place.asked == 1
    place.status = 200
    checker.now += AGAIN_WITHOUT_KEYS
    assert await checker.accepts(key, kid="k1")


@pytest.mark.parametrize(
    "content",
    ["nonsense", [], {}, {"keys": {}}, {"keys": [], "more": "x" * issuer_documents.LARGEST}],
)
async def test_what_is_no_key_set_takes_the_place_of_none(place: KeyPlace, content: Any) -> None:
    """Other documents, and such as are too large, are as if nobody had answered."""
    key = new_key("ES256")
    place.publish(key)
    checker = Checker(place)
    assert await checker.accepts(key, kid="k1")
    place.content = content
    checker.now += OLD_AFTER + 1

    assert await checker.accepts(key, kid="k1")
    assert place.asked == 2


async def test_redirects_are_not_followed(place: KeyPlace) -> None:
    """The settings name the place, nobody else."""
    with key_place() as elsewhere:
        key = new_key("ES256")
        elsewhere.publish(key)
        place.status, place.headers = 302, {"Location": elsewhere.url}

        assert await Checker(place).check(key, kid="k1") is ForeignFault.UNCHECKED
        assert elsewhere.asked == 0


async def test_fetch_is_bounded_as_a_whole(
    place: KeyPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place that sends a byte now and then holds nobody for longer than the limit."""
    monkeypatch.setattr(issuer_documents, "SECONDS_TO_ANSWER", 0.3)
    key = new_key("ES256")
    place.publish(key)
    place.drip = 0.05

    async with asyncio.timeout(5):
        assert await Checker(place).check(key, kid="k1") is ForeignFault.UNCHECKED


# --- which keys count ----------------------------------------------------------------------------


async def test_keys_of_other_kinds_are_passed_over(place: KeyPlace) -> None:
    """Keys that are not understood, of another algorithm or for something else hide no good one."""
    good = new_key("ES256")
    others: list[Any] = [
        RSAKey.generate_key(2048, {"kid": "k1"}).as_dict(private=False),
        OKPKey.generate_key("Ed25519", {"kid": "k1"}).as_dict(private=False),
        ECKey.generate_key("P-384", {"kid": "k1"}).as_dict(private=False),
        OctKey.generate_key(256, {"kid": "k1"}).as_dict(private=True),
        {"kty": "new", "kid": "k1"},
        {"kty": "EC", "kid": "k1"},
        "no key",
        None,
    ]
    place.content = {"keys": [*others, good.as_dict(private=False)]}

    assert await Checker(place).accepts(good, kid="k1")


@pytest.mark.parametrize("told", [{"use": "enc"}, {"alg": "RS256"}])
async def test_keys_for_something_else_do_not_count(place: KeyPlace, told: dict[str, str]) -> None:
    """What a set says about a key is held to (RFC 7517 sections 4.2 and 4.4)."""
    key = new_key("ES256")
    place.content = {"keys": [{**key.as_dict(private=False), **told}]}

    assert not await Checker(place).accepts(key, kid="k1")


async def test_weak_keys_do_not_count(place: KeyPlace) -> None:
    """RSA keys under 2048 bits are none (RFC 7518 section 3.3)."""
    with pytest.warns(SecurityWarning):
        weak = RSAKey.generate_key(1024, {"kid": "k1"})
    place.publish(weak)

    assert not await Checker(place, "RS256").accepts(weak, kid="k1")


async def test_two_keys_may_bear_one_kid(place: KeyPlace) -> None:
    """While an issuer goes from one key to the next under one name, both are good."""
    one, two = new_key("ES256", "k1"), new_key("ES256", "k1")
    place.publish(one, two)
    checker = Checker(place)

    assert await checker.accepts(one, kid="k1")
    assert await checker.accepts(two, kid="k1")
    assert not await checker.accepts(new_key("ES256", "k1"), kid="k1")


async def test_key_set_without_kid(place: KeyPlace) -> None:
    """Tokens that name no key are tried with all; a rotation is noticed by what no key has signed."""
    old, new = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    place.publish(old)
    checker = Checker(place)
    assert await checker.accepts(old)
    assert not await checker.accepts(old, kid="k1")
    place.publish(new)
    checker.now += AGAIN_AFTER

    assert await checker.accepts(new)
    assert not await checker.accepts(old)


# --- discovery -----------------------------------------------------------------------------------


async def test_discovered_keys_move_with_the_issuer(place: KeyPlace) -> None:
    """The issuer alone is configured; where its keys are it tells, anew with each fetch."""
    key = new_key("ES256")
    place.publish(key)
    checker = Checker(place, discovery=True)
    assert await checker.accepts(key, kid="k1")
    with key_place() as moved:
        newer = new_key("ES256", "k2")
        moved.publish(newer)
        place.metadata["jwks_uri"] = moved.url
        checker.now += AGAIN_AFTER
        assert await checker.accepts(newer, kid="k2")


@pytest.mark.parametrize("issuer", ["http://127.0.0.1:1", "{issuer}/", "", None, 7])
async def test_metadata_of_another_issuer_are_not_believed(place: KeyPlace, issuer: Any) -> None:
    """The issuer is compared exactly (OpenID Connect Discovery 1.0, section 4.3)."""
    key = new_key("ES256")
    place.publish(key)
    told = issuer.format(issuer=place.issuer) if isinstance(issuer, str) else issuer
    place.metadata = {"issuer": told, "jwks_uri": place.url}

    assert await Checker(place, discovery=True).check(key, kid="k1") is ForeignFault.UNCHECKED
    assert place.asked == 0


@pytest.mark.parametrize(
    ("keys", "issuer", "safe"),
    [
        ("https://keys.example/k", "https://id.example", True),
        ("http://keys.example/k", "https://id.example", False),
        ("http://127.0.0.1:1/k", "https://id.example", False),
        ("https://127.0.0.1:1/k", "https://id.example", False),
        ("http://127.0.0.1:1/k", "http://localhost:2", True),
        ("https://keys.example/k", "http://localhost:2", False),
        ("file:///etc/passwd", "https://id.example", False),
        ("https://u:p@keys.example/k", "https://id.example", False),
        ("https://[", "https://id.example", False),
        ("", "https://id.example", False),
    ],
)
def test_place_of_keys_is_as_safe_as_the_issuer(keys: str, issuer: str, safe: bool) -> None:
    """An issuer sends nobody to plain http, and only one on loopback names loopback."""
    assert is_as_safe(keys, issuer) is safe


async def test_metadata_that_are_none(place: KeyPlace) -> None:
    """Broken metadata are as if nobody had answered."""
    for metadata in ([], {"issuer": place.issuer}, {"issuer": place.issuer, "jwks_uri": 7}):
        place.metadata = metadata
        outcome = await Checker(place, discovery=True).check(new_key("ES256"), kid="k1")
        assert outcome is ForeignFault.UNCHECKED, json.dumps(metadata)
