"""Refreshing over real HTTP: rotation, lost answers, reuse, expiry and revocation."""

from __future__ import annotations

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from syncauth.server.settings.config import DAY, Lifetimes, LoginSettings

if TYPE_CHECKING:
    import httpx

    from tests.integration.auth_api.conftest import AuthServer, StartServer

ANONYMOUS = "/api/client/v2.0/app/field-notes/auth/providers/anon-user/login"


def refused(answer: httpx.Response, reason: str) -> bool:
    """Tell whether the session was refused in the one shape that clients believe."""
    body: dict[str, Any] = answer.json()
    return (
        answer.status_code == 401
        and answer.headers["content-type"] == "application/json"
        and body["error_code"] == "InvalidSession"
        and body["reason"] == reason
        and body["error"].startswith("invalid session")
    )


def session_of(token: str) -> str:
    """Return the session id of an access token."""
    part = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))["iss"])


def test_rotating_session_always_gets_a_new_pair(server: AuthServer) -> None:
    """Each refresh gives a new access and a new refresh token, with or without a refresh id."""
    login = server.log_in()
    token, seen = login["refresh_token"], {login["refresh_token"]}

    for refresh_id in ("r1", None, "r2", "r2"):
        answer = server.refresh(token, refresh_id)
        assert answer.status_code == 201
        assert answer.headers["content-type"] == "application/json"
        body = answer.json()
        assert set(body) == {"access_token", "refresh_token", "life_ms", "expires_in"}
        assert server.profile(body["access_token"]).status_code == 200
        token = body["refresh_token"]
        assert token not in seen
        seen.add(token)


def test_session_of_app_services_client_keeps_its_token(server: AuthServer) -> None:
    """A client that did not ask for rotation gets an access token only, for the whole life."""
    login = server.log_in(rotate=False)

    for _ in range(3):
        body = server.refresh(login["refresh_token"]).json()
        assert set(body) == {"access_token", "life_ms", "expires_in"}
        assert session_of(body["access_token"]) == session_of(login["access_token"])


def test_lost_answer_is_repeated(server: AuthServer) -> None:
    """The same token with the same refresh id gets a fresh successor, even days later (I6)."""
    login = server.log_in()
    lost = server.refresh(login["refresh_token"], "r1").json()

    server.clock.pass_time(5 * DAY)
    found = server.refresh(login["refresh_token"], "r1").json()

    assert found["refresh_token"] != lost["refresh_token"]
    assert server.refresh(found["refresh_token"], "r2").status_code == 201
    assert server.revoked == []


@pytest.mark.parametrize("case", ["other id", "no id", "dead successor", "used successor"])
def test_reuse_ends_the_whole_family(server: AuthServer, case: str) -> None:
    """Any other reuse ends the session for both holders, says so, and tells the sync hub."""
    login = server.log_in()
    first = login["refresh_token"]
    lost = server.refresh(first, "r1").json()["refresh_token"]
    last = server.refresh(first, "r1").json()
    if case == "used successor":
        last = server.refresh(last["refresh_token"], "r2").json()
    presented = {
        "other id": (first, "rx"),
        "no id": (first, None),
        "dead successor": (lost, "r2"),
        "used successor": (first, "r1"),
    }[case]

    assert refused(server.refresh(*presented), "reuse_detected")
    assert refused(server.refresh(last["refresh_token"], "r3"), "reuse_detected")
    assert refused(server.profile(last["access_token"]), "reuse_detected")
    assert server.revoked == [session_of(login["access_token"])]


def test_reuse_leaves_other_sessions_alone(server: AuthServer) -> None:
    """The family is one session: another session of the same user goes on."""
    login, other = server.log_in(), server.log_in()
    server.refresh(login["refresh_token"], "r1")

    assert refused(server.refresh(login["refresh_token"], "r2"), "reuse_detected")
    assert server.refresh(other["refresh_token"], "r1").status_code == 201


def test_two_refreshes_at_once_with_one_id_both_answer(server: AuthServer) -> None:
    """Of many answers to the same token and id exactly one holds the living successor."""
    login = server.log_in()

    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda _: server.refresh(login["refresh_token"], "r1"), range(8))
        )

    assert {answer.status_code for answer in answers} == {201}
    successors = {answer.json()["refresh_token"] for answer in answers}
    assert len(successors) == 8
    # Which one lives is only known to the store; a last repeat puts a known one in its place.
    living = server.refresh(login["refresh_token"], "r1").json()["refresh_token"]
    assert server.refresh(living, "r2").status_code == 201


def test_two_refreshes_at_once_with_two_ids_end_the_session(server: AuthServer) -> None:
    """Two holders of one token are a theft: one may be first, then the session is over for both."""
    login = server.log_in()

    with ThreadPoolExecutor(2) as threads:
        answers = list(
            threads.map(lambda refresh_id: server.refresh(login["refresh_token"], refresh_id), "ab")
        )

    assert sorted(answer.status_code for answer in answers) == [201, 401]
    winner = next(answer for answer in answers if answer.status_code == 201).json()
    assert refused(server.refresh(winner["refresh_token"], "c"), "reuse_detected")


def test_rotation_does_not_extend_the_session(start_server: StartServer) -> None:
    """The end is fixed at login; however often it was rotated, the token is refused after it."""
    server = start_server(lifetimes=Lifetimes(access_seconds=60, refresh_seconds=100))
    login = server.log_in()
    token = login["refresh_token"]
    for number in range(4):
        server.clock.pass_time(24)
        body = server.refresh(token, f"r{number}").json()
        token = body["refresh_token"]
        assert body["life_ms"] <= min(60, 100 - 24 * (number + 1)) * 1000 + 1000

    server.clock.pass_time(4)

    assert refused(server.refresh(token, "r9"), "expired")
    assert refused(server.refresh(login["refresh_token"], "r9"), "expired")
    assert server.try_login(rotate=True).status_code == 200


def test_expiry_is_judged_by_the_servers_clock(start_server: StartServer) -> None:
    """A refresh token is good until just before its end, months of test time later."""
    server = start_server()
    login = server.log_in()

    server.clock.pass_time(60 * DAY - 1)
    kept = server.refresh(login["refresh_token"], "r1")
    assert kept.status_code == 201
    server.clock.pass_time(1)
    assert refused(server.refresh(kept.json()["refresh_token"], "r2"), "expired")


def test_access_token_ends_by_itself(server: AuthServer) -> None:
    """An access token past its end is refused with the code that makes clients refresh."""
    login = server.log_in()

    server.clock.pass_time(1802)
    answer = server.profile(login["access_token"])
    assert answer.status_code == 401
    assert answer.json()["error_code"] == "InvalidSession"
    renewed = server.refresh(login["refresh_token"], "r1").json()
    assert server.profile(renewed["access_token"]).status_code == 200


def test_logout_ends_the_session_once(server: AuthServer) -> None:
    """Logout answers 204 without a body; a second one says that there is no such session."""
    login = server.log_in()

    first = server.log_out(login["refresh_token"])
    assert first.status_code == 204
    assert first.content == b""
    assert "content-type" not in first.headers
    assert server.revoked == [session_of(login["access_token"])]
    second = server.log_out(login["refresh_token"])
    assert refused(second, "revoked")
    assert "failed to find refresh token" in second.json()["error"]
    assert refused(server.refresh(login["refresh_token"], "r1"), "revoked")
    assert refused(server.profile(login["access_token"]), "revoked")


def test_logout_works_with_the_token_before_a_lost_answer(server: AuthServer) -> None:
    """Who lost the answer of a refresh can still end the session with the old token."""
    login = server.log_in()
    lost = server.refresh(login["refresh_token"], "r1").json()

    assert server.log_out(login["refresh_token"]).status_code == 204
    assert refused(server.refresh(lost["refresh_token"], "r2"), "revoked")


def test_logout_of_nothing_is_told_in_the_words_clients_know(server: AuthServer) -> None:
    """Garbage, an access token and an expired token are all "failed to find refresh token"."""
    login = server.log_in()
    for token in ("garbage", "a.b.c", login["access_token"]):
        answer = server.log_out(token)
        assert answer.status_code == 401
        assert "failed to find refresh token" in answer.json()["error"]
    server.clock.pass_time(61 * DAY)
    assert "failed to find refresh token" in server.log_out(login["refresh_token"]).text


@pytest.mark.parametrize(
    ("act", "reason"),
    [
        ("revoke_user", "revoked"),
        ("disable_user", "user_disabled"),
        ("remove_user", "user_removed"),
    ],
)
def test_other_process_ends_sessions(server: AuthServer, act: str, reason: str) -> None:
    """What another process does to a user is answered at the very next call, with its reason."""
    login = server.log_in()
    elsewhere = server.other_process()

    ended = getattr(elsewhere, act)(login["user_id"], server.clock.wall())

    assert ended == (session_of(login["access_token"]),)
    assert refused(server.refresh(login["refresh_token"], "r1"), reason)
    assert refused(server.profile(login["access_token"]), reason)


def test_what_is_no_token_is_refused(server: AuthServer) -> None:
    """Whatever stands where a token belongs, the answer is 401 in JSON, never a failure."""
    calls = [("POST", "session"), ("GET", "profile"), ("DELETE", "delete"), ("DELETE", "session")]
    for token in ("garbage", "a.b.c", "a.b", "é", "x" * 10_000):
        header = {b"Authorization": b"Bearer " + token.encode()}
        for method, path in calls:
            answer = server.client.request(method, f"/api/client/v2.0/auth/{path}", headers=header)
            assert answer.status_code == 401
            assert answer.json()["error_code"] == "InvalidSession"


def test_tokens_of_the_wrong_type_are_refused(server: AuthServer) -> None:
    """An access token refreshes nothing, and a refresh token opens no profile."""
    login = server.log_in()

    assert server.refresh(login["access_token"], "r1").status_code == 401
    assert server.profile(login["refresh_token"]).status_code == 401
    assert server.refresh(login["refresh_token"], "r1").status_code == 201


def test_missing_token_is_refused(server: AuthServer) -> None:
    """Without a bearer token, or with another scheme, the calls that need one are refused."""
    for header in ({}, {"Authorization": "Basic abc"}, {"Authorization": "Bearer"}):
        answer = server.client.post("/api/client/v2.0/auth/session", headers=header)
        assert answer.status_code == 401
        assert answer.json()["error_code"] == "InvalidSession"


def test_sessions_that_do_not_rotate_can_be_switched_off(start_server: StartServer) -> None:
    """Without them, logins must ask for rotation, and sessions of before refresh no more."""
    old = start_server().log_in(rotate=False)
    strict = LoginSettings(non_rotating_sessions=False, password_cost="low")
    server = start_server(login=strict)

    assert refused(server.refresh(old["refresh_token"]), "revoked")
    for answer in (server.try_login(), server.client.post(ANONYMOUS, json={})):
        assert answer.status_code == 403
        assert answer.json()["error_code"] == "RotationRequired"
    assert server.try_login(rotate=True).status_code == 200


def test_restart_keeps_sessions_and_key(start_server: StartServer) -> None:
    """Tokens of before a restart are good after it."""
    login = start_server().log_in()
    again = start_server()

    assert again.profile(login["access_token"]).status_code == 200
    assert again.refresh(login["refresh_token"], "r1").status_code == 201


def test_database_holds_no_token_and_no_password(server: AuthServer) -> None:
    """In the server's file and its log there are hashes only (I10)."""
    login = server.log_in()
    renewed = server.refresh(login["refresh_token"], "refresh-id-text").json()

    kept = b"".join(path.read_bytes() for path in server.path.parent.glob("server.db*"))
    assert b"ann@example.com" in kept
    for secret in (
        "correct horse",
        "refresh-id-text",
        *(login[name] for name in ("access_token", "refresh_token")),
        *(renewed[name] for name in ("access_token", "refresh_token")),
    ):
        assert secret.encode() not in kept
        assert secret.split(".")[-1].encode() not in kept
