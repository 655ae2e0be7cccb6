"""Registration, logins, profile and removal over real HTTP, as App Services clients need."""

from __future__ import annotations

import base64
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from syncauth.server.settings.config import Lifetimes, LoginSettings, ServerLimits

if TYPE_CHECKING:
    from tests.integration.auth_api.conftest import AuthServer, StartServer

BASE = "/api/client/v2.0"
APP = f"{BASE}/app/field-notes"
PROVIDERS = f"{APP}/auth/providers"
HEX24 = re.compile(r"[0-9a-f]{24}")


def claims(token: str) -> dict[str, Any]:
    """Read a token as clients do."""
    part = token.split(".")[1]
    decoded: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return decoded


def test_location_names_the_server_as_it_was_reached(server: AuthServer) -> None:
    """`hostname` and `ws_hostname` are full URLs built from the Host header."""
    here = server.client.get(f"{APP}/location").json()
    there = server.client.get(f"{APP}/location", headers={"Host": "sync.example.com"}).json()

    assert here["hostname"] == server.url
    assert here["ws_hostname"] == server.url.replace("http:", "ws:")
    assert there["hostname"] == "http://sync.example.com"
    assert set(here) == {"deployment_model", "location", "hostname", "ws_hostname"}


def test_register_then_log_in_then_profile(server: AuthServer) -> None:
    """The three calls of every client work one after the other and fit together."""
    registered = server.register()
    assert registered.status_code == 201
    assert registered.content == b""
    assert "content-type" not in registered.headers

    login = server.try_login(device={"platform": "python"})
    assert login.status_code == 200
    assert login.headers["content-type"] == "application/json"
    assert login.headers["cache-control"] == "no-store"
    body = login.json()
    assert HEX24.fullmatch(body["user_id"])
    assert HEX24.fullmatch(body["device_id"])
    assert claims(body["access_token"])["sub"] == body["user_id"]
    assert claims(body["access_token"])["baas_device_id"] == body["device_id"]
    assert claims(body["refresh_token"])["baas_id"] == claims(body["access_token"])["iss"]

    profile = server.profile(body["access_token"])
    assert profile.status_code == 200
    content = profile.json()
    assert content["user_id"] == body["user_id"]
    assert content["data"] == {"email": "ann@example.com"}
    assert content["type"] == "normal"
    assert [identity["provider_type"] for identity in content["identities"]] == ["local-userpass"]
    assert content["domain_id"] == claims(body["access_token"])["baas_domain_id"]


def test_life_is_told_in_milliseconds(start_server: StartServer) -> None:
    """`life_ms` is what is left until the access token's `exp`, never less than was configured."""
    server = start_server(lifetimes=Lifetimes(access_seconds=2))
    login = server.log_in()

    left = claims(login["access_token"])["exp"] - server.clock.wall()
    assert login["life_ms"] == int(left * 1000) == 2750
    assert login["expires_in"] == 2


def test_device_id_is_kept_when_it_is_one(server: AuthServer) -> None:
    """A client's own device id comes back; what is no device id is replaced by a new one."""
    server.register()

    kept = server.try_login(device={"deviceId": "AB" * 12}).json()["device_id"]
    assert kept == "ab" * 12
    for other in ("0" * 24, "short", "zz" * 12, "ab" * 13, 7, None, ["ab" * 12]):
        device_id = server.try_login(device={"deviceId": other}).json()["device_id"]
        assert HEX24.fullmatch(device_id)
        assert device_id not in ("ab" * 12, "0" * 24)


def test_wrong_password_and_unknown_user_are_answered_alike(server: AuthServer) -> None:
    """A login tells nobody which accounts there are: status, headers and body are the same."""
    server.register()

    wrong = server.try_login(password="wrong horse")
    unknown = server.try_login(email="bob@example.com")

    assert wrong.status_code == unknown.status_code == 401
    assert wrong.content == unknown.content
    assert set(wrong.headers) == set(unknown.headers)
    assert wrong.json() == {
        "error": "invalid username/password",
        "error_code": "InvalidPassword",
        "link": "",
    }


def test_account_name_is_taken_once(server: AuthServer) -> None:
    """A second registration of the same name is refused, and the first password stays."""
    server.register()

    again = server.register(password="other password")
    assert again.status_code == 409
    assert again.json()["error_code"] == "AccountNameInUse"
    assert again.json()["error"] == "name already in use"
    assert server.try_login(password="other password").status_code == 401
    assert server.try_login().status_code == 200


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("", "correct horse"),
        ("a" * 255, "correct horse"),
        ("a\x00b@example.com", "correct horse"),
        ("a\nb@example.com", "correct horse"),
        ("a@example.com", "short"),
        ("a@example.com", "x" * 129),
    ],
)
def test_bad_registration_is_refused(server: AuthServer, email: str, password: str) -> None:
    """Names and passwords out of bounds are BadRequest, and the password is not shown."""
    answer = server.register(email, password)

    assert answer.status_code == 400
    assert answer.json()["error_code"] == "BadRequest"
    assert password not in answer.text
    assert server.try_login(email, password).status_code == 401


def test_passwords_of_any_letters_work(server: AuthServer) -> None:
    """Passwords are texts: letters beyond ASCII and inner spaces count as they are."""
    server.register("ö@example.com", " pässwörd ✓ ")

    assert server.try_login("ö@example.com", " pässwörd ✓ ").status_code == 200
    assert server.try_login("ö@example.com", "pässwörd ✓").status_code == 401


def test_anonymous_users_are_all_different(server: AuthServer) -> None:
    """Each anonymous login makes a user of its own, also without a body."""
    first = server.client.post(f"{PROVIDERS}/anon-user/login", json={"options": {}}).json()
    second = server.client.post(f"{PROVIDERS}/anon-user/login").json()

    assert first["user_id"] != second["user_id"]
    profile = server.profile(first["access_token"]).json()
    assert [identity["provider_type"] for identity in profile["identities"]] == ["anon-user"]


def test_anonymous_session_has_its_own_life(server: AuthServer) -> None:
    """An anonymous user cannot log in again, so that its session lives as in App Services."""
    login = server.client.post(f"{PROVIDERS}/anon-user/login", json={}).json()
    token = claims(login["refresh_token"])

    assert token["exp"] - token["iat"] == 18_250 * 24 * 3600 + 1


def test_disabled_user_cannot_log_in(server: AuthServer) -> None:
    """With the right password the user is told; with a wrong one nothing is given away."""
    login = server.log_in()
    server.other_process().disable_user(login["user_id"], server.clock.wall())

    right = server.try_login()
    assert right.status_code == 401
    assert right.json()["error_code"] == "UserDisabled"
    assert server.try_login(password="wrong horse").json()["error_code"] == "InvalidPassword"
    profile = server.profile(login["access_token"])
    assert profile.status_code == 401
    assert profile.json()["reason"] == "user_disabled"


def test_removed_user_is_gone(server: AuthServer) -> None:
    """A user who removes the account ends all its sessions, and the name is free again."""
    login, other = server.log_in(), server.log_in()

    gone = server.client.delete(
        f"{BASE}/auth/delete", headers={"Authorization": f"Bearer {login['access_token']}"}
    )
    assert gone.status_code == 204
    assert gone.content == b""
    assert "content-type" not in gone.headers
    assert len(server.revoked) == 2
    for session in (login, other):
        assert server.refresh(session["refresh_token"]).json()["reason"] == "user_removed"
        assert server.profile(session["access_token"]).json()["reason"] == "user_removed"
    assert server.try_login().json()["error_code"] == "InvalidPassword"
    assert server.log_in()["user_id"] != login["user_id"]


def test_custom_data_travels_in_the_access_token(server: AuthServer) -> None:
    """What is set at the server is in `user_data` after the next refresh and at the next login."""
    login = server.log_in(rotate=False)
    assert "user_data" not in claims(login["access_token"])
    server.other_process().set_custom_data(login["user_id"], {"plan": "ünlimited"})

    refreshed = server.refresh(login["refresh_token"]).json()["access_token"]
    again = server.try_login().json()["access_token"]
    assert claims(refreshed)["user_data"] == claims(again)["user_data"] == {"plan": "ünlimited"}


def test_providers_can_be_switched_off(start_server: StartServer) -> None:
    """A provider that is off is answered as not found, for registration too."""
    off = LoginSettings(anonymous=False, email_password=False, password_cost="low")
    server = start_server(login=off)

    anonymous = server.client.post(f"{PROVIDERS}/anon-user/login", json={})
    for answer in (server.register(), server.try_login(), anonymous):
        assert answer.status_code == 404
        assert answer.json()["error_code"] == "AuthProviderNotFound"


def test_linking_is_refused_and_never_a_session_error(server: AuthServer) -> None:
    """`?link=true` must not log in as somebody else; `InvalidSession` would make realm-web loop."""
    server.register()
    body = {"username": "ann@example.com", "password": "correct horse"}

    for path, content in (("local-userpass", body), ("anon-user", {})):
        answer = server.client.post(f"{PROVIDERS}/{path}/login?link=true", json=content)
        assert answer.status_code == 400
        assert answer.json()["error_code"] == "BadRequest"


def test_token_of_a_current_user_is_tolerated(server: AuthServer) -> None:
    """Calls without authentication may carry a token, even a broken one; it is ignored."""
    server.client.headers["Authorization"] = "Bearer nonsense"

    assert server.register().status_code == 201
    assert server.try_login().status_code == 200


def test_logins_are_slowed_down_per_account(start_server: StartServer) -> None:
    """After the burst comes 429 with Retry-After; another account and rightful logins go on."""
    server = start_server(limits=ServerLimits(login_burst=3, logins_per_minute=60))
    server.register()
    for _ in range(10):
        assert server.try_login().status_code == 200

    answers = [server.try_login(password="wrong horse") for _ in range(4)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 429]
    assert answers[-1].headers["retry-after"] == "1"
    assert answers[-1].json()["error_code"] == "TooManyRequests"
    assert server.try_login(email="bob@example.com").status_code == 401
    server.clock.pass_time(1.01)
    assert server.try_login().status_code == 200


def test_location_behind_a_proxy_names_what_the_client_speaks(server: AuthServer) -> None:
    """What the proxy says of the scheme is in both names, so that nobody is led away from TLS."""
    headers = {"Host": "sync.example.com", "X-Forwarded-Proto": "https"}

    location = server.client.get(f"{APP}/location", headers=headers).json()

    assert location["hostname"] == "https://sync.example.com"
    assert location["ws_hostname"] == "wss://sync.example.com"


def test_registrations_are_slowed_down_per_address(start_server: StartServer) -> None:
    """New accounts and anonymous users from one address share a burst."""
    server = start_server(limits=ServerLimits(register_burst=2, registrations_per_minute=6))
    server.register("a@example.com")
    server.client.post(f"{PROVIDERS}/anon-user/login", json={})

    for answer in (
        server.register("b@example.com"),
        server.client.post(f"{PROVIDERS}/anon-user/login", json={}),
    ):
        assert answer.status_code == 429
        assert answer.headers["retry-after"] == "10"
    assert server.try_login("a@example.com").status_code == 200
