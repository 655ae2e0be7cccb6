"""No secret leaks through the admin side: not in answers, outputs, logs or the file (I10)."""

from __future__ import annotations

import httpx
import pytest

from syncauth.models import Secret
from syncauth.server.accounts.issuer import token_hash
from tests.integration.admin.conftest import NOBODY, Admin, AdminServer, log_in, shell
from tests.support.socket_device import Account

PASSWORD, NEW_PASSWORD = "correct horse", "battery staple"


def use_everything(admin: Admin, server: AdminServer, user: str, token: str) -> list[str]:
    """Call every path and command once, rightly and wrongly; returns all that was answered."""
    answers = [
        admin.ask("GET", "/users"),
        admin.ask("POST", "/users", json={"email": "bo@example.com", "password": NEW_PASSWORD}),
        admin.ask("POST", "/users", json={"email": 1, "password": NEW_PASSWORD}),
        admin.ask("GET", f"/users/{user}"),
        admin.ask("GET", f"/users/{user}/devices"),
        admin.ask("GET", f"/users/{user}/sessions"),
        admin.ask("POST", "/users/verify_token", json={"token": token}),
        admin.ask("POST", "/users/verify_token", json={"token": token, "x": [token]}),
        admin.ask("PUT", f"/users/{user}/disable"),
        admin.ask("PUT", f"/users/{user}/enable"),
        admin.ask("PUT", f"/users/{user}/logout"),
        admin.ask("DELETE", f"/users/{user}"),
        admin.ask("PUT", f"/users/{NOBODY}/logout"),
        log_in(admin.client, admin.key, admin.secret[:-1]),
        # As somebody does who mixes the two up.
        log_in(admin.client, admin.secret, admin.key),
    ]
    shown = [answer.text for answer in answers]
    for arguments in (
        ("users", "list"),
        ("users", "show", "bo@example.com"),
        ("sessions", "list", "bo@example.com"),
        ("keys", "list"),
        ("keys", "disable", admin.key),
        ("keys", "enable", admin.key),
        ("keys", "disable", admin.secret),
        ("lifetimes", "show"),
        ("users", "logout", "bo@example.com"),
    ):
        for form in ((), ("--json",)):
            ended = shell(server, *arguments, *form)
            shown.append(ended.out + ended.err)
    return shown


@pytest.mark.timeout(180)  # it runs 18 commands, each a process
def test_nothing_shows_a_secret(admin: Admin, server: AdminServer, ann: Account) -> None:
    """Keys, tokens, passwords and hashes are in no answer, output or log line, and no secret in the file."""
    token = admin.client.headers["Authorization"].removeprefix("Bearer ")
    secrets = [admin.secret, token, ann.access, ann.refresh, PASSWORD, NEW_PASSWORD]
    hashes = [token_hash(Secret(secret)).hex() for secret in secrets]

    shown = use_everything(admin, server, ann.user, ann.access)
    server.stop()
    log = server.log.read_text()
    files = b"".join(path.read_bytes() for path in server.data.glob("server.db*"))

    for secret in (*secrets, *hashes, "argon2"):
        assert [text for text in shown if secret in text] == []
        assert secret not in log
    for secret in secrets:
        assert secret.encode() not in files
    # Neither a part of a token: it has a payload between two dots.
    parts = [part for each in (token, ann.access, ann.refresh) for part in each.split(".")[1:]]
    assert [part for part in parts if part in log + "".join(shown)] == []


def test_every_deed_leaves_a_line(admin: Admin, server: AdminServer, ann: Account) -> None:
    """The log tells which key did what to whom and what came of it; a line cannot be forged."""
    admin.ask("PUT", f"/users/{ann.user}/logout")
    admin.ask("PUT", f"/users/{NOBODY}/disable")
    admin.ask("PUT", "/users/x%0Akey=forged%1b[2J/enable")
    admin.ask("PUT", "/security/refresh_token_expiration", json={"expiration_time_seconds": 9999})
    admin.ask("DELETE", f"/users/{ann.user}")
    log_in(admin.client, admin.key, "wrong")
    log_in(admin.client, NOBODY, "wrong")
    httpx.get(server.url + "/healthz")
    server.stop()
    lines = server.log.read_text().splitlines()
    trail = [line.partition(" syncauth.server.admin ")[2].partition(" [")[0] for line in lines]

    key = f"key={admin.key} deed="
    assert [line for line in trail if line] == [
        f"{key}login address=127.0.0.1 outcome=done",
        f"{key}log_out on={ann.user} outcome=done",
        f"{key}disable on={NOBODY} outcome=UserNotFound",
        f"{key}enable on=x\\nkey=forged\\x1b[2J outcome=UserNotFound",
        f"{key}set_refresh_seconds on=9999 outcome=done",
        f"{key}remove on={ann.user} outcome=done",
        f"{key}login address=127.0.0.1 outcome=refused",
        "key=unknown deed=login address=127.0.0.1 outcome=refused",
    ]
