"""Custom data that administrators set: it stands in the next access token."""

from __future__ import annotations

import json

import httpx

from syncauth.server.accounts.custom_data import LARGEST
from tests.integration.admin.conftest import NOBODY, Admin, AdminServer, shell
from tests.integration.admin.test_users import try_login
from tests.integration.auth_api.conftest import claims
from tests.support.socket_device import Account

GOOD = {"plan": "ünlimited", "teams": [1, 2]}


def in_next_token(server: AdminServer) -> object:
    """Log in anew, and return the custom data of the token."""
    return claims(try_login(server, "ann@example.com").json()["access_token"]).get("user_data")


def test_data_set_by_the_api_is_in_the_next_token(
    admin: Admin, server: AdminServer, ann: Account
) -> None:
    """A later one takes its place whole; what is no small JSON object changes nothing."""
    path = f"/users/{ann.user}/custom_data"
    assert in_next_token(server) is None

    assert admin.ask("PUT", path, json={"old": True}).status_code == 204
    assert admin.ask("PUT", path, json=GOOD).status_code == 204
    refused = [
        admin.ask("PUT", path, content=each)
        for each in (b"[1]", b"", b"{", b'{"a": "%s"}' % (b"x" * LARGEST))
    ]

    assert in_next_token(server) == GOOD
    assert [each.status_code for each in refused] == [400, 400, 400, 413]
    nobody = admin.ask("PUT", f"/users/{NOBODY}/custom_data", json=GOOD)
    assert (nobody.status_code, nobody.json()["error_code"]) == (404, "UserNotFound")
    without = httpx.put(str(nobody.request.url), json=GOOD)
    assert without.status_code == 401


def test_data_set_by_the_shell_is_in_the_next_token(server: AdminServer, ann: Account) -> None:
    """From a file or standard input; what is no small JSON object ends with 2."""
    file = server.directory / "data.json"
    file.write_text(json.dumps({"old": True}))
    assert shell(server, "users", "set-data", ann.user, str(file)).code == 0
    assert in_next_token(server) == {"old": True}

    said = shell(
        server, "users", "set-data", "ann@example.com", "-", "--json", stdin=json.dumps(GOOD)
    )

    assert said.document == {"user": ann.user, "state": "enabled", "sessions_ended": 0}
    for wrong in ("[1]", "", "{", json.dumps({"a": "x" * LARGEST})):
        ended = shell(server, "users", "set-data", ann.user, "-", stdin=wrong)
        assert ended.code == 2, ended
    assert shell(server, "users", "set-data", NOBODY, str(file)).code == 2
    assert in_next_token(server) == GOOD
