"""Functions over HTTP: Extended JSON in and out, bounded, refused as App Services does."""

from __future__ import annotations

import asyncio
import base64
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import httpx
import pytest

from syncauth.errors import FunctionError
from syncauth.server.settings.config import ServerLimits
from syncauth.server.team.extensions import Extensions, FunctionContext
from tests.integration.auth_api.conftest import APP, AuthServer, StartServer, bearer

Call = Callable[..., httpx.Response]


def add(_context: FunctionContext, left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


async def who(context: FunctionContext) -> dict[str, Any]:
    """Tell who calls."""
    return {"user": context.user_id, "session": context.session_id, "data": context.custom_data}


def fail(_context: FunctionContext) -> None:
    """Fail with a secret in the text."""
    message = "hunter2"
    raise ValueError(message)


def refuse(_context: FunctionContext) -> None:
    """Refuse the caller."""
    raise FunctionError("you have no stamps left")


async def count(_context: FunctionContext, upto: int) -> AsyncIterator[Any]:
    """Count with pauses of the loop."""
    for number in range(upto):
        await asyncio.sleep(0)
        yield {"number": number, "share": "100%\n"}


def count_plainly(_context: FunctionContext, upto: int) -> Iterator[int]:
    """Count without a loop."""
    yield from range(upto)


async def silent(_context: FunctionContext) -> AsyncIterator[int]:
    """Say one thing, then nothing."""
    yield 1
    await asyncio.Event().wait()


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": add,
    "who": who,
    "fail": fail,
    "refuse": refuse,
    "count": count,
    "count_plainly": count_plainly,
    "silent": silent,
    "echo": lambda _context, value: value,
    "large": lambda _context: "x" * 2000,
    "unfit": lambda _context: object(),
}


@pytest.fixture
def server(start_server: StartServer) -> AuthServer:
    """A server with functions."""
    return start_server(Extensions(functions=FUNCTIONS), limits=ServerLimits(function_bytes=1500))


@pytest.fixture
def token(server: AuthServer) -> str:
    """The access token of a user."""
    access: str = server.log_in()["access_token"]
    return access


def query(name: str, *arguments: Any) -> dict[str, str]:
    """Return the parameters of the streaming form."""
    text = json.dumps({"name": name, "arguments": arguments})
    return {"baas_request": base64.b64encode(text.encode()).decode()}


def events(answer: httpx.Response) -> list[Any]:
    """Read server-sent events as App Services clients do."""
    found = []
    for block in answer.text.split("\n\n")[:-1]:
        lines = dict(line.split(": ", 1) for line in block.split("\n"))
        data = lines["data"].replace("%0A", "\n").replace("%0D", "\r").replace("%25", "%")
        found.append((lines.get("event", "message"), json.loads(data)))
    return found


def test_arguments_and_results_keep_their_types(server: AuthServer, token: str) -> None:
    """Numbers arrive as numbers, and every type comes back in canonical Extended JSON."""
    answer = server.call(token, "add", {"$numberInt": "40"}, {"$numberLong": "2"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"$numberInt": "42"}

    for value in ({"$oid": "a" * 24}, {"$date": {"$numberLong": "-1"}}, {"$numberDouble": "NaN"}):
        assert server.call(token, "echo", [value, None]).json() == [value, None]


def test_function_is_told_who_calls(start_server: StartServer) -> None:
    """The context names the user, the session and the custom data of the access token."""
    extensions = Extensions(functions=FUNCTIONS, custom_data=lambda _user_id: {"plan": "free"})
    server = start_server(extensions)
    login = server.log_in()

    told = server.call(login["access_token"], "who").json()
    assert told["user"] == login["user_id"]
    assert told["data"] == {"plan": "free"}
    assert len(told["session"]) == 24


@pytest.mark.parametrize(
    ("name", "arguments", "status", "code"),
    [
        ("nothing", [], 404, "FunctionNotFound"),
        ("add", [1], 400, "InvalidParameter"),
        ("add", [1, 2, 3], 400, "InvalidParameter"),
        ("echo", [{"$oid": "x"}], 400, "InvalidParameter"),
        ("fail", [], 400, "FunctionExecutionError"),
        ("refuse", [], 400, "FunctionExecutionError"),
        ("large", [], 400, "FunctionExecutionError"),
        ("unfit", [], 400, "FunctionExecutionError"),
        ("count", [1], 400, "BadRequest"),
        ("echo", ["x" * 2000], 413, "RequestTooLarge"),
    ],
)
def test_refusals_have_their_codes(
    server: AuthServer, token: str, name: str, arguments: list[Any], status: int, code: str
) -> None:
    """Each refusal has the code by which clients decide, and no text of an exception."""
    answer = server.call(token, name, *arguments)

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert "hunter2" not in answer.text
    assert ("no stamps" in answer.text) == (name == "refuse")


def test_services_are_not_there(server: AuthServer, token: str) -> None:
    """A call of a database service is told as such, and no function of that name is called."""
    answer = server.call(token, "add", 1, 2, service="mongodb-atlas")

    assert (answer.status_code, answer.json()["error_code"]) == (404, "ServiceNotFound")


def test_session_is_checked_before_the_call(server: AuthServer) -> None:
    """Without a valid token of a live session the answer is `InvalidSession`, so that clients refresh."""
    login = server.log_in()
    token = login["access_token"]
    answers = [
        server.client.post(f"{APP}/functions/call", json={"name": "who", "arguments": []}),
        server.call("nonsense", "who"),
        server.call(login["refresh_token"], "who"),
    ]
    server.clock.pass_time(1801)
    answers.append(server.call(token, "who"))
    later = server.log_in()
    server.log_out(later["refresh_token"])
    answers.append(server.call(later["access_token"], "who"))

    for answer in answers:
        assert (answer.status_code, answer.json()["error_code"]) == (401, "InvalidSession")


def test_slow_function_keeps_its_slot(start_server: StartServer) -> None:
    """The caller is answered in time, the slot stays taken until the function ends, others get 429."""
    released, ended = threading.Event(), threading.Event()

    def wait(_context: FunctionContext) -> None:
        released.wait(20)
        ended.set()

    server = start_server(
        Extensions(functions={"wait": wait, "who": who}),
        limits=ServerLimits(function_slots=1, function_seconds=1),
    )
    token = server.log_in()["access_token"]
    late = server.call(token, "wait")
    busy = server.call(token, "who")
    released.set()
    assert ended.wait(10)

    assert late.json()["error_code"] == "ExecutionTimeLimitExceeded"
    assert (busy.status_code, busy.json()["error_code"]) == (429, "TooManyRequests")
    assert busy.headers["retry-after"] == "1"
    while server.call(token, "who").status_code == 429:
        pass  # the slot is free a moment after the function has ended


def test_slow_coroutine_is_cancelled(start_server: StartServer) -> None:
    """A coroutine gives its slot back when its time is over."""

    async def wait(_context: FunctionContext) -> None:
        await asyncio.Event().wait()

    limits = ServerLimits(function_slots=1, function_seconds=1)
    server = start_server(Extensions(functions={"wait": wait, "who": who}), limits=limits)
    token = server.log_in()["access_token"]

    assert server.call(token, "wait").json()["error_code"] == "ExecutionTimeLimitExceeded"
    assert server.call(token, "who").status_code == 200


def test_stream_gives_events(server: AuthServer, token: str) -> None:
    """Whatever a function yields comes as an event, escaped so that clients read it back."""
    place = f"{APP}/functions/call"
    answer = server.client.get(place, params=query("count", 2), headers=bearer(token))
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert events(answer) == [
        ("message", {"number": {"$numberInt": str(number)}, "share": "100%\n"})
        for number in range(2)
    ]

    plain = server.client.get(place, params=query("count_plainly", 3) | {"baas_at": token})
    assert [data for _, data in events(plain)] == [{"$numberInt": str(n)} for n in range(3)]
    single = server.client.get(place, params=query("add", 1, 2) | {"baas_at": token})
    assert events(single) == [("message", {"$numberInt": "3"})]


def test_failure_in_a_stream_is_its_last_event(server: AuthServer, token: str) -> None:
    """A function that fails is told as an event of its own."""
    place = f"{APP}/functions/call"
    answer = server.client.get(place, params=query("fail") | {"baas_at": token})

    ((kind, data),) = events(answer)
    assert kind == "error"
    assert data["error_code"] == "FunctionExecutionError"
    assert "hunter2" not in answer.text


@pytest.mark.parametrize("text", ["", "%%%", base64.b64encode(b"[1]").decode(), "a" * 1000])
def test_broken_stream_request_is_refused(server: AuthServer, token: str, text: str) -> None:
    """What is no call in base64 is a bad request."""
    place = f"{APP}/functions/call"
    answer = server.client.get(place, params={"baas_request": text, "baas_at": token})

    assert (answer.status_code, answer.json()["error_code"]) == (400, "BadRequest")


@pytest.mark.parametrize("token", ["", "nonsense"])
def test_stream_without_a_session_is_refused(server: AuthServer, token: str) -> None:
    """The token in the URL is checked like the one in the header."""
    place = f"{APP}/functions/call"
    answer = server.client.get(place, params=query("count", 1) | {"baas_at": token})

    assert (answer.status_code, answer.json()["error_code"]) == (401, "InvalidSession")


def test_stream_ends_with_the_session(server: AuthServer) -> None:
    """I3: after the session was revoked nothing more comes, also while the function says nothing."""
    login = server.log_in()
    place = f"{APP}/functions/call"
    parameters = query("silent") | {"baas_at": login["access_token"]}
    with server.client.stream("GET", place, params=parameters) as answer:
        lines = answer.iter_lines()
        assert next(lines).startswith("data: ")
        with httpx.Client(base_url=server.url) as other:
            other.delete("/api/client/v2.0/auth/session", headers=bearer(login["refresh_token"]))
        rest = list(lines)

    assert "event: error" in rest
    assert any("InvalidSession" in line for line in rest)
