"""The log of a real server: every line carries whose it is, and none a secret, whatever callers do."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncauth.sansio.messages import Renew
from tests.integration.operations.conftest import APP, BASE, LoggedServer, Serve
from tests.support.foreign_issuer import key_place, new_key, sign
from tests.support.socket_device import Account, device

EMAIL, PASSWORD, WRONG = "ann@example.com", "correct horse", "a wrong password"
SECRETS = [
    *(EMAIL, "ann%40example.com", PASSWORD, WRONG),
    *("query-secret", "ticket-secret", "argument-secret", "row-secret", "header-secret"),
]
PASSWORD_LOGIN = "local-userpass"
FAILING_TRIGGER = (
    "CREATE TRIGGER fail BEFORE INSERT ON notes WHEN NEW.text = 'row-secret'"
    " BEGIN SELECT json_extract('{}', NEW.text); END"  # a bad JSON path, which SQLite repeats
)


def misbehave(server: LoggedServer, directory: Path) -> tuple[Account, list[str]]:
    """Do all that a log could give away; returns the user, and every token that was given."""
    client = httpx.Client(base_url=server.url)
    provider = f"{APP}/auth/providers/{PASSWORD_LOGIN}"
    account = Account.log_in_anonymously(server.url)
    tokens = [account.access, account.refresh]
    # The mail's text, which holds a token, is what the failing sender raises.
    client.post(f"{provider}/register", json={"email": EMAIL, "password": PASSWORD})
    server.log_in(PASSWORD_LOGIN, username=EMAIL, password=WRONG)
    server.log_in("custom-function", ticket="ticket-secret")
    server.call(account.access, "fail", "argument-secret", **{"X-Request-Id": "of-fail"})
    server.call(account.access, "speak", **{"X-Request-Id": "of-speak"})
    server.stream(account.access, "speak")
    client.get(f"{BASE}/auth/profile?baas_at=query-secret", headers={"X-Request-Id": "a b"})
    client.get(
        "/nowhere", headers={"X-Request-Id": "header-secret and more", "Cookie": "query-secret"}
    )
    client.post(f"{BASE}/auth/session", headers={"Authorization": "Bearer header-secret"})
    with closing(sqlite3.connect(directory / "data" / "server.db")) as connection:
        connection.execute(FAILING_TRIGGER)
    asyncio.run(sockets(account))
    account.renew()
    tokens += [account.access, account.refresh]
    account.log_out()
    client.close()
    return account, tokens


async def sockets(account: Account) -> None:
    """Push what fails in the store, and present what is no token."""
    async with device(account) as phone:
        await phone.greet()
        await phone.say(Renew("header-secret"))
        await phone.push(phone.insert(("1", "row-secret")))
        codes, _ = await phone.hear_end()
        assert codes[-1] == "internal"


def end(server: LoggedServer) -> str:
    """End a server and return all that it wrote after the ready line."""
    server.terminate()
    assert server.ended() == 0
    assert server.process.stdout is not None
    return server.process.stdout.read() + server.log()


@pytest.mark.parametrize("form", ["json", "text"])
def test_no_output_holds_a_secret(serve: Serve, tmp_path: Path, form: str) -> None:
    """I10: no token, password, address, query, argument, row or text of another's exception, in either format."""
    token = "token-of-the-operators"
    server = serve(
        *("--log-format", form, "--log-level", "debug"),
        settings='[metrics]\ntoken_env = "METRICS"\n',
        METRICS=token,
    )
    httpx.get(f"{server.url}/metrics", headers={"Authorization": f"Bearer {token}"})
    _, tokens = misbehave(server, tmp_path)
    written = end(server)

    found = [secret for secret in (*SECRETS, *tokens, token) if secret in written]
    assert found == []
    assert re.findall(r"ey[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}", written) == []
    assert "raised RuntimeError" in written


def one(lines: list[dict[str, Any]], message: str) -> dict[str, Any]:
    """Return the only line with such a message."""
    (found,) = [line for line in lines if message in line["message"]]
    return found


def test_lines_tell_whose_they_are(serve: Serve, tmp_path: Path) -> None:
    """Requests, functions, hooks, mails and the store's failures are logged with the ids of their caller."""
    server = serve("--log-format", "json")
    account, _ = misbehave(server, tmp_path)
    end(server)
    lines = server.lines()
    who = {"user_id": account.user}

    spoken = [line for line in lines if line["message"] == "a function speaks"]
    assert len(spoken) == 2  # called, and as a stream
    assert spoken[0].items() >= {**who, "request_id": "of-speak"}.items()
    assert spoken[0]["session_id"]
    assert one(lines, "function 'fail' raised").items() >= {**who, "request_id": "of-fail"}.items()
    requests = {
        line["request_id"]: line for line in lines if line["logger"] == "syncauth.server.access"
    }
    assert (
        requests["of-fail"].items()
        >= {
            **who,
            "status": 400,
            "error_code": "FunctionExecutionError",
            "route": "/api/client/v2.0/app/{app_id}/functions/call",
        }.items()
    )
    # The mail went out in a thread of its own, for the request that registered.
    assert requests[one(lines, "a mail was not sent")["request_id"]]["path"].endswith("/register")
    socket = next(line for line in requests.values() if line["method"] == "WEBSOCKET")
    failed = one(lines, "PushBatch failed")
    for name in ("request_id", "connection_id", "user_id", "session_id"):
        assert failed[name] == socket[name]
    assert socket["close"] == 1011
    login = next(each for each in requests.values() if "custom-function" in each["path"])
    failure = one(lines, "Exception in ASGI application")
    assert login["status"] == 500
    assert failure["request_id"] == login["request_id"]
    assert failure["error"][0]["type"] == "RuntimeError"


async def meet(bearer: Account) -> None:
    """Open a socket and be welcomed."""
    async with device(bearer) as phone:
        await phone.greet()


def test_lines_of_a_foreign_socket_do_not_name_its_subject(serve: Serve) -> None:
    """I10: what another issuer calls a user, often an email address, stands in no line; our id of the user does."""
    key = new_key("ES256")
    with key_place() as place:
        place.publish(key)
        about = (
            f'issuer = "{place.issuer}"\naudience = ["field-notes"]\ndiscovery = true\nsync = true'
        )
        server = serve("--log-format", "json", settings=f"[issuers.id]\n{about}\n")
        access = sign(key, "ES256", place.claims(sub=EMAIL), kid="k1", typ="at+jwt")
        asyncio.run(meet(Account(server.url, "", access, "")))
        written = end(server)

    (socket,) = [line for line in server.lines() if line.get("method") == "WEBSOCKET"]
    assert socket["user_id"]
    assert EMAIL not in written
