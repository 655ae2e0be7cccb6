"""Who comes in through the admin API: keys, their tokens, networks, and everybody else."""

from __future__ import annotations

import httpx
import pytest

from syncauth.models import Secret
from syncauth.server.accounts.issuer import Issuer, TokenFault
from syncauth.server.accounts.signing_keys import SigningKeys
from syncauth.server.clock import SystemClock
from tests.integration.admin.conftest import (
    APP,
    BASE,
    NOBODY,
    Admin,
    AdminServer,
    Start,
    log_in,
    make_key,
    shell,
)
from tests.support.socket_device import Account

PATHS = [
    ("GET", "/users"),
    ("POST", "/users"),
    ("GET", f"/users/{NOBODY}"),
    ("DELETE", f"/users/{NOBODY}"),
    ("PUT", f"/users/{NOBODY}/logout"),
    ("PUT", f"/users/{NOBODY}/disable"),
    ("PUT", f"/users/{NOBODY}/enable"),
    ("GET", f"/users/{NOBODY}/devices"),
    ("GET", f"/users/{NOBODY}/sessions"),
    ("DELETE", f"/users/{NOBODY}/sessions/{NOBODY}"),
    ("POST", "/users/verify_token"),
    ("GET", "/security/refresh_token_expiration"),
    ("PUT", "/security/refresh_token_expiration"),
    ("GET", "/security/access_token_expiration"),
    ("PUT", "/security/access_token_expiration"),
]


def test_key_is_exchanged_for_a_token(admin: Admin) -> None:
    """The answer has the shape of App Services, and its token finds the one app and its id."""
    answer = log_in(admin.client, admin.key, admin.secret).json()
    apps = admin.client.get(f"{BASE}/groups/any/apps").json()

    assert set(answer) == {"access_token", "user_id", "device_id"}
    assert answer["user_id"] == admin.key
    assert [each["client_app_id"] for each in apps] == ["test"]
    for app in ("test", apps[0]["_id"]):
        assert admin.client.get(f"{BASE}/groups/g/apps/{app}/users").status_code == 200


def test_wrong_keys_are_answered_alike(admin: Admin, server: AdminServer) -> None:
    """An unknown id, a wrong secret, a disabled and a removed key get one and the same answer."""
    disabled, removed = make_key(server, "disabled"), make_key(server, "removed")
    assert shell(server, "keys", "disable", disabled[0]).code == 0
    assert shell(server, "keys", "remove", removed[0]).code == 0

    answers = [
        log_in(admin.client, *pair)
        for pair in (
            (NOBODY, admin.secret),
            ("", ""),
            (admin.key, "wrong"),
            (admin.key, admin.secret[:-1]),
            (disabled[0], admin.secret),
            disabled,
            removed,
        )
    ]

    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.content for answer in answers}) == 1
    assert answers[0].json()["error_code"] == "AuthError"


def test_attempts_are_slowed_down_for_each_key(start: Start) -> None:
    """After some wrong secrets a key's id is answered 429 with Retry-After; other ids are not."""
    server = start("[admin]\nenabled = true\n[limits]\nlogin_burst = 3\nlogins_per_minute = 1")
    key, secret = make_key(server)
    other = make_key(server, "other")
    with httpx.Client(base_url=server.url) as client:
        rightful = [log_in(client, key, secret).status_code for _ in range(6)]
        codes = [log_in(client, key, "wrong").status_code for _ in range(5)]
        slowed = log_in(client, key, secret)

        assert rightful == [200] * 6
        assert codes == [401, 401, 401, 429, 429]
        assert slowed.status_code == 429
        assert 0 < int(slowed.headers["Retry-After"]) <= 60
        assert log_in(client, *other).status_code == 200


def test_nothing_works_without_a_token(server: AdminServer) -> None:
    """Each path refuses who has no token, a user's token, or one of another key's server."""
    user = Account.log_in(server.url, "ann")
    forged = Issuer(SigningKeys(server.directory), "test").admin_token(NOBODY, now=0, life=9e9)
    of_no_key = Issuer(SigningKeys(server.data), "test").admin_token(NOBODY, now=0, life=9e9)
    tokens = [None, "x", user.access, user.refresh, forged.text.reveal(), of_no_key.text.reveal()]
    with httpx.Client(base_url=server.url) as client:
        for token in tokens:
            headers = {} if token is None else {"Authorization": f"Bearer {token}"}
            for method, path in PATHS:
                answer = client.request(method, f"{APP}{path}", headers=headers)

                assert answer.status_code == 401, (method, path)
                assert answer.json()["error_code"] == "InvalidSession"


def test_token_ends(admin: Admin, server: AdminServer) -> None:
    """A token of a good key counts until its end, and no token of an administrator is a user's."""
    issuer, now = Issuer(SigningKeys(server.data), "test"), SystemClock().wall()
    for left, status in ((5, 200), (-1, 401)):
        token = issuer.admin_token(admin.key, now=now - 1000, life=1000 + left).text.reveal()
        admin.client.headers["Authorization"] = f"Bearer {token}"
        assert admin.ask("GET", "/users").status_code == status
    profile = admin.client.get("/api/client/v2.0/auth/profile")

    assert profile.status_code == 401
    assert issuer.verify_access(Secret(token), now) is TokenFault.INVALID


def test_token_is_as_good_as_its_key(admin: Admin, server: AdminServer) -> None:
    """A key that the shell disables or removes takes its tokens with it, at once."""
    assert shell(server, "keys", "disable", admin.key).code == 0
    assert admin.ask("GET", "/users").status_code == 401
    assert shell(server, "keys", "enable", admin.key).code == 0
    assert admin.ask("GET", "/users").status_code == 200
    assert shell(server, "keys", "remove", admin.key).code == 0
    assert admin.ask("GET", "/users").status_code == 401


def test_other_apps_are_not_found(admin: Admin) -> None:
    """A path of another app's id answers 404 AppNotFound, whatever it asks."""
    for method, path in PATHS:
        answer = admin.client.request(method, f"{BASE}/groups/any/apps/other{path}")

        assert answer.status_code == 404, (method, path)
        assert answer.json()["error_code"] == "AppNotFound"


@pytest.mark.parametrize(
    "settings",
    ["", "[admin]\nenabled = false", '[admin]\nenabled = true\nnetworks = ["192.0.2.0/24"]'],
    ids=["not mentioned", "off", "other networks"],
)
def test_it_is_not_there_unless_it_is_wanted(start: Start, settings: str) -> None:
    """Without its settings, and from other networks, each path answers as one that nobody serves."""
    server = start(settings)
    key, secret = make_key(server)
    with httpx.Client(base_url=server.url) as client:
        answers = [log_in(client, key, secret)]
        answers += [client.request(method, f"{APP}{path}") for method, path in PATHS]
        answers += [client.request("PATCH", f"{APP}{path}") for _, path in PATHS]
        answers.append(client.get("/nowhere"))

    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1


def test_networks_are_those_of_the_caller(start: Start) -> None:
    """One address of loopback may come in where another may not."""
    server = start('[admin]\nenabled = true\nnetworks = ["127.0.0.2"]')
    key, secret = make_key(server)
    for address, status in (("127.0.0.2", 200), ("127.0.0.1", 404)):
        transport = httpx.HTTPTransport(local_address=address)
        with httpx.Client(base_url=server.url, transport=transport) as client:
            assert log_in(client, key, secret).status_code == status
