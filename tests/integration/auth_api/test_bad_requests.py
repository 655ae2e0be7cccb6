"""Whatever is sent, the answer is JSON of the known shape and the server goes on."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import httpx
import pytest

from syncauth.server.settings.config import ServerLimits

if TYPE_CHECKING:
    from tests.integration.auth_api.conftest import AuthServer, StartServer

BASE = "/api/client/v2.0"
PROVIDERS = f"{BASE}/app/field-notes/auth/providers"

BODIES = [
    b"",
    b"{",
    b"null",
    b"[]",
    b'"text"',
    b"\xff\xfe",
    b'{"username": "\\ud800", "password": "x", "email": "\\ud800"}',
    b'{"username": 1, "password": 2, "email": 3}',
    b'{"username": "ann@example.com"}',
    b'{"username": "a", "password": "b", "options": []}',
    b'{"username": "a", "password": "b", "options": {"rotate": "yes"}}',
    b'{"username": "a", "password": "b", "options": {"device": 7}}',
    b"[" * 20_000,
]


def test_bad_body_is_a_bad_request(server: AuthServer) -> None:
    """A body that is no JSON or of another shape is 400 BadRequest, and the next call works."""
    for path in ("local-userpass/login", "local-userpass/register"):
        for body in BODIES:
            answer = server.client.post(f"{PROVIDERS}/{path}", content=body)

            assert answer.status_code == 400, body
            assert answer.headers["content-type"] == "application/json"
            assert answer.json()["error_code"] == "BadRequest"
            assert set(answer.json()) == {"error", "error_code", "link"}
    assert server.register().status_code == 201


def test_bad_refresh_body_costs_nothing(server: AuthServer) -> None:
    """A refresh that cannot be read is 400 and does not touch the session."""
    login = server.log_in()
    header = {"Authorization": f"Bearer {login['refresh_token']}"}

    for body in (b"{", b"[]", b'{"refresh_id": 7}'):
        answer = server.client.post(f"{BASE}/auth/session", headers=header, content=body)
        assert answer.status_code == 400, body

    assert server.refresh(login["refresh_token"], "r1").status_code == 201


def test_value_is_not_repeated_in_the_error(server: AuthServer) -> None:
    """What stood in a bad body is not shown: it may be a password (I10)."""
    body = {"username": "ann@example.com", "password": ["hunter2-secret"]}

    answer = server.client.post(f"{PROVIDERS}/local-userpass/login", json=body)
    assert answer.status_code == 400
    assert "hunter2-secret" not in answer.text


def test_unknown_fields_are_ignored(server: AuthServer) -> None:
    """Clients send more than is read: native SDKs name the provider, for one."""
    server.register()
    body = {
        "username": "ann@example.com",
        "password": "correct horse",
        "provider": "local-userpass",
        "options": {"device": {"sdk": "x", "bundleId": None}, "new": 1},
    }

    answer = server.client.post(
        f"{PROVIDERS}/local-userpass/login",
        json=body,
        headers={"Content-Type": "application/json;charset=utf-8"},
    )
    assert answer.status_code == 200


def test_oversized_body_is_refused_without_reading_it(start_server: StartServer) -> None:
    """A body over the limit is 413, whether its length is told or it comes in chunks."""
    server = start_server(limits=ServerLimits(http_body_bytes=1000))

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    for content in (b" " * 1001, chunks()):
        answer = server.client.post(f"{PROVIDERS}/local-userpass/login", content=content)
        assert answer.status_code == 413
        assert answer.json()["error_code"] == "RequestTooLarge"
    assert server.register().status_code == 201


def test_client_that_goes_away_disturbs_nobody(server: AuthServer) -> None:
    """A connection cut in the middle of a body leaves the server working."""
    host, port = server.url.removeprefix("http://").split(":")
    for _ in range(5):
        with socket.create_connection((host, int(port))) as cut:
            head = f"POST {PROVIDERS}/local-userpass/login HTTP/1.1\r\nHost: x\r\n"
            cut.sendall(f"{head}Content-Length: 100\r\n\r\n{{".encode())

    assert server.register().status_code == 201


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"{BASE}/app/other-app/location", 404, "AppNotFound"),
        ("POST", f"{BASE}/app/other-app/auth/providers/anon-user/login", 404, "AppNotFound"),
        ("POST", f"{PROVIDERS}/oauth2-google/login", 404, "AuthProviderNotFound"),
        ("GET", "/nowhere", 404, "NotFound"),
        ("PUT", f"{BASE}/auth/session", 405, "MethodNotAllowed"),
        ("GET", f"{PROVIDERS}/anon-user/login", 405, "MethodNotAllowed"),
    ],
)
def test_wrong_place_is_told_in_json(
    server: AuthServer, method: str, path: str, status: int, code: str
) -> None:
    """Unknown apps, paths and methods are refused in the one error shape."""
    answer = server.client.request(method, path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["error_code"] == code


def test_failure_of_the_server_is_told_without_details(server: AuthServer) -> None:
    """When the store fails the answer is 500 in JSON, and no client takes it for a refusal."""
    login = server.log_in()
    assert server.client.get("/healthz").status_code == 200
    with closing(sqlite3.connect(server.path)) as elsewhere:
        elsewhere.execute("DROP TABLE _sync_sessions")
        elsewhere.execute("DROP TABLE _sync_users")

    answer = server.refresh(login["refresh_token"], "r1")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": "internal server error",
        "error_code": "InternalServerError",
        "link": "",
    }
    assert httpx.get(f"{server.url}/healthz").status_code == 500
