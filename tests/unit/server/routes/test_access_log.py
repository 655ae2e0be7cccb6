"""The access log tells method, path and status, and can never hold a token or break a line."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from syncauth.server.routes.access_log import LONGEST_PATH, AccessLog


class SteppingClock:
    """A clock that moves by 12 ms with every reading."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> float:
        self.seconds += 0.012
        return self.seconds

    def wall(self) -> float:
        return self.seconds


def pass_through(scope: dict[str, Any], answer: list[Message], *, fail: bool = False) -> list[str]:
    """Send the answer through the log; returns what reached the client, by type."""
    sent: list[str] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        for message in answer:
            await send(message)
        if fail:
            what = "broken"
            raise RuntimeError(what)

    async def receive() -> Message:
        return {}

    async def send(message: Message) -> None:
        sent.append(message["type"])

    asyncio.run(AccessLog(app, SteppingClock())(scope, receive, send))
    return sent


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What was logged."""
    caplog.set_level(logging.INFO, "syncauth.server.access")
    return caplog


def test_request_is_one_line_without_query(lines: pytest.LogCaptureFixture) -> None:
    """A request is logged with its status, its duration and its path, without its query (I10)."""
    scope = {
        "type": "http",
        "method": "GET",
        "path": "/functions/call",
        "query_string": b"baas_at=secret-token",
        "headers": [(b"authorization", b"Bearer secret-token")],
    }
    sent = pass_through(
        scope, [{"type": "http.response.start", "status": 401}, {"type": "http.response.body"}]
    )

    assert sent == ["http.response.start", "http.response.body"]
    assert lines.messages == ["GET '/functions/call' 401 12 ms"]


def test_socket_is_one_line_at_its_end(lines: pytest.LogCaptureFixture) -> None:
    """A socket that was accepted is logged as 101, a refused one with the status of its refusal."""
    scope = {"type": "websocket", "path": "/sync"}
    pass_through(scope, [{"type": "websocket.accept"}, {"type": "websocket.close"}])
    pass_through(scope, [{"type": "websocket.http.response.start", "status": 403}])

    assert lines.messages == ["WEBSOCKET '/sync' 101 12 ms", "WEBSOCKET '/sync' 403 12 ms"]


def test_path_cannot_forge_a_line(lines: pytest.LogCaptureFixture) -> None:
    """Line breaks and escapes in a path are shown, not obeyed, and a long path is cut."""
    path = "/a\nGET /b 200\x1b[2J" + "x" * 1000

    pass_through({"type": "http", "method": "GET", "path": path}, [])

    (line,) = lines.messages
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < LONGEST_PATH + 50


def test_failure_is_logged_and_passed_on(lines: pytest.LogCaptureFixture) -> None:
    """A request that fails is logged all the same, and the failure goes on its way."""
    with pytest.raises(RuntimeError, match="broken"):
        pass_through({"type": "http", "method": "GET", "path": "/"}, [], fail=True)

    assert lines.messages == ["GET '/' 0 12 ms"]


def test_start_and_stop_of_the_application_pass_unlogged(lines: pytest.LogCaptureFixture) -> None:
    """The lifespan is no request."""
    assert pass_through({"type": "lifespan"}, [{"type": "lifespan.startup.complete"}]) == [
        "lifespan.startup.complete"
    ]
    assert lines.messages == []
