"""API keys: managed with the refresh token, told once, good for logins."""

from __future__ import annotations

import sqlite3
from typing import Any

import httpx
import pytest

from syncauth.server.settings.config import LoginSettings, ServerLimits
from tests.integration.auth_api.conftest import BASE, AuthServer, StartServer, bearer

KEYS = f"{BASE}/auth/api_keys"


def create(server: AuthServer, token: str, name: str = "backup") -> httpx.Response:
    """Ask for a key."""
    return server.client.post(KEYS, json={"name": name}, headers=bearer(token))


def test_key_is_told_once_and_logs_in(server: AuthServer) -> None:
    """The key's text is in the first answer only, and leads to its user."""
    login = server.log_in()
    token = login["refresh_token"]

    answer = create(server, token)
    assert answer.status_code == 201
    made: dict[str, Any] = answer.json()
    key = made.pop("key")
    assert made == {"_id": made["_id"], "name": "backup", "disabled": False}
    assert server.client.get(KEYS, headers=bearer(token)).json() == [made]
    one = server.client.get(f"{KEYS}/{made['_id']}", headers=bearer(token))
    assert one.json() == made

    session = server.log_in_with("api-key", {"key": key, "options": {"rotate": True}})
    assert session.status_code == 200
    assert session.json()["user_id"] == login["user_id"]
    assert server.refresh(session.json()["refresh_token"]).status_code == 201
    text = b"".join(path.read_bytes() for path in server.path.parent.glob("server.db*"))
    assert key.encode() not in text


def test_disabled_key_is_refused_and_its_sessions_end(server: AuthServer) -> None:
    """Disabling ends what the key has opened; enabling lets it log in again; deleting is for ever."""
    login = server.log_in()
    token = login["refresh_token"]
    made = create(server, token).json()
    body = {"key": made["key"]}
    place = f"{KEYS}/{made['_id']}"
    session = server.log_in_with("api-key", body).json()

    disabled = server.client.put(f"{place}/disable", headers=bearer(token))
    assert disabled.status_code == 204
    assert "content-type" not in disabled.headers
    assert len(server.revoked) == 1
    assert server.refresh(session["refresh_token"]).json()["error_code"] == "InvalidSession"
    refused = server.log_in_with("api-key", body)
    assert (refused.status_code, refused.json()["error_code"]) == (401, "AuthError")
    assert server.client.put(f"{place}/enable", headers=bearer(token)).status_code == 204
    assert server.log_in_with("api-key", body).status_code == 200
    assert server.client.delete(place, headers=bearer(token)).status_code == 204
    assert server.log_in_with("api-key", body).status_code == 401
    assert server.profile(login["access_token"]).status_code == 200


def test_keys_of_others_are_not_found(server: AuthServer) -> None:
    """A key's id is good for nothing with another user's token."""
    key_id = create(server, server.log_in()["refresh_token"]).json()["_id"]
    server.register("bob@example.com")
    bob = bearer(server.try_login("bob@example.com").json()["refresh_token"])
    place = f"{KEYS}/{key_id}"

    answers = [
        server.client.get(place, headers=bob),
        server.client.delete(place, headers=bob),
        server.client.put(f"{place}/disable", headers=bob),
        server.client.put(f"{place}/enable", headers=bob),
    ]
    for answer in answers:
        assert (answer.status_code, answer.json()["error_code"]) == (404, "APIKeyNotFound")
    assert server.client.get(KEYS, headers=bob).json() == []


def test_only_the_present_refresh_token_manages_keys(server: AuthServer) -> None:
    """Access tokens, replaced tokens and ended sessions are refused, and nothing is used up."""
    login = server.log_in()
    token = login["refresh_token"]
    assert create(server, login["access_token"]).json()["error_code"] == "InvalidSession"
    assert server.client.post(KEYS, json={"name": "a"}).json()["error_code"] == "InvalidSession"
    newer = server.refresh(token).json()["refresh_token"]

    assert create(server, token).json()["error_code"] == "InvalidSession"
    assert create(server, newer).status_code == 201
    server.log_out(newer)
    assert create(server, newer, "other").json()["error_code"] == "InvalidSession"


def test_keys_are_limited_and_named_well(start_server: StartServer) -> None:
    """So many keys at most, no name twice, and none for who cannot log in again."""
    server = start_server(limits=ServerLimits(api_keys=2))
    token = server.log_in()["refresh_token"]
    nobody = server.log_in_with("anon-user", {}).json()["refresh_token"]

    assert create(server, token, "a").status_code == 201
    assert create(server, token, "a").json()["error_code"] == "APIKeyAlreadyExists"
    assert create(server, token, "b").status_code == 201
    assert create(server, token, "c").json()["error_code"] == "BadRequest"
    assert create(server, nobody).json()["error_code"] == "BadRequest"


@pytest.mark.parametrize("name", ["", "a b", "ä", "x" * 101, "a/b"])
def test_bad_name_is_refused(server: AuthServer, name: str) -> None:
    """A name has letters, digits, - and _."""
    answer = create(server, server.log_in()["refresh_token"], name)

    assert (answer.status_code, answer.json()["error_code"]) == (400, "InvalidParameter")


def test_invented_keys_are_slowed_down(start_server: StartServer) -> None:
    """After the burst comes 429, with when to come back."""
    server = start_server(limits=ServerLimits(login_burst=2, logins_per_minute=60))

    codes = [server.log_in_with("api-key", {"key": "x"}).status_code for _ in range(3)]
    assert codes == [401, 401, 429]


def test_key_logins_can_be_switched_off(start_server: StartServer) -> None:
    """Without the provider a key is good for nothing."""
    server = start_server(login=LoginSettings(api_key=False, password_cost="low"))

    answer = server.log_in_with("api-key", {"key": "x"})
    assert answer.json()["error_code"] == "AuthProviderNotFound"


def test_own_key_links_nothing_new(server: AuthServer) -> None:
    """Linking with one's own key is answered, with another's refused."""
    login = server.log_in()
    key = create(server, login["refresh_token"]).json()["key"]
    other = server.log_in_with("anon-user", {}).json()["access_token"]

    own = server.log_in_with("api-key", {"key": key}, link=login["access_token"])
    assert own.json()["user_id"] == login["user_id"]
    taken = server.log_in_with("api-key", {"key": key}, link=other)
    assert taken.json()["error_code"] == "AccountNameInUse"
    with sqlite3.connect(server.path) as file:
        (count,) = file.execute("SELECT count(*) FROM _sync_identities").fetchone()
    file.close()
    assert count == 2
