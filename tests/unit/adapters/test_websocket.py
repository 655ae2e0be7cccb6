"""Opening sync sockets to a real websockets server, and to servers that are none."""

from __future__ import annotations

import asyncio
import logging
import socket
import traceback
from typing import Any

import pytest

from syncauth.adapters.websocket import WebSocketTransport
from syncauth.config import AppConfig
from syncauth.errors import InsecureServer
from syncauth.interfaces import ConnectionLost, SyncTransport
from tests.support.odd_server import (
    OddServer,
    Reply,
    answer,
    hang_up,
    jwt,
    portal,
    reset,
    silence,
    then_close,
)
from tests.support.sync_server import PATH, TOKEN, SyncServer, upgrading
from tests.unit.adapters.conftest import Configure


async def failure(config: AppConfig, **more: Any) -> ConnectionLost:
    """Return how an attempt failed."""
    with pytest.raises(ConnectionLost) as raised:
        await WebSocketTransport(config, **more).connect(TOKEN)
    return raised.value


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
    assert lost.retry_after is None
    assert (odd.opened, other.opened) == (1, 0)


@pytest.mark.parametrize(("told", "seconds"), [("30", 30.0), ("soon", None), ("9" * 40, 3600.0)])
async def test_a_refused_upgrade_tells_when_to_come_back(
    odd: OddServer, configure: Configure, told: str, seconds: float | None
) -> None:
    """Retry-After is heeded, bounded, and what cannot be read counts as absent."""
    odd.reply(PATH, answer(429, **{"Retry-After": told}))
    assert (await failure(configure())).retry_after == seconds


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
    lost = await failure(configure(connect_timeout=1.0))
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
