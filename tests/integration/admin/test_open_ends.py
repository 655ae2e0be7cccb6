"""What an administrator ends, ends on open sockets and streams too, whichever way the deed came."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable

import httpx
import pytest

from tests.integration.admin.conftest import Admin, AdminServer, shell
from tests.support.socket_device import APP as CLIENT_APP, Account, device

AT_ONCE = 0.9
"""Seconds in which nothing is looked up at a pace: what ends within them was told."""

SOON = 2.0
"""Seconds for another process to notice, with room for a slow machine; the pace is one."""

Deed = Callable[[Admin, AdminServer, str], None]


def by_api(method: str, path: str) -> Deed:
    """Return a deed through the admin API."""

    def do(admin: Admin, _server: AdminServer, user: str) -> None:
        assert admin.ask(method, f"/users/{user}{path}").status_code == 204

    return do


def end_sessions(admin: Admin, _server: AdminServer, user: str) -> None:
    """End each session by its own id."""
    for session in admin.ask("GET", f"/users/{user}/sessions").json():
        path = f"/users/{user}/sessions/{session['_id']}"
        assert admin.ask("DELETE", path).status_code == 204


def by_shell(*arguments: str) -> Deed:
    """Return a deed from the shell."""

    def do(_admin: Admin, server: AdminServer, user: str) -> None:
        assert shell(server, *arguments[:2], user, *arguments[2:]).code == 0

    return do


def revoke_from_shell(_admin: Admin, server: AdminServer, user: str) -> None:
    """End each session by its own id."""
    for session in shell(server, "sessions", "list", user, "--json").document["sessions"]:
        assert shell(server, "sessions", "revoke", session["session"]).code == 0


API = [
    pytest.param(by_api("PUT", "/logout"), "session_revoked", id="logout"),
    pytest.param(by_api("PUT", "/disable"), "user_disabled", id="disable"),
    pytest.param(by_api("DELETE", ""), "user_removed", id="remove"),
    pytest.param(end_sessions, "session_revoked", id="session"),
]
SHELL = [
    pytest.param(by_shell("users", "logout"), "session_revoked", id="logout"),
    pytest.param(by_shell("users", "disable"), "user_disabled", id="disable"),
    pytest.param(by_shell("users", "remove", "--yes"), "user_removed", id="remove"),
    pytest.param(revoke_from_shell, "session_revoked", id="session"),
]


async def end_on_socket(
    admin: Admin, server: AdminServer, ann: Account, deed: Deed
) -> tuple[list[str], int | None, float]:
    """Do the deed while a socket is open: the codes heard, the close code, the seconds it took."""
    bo = Account.log_in(server.url, "bo")
    async with device(ann) as phone, device(bo, "b") as other:
        await phone.greet()
        await other.greet()
        heard = asyncio.create_task(phone.hear_end())
        await asyncio.to_thread(deed, admin, server, ann.user)
        since = asyncio.get_running_loop().time()
        codes, close = await heard
        took = asyncio.get_running_loop().time() - since
        result = await other.judged(other.insert(("1", "a")))
    assert result.refused == []
    return codes, close, took


@pytest.mark.parametrize(("deed", "code"), API)
async def test_deed_by_the_api_ends_the_socket_at_once(
    admin: Admin, server: AdminServer, ann: Account, deed: Deed, code: str
) -> None:
    """The socket is told why and closed, without waiting for the look that comes each second (I3)."""
    codes, close, took = await end_on_socket(admin, server, ann, deed)

    assert (codes, close) == ([code], 4401)
    assert took < AT_ONCE


@pytest.mark.parametrize(("deed", "code"), SHELL)
async def test_deed_from_the_shell_ends_the_socket_soon(
    admin: Admin, server: AdminServer, ann: Account, deed: Deed, code: str
) -> None:
    """A server that runs notices what the shell did to its file, and closes the socket (I3)."""
    codes, close, took = await end_on_socket(admin, server, ann, deed)

    assert (codes, close) == ([code], 4401)
    assert took < SOON


@pytest.mark.parametrize(
    ("deed", "limit"),
    [
        pytest.param(by_api("PUT", "/disable"), AT_ONCE, id="API"),
        pytest.param(by_shell("users", "logout"), SOON, id="shell"),
    ],
)
async def test_streams_end_too(
    admin: Admin, server: AdminServer, ann: Account, deed: Deed, limit: float
) -> None:
    """A stream that says nothing for long ends with the session that it was opened with."""
    call = base64.b64encode(json.dumps({"name": "ticks", "arguments": []}).encode()).decode()
    headers = {"Authorization": f"Bearer {ann.access}"}
    asking = {"params": {"baas_request": call}, "headers": headers}
    place = f"{server.url}{CLIENT_APP}/functions/call"
    async with (
        httpx.AsyncClient(timeout=20) as client,
        client.stream("GET", place, **asking) as stream,
    ):
        lines = stream.aiter_lines()
        assert await anext(lines) == 'data: "first"'
        await asyncio.to_thread(deed, admin, server, ann.user)
        since = asyncio.get_running_loop().time()
        rest = [line async for line in lines if line]
        took = asyncio.get_running_loop().time() - since

    assert rest[0] == "event: error"
    assert json.loads(rest[1].removeprefix("data: "))["error_code"] == "InvalidSession"
    assert took < limit
