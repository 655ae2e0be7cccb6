"""The endpoint of the sync socket over ASGI: what a device that does not read costs, its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from starlette.types import Message

from syncauth.sansio import messages
from syncauth.server.hub import inputs, socket as sync_socket
from syncauth.server.hub.socket import (
    UNSENT_BYTES,
    UNSENT_MESSAGES,
    Outgoing,
    SyncEndpoint,
    largest_frame,
)
from syncauth.server.stores.rows_interface import PageLimits
from tests.support.hub_bench import SECONDS, Bench, open_bench
from tests.support.hub_story import NOTES, hello

CHANGES = messages.Changes({"user:ann": 1}, 0, 1, complete=True, sections=msgspec.Raw(b"[]"))
CHECKPOINT = messages.Checkpoint({"user:ann": 1}, 1)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A hub over real stores."""
    with open_bench(tmp_path) as bench:
        yield bench


class Line:
    """The two ends of an ASGI WebSocket, the device's held by the test."""

    def __init__(self, bench: Bench) -> None:
        self.received: asyncio.Queue[Message] = asyncio.Queue()
        self.received.put_nowait({"type": "websocket.connect"})
        self.sent: list[Message] = []
        self.read = 0
        self.takes = asyncio.Event()
        self.takes.set()
        self._moved = asyncio.Event()
        token = bench.issuer.access_token(bench.session, now=bench.clock.wall(), life=60)
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": "/",
            "path_params": {"app_id": bench.config.app_id},
            "headers": [(b"authorization", f"Bearer {token.text.reveal()}".encode())],
            "query_string": b"",
            "subprotocols": [messages.SUBPROTOCOL],
        }
        self._endpoint = SyncEndpoint(
            bench.config, issuer=bench.issuer, clock=bench.clock, driver=bench.driver
        )

    async def serve(self) -> None:
        """Run the endpoint to its end."""
        await self._endpoint.route().app(self.scope, self._receive, self.send)

    def say(self, message: messages.ClientMessage) -> None:
        """Put a frame on the line."""
        text = messages.encode(message).decode()
        self.received.put_nowait({"type": "websocket.receive", "text": text})

    async def _receive(self) -> Message:
        message = await self.received.get()
        self.read += 1
        self._moved.set()
        return message

    async def send(self, message: Message) -> None:
        """Take what the server sends, when the device takes anything."""
        await self.takes.wait()
        self.sent.append(message)
        self._moved.set()

    async def wait_sent(self, count: int) -> None:
        """Wait until so many messages were taken."""
        async with asyncio.timeout(SECONDS):
            while len(self.sent) < count:
                self._moved.clear()
                await self._moved.wait()


async def write_rows(bench: Bench, rows: list[list[str]]) -> None:
    """Let another device of ann's write rows of id and text."""
    socket, heard = bench.open()
    changes = [[key, place, 1, None, text] for place, (key, text) in enumerate(rows)]
    sections = messages.encode_sections([messages.Section("notes", "insert", changes, ["text"])])
    bench.driver.post(inputs.MessageReceived(socket, hello(device="c" * 16)))
    await heard.wait(messages.Checkpoint)
    push = messages.Push(1, 0, msgspec.Raw(sections))
    bench.driver.post(inputs.MessageReceived(socket, push))
    await heard.wait(messages.PushResult)
    bench.driver.closed(socket)


async def test_device_that_does_not_read_is_not_read_from(bench: Bench) -> None:
    """With messages waiting to be sent no further frame is read: nothing grows at the server."""
    line = Line(bench)
    serving = asyncio.ensure_future(line.serve())  # noqa: TID251
    line.say(hello())
    await line.wait_sent(3)  # accept, welcome, checkpoint
    line.takes.clear()
    for _ in range(10 * UNSENT_MESSAGES):
        line.say(messages.Renew("no token"))  # each is answered by an error

    # The store's line is served in order: when it has come round, the reader has long stopped.
    for _ in range(20):
        await bench.thread.run(bench.accounts.ping)
    stopped = line.read
    line.takes.set()
    await line.wait_sent(3 + 10 * UNSENT_MESSAGES)
    line.received.put_nowait({"type": "websocket.disconnect", "code": 1000})
    async with asyncio.timeout(SECONDS):
        await serving

    assert stopped <= UNSENT_MESSAGES + 4
    assert line.read == 3 + 10 * UNSENT_MESSAGES


async def test_room_is_counted_in_bytes_too() -> None:
    """A few large messages are as much as many small ones; what is dropped at a close counts no more."""
    outgoing = Outgoing()
    page = msgspec.Raw(json.dumps("x" * UNSENT_BYTES).encode())
    large = messages.Changes({}, 0, 1, complete=True, sections=page)

    outgoing.send(CHECKPOINT)
    await outgoing.wait_room()
    small = outgoing.unsent_bytes
    outgoing.send(large)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await outgoing.wait_room()
    outgoing.close(4401, "session_revoked")

    assert outgoing.unsent_bytes == small


async def test_device_that_confirms_what_it_never_took_is_not_sent_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may say that it received any version: no more than the bound and two pages ever wait for it."""
    made: list[Outgoing] = []

    class Watched(Outgoing):
        def __init__(self) -> None:
            super().__init__()
            made.append(self)

    monkeypatch.setattr(sync_socket, "Outgoing", Watched)
    await write_rows(bench, [[f"{place}", "x" * 900_000] for place in range(24)])
    line = Line(bench)
    serving = asyncio.ensure_future(line.serve())  # noqa: TID251
    line.say(hello())
    await line.wait_sent(3)  # accept, welcome, the first page
    line.takes.clear()
    for _ in range(50):
        line.say(messages.Received({"user:ann": 2**62}, 0))
        await bench.thread.run(bench.accounts.ping)
    (outgoing,) = made
    waiting, stopped = outgoing.unsent_bytes, line.read
    line.received.put_nowait({"type": "websocket.disconnect", "code": 1000})
    line.takes.set()
    async with asyncio.timeout(SECONDS):
        await serving

    assert UNSENT_BYTES <= waiting <= UNSENT_BYTES + 2 * PageLimits().size
    assert stopped < 20


async def test_close_that_is_not_taken_is_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device that takes nothing cannot keep a revoked socket: after a limit it is let go."""
    monkeypatch.setattr(sync_socket, "SECONDS_TO_CLOSE", 0.05)
    line = Line(bench)
    serving = asyncio.ensure_future(line.serve())  # noqa: TID251
    line.say(hello())
    await line.wait_sent(3)
    line.takes.clear()

    await bench.thread.run(bench.accounts.revoke_session, "session", bench.clock.wall())
    bench.driver.revoked(["session"])
    async with asyncio.timeout(SECONDS):
        await serving

    assert len(line.sent) == 3


async def test_pages_that_wait_are_not_sent_after_the_end(bench: Bench) -> None:
    """A close is told after what was said; pages are data: those not sent yet never are (I3)."""
    line, outgoing = Line(bench), Outgoing()
    for message in (CHECKPOINT, CHANGES, messages.Error("session_revoked", "", "relogin")):
        outgoing.send(message)
    outgoing.close(4401, "session_revoked")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(None) as limit:
            outgoing.begin(line.send, limit)
            await line.received.join()  # no end but that of the limit
    await outgoing.end()

    frames = [each["text"] for each in line.sent if each["type"] == "websocket.send"]
    assert [messages.decode_from_server(each).__class__ for each in frames] == [
        messages.Checkpoint,
        messages.Error,
    ]
    assert line.sent[-1] == {
        "type": "websocket.close",
        "code": 4401,
        "reason": "session_revoked",
    }


async def test_frame_of_the_largest_size_is_read(bench: Bench) -> None:
    """A full batch with its overhead fits; the limit counts bytes, not characters."""
    line = Line(bench)
    serving = asyncio.ensure_future(line.serve())  # noqa: TID251
    limit = largest_frame(bench.config.limits)
    text = messages.encode(hello()).decode()
    fits = text + " " * (limit - len(text))
    wide = messages.encode(messages.Subscribe([NOTES])).decode() + "\u00a0" * (limit // 2)
    line.received.put_nowait({"type": "websocket.receive", "text": fits})
    await line.wait_sent(3)
    line.received.put_nowait({"type": "websocket.receive", "text": wide})
    async with asyncio.timeout(SECONDS):
        await serving

    error = messages.decode_from_server(line.sent[-2]["text"])
    assert isinstance(error, messages.Error)
    assert error.code == "message_too_big"
    assert line.sent[-1]["code"] == 1009


def _with(field: str, value: object) -> str:
    """Return a hello with one field replaced, as text."""
    return json.dumps({**json.loads(messages.encode(hello())), field: value})


ODD_FRAMES = {
    "upper case": _with("device", "A" * 16),
    "beyond sqlite": _with("fencing", 2**63),
    "beyond sqlite, within": _with("checkpoints", {"user:ann": 2**64}),
    "negative": _with("connection", -1),
    "surrogate": "\ud800" + _with("fencing", 1),
    "escaped surrogate": _with("incarnation", "\ud800"),
    "escaped surrogates": _with("checkpoints", {"\udc00\ud800": 1}),
}


@pytest.mark.parametrize("frame", ODD_FRAMES.values(), ids=ODD_FRAMES)
async def test_what_cannot_be_stored_ends_its_own_socket_alone(bench: Bench, frame: str) -> None:
    """It is a bad message before anything is written; the device on another socket goes on."""
    odd, fine = Line(bench), Line(bench)
    serving = [asyncio.ensure_future(line.serve()) for line in (odd, fine)]  # noqa: TID251
    odd.received.put_nowait({"type": "websocket.receive", "text": frame})
    async with asyncio.timeout(SECONDS):
        await serving[0]
    stored = await bench.thread.run(bench.connection.execute, "SELECT count(*) FROM _sync_devices")
    fine.say(hello())
    await fine.wait_sent(3)
    fine.received.put_nowait({"type": "websocket.disconnect", "code": 1000})
    async with asyncio.timeout(SECONDS):
        await serving[1]

    error = messages.decode_from_server(odd.sent[-2]["text"])
    assert isinstance(error, messages.Error)
    assert error.code == "bad_message"
    assert odd.sent[-1]["code"] == 4403
    assert stored.fetchone() == (0,)
    assert isinstance(messages.decode_from_server(fine.sent[1]["text"]), messages.Welcome)


@pytest.mark.parametrize("number", [-(2**63), -1, 2**63, 2**64, 10**40])
@pytest.mark.parametrize("place", [1, 2], ids=["entry", "hlc"])
async def test_odd_number_in_a_row_ends_its_own_socket_alone(
    bench: Bench, number: int, place: int
) -> None:
    """Entries and HLCs are counted with, too: others than 0 to 2**63 - 1 are a bad message."""
    line = Line(bench)
    serving = asyncio.ensure_future(line.serve())  # noqa: TID251
    row: list[object] = ["1", 1, 1, None, "text"]
    row[place] = number
    section = messages.Section("notes", "insert", [row], ["text"])
    line.say(hello())
    await line.wait_sent(3)
    line.say(messages.Push(1, 0, msgspec.Raw(messages.encode_sections([section]))))
    async with asyncio.timeout(SECONDS):
        await serving

    error = messages.decode_from_server(line.sent[-2]["text"])
    assert isinstance(error, messages.Error)
    assert error.code == "bad_message"
    assert line.sent[-1]["code"] == 4403


async def test_failure_in_writing_ends_the_socket_and_is_raised(bench: Bench) -> None:
    """A fault of the server is not hidden by a device that says nothing; a device that is gone is no fault."""
    for fault, raised in ((ValueError("a fault"), True), (ConnectionResetError("gone"), False)):
        line, outgoing = Line(bench), Outgoing()

        async def fail(message: Message, fault: Exception = fault) -> None:
            raise fault

        outgoing.send(CHECKPOINT)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None) as limit:
                outgoing.begin(fail, limit)
                await line.received.join()
        with pytest.raises(ValueError, match="a fault") if raised else contextlib.nullcontext():
            await outgoing.end()


async def test_idle_socket_keeps_neither_task_nor_headers(bench: Bench) -> None:
    """What only the upgrade or a message needed is let go of, the token first of all (I10)."""
    line = Line(bench)
    before = asyncio.all_tasks()
    serving = asyncio.ensure_future(line.serve())  # noqa: TID251
    line.say(hello())
    await line.wait_sent(3)
    await bench.thread.run(bench.accounts.ping)  # the loop has turned: the writer has ended

    assert asyncio.all_tasks() - before == {serving}
    assert line.scope["headers"] == []
    line.received.put_nowait({"type": "websocket.disconnect", "code": 1000})
    async with asyncio.timeout(SECONDS):
        await serving


async def test_a_close_may_meet_the_end_of_a_socket() -> None:
    """Whose writing has failed may be closed before its reading has ended: nothing is raised in the hub."""
    outgoing, ended = Outgoing(), asyncio.Event()

    async def fail(_message: Message) -> None:
        raise ConnectionResetError

    async def serve() -> None:
        async with asyncio.timeout(None) as limit:
            outgoing.begin(fail, limit)
            outgoing.send(CHECKPOINT)
            try:
                await ended.wait()
            finally:  # the limit has fired; the hub does not know yet
                outgoing.send(CHECKPOINT)
                outgoing.close(4401, "token")

    with pytest.raises(TimeoutError):
        await serve()
    await outgoing.end()
