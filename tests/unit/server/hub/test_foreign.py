"""Tokens of other issuers in the hub's driver: order, failures, the end; and denials told to open sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from syncauth.models import Secret
from syncauth.sansio.messages import Checkpoint, Error, Renew, Renewed
from syncauth.server.accounts.denials import Denials
from syncauth.server.accounts.foreign_access import ForeignAccess
from syncauth.server.accounts.foreign_tokens import ForeignTokens
from syncauth.server.accounts.issuer import Claims, TokenFault
from syncauth.server.clock import SystemRandomness
from syncauth.server.hub import inputs
from syncauth.server.settings.issuers import TokenIssuer
from tests.support.foreign_issuer import KeyPlace, key_place, new_key, sign
from tests.support.hub_bench import SECONDS, Bench, Messages, open_bench
from tests.support.hub_story import hello

KEY = new_key("ES256")


@dataclass
class Foreign:
    """A driver that takes the tokens of one issuer."""

    bench: Bench
    place: KeyPlace
    access: ForeignAccess

    def token(self, **changes: Any) -> str:
        """Let the issuer sign a token."""
        return sign(KEY, "ES256", self.place.claims(**changes), kid="k1")

    async def greeted(self, **changes: Any) -> tuple[int, Messages]:
        """Open a socket with a token, and wait until hello is answered."""
        claims = await self.access.check(Secret(self.token(**changes)))
        assert isinstance(claims, Claims)
        messages = Messages()
        socket = self.bench.driver.open(messages, claims)
        self.bench.driver.post(inputs.MessageReceived(socket, hello()))
        await messages.wait(Checkpoint)
        return socket, messages

    def say(self, socket: int, token: str) -> None:
        """Send a newer token."""
        self.bench.driver.post(inputs.MessageReceived(socket, Renew(token)))


@pytest.fixture
def foreign(tmp_path: Path) -> Iterator[Foreign]:
    """A driver over real stores, and an issuer whose keys it fetches."""
    with open_bench(tmp_path) as bench, key_place() as place:
        place.publish(KEY)
        issuer = TokenIssuer(
            "issuers.id", place.issuer, ("field-notes",), "ES256", discovery=True, sync=True
        )
        access = ForeignAccess(
            ForeignTokens((issuer,)),
            store=bench.accounts,
            thread=bench.thread,
            clock=bench.clock,
            randomness=SystemRandomness(),
        )
        bench.driver._foreign = access
        yield Foreign(bench, place, access)


async def test_of_several_renewals_the_newest_counts(foreign: Foreign) -> None:
    """They are checked one after the other although keys have to be fetched: order is kept."""
    socket, messages = await foreign.greeted()
    ends = foreign.place.claims()["exp"]
    foreign.say(socket, foreign.token(kid_unknown=1))
    foreign.say(socket, "no token")
    foreign.say(socket, foreign.token(exp=ends + 1000))
    async with asyncio.timeout(SECONDS):
        while sum(isinstance(each, Renewed) for each in messages.sent) < 2:
            await foreign.bench.thread.run(foreign.bench.accounts.ping)

    lives = [each.life for each in messages.sent if isinstance(each, Renewed)]
    assert lives[0] < 601_000
    assert lives[1] > 1_500_000
    assert not any(isinstance(each, Error) for each in messages.sent)


async def test_store_that_fails_is_logged_without_the_token(
    foreign: Foreign, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be looked up is not judged: the device comes back, and no token is written (I10)."""
    socket, messages = await foreign.greeted()
    token = foreign.token(jti="2")
    rename = "ALTER TABLE _sync_identities RENAME TO away"
    await foreign.bench.thread.run(foreign.bench.connection.execute, rename)
    foreign.say(socket, token)

    assert await messages.wait_closed() == 1011
    assert "VerifyToken failed" in caplog.text
    assert token not in caplog.text
    assert foreign.place.issuer not in caplog.text


async def test_end_of_the_driver_ends_what_is_being_checked(foreign: Foreign) -> None:
    """A check that hangs at the issuer does not outlive the server."""
    socket, messages = await foreign.greeted()
    foreign.access._foreign._published["issuers.id"]._asked = None  # it is time for another fetch
    foreign.place.drip = 0.05
    foreign.say(socket, sign(new_key("ES256"), "ES256", foreign.place.claims(), kid="k2"))
    await asyncio.to_thread(foreign.place.wait_asked, 2)
    (check,) = foreign.bench.driver._checks

    foreign.bench.driver.end()
    await asyncio.wait([check], timeout=SECONDS)

    assert check.cancelled()
    assert not any(isinstance(each, Renewed) for each in messages.sent)


async def test_denial_of_this_process_cuts_at_once(foreign: Foreign) -> None:
    """The service tells the hub, which does not wait for the next look at its sessions."""
    _, messages = await foreign.greeted()
    bench = foreign.bench
    denials = Denials(
        store=bench.accounts,
        thread=bench.thread,
        clock=bench.clock,
        on_revoked=bench.driver.revoked,
    )

    assert await denials.deny(foreign.place.issuer, "ann") == 0

    assert await messages.wait_closed() == 4401
    assert isinstance(messages.sent[-1], Error)
    assert messages.sent[-1].code == "user_disabled"
    assert [(each.issuer, each.subject) for each in await denials.all()] == [
        (foreign.place.issuer, "ann")
    ]
    assert await denials.allow(foreign.place.issuer, "ann")
    assert not await denials.allow(foreign.place.issuer, "ann")
    await foreign.greeted()


async def test_own_tokens_are_checked_as_before(foreign: Foreign) -> None:
    """A token of this server is no matter of other issuers, whatever is accepted besides."""
    token = foreign.bench.issuer.access_token(
        foreign.bench.session, now=foreign.bench.clock.wall(), life=60
    )

    assert not foreign.access.concerns(token.text)
    assert await foreign.access.check(token.text) is TokenFault.INVALID
