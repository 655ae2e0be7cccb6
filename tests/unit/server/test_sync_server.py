"""The embedded server: when it opens and closes, what its parent may do, what the team's code may ask."""

from __future__ import annotations

import asyncio
import logging
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Mount
from starlette.types import Message, Receive, Scope, Send

from syncauth.errors import (
    Closed,
    InvalidConfig,
    WrongLoop,
)
from syncauth.sansio.messages import SUBPROTOCOL
from syncauth.server import Extensions, FunctionContext, SyncServer
from syncauth.server.stores.sqlite import DATABASE
from tests.support.embedding.in_process import BASE, LOGIN, Make, bearer, client_of, maker
from tests.support.embedding.parents import SCHEMA


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a server that is not started."""
    return maker(tmp_path)


# --- beginning and end ---------------------------------------------------------------------------


def test_the_constructor_opens_nothing(tmp_path: Path) -> None:
    """Neither the settings nor the folder are looked at before the start, where errors are typed."""
    server = SyncServer(tmp_path / "gone.toml", data_dir=tmp_path / "data")

    assert list(tmp_path.iterdir()) == []
    with pytest.raises(InvalidConfig, match=r"gone\.toml"):
        asyncio.run(server.start())
    asyncio.run(server.aclose())


async def test_it_opens_with_its_lifespan_and_closes_with_it(make: Make, tmp_path: Path) -> None:
    """The parent's lifespan opens the file, in a folder of its own, and closes it."""
    server = make()
    parent = Starlette(routes=[Mount("/sync", server)], lifespan=server.lifespan)

    async with parent.router.lifespan_context(parent), client_of(parent) as client:
        assert (await client.get("/sync/healthz")).json() == {"status": "ok"}
        assert (tmp_path / "data" / f"{DATABASE}-wal").exists()

    assert not (tmp_path / "data" / f"{DATABASE}-wal").exists()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def test_the_first_requests_start_it_once(
    make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nobody runs the lifespan, requests that come at once open one file, and the log says so."""
    server = make()

    async with client_of(server) as client:
        answers = await asyncio.gather(*(client.get("/healthz") for _ in range(5)))
        await client.get("/healthz")

    assert {answer.status_code for answer in answers} == {200}
    told = [each for each in caplog.records if each.name == "syncauth.server.sync_server"]
    assert [each.levelno for each in told] == [logging.WARNING]
    await server.aclose()


async def test_a_closed_server_turns_requests_away_until_it_is_started(make: Make) -> None:
    """Late requests do not open the file again; an explicit start does. Closing twice is nothing."""
    server = make()
    async with client_of(server) as client:
        async with server:
            await server.start()
        await server.aclose()

        answer = await client.get("/healthz")
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "1")
        assert answer.json()["error_code"] == "ServerRestarting"
        with pytest.raises(Closed):
            await server.verify("x")

        async with server:
            assert (await client.get("/healthz")).status_code == 200


async def test_a_failed_start_can_be_tried_again(make: Make, tmp_path: Path) -> None:
    """What cannot be opened leaves nothing behind."""
    server = make()
    (tmp_path / "schema.sql").write_text("CREATE TABLE")
    async with client_of(server) as client:
        with pytest.raises(InvalidConfig):
            await client.get("/healthz")
        (tmp_path / "schema.sql").write_text(SCHEMA)
        assert (await client.get("/healthz")).status_code == 200
    await server.aclose()


def test_a_server_belongs_to_its_event_loop(make: Make) -> None:
    """In another loop it says so instead of failing somewhere; closed, it may start in the next."""
    server = make()
    with asyncio.Runner() as first:
        first.run(server.start())
        for call in (server.start, server.aclose, server.drain, lambda: server.verify("x")):
            with pytest.raises(WrongLoop), asyncio.Runner() as second:
                second.run(call())
        first.run(server.aclose())
    with asyncio.Runner() as third:
        third.run(server.start())
        third.run(server.aclose())


def test_a_server_ends_with_its_event_loop(make: Make, tmp_path: Path) -> None:
    """One that a request has started and nobody closed is closed with the loop, and starts again in the next."""
    server = make()

    async def ask() -> int:
        async with client_of(server) as client:
            return (await client.get("/healthz")).status_code

    for _ in range(2):
        assert asyncio.run(ask()) == 200
        assert (tmp_path / "data" / DATABASE).exists()
        assert not (tmp_path / "data" / f"{DATABASE}-wal").exists()


async def test_closing_waits_for_requests_under_way(make: Make) -> None:
    """A call that is being served gets its answer before the file is closed."""
    going, begun = asyncio.Event(), asyncio.Event()

    async def slow(_context: FunctionContext) -> str:
        begun.set()
        await going.wait()
        return "done"

    server = make(functions={"slow": slow})
    async with client_of(server) as client:
        tokens = await server.log_in("ann")
        body = {"name": "slow", "arguments": []}
        place = f"{BASE}/app/test/functions/call"
        headers = bearer(tokens.access_token)
        async with asyncio.TaskGroup() as group:
            call = group.create_task(client.post(place, json=body, headers=headers))
            await begun.wait()
            closing = group.create_task(server.aclose())
            await asyncio.sleep(0)  # a turn in which the closing begins
            assert (await client.get(f"{BASE}/app/test/location")).status_code == 503
            assert not closing.done()
            going.set()

    assert call.result().json() == "done"


async def test_it_speaks_the_lifespan_of_asgi_by_itself(make: Make, tmp_path: Path) -> None:
    """An ASGI server may serve it as it is; a start that fails is told there."""
    said: list[str] = []
    happening = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> Message:
        return {"type": next(happening)}

    async def send(message: Message) -> None:
        said.append(message["type"])

    await make()({"type": "lifespan"}, receive, send)
    assert said == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    broken, happening = SyncServer(tmp_path / "gone.toml", data_dir=tmp_path), iter(["startup"])
    with pytest.raises(InvalidConfig):
        await broken({"type": "lifespan"}, receive, send)
    assert said[-1] == "lifespan.startup.failed"


# --- the parent ----------------------------------------------------------------------------------


async def test_the_location_names_the_mount(make: Make) -> None:
    """Mounts within mounts, and a prefix that a proxy cuts off: clients put the API's path behind it."""
    server = make()
    inner = Starlette(routes=[Mount("/sync", server)])
    parent = Starlette(routes=[Mount("/a", inner), Mount("/sync", server)])
    place = f"{BASE}/app/test/location"

    async def behind_proxy(scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on as uvicorn does with --root-path."""
        await parent(dict(scope, root_path="/p", path="/p" + scope["path"]), receive, send)

    async with server, client_of(parent) as client, client_of(server) as plain:
        for prefix in ("/sync", "/a/sync"):
            told = (await client.get(prefix + place)).json()
            assert told["hostname"] == f"http://host{prefix}"
            assert told["ws_hostname"] == f"ws://host{prefix}"
        assert (await plain.get(place)).json()["hostname"] == "http://host"
        async with client_of(behind_proxy) as outside:
            told = (await outside.get(f"/sync{place}")).json()
            assert told["hostname"] == "http://host/p/sync"


async def test_handlers_and_middleware_of_the_parent(make: Make) -> None:
    """The parent's exception handlers keep to its own routes, its middleware sees everything."""

    async def page(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("the parent's page", 404)

    server = make()
    cors = Middleware(CORSMiddleware, allow_origins=["https://app.example.com"])
    parent = Starlette(
        routes=[Mount("/sync", server)],
        exception_handlers={HTTPException: page},
        middleware=[cors],
    )
    async with server, client_of(parent, headers={"Origin": "https://app.example.com"}) as client:
        inside, outside = await client.get("/sync/nothing"), await client.get("/nothing")

    assert inside.json()["error_code"] == "NotFound"
    assert inside.headers["Access-Control-Allow-Origin"] == "https://app.example.com"
    assert outside.text == "the parent's page"


async def test_a_failure_below_the_mount_is_answered_there(make: Make) -> None:
    """What fails is told in the form of App Services and raised, as Starlette does; no page of the parent is shown."""

    async def page(_request: Request, _error: Exception) -> Response:
        return PlainTextResponse("the parent's page", 500)

    def authenticate(*_given: Any) -> None:
        raise ValueError

    server = make(authenticate=authenticate)
    handlers: dict[Any, Any] = {ValueError: page, Exception: page}
    parent = Starlette(routes=[Mount("/sync", server)], exception_handlers=handlers)
    transport = httpx.ASGITransport(parent, raise_app_exceptions=False)
    async with server, httpx.AsyncClient(transport=transport, base_url="http://host") as client:
        answer = await client.post(f"/sync{LOGIN}", json={})

    assert (answer.status_code, answer.json()["error_code"]) == (500, "InternalServerError")


@pytest.mark.parametrize(
    ("extensions", "denied"),
    [({"websocket.http.response": {}}, 401), ({}, 4401), (None, 4401)],
)
async def test_a_socket_without_a_good_token_is_told_so(
    make: Make, extensions: dict[str, Any] | None, denied: int
) -> None:
    """By the HTTP status, or by the close code where the ASGI server cannot answer with a status."""
    server = make()
    async with server:
        assert await upgrade(server, extensions, [SUBPROTOCOL]) == denied
        assert await upgrade(server, extensions, []) in {denied, 4403}
    assert await upgrade(server, extensions, [SUBPROTOCOL]) == (503 if denied == 401 else 1012)


async def upgrade(
    server: SyncServer, extensions: dict[str, Any] | None, subprotocols: list[str]
) -> int:
    """Ask for a socket with a token of nobody; returns the status, or the close code."""
    told: list[int] = []
    scope = {
        "type": "websocket",
        "path": f"{BASE}/app/test/sync",
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer x")],
        "subprotocols": subprotocols,
    }
    if extensions is not None:
        scope["extensions"] = extensions

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    async def send(message: Message) -> None:
        told.extend(message[name] for name in ("status", "code") if name in message)

    await server(scope, receive, send)
    (only,) = told
    return only


def test_what_is_given_twice_is_refused(make: Make) -> None:
    """Nobody has to guess which one counts."""

    def function(*_given: Any) -> None:
        return None

    extensions = Extensions(functions={"f": function}, authenticate=function)
    for given in ({"functions": {"f": function}}, {"authenticate": function}):
        with pytest.raises(InvalidConfig):
            make(extensions=extensions, **given)
