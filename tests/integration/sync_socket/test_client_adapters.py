"""The client's own adapters against `syncauth serve`: account calls and sync socket together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING

import pytest

from syncauth.adapters.clock import SystemClock
from syncauth.adapters.http_calls import HttpCalls
from syncauth.adapters.http_provider import HttpProvider
from syncauth.adapters.websocket import WebSocketTransport
from syncauth.config import AppConfig
from syncauth.interfaces import ConnectionLost, IdentityProvider, SyncSocket, SyncTransport
from syncauth.models import Credentials, Renewed, Secret
from syncauth.sansio.messages import (
    Error,
    Goodbye,
    Hello,
    Renew,
    Renewed as RenewedLife,
    ServerMessage,
    Welcome,
    decode_from_server,
    encode,
)
from tests.support.socket_device import NOTES

if TYPE_CHECKING:
    from tests.integration.sync_socket.conftest import Start

SECONDS = 15


@dataclass
class Client:
    """The two adapters as an App wires them."""

    provider: IdentityProvider
    transport: SyncTransport


@asynccontextmanager
async def client(url: str, app_id: str = "test") -> AsyncIterator[Client]:
    """Wire the adapters to a server."""
    config = AppConfig(url, app_id, PurePath("unused"))
    calls = HttpCalls(config, clock=SystemClock())
    transport = WebSocketTransport(config, locate=lambda again: calls.sync_url(again=again))
    try:
        yield Client(HttpProvider(calls), transport)
    finally:
        await calls.aclose()


async def hear(link: SyncSocket) -> ServerMessage:
    """Wait for the next message."""
    async with asyncio.timeout(SECONDS):
        return decode_from_server(await link.receive())


async def hear_end(link: SyncSocket) -> tuple[list[str], ConnectionLost]:
    """Hear until the socket has ended: the codes of errors and goodbyes, and how it ended."""
    codes: list[str] = []
    try:
        while True:
            message = await hear(link)
            if isinstance(message, Error | Goodbye):
                codes.append(message.code)
    except ConnectionLost as lost:
        return codes, lost


async def greet(link: SyncSocket) -> Welcome:
    """Say hello and be welcomed."""
    hello = Hello(
        device="a" * 16,
        incarnation="1" * 16,
        fencing=1,
        connection=1,
        acked=None,
        highest=None,
        checkpoints={},
        tables=[NOTES],
    )
    await link.send(encode(hello))
    welcome = await hear(link)
    assert isinstance(welcome, Welcome)
    return welcome


async def test_a_login_opens_a_socket_that_outlives_its_token(start: Start) -> None:
    """Log in, connect, be welcomed, renew the token on the open socket."""
    async with client(start().url) as ann:
        login = await ann.provider.log_in(Credentials.anonymous())
        link = await ann.transport.connect(login.tokens.access)
        welcome = await greet(link)
        assert welcome.partitions == {f"user:{login.user_id}": "write"}
        renewed = await ann.provider.refresh(login.tokens.refresh, "id")
        assert isinstance(renewed, Renewed)
        await link.send(encode(Renew(renewed.tokens.access.reveal())))
        answer = await hear(link)
        while not isinstance(answer, RenewedLife):
            answer = await hear(link)
        await link.aclose(1000, "done")


async def test_a_revoked_session_ends_the_socket(start: Start) -> None:
    """The server says why and closes with the code for tokens."""
    async with client(start().url) as ann:
        login = await ann.provider.log_in(Credentials.anonymous())
        link = await ann.transport.connect(login.tokens.access)
        await greet(link)
        assert await ann.provider.revoke(login.tokens.refresh)
        codes, lost = await hear_end(link)
        assert (set(codes), lost.code) == ({"session_revoked"}, 4401)
        await link.aclose(1000, "done")


async def test_refused_upgrades_tell_their_status(start: Start) -> None:
    """A token that is none, and an app that is not there."""
    url = start().url
    async with client(url) as ann, client(url, "other") as stranger:
        login = await ann.provider.log_in(Credentials.anonymous())
        for one, token, status in (
            (ann, Secret("a.b.c"), 401),
            (stranger, login.tokens.access, 404),
        ):
            with pytest.raises(ConnectionLost) as raised:
                await one.transport.connect(token)
            assert (raised.value.kind, raised.value.status) == ("handshake", status)
