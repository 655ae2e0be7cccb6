"""An embedded server that is closed while its parent goes on, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from syncauth.sansio import messages
from syncauth.sansio.sync_errors import Close
from syncauth.server import SyncServer
from syncauth.server.stores.sqlite import DATABASE
from tests.support.embedding.parents import SCHEMA
from tests.support.processes import configure

PATH = "/sync/api/client/v2.0/app/test/sync"


@asynccontextmanager
async def serving(server: SyncServer) -> AsyncIterator[int]:
    """Serve a parent with the server in it on a port of loopback, in this loop; the lifespan is the test's."""
    routes = [Mount("/sync", server), Route("/", lambda _request: PlainTextResponse("parent"))]
    settings = uvicorn.Config(
        Starlette(routes=routes), log_level="error", lifespan="off", ws="websockets-sansio"
    )
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        running = uvicorn.Server(settings)
        async with asyncio.TaskGroup() as group:
            group.create_task(running.serve(sockets=[door]))
            door.listen(64)
            try:
                yield door.getsockname()[1]
            finally:
                running.should_exit = True


def dial(port: int, token: str) -> connect:
    """Open a sync socket."""
    return connect(
        f"ws://127.0.0.1:{port}{PATH}",
        additional_headers={"Authorization": f"Bearer {token}"},
        subprotocols=[Subprotocol(messages.SUBPROTOCOL)],
        proxy=None,
    )


async def said(opened: ClientConnection) -> AsyncIterator[str | bytes]:
    """Yield what comes on a socket until it is closed, in whatever way."""
    with contextlib.suppress(ConnectionClosed):
        while True:
            yield await opened.recv()


async def test_devices_are_sent_away_before_the_file_is_closed(tmp_path: Path) -> None:
    """Each is told when to come back, then its socket is closed with 1012; the parent goes on."""
    configure(tmp_path, SCHEMA, "[tables.notes]\n")
    server = SyncServer(tmp_path / "syncauth.toml", data_dir=tmp_path / "data")
    async with serving(server) as port, httpx.AsyncClient() as client:
        async with server:
            token = (await server.log_in("ann")).access_token.reveal()
            sockets = [await dial(port, token) for _ in range(3)]
        assert not (tmp_path / "data" / f"{DATABASE}-wal").exists()
        for each in sockets:
            told = [messages.decode_from_server(frame) async for frame in said(each)]
            assert each.close_code == Close.RESTARTING
            assert isinstance(told[-1], messages.Goodbye)
            assert 1000 <= told[-1].retry_after < 1100  # not all at the same moment
        with pytest.raises(InvalidStatus) as refusal:
            await dial(port, token)
        assert refusal.value.response.status_code == 503
        assert (await client.get(f"http://127.0.0.1:{port}/")).text == "parent"


async def test_a_revoked_user_is_cut_off_at_once(tmp_path: Path) -> None:
    """`revoke_user` ends the open sockets of that user and of no other (I3)."""
    configure(tmp_path, SCHEMA, "[tables.notes]\n")
    server = SyncServer(tmp_path / "syncauth.toml", data_dir=tmp_path / "data")
    async with serving(server) as port, server:
        ann, bob = await server.log_in("ann"), await server.log_in("bob")
        hers = await dial(port, ann.access_token.reveal())
        his = await dial(port, bob.access_token.reveal())

        assert await server.revoke_user(ann.user_id) == 1

        async for _ in said(hers):
            pass
        assert hers.close_code == Close.TOKEN
        await (await his.ping())
        await his.close()
