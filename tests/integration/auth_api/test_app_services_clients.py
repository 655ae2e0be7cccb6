"""Clients of App Services, as they are, work against this server: each a process of its own under Node."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import OctKey

from syncauth.server.clock import SystemClock
from syncauth.server.settings.config import Lifetimes
from syncauth.server.settings.issuers import TokenIssuer
from syncauth.server.settings.login import EmailSettings
from syncauth.server.team.extensions import Extensions, FunctionContext, Mail
from tests.integration.auth_api.conftest import AuthServer, StartServer
from tests.support.app_services import drive
from tests.support.foreign_issuer import new_key, sign

ISSUER, AUDIENCE = "https://id.example", "field-notes"
KEY = new_key("HS256")


def add(_context: FunctionContext, left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


def echo(_context: FunctionContext, value: Any) -> Any:
    """Return what comes."""
    return value


def count(_context: FunctionContext, last: int) -> Iterator[int]:
    """Yield numbers one by one."""
    yield from range(1, last + 1)


@pytest.fixture
def server(start_server: StartServer, tmp_path: Path) -> AuthServer:
    """A server in real time, whose access tokens live for two seconds."""
    assert isinstance(KEY, OctKey)
    key_file = tmp_path / "issuer-key"
    key_file.write_bytes(KEY.raw_value)
    number = itertools.count()
    extensions = Extensions(
        functions={"sum": add, "echo": echo, "count": count},
        custom_login=lambda payload: payload["ticket"],
        custom_data=lambda _user_id: {"count": next(number)},
    )
    issuer = TokenIssuer(
        "issuers.id",
        ISSUER,
        (AUDIENCE,),
        "HS256",
        key_file=key_file,
        fields=(("email", "email"),),
    )
    lifetimes = Lifetimes(access_seconds=2)
    return start_server(extensions, SystemClock(), lifetimes=lifetimes, issuers=(issuer,))


def test_realm_web_works_unchanged(server: AuthServer) -> None:
    """Logins, links, functions, streams, custom data, API keys, refreshes at once, logout and removal."""
    claims = {"iss": ISSUER, "sub": "eve", "aud": AUDIENCE, "email": "eve@example.com"}
    foreign = sign(KEY, "HS256", {**claims, "exp": SystemClock().wall() + 600})

    assert drive("realm_web.js", server.url, foreign) == {
        "linked": ["anon-user", "local-userpass"],
        "sum": 42,
        "echo": {"text": "ünlimited", "list": [1.5, None, True]},
        "customDataChanged": True,
        "keys": [["backup", False]],
        "disabledKey": "401 AuthError",
        "sameByKey": True,
        "oneKey": "spare",
        "removedKey": "404 APIKeyNotFound",
        "byToken": "eve@example.com",
        "afterExpiry": [2, 4, 6],
        "refreshes": 3,
        "sameRefreshToken": True,
        "keysAfterExpiry": 1,
        "stream": [f'data: {{"$numberInt":"{each}"}}' for each in (1, 2, 3)],
        "unknownFunction": "404 FunctionNotFound",
        "takenLink": "409 AccountNameInUse",
        "wrongPassword": "401 InvalidPassword",
        "state": "logged-out",
        "deleted": "401 InvalidPassword",
    }


def test_the_stitch_client_works_unchanged(server: AuthServer, tmp_path: Path) -> None:
    """The older client, whose code is another, sees the same."""
    assert drive("stitch.js", server.url, str(tmp_path)) == {
        "sameAfterLink": True,
        "sum": 42,
        "keys": 1,
        "oneKey": "backup",
        "disabledKey": "invalid API key",
        "customDataChanged": True,
        "afterExpiry": [2, 4, 6],
        "refreshed": True,
        "unknownFunction": "FunctionNotFound",
        "wrongPassword": "invalid username/password",
        "loggedIn": False,
        "sameByKey": True,
        "withoutKey": "InvalidSession",
        "byFunction": "custom-function",
    }


def test_the_clients_confirm_and_reset_by_mail(start_server: StartServer, tmp_path: Path) -> None:
    """Both find their way from the mail to an account that is confirmed and has another password."""
    mails = tmp_path / "mails"

    def post(mail: Mail) -> None:
        with mails.open("a", encoding="utf-8") as file:
            file.write(json.dumps(mail.text) + "\n")

    place = "https://app.example/"
    email = EmailSettings("mail", "mail", confirm_url=f"{place}confirm", reset_url=f"{place}reset")
    server = start_server(Extensions(mail=post), email=email)

    assert drive("emails.js", server.url, str(mails), str(tmp_path)) == {
        "realmWeb": {
            "before": "401 AuthError",
            "replaced": "400 UserpassTokenInvalid",
            "old": "401 InvalidPassword",
            "byCall": "400 BadRequest",
            "retry": "400 BadRequest",
        },
        "stitch": {
            "before": "confirmation required",
            "old": "invalid username/password",
            "byCall": "there is no reset function",
        },
    }
