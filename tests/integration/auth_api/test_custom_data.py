"""Custom user data: looked up at login and at every refresh, and readable in the access token."""

from __future__ import annotations

import sqlite3
from typing import Any

import pytest

from syncauth.errors import InvalidConfig
from syncauth.server.settings.config import CustomDataSettings
from syncauth.server.team.extensions import Extensions
from tests.integration.auth_api.conftest import AuthServer, StartServer, claims

BY_COLUMNS = "SELECT plan, level FROM members WHERE user_id = :user_id"
WHOLE = "SELECT json_object('plan', plan, 'deep', json_array(level)) AS user_data FROM members WHERE user_id = :user_id"


def refreshed(server: AuthServer, login: dict[str, Any]) -> Any:
    """Return the custom data after one more refresh of a session that does not rotate."""
    answer = server.refresh(login["refresh_token"])
    assert answer.status_code == 201, answer.text
    return claims(answer.json()["access_token"]).get("user_data")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (BY_COLUMNS, {"plan": "free", "level": 2}),
        (WHOLE, {"plan": "free", "deep": [2]}),
    ],
)
def test_query_is_run_for_every_token(
    start_server: StartServer, query: str, expected: dict[str, Any]
) -> None:
    """What the team's tables say at a login or refresh is in the token, and nothing for who has no row."""
    server = make_with_members(start_server, query)
    login = server.log_in(rotate=False)
    assert "user_data" not in claims(login["access_token"])

    with sqlite3.connect(server.path) as file:
        file.execute("INSERT INTO members VALUES (?, 'free', 2)", (login["user_id"],))
    file.close()
    assert refreshed(server, login) == expected
    assert claims(server.try_login().json()["access_token"])["user_data"] == expected


def make_with_members(start_server: StartServer, query: str) -> AuthServer:
    """Start a server whose file has a table of members."""
    first = start_server()
    with sqlite3.connect(first.path) as file:
        file.execute("CREATE TABLE IF NOT EXISTS members (user_id TEXT, plan TEXT, level INTEGER)")
    file.close()
    return start_server(custom_data=CustomDataSettings(query))


def test_function_is_asked_for_every_token(start_server: StartServer) -> None:
    """A change shows after the next refresh; None takes the data away; a link shows it too."""
    data: dict[str, Any] | None = {"plan": "ünlimited"}
    server = start_server(Extensions(custom_data=lambda _user_id: data))
    login = server.log_in(rotate=False)
    assert claims(login["access_token"])["user_data"] == {"plan": "ünlimited"}

    data = {"plan": "free"}
    assert refreshed(server, login) == {"plan": "free"}
    data = None
    assert refreshed(server, login) is None


@pytest.mark.parametrize("answer", [[1], "text", {"a": object()}, {"a": "x" * 9000}, "raise"])
def test_unusable_data_costs_no_session(start_server: StartServer, answer: Any) -> None:
    """A look-up that fails is the server's failure: it is told with 5xx, and the same token works after it."""
    broken = False

    def look_up(_user_id: str) -> Any:
        if broken and answer == "raise":
            message = "hunter2"
            raise OSError(message)
        return answer if broken else None

    server = start_server(Extensions(custom_data=look_up))
    login = server.log_in()
    broken = True
    failed = server.refresh(login["refresh_token"], "r")
    assert (failed.status_code, failed.json()["error_code"]) == (500, "InternalServerError")
    assert "hunter2" not in failed.text
    broken = False
    assert server.refresh(login["refresh_token"], "r").status_code == 201


@pytest.mark.parametrize(
    "query",
    [
        "SELECT",
        "DELETE FROM members",
        "WITH few AS (SELECT 1) DELETE FROM members",
        "SELECT 1 AS a, ? AS b",
        "BEGIN",
    ],
)
def test_query_that_cannot_be_run_is_refused_at_the_start(
    start_server: StartServer, query: str
) -> None:
    """It is tried before anything is served, and nothing but a SELECT is run."""
    with pytest.raises(InvalidConfig) as refused:
        make_with_members(start_server, query)

    assert refused.value.setting == "custom_data.query"
