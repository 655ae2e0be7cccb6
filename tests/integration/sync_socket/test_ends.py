"""How a sync socket is refused, and how it ends."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from syncauth.sansio.messages import (
    Goodbye,
)
from tests.support.processes import Server
from tests.support.socket_device import SECONDS, Account, device, open_socket

Start = Callable[..., Server]


async def test_server_says_goodbye_before_it_ends(start: Start) -> None:
    """SIGTERM sends every device away with server_restarting and 1012; the exit code is 0."""
    server = start()
    ann = Account.log_in(server.url, "ann")
    async with device(ann, "a") as phone, device(ann, "b") as silent:
        await phone.greet()
        code: list[int] = []
        ending = threading.Thread(target=lambda: code.append(server.stop()))
        ending.start()
        ends = [await phone.hear_end(), await silent.hear_end()]
        goodbye = phone.heard[-1]
    ending.join(SECONDS)

    assert ends == [(["server_restarting"], 1012)] * 2
    assert isinstance(goodbye, Goodbye)
    assert goodbye.retry_after is not None
    assert goodbye.retry_after > 0
    assert code == [0]


async def test_newer_connection_of_a_device_ends_the_older(ann: Account) -> None:
    """A device that lost its network unnoticed comes back; its older socket is closed."""
    async with device(ann) as older, device(ann) as newer, device(ann) as copy:
        await older.greet(connection=1)
        await newer.greet(connection=2)
        assert await older.hear_end() == (["superseded_connection"], 1000)
        await newer.catch_up()
        refused, _ = await asyncio.gather(copy.greet_refused(connection=2), newer.confirm_page())
        assert refused == (["copied_file"], 4409)
        assert (await newer.judged(newer.insert(("1", "a")))).refused == []


@pytest.mark.parametrize(
    ("frame", "code", "close"),
    [
        ("no json", "bad_message", 4403),
        ('{"type":"shout"}', "bad_message", 4403),
        ('{"type":"received","checkpoints":{},"acked":0}', "bad_message", 4403),
        (b"binary", "bad_message", 4403),
        ("x" * 1_100_000, "message_too_big", 1009),
    ],
    ids=["no json", "unknown kind", "no hello", "binary", "too big"],
)
async def test_what_cannot_be_read_ends_the_socket(
    start: Start, frame: str | bytes, code: str, close: int
) -> None:
    """A frame that is no message, or too large, is told and ends the socket."""
    ann = Account.log_in(start(limits="batch_bytes = 1000").url, "ann")
    async with device(ann) as phone:
        await phone.socket.send(frame)
        assert await phone.hear_end() == ([code], close)


@pytest.mark.parametrize("case", ["no token", "no jwt", "refresh token", "token in the url"])
async def test_upgrade_without_an_access_token_is_refused(ann: Account, case: str) -> None:
    """Only an access token in the Authorization header opens a socket; anything else is 401."""
    token = {"no jwt": "no-jwt", "refresh token": ann.refresh}.get(case)
    query = f"?baas_at={ann.access}" if case == "token in the url" else ""

    with pytest.raises(InvalidStatus) as refusal:
        await open_socket(ann.url, token, query=query)

    assert refusal.value.response.status_code == 401


async def test_upgrade_to_another_app_or_protocol_is_refused(ann: Account) -> None:
    """Another app is 404; a device that does not offer the subprotocol is 426 (RFC 9110)."""
    statuses = []
    for asked in (
        open_socket(ann.url, ann.access, app="other"),
        open_socket(ann.url, ann.access, subprotocol=None),
        open_socket(ann.url, ann.access, subprotocol="syncauth.v0"),
    ):
        with pytest.raises(InvalidStatus) as refusal:
            await asked
        statuses.append(refusal.value.response.status_code)

    assert statuses == [404, 426, 426]


async def test_failure_of_the_store_is_told_and_counts_nothing(
    ann: Account, tmp_path: Path
) -> None:
    """A call that fails ends the socket with `internal`; the batch was not counted."""
    async with device(ann) as phone:
        await phone.greet()
        await phone.catch_up()
        connection = sqlite3.connect(tmp_path / "data" / "server.db")
        connection.execute("DROP TABLE notes")
        connection.close()
        await phone.push(phone.insert(("1", "a")))
        ended = await phone.hear_end()
    async with device(ann) as phone:
        welcome = await phone.greet(connection=2)

    assert ended == (["internal"], 1011)
    assert welcome.last == 0
