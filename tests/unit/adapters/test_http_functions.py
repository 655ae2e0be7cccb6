"""Calls of server functions: what travels, what a failure says, and that they hold up nobody."""

from __future__ import annotations

import asyncio
import json
import traceback
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from syncauth.adapters.http_accounts import FUNCTIONS_AT_ONCE, LONGEST_BYTES, HttpAccounts
from syncauth.adapters.http_calls import HttpCalls
from syncauth.adapters.http_provider import HttpProvider
from syncauth.errors import (
    FunctionFailed,
    InvalidConfig,
    InvalidDocument,
    ServerBusy,
    ServerUnreachable,
    SyncAuthError,
    UnexpectedAnswer,
)
from syncauth.interfaces import AccessRejected
from syncauth.models import Renewed, Secret
from tests.support.account_replies import ACCESS, GRANTED, OLD
from tests.support.odd_server import (
    SESSION,
    OddServer,
    Reply,
    answer,
    denial,
    json_answer,
    portal,
    reset,
    silence,
    then_close,
)
from tests.unit.adapters.conftest import Configure, make_calls

CALL = "/api/client/v2.0/app/field-notes/functions/call"
TOKEN = Secret(ACCESS)


async def fails(accounts: HttpAccounts, *arguments: Any) -> Exception:
    """Return what the call of a function raises."""
    with pytest.raises((SyncAuthError, AccessRejected)) as raised:
        await accounts.call_function(TOKEN, "sum", arguments, None)
    assert ACCESS.split(".")[1] not in "".join(traceback.format_exception(raised.value))
    return raised.value


async def test_arguments_and_result_keep_their_types(
    odd: OddServer, accounts: HttpAccounts
) -> None:
    """Canonical there, either form back."""
    odd.reply(CALL, json_answer(200, {"sum": {"$numberLong": "42"}, "plain": 1.5}))
    day = datetime(2020, 1, 1, tzinfo=UTC)
    result = await accounts.call_function(TOKEN, "sum", (1, 2.0, day, Decimal("1.10")), "atlas")
    assert result == {"sum": 42, "plain": 1.5}
    (request,) = odd.seen(CALL)
    assert request.headers["authorization"] == f"Bearer {ACCESS}"
    assert json.loads(request.body) == {
        "name": "sum",
        "arguments": [
            {"$numberInt": "1"},
            {"$numberDouble": "2.0"},
            {"$date": {"$numberLong": "1577836800000"}},
            {"$numberDecimal": "1.10"},
        ],
        "service": "atlas",
    }


@pytest.mark.parametrize(
    ("reply", "result"),
    [
        (answer(204), None),
        (json_answer(200, None), None),
        (json_answer(200, {"$undefined": True}), None),
        (json_answer(201, [{"$numberInt": "1"}]), [1]),
    ],
)
async def test_results_that_are_little_or_nothing(
    odd: OddServer, accounts: HttpAccounts, reply: bytes, result: Any
) -> None:
    """Nothing is None; without a service none is named."""
    odd.reply(CALL, reply)
    assert await accounts.call_function(TOKEN, "sum", (), None) == result
    assert json.loads(odd.seen(CALL)[0].body) == {"name": "sum", "arguments": []}


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (denial(400, "FunctionExecutionError", "boom"), "FunctionExecutionError"),
        (denial(500, "FunctionExecutionError", "boom"), "FunctionExecutionError"),
        (denial(404, "FunctionNotFound", "boom"), "FunctionNotFound"),
        (denial(403, "NotCallable", "boom"), "NotCallable"),
        (denial(401, "Unusual", "boom"), "Unusual"),
        (json_answer(400, {"error": "boom"}), "AppUnknownError"),
    ],
)
async def test_a_function_that_fails_is_told_with_its_code(
    odd: OddServer, accounts: HttpAccounts, reply: bytes, code: str
) -> None:
    """Which one, the server's code and words, and the HTTP status."""
    odd.reply(CALL, reply)
    error = await fails(accounts)
    assert isinstance(error, FunctionFailed)
    assert (error.name, error.code, error.why) == ("sum", code, "boom")
    assert error.status == int(reply.split()[1])


async def test_a_failure_that_repeats_an_argument_does_not_show_it(
    odd: OddServer, accounts: HttpAccounts
) -> None:
    """A password is an argument too, however deep it stands (I10)."""
    odd.reply(CALL, denial(400, "FunctionExecutionError", "correct horse is no good"))
    error = await fails(accounts, {"new": ["correct horse"]})
    assert isinstance(error, FunctionFailed)
    assert "horse" not in str(error) + error.why


@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        (denial(401, "InvalidSession"), AccessRejected),
        (denial(401, "UserDisabled"), AccessRejected),
        (json_answer(401, {"error": "unauthorized"}), AccessRejected),
        (answer(401), ServerUnreachable),
        (portal(401), ServerUnreachable),
        (portal(), ServerUnreachable),
        (answer(200), ServerUnreachable),
        (answer(302, Location="http://127.0.0.1:9/"), ServerUnreachable),
        (denial(429, "TooManyRequests"), ServerBusy),
        (answer(503), ServerBusy),
        (denial(500, "InternalServerError"), ServerBusy),
        (denial(404, "AppNotFound"), UnexpectedAnswer),
        (answer(200, b"", "application/json"), UnexpectedAnswer),
        (answer(200, b'{"a": ', "application/json"), UnexpectedAnswer),
        (json_answer(200, {"$numberInt": "many"}), UnexpectedAnswer),
        (json_answer(200, {"$oid": 7}), UnexpectedAnswer),
        (answer(200, b"[" * 5000 + b"]" * 5000, "application/json"), UnexpectedAnswer),
        (answer(200, b"[" * 500 + b"]" * 500, "application/json"), UnexpectedAnswer),
        (answer(200, b" " * (LONGEST_BYTES + 1), "application/json"), UnexpectedAnswer),
        (reset, ServerUnreachable),
        (then_close(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"), ServerUnreachable),
    ],
)
async def test_what_is_no_result_says_who_must_act(
    odd: OddServer, accounts: HttpAccounts, reply: Reply, kind: type[Exception]
) -> None:
    """Nothing is sent twice: a function may have run."""
    odd.reply(CALL, reply)
    assert type(await fails(accounts)) is kind
    assert len(odd.seen(CALL)) == 1


async def test_a_lost_answer_says_that_the_function_may_have_run(
    odd: OddServer, hasty_calls: HttpCalls
) -> None:
    """And an attempt that did not reach the server does not say so."""
    odd.reply(CALL, silence)
    error = await fails(HttpAccounts(hasty_calls))
    assert isinstance(error, ServerUnreachable)
    assert "may have run" in error.why
    await odd.stop()
    error = await fails(HttpAccounts(hasty_calls))
    assert isinstance(error, ServerUnreachable)
    assert "may have run" not in error.why


async def test_arguments_that_cannot_travel_are_refused_before_anything_is_sent(
    odd: OddServer, accounts: HttpAccounts
) -> None:
    """Types that Extended JSON does not have, and more than fits."""
    assert isinstance(await fails(accounts, object()), InvalidDocument)
    assert isinstance(await fails(accounts, 2**70), InvalidDocument)
    assert isinstance(await fails(accounts, "x" * LONGEST_BYTES), InvalidConfig)
    assert not odd.requests


async def test_a_function_has_a_deadline_of_its_own(odd: OddServer, configure: Configure) -> None:
    """A function may take longer than a token: `token_deadline` does not end it."""
    calls = make_calls(configure(token_deadline=0.3, function_deadline=5.0))
    begun, released = asyncio.Event(), asyncio.Event()

    async def later(_request: Any, writer: asyncio.StreamWriter) -> None:
        begun.set()
        await released.wait()
        writer.write(json_answer(200, 7))

    odd.reply(CALL, later)
    odd.reply(SESSION, silence)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(HttpAccounts(calls).call_function(TOKEN, "sum", (), None))
        await begun.wait()
        await HttpProvider(calls).refresh(OLD, "id")  # ends by its own, shorter deadline
        assert not running.done()
        released.set()
    assert running.result() == 7
    await calls.aclose()


async def test_slow_functions_never_keep_a_token_waiting(
    odd: OddServer, configure: Configure
) -> None:
    """However many are under way, there is a connection left for a refresh."""
    calls = make_calls(configure(token_deadline=5.0, function_deadline=30.0))
    accounts = HttpAccounts(calls)
    odd.reply(CALL, silence)
    odd.reply(SESSION, GRANTED)
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(accounts.call_function(TOKEN, "sum", (), None)) for _ in range(40)
        ]
        await odd.wait(lambda: len(odd.seen(CALL)) == FUNCTIONS_AT_ONCE)
        assert isinstance(await HttpProvider(calls).refresh(OLD, "id"), Renewed)
        assert len(odd.seen(CALL)) == FUNCTIONS_AT_ONCE
        for each in running:
            each.cancel()
    await calls.aclose()


async def test_a_function_that_gets_no_turn_ends_in_time(
    odd: OddServer, hasty_calls: HttpCalls
) -> None:
    """Waiting for a turn is part of the deadline."""
    accounts = HttpAccounts(hasty_calls)
    odd.reply(CALL, silence)
    async with asyncio.timeout(5):
        errors = await asyncio.gather(*(fails(accounts) for _ in range(40)))
    assert all(isinstance(each, ServerUnreachable) for each in errors)
