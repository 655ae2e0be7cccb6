"""A server that is told to end lets go of everybody in good order, and nothing is lost by it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from syncauth.sansio.messages import (
    BatchMark,
    Goodbye,
    PushResult,
    Section,
    digest_of,
    encode_sections,
)
from tests.integration.operations.conftest import BASE, SECONDS, LoggedServer, Serve, until
from tests.support.socket_device import Account, SocketDevice, open_socket, rows_of

DEVICES, BATCHES, ROWS = 50, 6, 20
DRAIN = "[drain]\nseconds = {}\nreconnects_per_second = 200\n"


@pytest.fixture
def callers() -> Iterator[ThreadPoolExecutor]:
    """Threads for calls that wait."""
    with ThreadPoolExecutor(4) as threads:
        yield threads


class Writer:
    """A device that has so much to push, and pushes again what was not judged before its socket ended."""

    def __init__(self, account: Account, number: int) -> None:
        self.account = account
        self.number = number
        self.device = f"{number:016x}"
        self.sent = 0
        self.judged = 0
        self.retry_after = 0
        self.batches: list[Section] = []
        self.pushed = asyncio.Event()

    def keys(self) -> set[str]:
        """The ids of all its rows."""
        return {f"{self.number}-{batch}-{row}" for batch in range(BATCHES) for row in range(ROWS)}

    async def open(self, stack: AsyncExitStack, connection: int) -> None:
        """Open a socket and take up where the server is."""
        socket = await stack.enter_async_context(open_socket(self.account.url, self.account.access))
        self.socket = SocketDevice(socket, self.account, self.device)
        welcome = await self.socket.greet(connection=connection, highest=self.highest())
        self.device = welcome.device
        self.judged = welcome.last
        if not self.batches:
            self.batches = [
                self.socket.insert(
                    *((f"{self.number}-{batch}-{row}", "text") for row in range(ROWS))
                )
                for batch in range(BATCHES)
            ]

    def highest(self) -> BatchMark | None:
        """Name the highest batch that was sent: what becomes of it is not known here."""
        if not self.sent:
            return None
        return BatchMark(self.sent, digest_of(encode_sections([self.batches[self.sent - 1]])))

    async def push(self) -> bool:
        """Push with two batches on their way; True when all are judged, False when sent away."""
        sent = self.judged
        while self.judged < BATCHES:
            while sent < min(BATCHES, self.judged + 2):
                sent += 1
                self.sent = max(sent, self.sent)
                # The server may have closed already; its goodbye waits to be heard.
                with contextlib.suppress(ConnectionClosed):
                    await self.socket.push(self.batches[sent - 1], batch=sent)
            self.pushed.set()
            message = await self.socket.hear()
            if isinstance(message, PushResult):
                self.judged = message.result.batch
            elif isinstance(message, Goodbye):
                assert message.code == "server_restarting"
                self.retry_after = message.retry_after or 0
                return False
        return True

    async def wait_goodbye(self) -> None:
        """Hear the goodbye of a server that ends."""
        self.retry_after = (await self.socket.hear_a(Goodbye)).retry_after or 0


async def test_pushes_in_flight_survive_a_drain(serve: Serve, tmp_path: Path) -> None:
    """I1, I2: 50 sockets push while the server ends; all come back to the next one and nothing is lost or doubled."""
    first = serve(settings=DRAIN.format(20))
    account = Account.log_in_anonymously(first.url)
    writers = [Writer(account, number) for number in range(DEVICES)]
    async with AsyncExitStack() as sockets:
        await asyncio.gather(*(each.open(sockets, 1) for each in writers))
        pushing = [asyncio.ensure_future(each.push()) for each in writers]
        await asyncio.gather(*(each.pushed.wait() for each in writers[:5]))
        first.terminate()
        done = await asyncio.gather(*pushing)
        done_early = [each for each, all_judged in zip(writers, done, strict=True) if all_judged]
        await asyncio.gather(*(each.wait_goodbye() for each in done_early))
    assert await asyncio.to_thread(first.ended) == 0
    waits = sorted(each.retry_after for each in writers)
    second = await asyncio.to_thread(lambda: serve(port=first.port))
    async with AsyncExitStack() as sockets:
        await asyncio.gather(*(each.open(sockets, 2) for each in writers))
        assert all(await asyncio.gather(*(each.push() for each in writers)))

    assert second.url == first.url
    assert len(done_early) < DEVICES  # else nothing was on its way
    # One after the other they were asked to come back: 200 in a second.
    assert waits == [1000 + 5 * place for place in range(DEVICES)]
    ids = [key for _, key, _ in rows_of(tmp_path)]
    assert len(ids) == len(set(ids))
    assert set(ids) == set().union(*(each.keys() for each in writers))


def test_what_is_under_way_ends_and_nothing_new_begins(
    serve: Serve, tmp_path: Path, callers: ThreadPoolExecutor
) -> None:
    """While a call goes on new ones are answered 503, the process is alive but not ready; then it ends with 0."""
    server = serve(settings=DRAIN.format(60))
    account = Account.log_in_anonymously(server.url)
    go_on = tmp_path / "go-on"
    assert httpx.get(f"{server.url}/readyz").json() == {"status": "ok"}
    call = callers.submit(server.call, account.access, "wait", str(go_on))
    until((tmp_path / "go-on.begun").exists)

    server.terminate()
    until(lambda: is_draining(server))
    refused = httpx.get(f"{server.url}{BASE}/auth/profile")
    upgrade = asyncio.run(refused_upgrade(account))
    alive = httpx.get(f"{server.url}/healthz")
    assert server.process.poll() is None
    go_on.touch()

    assert call.result().json() == "waited"
    assert server.ended() == 0
    assert server.log().count("ending: 1 requests are under way") == 1
    assert server.log().count("ending: ") == 1
    assert alive.status_code == 200
    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert refused.json()["error_code"] == "ServerRestarting"
    assert upgrade == (503, "1")


async def refused_upgrade(account: Account) -> tuple[int, str]:
    """Try to open a socket; returns status and Retry-After of the refusal."""
    with pytest.raises(InvalidStatus) as upgrade:
        await open_socket(account.url, account.access)
    response = upgrade.value.response
    return response.status_code, response.headers["Retry-After"]


@pytest.mark.parametrize("case", ["the limit", "a second signal"])
def test_what_never_ends_is_cut(
    serve: Serve, tmp_path: Path, callers: ThreadPoolExecutor, case: str
) -> None:
    """A call that does not end is waited for until the limit, or until a second SIGTERM; the exit code is 0."""
    limits = "[limits]\nfunction_seconds = 600\n"
    server = serve(settings=limits + DRAIN.format(1 if case == "the limit" else 600))
    account = Account.log_in_anonymously(server.url)
    call = callers.submit(server.call, account.access, "wait", str(tmp_path / "never"))
    until((tmp_path / "never.begun").exists)

    server.terminate()
    until(lambda: is_draining(server))
    if case == "a second signal":
        server.terminate()

    assert server.ended(10) == 0
    assert "1 requests are cut" in server.log()
    assert call.exception() is not None or call.result().status_code >= 500


def is_draining(server: LoggedServer) -> bool:
    """Tell whether a server takes nothing new any more, or has ended."""
    try:
        return httpx.get(f"{server.url}/readyz").status_code == 503
    except httpx.TransportError:
        return True


def test_a_stream_gets_its_time(serve: Serve, tmp_path: Path, callers: ThreadPoolExecutor) -> None:
    """A function that is streamed ends by itself while the server drains, and its events arrive."""
    server = serve(settings=DRAIN.format(60))
    account = Account.log_in_anonymously(server.url)
    go_on = tmp_path / "go-on"
    call = callers.submit(server.stream, account.access, "wait", str(go_on))
    until((tmp_path / "go-on.begun").exists)
    server.terminate()
    until(lambda: is_draining(server))
    go_on.touch()

    assert call.result(SECONDS).text == 'data: "waited"\n\n'
    assert server.ended() == 0
