"""`?link=true`: a user gets a further identity, and nobody gets somebody else's."""

from __future__ import annotations

import contextlib
import sqlite3
from typing import Any

import pytest

from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.team.extensions import Extensions
from tests.integration.auth_api.conftest import EMAIL, PASSWORD, PROVIDERS, AuthServer, StartServer

NAMED = {"username": EMAIL, "password": PASSWORD}


def anonymous(server: AuthServer) -> dict[str, Any]:
    """Log in without a name."""
    login: dict[str, Any] = server.log_in_with("anon-user", {"options": {"rotate": True}}).json()
    return login


def test_anonymous_user_gets_a_name_and_stays_the_same(server: AuthServer) -> None:
    """After the link the password leads to the same user, and the session goes on."""
    login = anonymous(server)
    server.register()

    linked = server.log_in_with("local-userpass", NAMED, link=login["access_token"])

    assert linked.status_code == 200
    assert {"access_token", "user_id", "device_id"} <= linked.json().keys()
    assert "refresh_token" not in linked.json()
    assert linked.json()["user_id"] == login["user_id"]
    assert linked.json()["device_id"] == login["device_id"]
    profile = server.profile(linked.json()["access_token"]).json()
    kinds = {identity["provider_type"] for identity in profile["identities"]}
    assert kinds == {"anon-user", "local-userpass"}
    assert profile["data"]["email"] == EMAIL
    assert server.try_login().json()["user_id"] == login["user_id"]
    assert server.refresh(login["refresh_token"]).status_code == 201


def test_linking_again_changes_nothing(server: AuthServer) -> None:
    """A link whose answer was lost may be asked for again."""
    login = anonymous(server)
    server.register()
    for _ in range(2):
        assert (
            server.log_in_with("local-userpass", NAMED, link=login["access_token"]).status_code
            == 200
        )


def test_identity_of_another_user_is_refused(server: AuthServer) -> None:
    """Whoever has logged in with an identity keeps it; the code never is `InvalidSession`."""
    owner = server.log_in()
    login = anonymous(server)

    answer = server.log_in_with("local-userpass", NAMED, link=login["access_token"])

    assert (answer.status_code, answer.json()["error_code"]) == (409, "AccountNameInUse")
    assert server.try_login().json()["user_id"] == owner["user_id"]


def test_second_email_identity_is_refused(server: AuthServer) -> None:
    """A user has one email address to log in with."""
    login = server.log_in()
    server.register("second@example.com")

    body = {"username": "second@example.com", "password": PASSWORD}
    answer = server.log_in_with("local-userpass", body, link=login["access_token"])

    assert (answer.status_code, answer.json()["error_code"]) == (400, "BadRequest")


def test_linking_needs_both_logins(server: AuthServer) -> None:
    """A wrong password links nothing, and an anonymous identity cannot be linked."""
    login = anonymous(server)
    server.register()

    wrong = server.log_in_with(
        "local-userpass", NAMED | {"password": "wrong horse"}, link=login["access_token"]
    )
    nobody = server.log_in_with("anon-user", {}, link=login["access_token"])

    assert wrong.json()["error_code"] == "InvalidPassword"
    assert (nobody.status_code, nobody.json()["error_code"]) == (400, "BadRequest")
    assert len(server.profile(login["access_token"]).json()["identities"]) == 1


def test_a_link_without_a_token_is_no_invalid_session(server: AuthServer) -> None:
    """Clients would refresh and come again without end; a header that is no token is none either."""
    server.register()

    for headers in ({}, {"Authorization": "Basic abc"}):
        answer = server.client.post(
            f"{PROVIDERS}/local-userpass/login",
            params={"link": "true"},
            json=NAMED,
            headers=headers,
        )

        assert (answer.status_code, answer.json()["error_code"]) == (400, "BadRequest")


def test_expired_access_token_asks_for_a_refresh(server: AuthServer) -> None:
    """Only the caller's own token is told as `InvalidSession`: a refresh mends it, and costs no login."""
    login = anonymous(server)
    server.register()
    server.clock.pass_time(1801)

    answer = server.log_in_with("local-userpass", NAMED, link=login["access_token"])
    assert (answer.status_code, answer.json()["error_code"]) == (401, "InvalidSession")
    renewed = server.refresh(login["refresh_token"]).json()["access_token"]
    assert server.log_in_with("local-userpass", NAMED, link=renewed).status_code == 200


@pytest.mark.parametrize("known", [False, True])
def test_identity_of_a_function_is_linked(start_server: StartServer, known: bool) -> None:
    """The same holds for every provider: new is linked, somebody's is refused."""
    server = start_server(Extensions(custom_login=lambda payload: payload["id"]))
    if known:
        assert server.log_in_with("custom-function", {"id": "ann"}).status_code == 200
    login = anonymous(server)

    answer = server.log_in_with("custom-function", {"id": "ann"}, link=login["access_token"])

    if known:
        assert answer.json()["error_code"] == "AccountNameInUse"
    else:
        again = server.log_in_with("custom-function", {"id": "ann"}).json()
        assert answer.json()["user_id"] == again["user_id"] == login["user_id"]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        ("disable_user", "user_disabled"),
        ("revoke_user", "revoked"),
        ("remove_user", "user_removed"),
    ],
)
@pytest.mark.parametrize("slow", ["custom_login", "custom_data"])
def test_session_that_ends_during_a_link_gets_no_token(
    start_server: StartServer, slow: str, ending: str, reason: str
) -> None:
    """Whoever was put out while the team's code took its time gets no further access token (I3)."""
    begun: list[str] = []

    def end() -> None:
        with contextlib.closing(sqlite3.connect(server.path, isolation_level=None)) as connection:
            for user_id in begun:
                getattr(SqliteAccounts(connection), ending)(user_id, server.clock.wall())

    def custom_login(payload: dict[str, Any]) -> str:
        if slow == "custom_login":
            end()
        return str(payload["id"])

    def custom_data(_user_id: str) -> None:
        if slow == "custom_data":
            end()

    server = start_server(Extensions(custom_login=custom_login, custom_data=custom_data))
    login = anonymous(server)
    begun.append(login["user_id"])

    answer = server.log_in_with("custom-function", {"id": "ann"}, link=login["access_token"])

    assert (answer.status_code, answer.json()["error_code"]) == (401, "InvalidSession")
    assert answer.json()["reason"] == reason
    begun.clear()
    other = server.log_in_with("custom-function", {"id": "ann"})
    if slow == "custom_login":  # nothing was linked: the name is free
        assert other.json()["user_id"] != login["user_id"]
