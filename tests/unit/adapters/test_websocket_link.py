"""Open sync sockets: frames, and every way to the end."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection

from syncauth.adapters.websocket import LONGEST_FRAME_BYTES, WebSocketLink, WebSocketTransport
from syncauth.interfaces import ConnectionLost
from tests.support.odd_server import (
    OddServer,
)
from tests.support.sync_server import PATH, TOKEN, SyncServer, upgrading
from tests.unit.adapters.conftest import Configure


async def test_frames_are_text_and_keep_their_order(
    sync: SyncServer, transport: WebSocketTransport
) -> None:
    """What is sent arrives as text frames, and what comes is given as their bytes."""
    got: list[Any] = []

    async def echo(connection: ServerConnection) -> None:
        for _ in range(3):
            got.append(await connection.recv())
            await connection.send(got[-1])

    sync.talk = echo
    link = await transport.connect(TOKEN)
    frames = [b'{"type": "hello"}', '{"name": "Zoë"}'.encode(), b"x" * 2_000_000]
    for frame in frames:
        await link.send(frame)
    assert [await link.receive() for _ in frames] == frames
    assert all(isinstance(frame, str) for frame in got)
    await link.aclose(1000, "done")


async def test_a_binary_frame_breaks_the_protocol(
    sync: SyncServer, transport: WebSocketTransport
) -> None:
    """The server is told so, and the socket has ended."""

    async def talk(connection: ServerConnection) -> None:
        await connection.send(b"{}")

    sync.talk = talk
    link = await transport.connect(TOKEN)
    with pytest.raises(ConnectionLost) as raised:
        await link.receive()
    assert (raised.value.kind, raised.value.code) == ("closed", 1002)
    async with asyncio.timeout(5):
        assert (await sync.closed.get())[0] == 1002


async def test_a_frame_that_is_too_long_ends_the_socket(
    odd: OddServer, configure: Configure
) -> None:
    """The announced length is enough; a server that ignores our close is cut at the next ping."""
    announced = b"\x81\x7f" + (LONGEST_FRAME_BYTES + 1).to_bytes(8)
    odd.reply(PATH, upgrading("syncauth.v1", then=announced))
    link = await WebSocketTransport(configure(close_timeout=0.2), ping_seconds=0.1).connect(TOKEN)
    with pytest.raises(ConnectionLost) as raised:
        await link.receive()
    assert (raised.value.kind, raised.value.code) == ("closed", 1009)


@pytest.mark.parametrize("code", [1000, 1001, 1011, 1012, 1013, 4401, 4403, 4409, 4426, 4429])
async def test_the_server_s_close_code_is_told(
    sync: SyncServer, transport: WebSocketTransport, code: int
) -> None:
    """The receiver and the sender learn the code and the reason."""

    async def talk(connection: ServerConnection) -> None:
        await connection.close(code, "because")

    sync.talk = talk
    link = await transport.connect(TOKEN)
    for use in (link.receive, link.receive):
        with pytest.raises(ConnectionLost) as raised:
            await use()
        lost = raised.value
        assert (lost.kind, lost.code, lost.status, lost.why) == ("closed", code, None, "because")
    with pytest.raises(ConnectionLost) as raised:
        await link.send(b"{}")
    assert raised.value.code == code
    await link.aclose(1000, "after the end")


async def test_a_connection_that_breaks_has_no_code(
    sync: SyncServer, transport: WebSocketTransport
) -> None:
    """Nobody said why."""

    async def talk(connection: ServerConnection) -> None:
        connection.transport.abort()

    sync.talk = talk
    link = await transport.connect(TOKEN)
    with pytest.raises(ConnectionLost) as raised:
        await link.receive()
    assert (raised.value.kind, raised.value.code) == ("closed", None)


async def test_our_close_tells_code_and_reason_and_is_idempotent(
    sync: SyncServer, transport: WebSocketTransport
) -> None:
    """A reason that is too long is cut at a whole character (RFC 6455 section 5.5)."""
    link = await transport.connect(TOKEN)
    await link.aclose(4403, "é" * 100)
    await link.aclose(1000, "again")
    async with asyncio.timeout(5):
        assert await sync.closed.get() == (4403, "é" * 61)
    with pytest.raises(ConnectionLost) as raised:
        await link.receive()
    assert raised.value.code == 4403


async def test_a_server_that_no_longer_answers_pings_is_given_up(
    odd: OddServer, configure: Configure
) -> None:
    """A dead connection is noticed without the help of the network."""
    odd.reply(PATH, upgrading("syncauth.v1"))
    config = configure(close_timeout=0.2)
    link = await WebSocketTransport(config, ping_seconds=0.1).connect(TOKEN)
    async with asyncio.timeout(5):
        with pytest.raises(ConnectionLost) as raised:
            await link.receive()
    assert (raised.value.kind, raised.value.code) == ("timeout", None)


async def test_closing_is_bounded_though_the_server_reads_nothing(
    odd: OddServer, configure: Configure
) -> None:
    """Neither full buffers nor a missing answer keep an App from closing."""
    odd.reply(PATH, upgrading("syncauth.v1", reads=False))
    link = await WebSocketTransport(configure(close_timeout=0.2)).connect(TOKEN)

    async def fill() -> ConnectionLost:
        try:
            while True:
                await link.send(b"x" * 1_000_000)
        except ConnectionLost as lost:
            return lost

    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        filling = group.create_task(fill())
        await until_stuck(link, filling)
        await link.aclose(1001, "closing")
    assert filling.result().kind == "closed"
    assert link._connection.transport.is_closing()


async def until_stuck(link: WebSocketLink, filling: asyncio.Task[ConnectionLost]) -> None:
    """Wait until the buffers of both sides are full, so that a sender has to wait."""
    transport = link._connection.transport
    high = transport.get_write_buffer_limits()[1]
    while transport.get_write_buffer_size() <= high:
        assert not filling.done()
        await asyncio.sleep(0)
