"""Every account call: where it goes, what it sends, what a good server answers, and odd answers."""

from __future__ import annotations

import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from syncauth.adapters.http_calls import LONGEST_ANSWER_BYTES
from syncauth.errors import (
    CredentialsRefused,
    ServerBusy,
    ServerUnreachable,
    SyncAuthError,
    UnexpectedAnswer,
)
from syncauth.interfaces import AccessRejected, AccountService
from syncauth.models import Credentials, Secret
from tests.support.account_replies import (
    ACCESS,
    OLD,
    PASSWORD,
    PROFILE,
    PROFILE_OF_ANN,
    REFRESH,
)
from tests.support.odd_server import (
    Reply,
    answer,
    denial,
    hang_up,
    json_answer,
    portal,
    reset,
    then_close,
)

BASE = "/api/client/v2.0"
USERPASS = f"{BASE}/app/field-notes/auth/providers/local-userpass"
LINK = f"{USERPASS}/login?link=true"
KEYS = f"{BASE}/auth/api_keys"
DELETE = f"{BASE}/auth/delete"
EMAIL = "ann@example.com"
TOKEN = Secret(ACCESS)
ANN = Credentials.email_password(EMAIL, PASSWORD)
KEY = {"_id": "k1", "name": "kiosk", "disabled": False}
Act = Callable[[AccountService], Awaitable[Any]]

MAIL: dict[str, tuple[str, Act, dict[str, Any]]] = {
    "register": (
        "register",
        lambda it: it.register(EMAIL, PASSWORD),
        {"email": EMAIL, "password": PASSWORD},
    ),
    "confirm": (
        "confirm",
        lambda it: it.confirm("mailed-t", "mailed-i"),
        {"token": "mailed-t", "tokenId": "mailed-i"},
    ),
    "resend": ("confirm/send", lambda it: it.resend_confirmation(EMAIL), {"email": EMAIL}),
    "retry": ("confirm/call", lambda it: it.retry_confirmation(EMAIL), {"email": EMAIL}),
    "send reset": ("reset/send", lambda it: it.send_reset(EMAIL), {"email": EMAIL}),
    "reset": (
        "reset",
        lambda it: it.reset_password("mailed-t", "mailed-i", PASSWORD),
        {"token": "mailed-t", "tokenId": "mailed-i", "password": PASSWORD},
    ),
    "reset by function": (
        "reset/call",
        lambda it: it.call_reset_function(EMAIL, PASSWORD, (7, "mother's name")),
        {
            "email": EMAIL,
            "password": PASSWORD,
            "arguments": [{"$numberInt": "7"}, "mother's name"],
        },
    ),
}
TOKENED: dict[str, tuple[str, str, str, Act]] = {
    "link": ("POST", LINK, ACCESS, lambda it: it.link(TOKEN, ANN)),
    "profile": ("GET", PROFILE, ACCESS, lambda it: it.profile(TOKEN)),
    "delete": ("DELETE", DELETE, ACCESS, lambda it: it.delete_user(TOKEN)),
    "create key": ("POST", KEYS, REFRESH, lambda it: it.create_api_key(OLD, "kiosk")),
    "keys": ("GET", KEYS, REFRESH, lambda it: it.api_keys(OLD)),
    "key": ("GET", f"{KEYS}/k1", REFRESH, lambda it: it.api_key(OLD, "k1")),
    "delete key": ("DELETE", f"{KEYS}/k1", REFRESH, lambda it: it.delete_api_key(OLD, "k1")),
    "enable key": (
        "PUT",
        f"{KEYS}/k1/enable",
        REFRESH,
        lambda it: it.enable_api_key(OLD, "k1", enabled=True),
    ),
    "disable key": (
        "PUT",
        f"{KEYS}/k1/disable",
        REFRESH,
        lambda it: it.enable_api_key(OLD, "k1", enabled=False),
    ),
}
ODD: dict[str, tuple[Reply, type[SyncAuthError]]] = {
    "portal": (portal(), ServerUnreachable),
    "redirect": (answer(302, Location="http://127.0.0.1:9/"), ServerUnreachable),
    "JSON redirect": (
        answer(308, b"{}", "application/json", Location="http://127.0.0.1:9/"),
        UnexpectedAnswer,
    ),
    "bare 401": (answer(401), ServerUnreachable),
    "portal 401": (portal(401), ServerUnreachable),
    "bare 403": (answer(403), ServerUnreachable),
    "busy": (denial(429, "TooManyRequests"), ServerBusy),
    "bare busy": (answer(429), ServerBusy),
    "failed": (denial(500, "InternalServerError"), ServerBusy),
    "bad gateway": (portal(502), ServerBusy),
    "reset": (reset, ServerUnreachable),
    "hung up": (hang_up, ServerUnreachable),
    "no HTTP": (then_close(b"220 mail.example.com ESMTP\r\n"), ServerUnreachable),
    "cut off": (
        then_close(b"HTTP/1.1 200 OK\r\nContent-Length: 90\r\n\r\n{"),
        ServerUnreachable,
    ),
    "huge page": (answer(200, b" " * (LONGEST_ANSWER_BYTES + 1), "text/html"), ServerUnreachable),
    "refused": (denial(400, "BadRequest"), CredentialsRefused),
}


def grant(name: str) -> bytes:
    """Return what a good server answers to a call with a token."""
    return {
        "link": json_answer(200, {"access_token": ACCESS, "user_id": "u1", "device_id": "d"}),
        "profile": PROFILE_OF_ANN,
        "create key": json_answer(201, KEY | {"key": "key-text"}),
        "keys": json_answer(200, [KEY, KEY | {"_id": "k2", "disabled": True}]),
        "key": json_answer(200, KEY),
    }.get(name, answer(204))


async def fails(call: Awaitable[Any]) -> Exception:
    """Return what a call raises; nothing in it may hold a secret (I10)."""
    with pytest.raises((SyncAuthError, AccessRejected)) as raised:
        await call
    text = "".join(traceback.format_exception(raised.value)) + repr(vars(raised.value))
    payloads = [token.split(".")[1] for token in (ACCESS, REFRESH)]
    for secret in (PASSWORD, "mailed-t", "mailed-i", "mother's name", *payloads):
        assert secret not in text
    return raised.value
