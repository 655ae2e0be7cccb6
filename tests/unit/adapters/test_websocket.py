"""Sync sockets against a real websockets server, and against servers that are none."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request as Upgrade, Response

from syncauth.adapters.websocket import LONGEST_FRAME_BYTES, WebSocketLink, WebSocketTransport
from syncauth.config import AppConfig
from syncauth.errors import InsecureServer
from syncauth.interfaces import ConnectionLost, SyncTransport
from syncauth.models import Secret
from tests.support.odd_server import (
    OddServer,
    Reply,
    Request,
    answer,
    hang_up,
    jwt,
    portal,
    reset,
    silence,
    then_close,
)
from tests.unit.adapters.conftest import Configure

PATH = "/api/client/v2.0/app/field-notes/sync"
TOKEN = Secret(jwt("access"))
Talk = Callable[[ServerConnection], Awaitable[None]]


class SyncServer:
    """A real server; `talk` is what it does with an open socket."""

    def __init__(self) -> None:
        self.talk: Talk = ServerConnection.wait_closed
        self.upgrades: list[Upgrade] = []
        self.closed: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()
        self.subprotocols: list[Any] | None = ["syncauth.v1"]

    async def start(self, **settings: Any) -> None:
        """Listen on loopback."""
        self._server: Server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self._note,
            select_subprotocol=self._select,
            max_size=None,
            **settings,
        )
        port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"{'https' if 'ssl' in settings else 'http'}://localhost:{port}"

    async def stop(self) -> None:
        """End every connection."""
        self._server.close()
        await self._server.wait_closed()

    def _note(self, _connection: ServerConnection, upgrade: Upgrade) -> Response | None:
        self.upgrades.append(upgrade)
        return None

    def _select(self, _connection: ServerConnection, offered: Any) -> Any:
        known = [one for one in self.subprotocols or () if one in offered]
        return known[0] if known else None

    async def _serve(self, connection: ServerConnection) -> None:
        try:
            await self.talk(connection)
        finally:
            await connection.wait_closed()
            self.closed.put_nowait((connection.close_code, connection.close_reason))


@pytest.fixture
async def sync() -> AsyncIterator[SyncServer]:
    """A server that keeps sockets open until the other side closes."""
    server = SyncServer()
    await server.start()
    yield server
    await server.stop()


@pytest.fixture
def transport(sync: SyncServer, configure: Configure) -> WebSocketTransport:
    """A transport to the real server."""
    return WebSocketTransport(configure(base_url=sync.url))


async def failure(config: AppConfig, **more: Any) -> ConnectionLost:
    """Return how an attempt failed."""
    with pytest.raises(ConnectionLost) as raised:
        await WebSocketTransport(config, **more).connect(TOKEN)
    return raised.value


# --- opening -------------------------------------------------------------------------------------


async def test_the_token_travels_in_the_header_alone(
    sync: SyncServer, transport: SyncTransport
) -> None:
    """Never in the URL; one subprotocol and no extension are offered (I10)."""
    link = await transport.connect(TOKEN)
    (upgrade,) = sync.upgrades
    assert upgrade.headers["Authorization"] == f"Bearer {TOKEN.reveal()}"
    assert upgrade.headers["Sec-WebSocket-Protocol"] == "syncauth.v1"
    assert "Sec-WebSocket-Extensions" not in upgrade.headers
    assert upgrade.path == PATH
    await link.aclose(1000, "done")


async def test_the_token_is_forgotten_after_the_upgrade(transport: WebSocketTransport) -> None:
    """A socket outlives its first token by hours and must not keep it."""
    link = await transport.connect(TOKEN)
    request = link._connection.request
    assert request is not None
    assert "Sec-WebSocket-Key" in request.headers
    assert "Authorization" not in request.headers
    await link.aclose(1000, "done")


@pytest.mark.parametrize("offered", [None, ["syncauth.v0"]])
async def test_a_server_without_the_subprotocol_is_none_of_ours(
    sync: SyncServer, configure: Configure, offered: list[str] | None
) -> None:
    """Whatever it speaks, it is not this protocol; the socket does not stay open."""
    sync.subprotocols = offered
    lost = await failure(configure(base_url=sync.url))
    assert (lost.kind, lost.code, lost.status) == ("handshake", None, None)
    async with asyncio.timeout(5):
        assert (await sync.closed.get())[0] == 1002


async def test_a_subprotocol_that_was_not_offered_is_refused(
    odd: OddServer, configure: Configure
) -> None:
    """The server may choose among what was offered only (RFC 6455 section 4.1)."""
    odd.reply(PATH, upgrading("syncauth.v2"))
    assert (await failure(configure())).kind == "handshake"


@pytest.mark.parametrize("status", [200, 301, 302, 307, 308, 400, 401, 403, 404, 426, 429, 503])
async def test_a_refused_upgrade_tells_its_status_and_is_not_tried_again(
    odd: OddServer, other: OddServer, configure: Configure, status: int
) -> None:
    """One call is one connection; a redirect does not show the token to anybody else (I10)."""
    odd.reply(PATH, answer(status, Location=f"{other.url}{PATH}"))
    lost = await failure(configure())
    assert (lost.kind, lost.code, lost.status) == ("handshake", None, status)
    assert (odd.opened, other.opened) == (1, 0)


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (portal(101), "handshake"),
        (then_close(b"220 mail.example.com ESMTP\r\n"), "handshake"),
        (then_close(b"HTTP/1.1 101 Switching Protocols\r\n\r\n"), "handshake"),
        (then_close(b"HTTP/1.1 101 Switch"), "network"),
        (hang_up, "network"),
        (reset, "network"),
        (silence, "timeout"),
    ],
)
async def test_an_upgrade_that_is_not_answered_rightly_names_its_kind(
    odd: OddServer, configure: Configure, reply: Reply, kind: str
) -> None:
    """Answers that are none, half ones and silence."""
    odd.reply(PATH, reply)
    lost = await failure(configure(connect_timeout=0.5))
    assert (lost.kind, lost.code, lost.status) == (kind, None, None)
    await odd.wait(lambda: len(odd.closed) == odd.opened == 1)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_nobody_listening_is_refused(configure: Configure, host: str) -> None:
    """With one address or with several."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        lost = await failure(configure(base_url=f"http://{host}:{port}"))
    assert lost.kind == "refused"


async def test_a_name_that_is_not_found_is_dns(
    configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look-up fails, or the name cannot even be looked up."""

    async def unknown(*_arguments: Any, **_named: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    assert (await failure(configure(base_url=f"http://{'a' * 64}.localhost:9"))).kind == "dns"
    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", unknown)
    assert (await failure(configure(base_url="http://nowhere.localhost:9"))).kind == "dns"


async def test_a_certificate_that_is_not_trusted_gets_no_token(
    configure: Configure, contexts: Any
) -> None:
    """Over TLS a server is believed only with a certificate that this machine trusts."""
    server, trusting = contexts
    sync = SyncServer()
    await sync.start(ssl=server)
    config = configure(base_url=sync.url)
    assert (await failure(config)).kind == "tls"
    assert not sync.upgrades
    link = await WebSocketTransport(config, tls=trusting).connect(TOKEN)
    await link.send(b"{}")
    await link.aclose(1000, "done")
    await sync.stop()


async def test_a_server_without_tls_gets_no_token(configure: Configure) -> None:
    """Nothing is sent in clear text where https was asked for."""
    got: asyncio.Queue[bytes] = asyncio.Queue()

    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        beginning = await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.write_eof()
        got.put_nowait(beginning + await reader.read())
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        lost = await failure(configure(base_url=f"https://localhost:{port}"))
        async with asyncio.timeout(5):
            assert b"Bearer" not in await got.get()
    assert lost.kind == "tls"


async def test_proxies_of_the_environment_are_not_used(
    sync: SyncServer,
    other: OddServer,
    transport: WebSocketTransport,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A proxy variable would carry the token of a loopback server away (I10)."""
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "ws_proxy", "socks_proxy"):
        monkeypatch.setenv(name, other.url)
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    link = await transport.connect(TOKEN)
    await link.aclose(1000, "done")
    assert len(sync.upgrades) == 1
    assert not other.opened


async def test_the_address_is_asked_for_anew_after_a_failure(
    sync: SyncServer, odd: OddServer, configure: Configure
) -> None:
    """A server that moved is found again; one that answers is not asked where it lives."""
    asked: list[bool] = []
    addresses = [f"ws{odd.url[4:]}{PATH}", *[f"ws{sync.url[4:]}{PATH}"] * 2]

    async def locate(again: bool) -> str:
        asked.append(again)
        return addresses[len(asked) - 1]

    transport = WebSocketTransport(configure(), locate=locate)
    with pytest.raises(ConnectionLost):
        await transport.connect(TOKEN)
    for _ in range(2):
        link = await transport.connect(TOKEN)
        await link.aclose(1000, "done")
    assert asked == [False, True, False]


async def test_an_address_that_is_refused_opens_nothing(configure: Configure) -> None:
    """Where tokens must not go, none is sent; why is told."""

    async def locate(again: bool) -> str:
        raise InsecureServer(f"refused, again={again}")

    lost = await failure(configure(), locate=locate)
    assert (lost.kind, lost.why) == ("handshake", "refused, again=False")


async def test_a_cancelled_attempt_leaves_no_connection(
    odd: OddServer, configure: Configure
) -> None:
    """The engine may no longer want a socket that is being opened."""
    odd.reply(PATH, silence)
    async with asyncio.TaskGroup() as group:
        attempt = group.create_task(WebSocketTransport(configure()).connect(TOKEN))
        await odd.wait(lambda: bool(odd.requests))
        attempt.cancel()
    await odd.wait(lambda: odd.closed == [1])


# --- frames --------------------------------------------------------------------------------------


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


# --- the end -------------------------------------------------------------------------------------


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


# --- logs ----------------------------------------------------------------------------------------


async def test_no_log_and_no_error_holds_a_token(
    sync: SyncServer,
    odd: OddServer,
    configure: Configure,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Neither the upgrade's header nor a frame that renews a token is written (I10)."""
    for name in (None, "websockets", "websockets.client", "syncauth.websocket", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    logging.getLogger("websockets.server").setLevel(logging.WARNING)
    transport = WebSocketTransport(configure(base_url=sync.url))
    shown = [repr(transport)]
    newer = jwt("newer")
    link = await transport.connect(TOKEN)
    await link.send(newer.encode())
    await link.aclose(1000, "done")
    shown.append(repr(link))
    for reply in (answer(401), reset, silence, then_close(b"junk")):
        odd.reply(PATH, reply)
        lost = await failure(configure(connect_timeout=0.2))
        shown.append("".join(traceback.format_exception(lost)))
    text = "\n".join([*shown, caplog.text])
    for token in (TOKEN.reveal(), newer):
        assert token[:40] not in text
        assert token[-40:] not in text


# --- helpers -------------------------------------------------------------------------------------


def upgrading(subprotocol: str, *, then: bytes = b"", reads: bool = True) -> Reply:
    """Grant an upgrade by hand (RFC 6455 section 4.2.2), and never close."""

    async def grant(request: Request, writer: asyncio.StreamWriter) -> None:
        key = request.headers["sec-websocket-key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324
        head = [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Accept: {accept}",
            f"Sec-WebSocket-Protocol: {subprotocol}",
        ]
        writer.write("\r\n".join([*head, "", ""]).encode() + then)
        if not reads:
            writer.transport.pause_reading()

    return grant


async def until_stuck(link: WebSocketLink, filling: asyncio.Task[ConnectionLost]) -> None:
    """Wait until the buffers of both sides are full, so that a sender has to wait."""
    transport = link._connection.transport
    high = transport.get_write_buffer_limits()[1]
    while transport.get_write_buffer_size() <= high:
        assert not filling.done()
        await asyncio.sleep(0)
