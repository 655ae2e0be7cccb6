"""Every request has its id, its line, its counts; no line holds a token or can be forged."""

from __future__ import annotations

import asyncio
import logging
import re
from typing import Any

import pytest

from syncauth.server.operations.logs import FIELDS, JsonLines
from syncauth.server.operations.requests import LONGEST_PATH
from syncauth.server.operations.tracing import NoTracing
from tests.support.watched import LOGIN, Watched, header, lines_of, scripted


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What was logged."""
    caplog.set_level(logging.INFO, "syncauth.server.access")
    return caplog


def told(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a line carries beside its message."""
    fields: dict[str, Any] = getattr(record, FIELDS)
    return fields


def test_request_is_one_line_without_query(lines: pytest.LogCaptureFixture) -> None:
    """A request is logged with its status, its duration and its path, without its query (I10)."""
    Watched().ask("/hello/you", authorization="Bearer secret-token")

    line = lines.records[-1]
    assert line.getMessage() == "GET '/hello/you' 200 12 ms"
    assert told(line) == {
        "method": "GET",
        "path": "/hello/you",
        "route": "/hello/{name}",
        "status": 200,
        "ms": 12,
    }


def test_socket_is_one_line_at_its_end(lines: pytest.LogCaptureFixture) -> None:
    """A socket that was accepted is logged as 101 with its close code, a refused one with its status."""
    scope = {"type": "websocket", "path": "/sync", "headers": []}
    for messages in (
        [{"type": "websocket.accept"}, {"type": "websocket.close", "code": 4401}],
        [{"type": "websocket.http.response.start", "status": 401}],
        [{"type": "websocket.close"}],
    ):
        Watched(scripted(*messages)).pass_through(dict(scope))

    assert [line.getMessage() for line in lines.records] == [
        f"WEBSOCKET '/sync' {status} 12 ms" for status in (101, 401, 403)
    ]
    assert told(lines.records[0])["close"] == 4401


def test_path_cannot_forge_a_line(lines: pytest.LogCaptureFixture) -> None:
    """Line breaks and escapes in a path are shown, not obeyed, and a long path is cut."""
    Watched().ask("/a\nGET /b 200\x1b[2J" + "x" * 1000)

    (line,) = lines.messages
    assert "\n" not in line
    assert "\x1b" not in line
    assert len(line) < LONGEST_PATH + 50


def test_failure_is_logged_and_passed_on(lines: pytest.LogCaptureFixture) -> None:
    """A request that fails is answered with its id, logged and counted as 500, and the failure goes on."""
    watched = Watched()
    with pytest.raises(RuntimeError, match="very secret"):
        watched.ask("/fail")

    assert lines.messages == ["GET '/fail' 500 12 ms"]
    labels = {"route": "/fail", "status": "500"}
    assert watched.value("syncauth_http_requests_total", **labels) == 1


def test_request_whose_span_fails_is_not_counted_for_ever() -> None:
    """A server whose tracing fails fails the request; a drain does not wait for it."""

    class Failing(NoTracing):
        def span(self, *_: Any, **__: Any) -> Any:
            what = "no span"
            raise OSError(what)

    watched = Watched(tracing=Failing())
    with pytest.raises(OSError, match="no span"):
        watched.ask("/hello/you")

    assert watched.gate.under_way == 0


def test_start_and_stop_of_the_application_pass_unlogged(lines: pytest.LogCaptureFixture) -> None:
    """The lifespan is no request."""
    complete = {"type": "lifespan.startup.complete"}

    assert Watched(scripted(complete)).pass_through({"type": "lifespan"}) == [complete]
    assert lines.messages == []


def test_a_sane_id_of_the_caller_is_kept() -> None:
    """The answer carries the caller's request id, or one of ours where it sent none or an odd one."""
    watched = Watched()

    assert header(watched.ask("/hello/you", x_request_id="trace-1.a_B"), "x-request-id") == (
        "trace-1.a_B"
    )
    for odd in ("", "a b", "a\nb", "x" * 65, "ä", '"'):
        made = header(watched.ask("/hello/you", x_request_id=odd), "x-request-id")
        assert made is not None
        assert re.fullmatch("[0-9a-f]{16}", made)
    first, second = (header(watched.ask("/nowhere"), "x-request-id") for _ in range(2))
    assert first != second


def test_lines_on_the_way_carry_the_ids(lines: pytest.LogCaptureFixture) -> None:
    """What a route logs has the request's id, and the request's own line its user and session, too."""
    texts: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: texts.append(JsonLines().format(record))  # type: ignore[method-assign]
    logging.getLogger().addHandler(handler)
    try:
        Watched().ask("/hello/you", x_request_id="mine")
    finally:
        logging.getLogger().removeHandler(handler)

    way, line = lines_of("\n".join(texts))
    assert way["message"] == "on the way"
    for each in (way, line):
        assert (each["request_id"], each["user_id"], each["session_id"]) == (
            "mine",
            "ann",
            "session",
        )


def test_refusals_are_told_by_their_code(lines: pytest.LogCaptureFixture) -> None:
    """The line and the counts of a refused login name its code, and the next request is not refused by it."""
    watched = Watched()
    watched.ask("/app/field-notes/auth/providers/local-userpass/login", "POST")
    watched.ask("/hello/you")

    first, last = lines.records[0], lines.records[-1]
    assert told(first)["error_code"] == "InvalidPassword"
    assert "error_code" not in told(last)
    count = {"provider": "local-userpass", "outcome": "InvalidPassword"}
    assert watched.value("syncauth_logins_total", **count) == 1
    assert told(first)["route"] == LOGIN


def test_labels_are_few_whatever_is_asked() -> None:
    """Paths and methods that nobody serves make no series of their own."""
    watched = Watched()
    for number in range(50):
        watched.ask(f"/hello/{number}")
        watched.ask(f"/nowhere/{number}", f"METHOD{number}")

    text = watched.metrics.text().decode()
    assert text.count("syncauth_http_requests_total{") == 2
    assert watched.value("syncauth_http_requests_total", route="/hello/{name}") == 50
    assert watched.value("syncauth_http_requests_total", route="unknown", method="other") == 50


def test_a_draining_server_sends_away(lines: pytest.LogCaptureFixture) -> None:
    """New requests and sockets are answered 503 with Retry-After; the liveness is told until the end."""
    watched = Watched()
    watched.gate.hurry()

    async def drained() -> None:
        await watched.gate.drain(nothing, 1.0)

    asyncio.run(drained())
    answer = watched.ask("/hello/you")
    scope = {
        "type": "websocket",
        "path": "/sync",
        "headers": [],
        "extensions": {"websocket.http.response": {}},
    }
    upgrade = watched.pass_through(scope)[0]

    for each in (answer, upgrade):
        assert each["status"] == 503
        assert header(each, "retry-after") == "3"
        assert header(each, "x-request-id")
        assert header(each, "connection") == "close"  # so that a proxy sends the next one elsewhere
    assert watched.ask("/healthz")["status"] == 200
    assert told(lines.records[0])["error_code"] == "ServerRestarting"


async def nothing() -> None:
    """Have no sockets."""
