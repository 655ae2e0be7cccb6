"""Whether a refresh token may have arrived, and how long the renewed one lives."""

from __future__ import annotations

from typing import Any

import pytest

from syncauth.adapters.http_provider import HttpProvider
from syncauth.models import (
    Deferred,
    Renewed,
)
from tests.support.account_replies import (
    ACCESS,
    OLD,
)
from tests.support.odd_server import (
    LOCATION,
    SESSION,
    OddServer,
    Reply,
    answer,
    denial,
    hang_up,
    json_answer,
    jwt,
    portal,
    reset,
    silence,
)
from tests.unit.adapters.conftest import Configure, make_provider


@pytest.mark.parametrize("trouble", [reset, hang_up, silence, portal(), answer(503)])
async def test_a_token_that_may_have_arrived_counts_as_sent(
    odd: OddServer, hasty: HttpProvider, trouble: Reply
) -> None:
    """The next attempt is a repeat: the issuer may have renewed the pair."""
    odd.reply(SESSION, trouble)
    deferred = await hasty.refresh(OLD, "id")
    assert isinstance(deferred, Deferred)
    assert deferred.sent


@pytest.mark.parametrize("trouble", [reset, silence, portal(), answer(503), denial(500, "X")])
async def test_a_token_is_not_sent_before_the_location_is_known(
    odd: OddServer, hasty: HttpProvider, trouble: Reply
) -> None:
    """Nothing of the session was at stake: the next attempt is no repeat."""
    odd.reply(LOCATION, trouble)
    deferred = await hasty.refresh(OLD, "id")
    assert isinstance(deferred, Deferred)
    assert not deferred.sent
    assert not odd.seen(SESSION)


async def test_a_token_is_not_sent_where_nobody_listens(
    odd: OddServer, configure: Configure
) -> None:
    """Neither at the first call nor when the server goes away after its location was told."""
    odd.locate("http://127.0.0.1:9")
    provider = make_provider(configure())
    deferred = await provider.refresh(OLD, "id")
    assert isinstance(deferred, Deferred)
    assert not deferred.sent
    await odd.stop()
    deferred = await provider.refresh(OLD, "id")
    assert isinstance(deferred, Deferred)
    assert not deferred.sent
    await provider.aclose()


@pytest.mark.parametrize(
    ("told", "life"),
    [
        ({"refresh_token": jwt("refresh", life=7200), "refresh_expires_in": 5}, 7200.0),
        ({"refresh_token": "opaque", "refresh_expires_in": 5}, 5.0),
        ({"refresh_token": "opaque", "refresh_expires_in": -5}, 0.0),
        ({"refresh_token": "opaque", "refresh_expires_in": 1e300}, None),
        ({"refresh_token": "opaque"}, None),
        ({"refresh_token": "a.b.c"}, None),
        ({"refresh_token": jwt("refresh", life=10**15)}, None),
        ({"refresh_token": jwt("refresh", life=10**400)}, None),
        ({}, 1800.0),
    ],
)
async def test_the_life_of_the_refresh_token_is_told_where_it_can_be(
    odd: OddServer, provider: HttpProvider, told: dict[str, Any], life: float | None
) -> None:
    """By its claims, else by the answer, else by nobody: it is good for a warning alone."""
    odd.reply(SESSION, json_answer(200, {"access_token": ACCESS} | told))
    renewed = await provider.refresh(OLD, "id")
    assert isinstance(renewed, Renewed)
    assert renewed.tokens.refresh_life == life


async def test_what_is_left_of_an_older_refresh_token_counts_from_this_answer(
    odd: OddServer, provider: HttpProvider
) -> None:
    """Without rotation it grows older: the new access token tells the issuer's time."""
    later = jwt("access", life=1800, issued=1600)
    odd.reply(SESSION, json_answer(200, {"access_token": later}))
    renewed = await provider.refresh(OLD, "id")
    assert isinstance(renewed, Renewed)
    assert (renewed.tokens.life, renewed.tokens.refresh_life) == (1800.0, 1200.0)
