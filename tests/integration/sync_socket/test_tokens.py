"""Tokens and sessions on the open sync socket."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from syncauth.sansio.messages import (
    Changes,
    Error,
    PushResult,
    Renew,
    Renewed,
)
from tests.support.processes import Server
from tests.support.socket_device import SECONDS, Account, device, open_socket, rows_of

REVOKED_WITHIN = 2.0
Start = Callable[..., Server]


async def wait_refused(account: Account, token: str) -> None:
    """Wait until a token has ended: an upgrade with it is refused."""
    async with asyncio.timeout(SECONDS):
        while True:
            try:
                async with open_socket(account.url, token):
                    pass
            except InvalidStatus as refusal:
                status = refusal.response.status_code
                break
    assert status == 401


async def test_socket_outlives_its_token_by_renewal(start: Start) -> None:
    """With a newer token in band pushes are still taken after the old one's end (I3)."""
    ann = Account.log_in(start(access_seconds=3).url, "ann")
    async with device(ann) as phone:
        await phone.greet()
        asked = await phone.hear_a(Error)
        old = ann.access
        await phone.say(Renew(ann.renew().access))
        renewed = await phone.hear_a(Renewed)
        await wait_refused(ann, old)
        result = await phone.judged(phone.insert(("1", "a")))

    assert (asked.code, asked.action) == ("token_expiring", "renew_token")
    assert renewed.partitions == {ann.partition: "write"}
    assert 0 < renewed.life <= 4000
    assert (result.batch, result.refused) == (1, [])


async def test_end_of_the_token_is_enforced_on_the_open_socket(
    start: Start, tmp_path: Path
) -> None:
    """After the token's end nothing moves; a short grace later the socket is closed (I3)."""
    ann = Account.log_in(start(access_seconds=2).url, "ann")
    writer = Account.log_in(ann.url, "ann")
    async with device(ann) as phone:
        await phone.greet()
        await phone.catch_up()
        await wait_refused(ann, ann.access)
        await phone.push(phone.insert(("1", "too late")))
        async with device(writer.renew(), "b") as tablet:
            await tablet.greet()
            await tablet.judged(tablet.insert(("2", "meanwhile")))
        codes, close = await phone.hear_end()

    assert codes == ["token_expiring", "token_expired", "token_expired"]
    assert close == 4401
    assert not any(isinstance(each, Changes | PushResult) for each in phone.heard)
    assert rows_of(tmp_path) == [(ann.partition, "2", "meanwhile")]


async def test_renewal_with_another_session_ends_the_socket(ann: Account) -> None:
    """A socket cannot change hands: another user or session is refused (I15)."""
    others = [Account.log_in(ann.url, "bob"), Account.log_in(ann.url, "ann")]
    for number, other in enumerate(others):
        async with device(ann) as phone:
            await phone.greet(connection=number + 1)
            await phone.say(Renew(other.access))
            assert await phone.hear_end() == (["wrong_session"], 4403)


async def test_renewal_with_a_text_that_is_no_token(ann: Account) -> None:
    """What is no token of this server is told; the socket lives on with the token it has."""
    async with device(ann) as phone:
        await phone.greet()
        await phone.say(Renew("no token"))
        error = await phone.hear_a(Error)
        result = await phone.judged(phone.insert(("1", "a")))

    assert error.code == "token_invalid"
    assert result.refused == []


@pytest.mark.parametrize("processes", [1, 2])
async def test_logout_ends_the_open_socket(start: Start, processes: int) -> None:
    """A session ended here, or by another process on the same data, is closed with 4401 in time."""
    servers = [start() for _ in range(processes)]
    ann = Account.log_in(servers[0].url, "ann")
    async with device(ann) as phone, device(Account.log_in(ann.url, "ann"), "b") as other:
        await phone.greet()
        await other.greet()
        ann.log_out(servers[-1].url)
        since = asyncio.get_running_loop().time()
        ended = await phone.hear_end()
        took = asyncio.get_running_loop().time() - since
        result = await other.judged(other.insert(("1", "a")))

    assert ended == (["session_revoked"], 4401)
    assert took < REVOKED_WITHIN
    assert result.refused == []


async def test_session_that_has_ended_is_not_greeted(ann: Account) -> None:
    """An access token outlives its session, and opens a socket, but no data moves on it (I3)."""
    ann.log_out()
    async with device(ann) as phone:
        with pytest.raises(AssertionError, match="session_revoked"):
            await phone.greet()
        assert (await phone.hear_end())[1] == 4401
