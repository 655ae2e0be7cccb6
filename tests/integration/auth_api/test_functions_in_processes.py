"""Functions with `process=True`: killed in time, crashing alone, typed as the others, gone with the server."""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.settings.config import ServerLimits
from syncauth.server.settings.login import Hooks, NamedFunction
from syncauth.server.team.extensions import Extensions, Function, load_extensions
from tests.integration.auth_api.conftest import APP, AuthServer, StartServer, bearer
from tests.support import process_functions

NAMES = (
    "echo who later noisy refuse refuse_at_length fail leave unfit large end_at_once segfault hang"  # noqa: SIM905
    " wait".split()
)
SECONDS = 20.0


def extensions(seconds: float | None = None) -> Extensions:
    """Return all functions, as a server has them after its start."""
    functions = {
        name: Function(getattr(process_functions, name), process=True, seconds=seconds)
        for name in NAMES
    }
    given = Extensions(functions=functions, custom_data=lambda _user_id: {"plan": "free"})
    return load_extensions({}, Hooks(), given)


def numbers(place: Path) -> list[int]:
    """Wait until a function has told its process and its child."""
    end = time.monotonic() + SECONDS
    while not place.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    return [int(word) for word in place.read_text().split()]


def wait_until_gone(processes: list[int]) -> None:
    """Wait until none of these processes runs."""
    end = time.monotonic() + SECONDS
    while any(runs(number) for number in processes):
        assert time.monotonic() < end, processes
        time.sleep(0.01)


def runs(number: int) -> bool:
    """Whether a thread of the process runs; what remains until somebody waits for it does not count."""
    try:
        threads = list(Path(f"/proc/{number}/task").glob("*/stat"))
        return any(each.read_text().rpartition(")")[2].split()[0] != "Z" for each in threads)
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.fixture
def server(start_server: StartServer) -> AuthServer:
    """A server with one process."""
    limits = ServerLimits(function_processes=1, function_bytes=1500)
    return start_server(extensions(), limits=limits)


@pytest.fixture
def token(server: AuthServer) -> str:
    """The access token of a user."""
    access: str = server.log_in()["access_token"]
    return access


def test_values_keep_their_types_and_the_context_is_typed(server: AuthServer) -> None:
    """Arguments and results are Extended JSON, and the function is told user, session, data and app."""
    login = server.log_in()
    token = login["access_token"]
    for value in ({"$oid": "a" * 24}, {"$date": {"$numberLong": "-1"}}, {"$numberDouble": "NaN"}):
        assert server.call(token, "echo", [value, None]).json() == [value, None]
    told = server.call(token, "who").json()
    assert told["kind"] == "FunctionContext"
    assert told["user"] == login["user_id"]
    assert len(told["session"]) == 24
    assert told["data"] == {"plan": "free"}
    assert told["app"] == "field-notes"
    assert int(told["pid"]["$numberInt"]) != os.getpid()
    assert server.call(token, "later").json() == "later"
    assert server.call(token, "who").json() == told  # the process is kept


def test_printing_is_no_answer(server: AuthServer, token: str) -> None:
    """What a function prints goes elsewhere, and it finds an empty stdin."""
    assert server.call(token, "noisy").json() == ""
    assert server.call(token, "echo", "still there").json() == "still there"


@pytest.mark.parametrize(
    ("name", "arguments", "status", "code"),
    [
        ("echo", [], 400, "InvalidParameter"),
        ("echo", [{"$oid": "x"}], 400, "InvalidParameter"),
        ("fail", [], 400, "FunctionExecutionError"),
        ("leave", [], 400, "FunctionExecutionError"),
        ("refuse", [], 400, "FunctionExecutionError"),
        ("large", [], 400, "FunctionExecutionError"),
        ("unfit", [], 400, "FunctionExecutionError"),
        ("end_at_once", [], 400, "FunctionExecutionError"),
        ("segfault", [], 400, "FunctionExecutionError"),
        ("echo", ["x" * 2000], 413, "RequestTooLarge"),
    ],
)
def test_refusals_have_their_codes(
    server: AuthServer, token: str, name: str, arguments: list[Any], status: int, code: str
) -> None:
    """A function that fails or takes its process away is told by its code, and the next call is served."""
    answer = server.call(token, name, *arguments)

    assert (answer.status_code, answer.json()["error_code"]) == (status, code)
    assert "hunter2" not in answer.text
    assert ("no stamps" in answer.text) == (name == "refuse")
    assert server.call(token, "echo", "next").json() == "next"


def test_long_refusal_costs_no_process(server: AuthServer, token: str) -> None:
    """A text that is longer than a result may be is not told, and its caller cannot end processes with it."""
    before = server.call(token, "who").json()["pid"]
    answer = server.call(token, "refuse_at_length", 10_000)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "FunctionExecutionError")
    assert len(answer.text) < 1500
    assert server.call(token, "who").json()["pid"] == before


@pytest.mark.parametrize("name", ["hang", "wait"])
def test_function_is_killed_when_its_time_is_over(
    start_server: StartServer, tmp_path: Path, name: str
) -> None:
    """The process ends with all it started, even one that holds the interpreter, and the slot is free at once."""
    place = tmp_path / "numbers"
    server = start_server(extensions(1), limits=ServerLimits(function_processes=1))
    token = server.log_in()["access_token"]
    late = server.call(token, name, str(place))
    next_one = server.call(token, "echo", 1)

    assert late.json()["error_code"] == "ExecutionTimeLimitExceeded"
    assert next_one.status_code == 200
    wait_until_gone(numbers(place))


def test_full_pool_asks_for_patience(start_server: StartServer, tmp_path: Path) -> None:
    """While every process works the next call is refused at once; functions in threads are not."""
    place = tmp_path / "numbers"
    given = extensions(30)
    given = Extensions(functions={**given.functions, "here": process_functions.echo})
    server = start_server(given, limits=ServerLimits(function_processes=1))
    token = server.log_in()["access_token"]
    answers: list[httpx.Response] = []

    def call() -> None:
        answers.append(server.call(token, "wait", str(place)))

    caller = threading.Thread(target=call)
    caller.start()
    process, child = numbers(place)
    busy = server.call(token, "echo", 1)
    stream = server.client.get(
        f"{APP}/functions/call",
        params={"baas_request": base64.b64encode(b'{"name":"echo","arguments":[1]}').decode()},
        headers=bearer(token),
    )
    here = server.call(token, "here", 1)
    os.kill(child, 15)
    caller.join(SECONDS)

    assert (busy.status_code, busy.json()["error_code"]) == (429, "TooManyRequests")
    assert busy.headers["retry-after"] == "1"
    assert "TooManyRequests" in stream.text
    assert here.status_code == 200
    assert answers[0].json() is None
    assert runs(process)


def test_stream_gives_the_one_result(server: AuthServer, token: str) -> None:
    """The streaming form gives one event, or the error."""
    texts = []
    for name in ("later", "segfault"):
        call = base64.b64encode(json.dumps({"name": name}).encode()).decode()
        answer = server.client.get(
            f"{APP}/functions/call", params={"baas_request": call, "baas_at": token}
        )
        texts.append(answer.text)

    assert texts[0] == 'data: "later"\n\n'
    assert texts[1].startswith("event: error\n")


def test_process_that_ends_while_idle_costs_nothing(server: AuthServer, token: str) -> None:
    """A worker that somebody killed between two calls is replaced without an error."""
    first = int(server.call(token, "who").json()["pid"]["$numberInt"])
    os.kill(first, 9)
    wait_until_gone([first])

    assert int(server.call(token, "who").json()["pid"]["$numberInt"]) != first


def test_what_no_process_could_run_is_refused_at_the_start() -> None:
    """A generator, and a function that cannot be found by its name, are told by the setting."""

    def inner(_context: object) -> None:
        """Be out of reach."""

    for function in (inner, lambda _context: 1, process_functions.count):
        with pytest.raises(InvalidConfig) as refused:
            load_extensions(
                {}, Hooks(), Extensions(functions={"f": Function(function, process=True)})
            )
        assert refused.value.setting == "functions.f"


def test_functions_are_named_in_the_settings() -> None:
    """A table of `[functions]` gives the same as code does."""
    place = "tests.support.process_functions:echo"
    named = {
        "quick": NamedFunction(place),
        "safe": NamedFunction(place, process=True, seconds=5),
        "patient": NamedFunction(place, seconds=5),
    }
    loaded = load_extensions(named, Hooks(), None).functions

    assert loaded["quick"] is process_functions.echo
    assert loaded["safe"] == Function(process_functions.echo, process=True, seconds=5, place=place)
    assert loaded["patient"] == Function(process_functions.echo, seconds=5, place=place)
