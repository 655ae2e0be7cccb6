"""Lifetimes that change while servers run: by the API and from the shell, for all processes, and what stays."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.integration.admin.conftest import Admin, AdminServer, Start, log_in, make_key, shell
from tests.integration.auth_api.conftest import claims
from tests.support.processes import SECONDS
from tests.support.socket_device import APP as CLIENT_APP, Account

DAY = 24 * 3600
SEEN_WITHIN = 1.0
REFRESH, ACCESS = "/security/refresh_token_expiration", "/security/access_token_expiration"


def life(token: str) -> int:
    """Return how long a token lives, in seconds; its end is rounded up and its begin down."""
    said = claims(token)
    return int(said["exp"] - said["iat"])


def anonymous(url: str) -> dict[str, Any]:
    """Open the session of a user without a name."""
    answer = httpx.post(f"{url}{CLIENT_APP}/auth/providers/anon-user/login", json={})
    session: dict[str, Any] = answer.raise_for_status().json()
    return session


def test_lives_are_those_of_the_settings_until_they_are_changed(admin: Admin) -> None:
    """Both paths tell the life that holds, and take another one without an answer's body."""
    for path, seconds in ((REFRESH, 60 * DAY), (ACCESS, 1800)):
        assert admin.ask("GET", path).json() == {"expiration_time_seconds": seconds}
        changed = admin.ask("PUT", path, json={"expiration_time_seconds": 3600})
        assert (changed.status_code, changed.content) == (204, b"")
        assert admin.ask("GET", path).json() == {"expiration_time_seconds": 3600}


def test_change_holds_from_then_on(admin: Admin, server: AdminServer, ann: Account) -> None:
    """New sessions have the new life; an open one keeps its end, and gets access tokens of the new life."""
    before = claims(ann.refresh)["exp"]
    admin.ask("PUT", REFRESH, json={"expiration_time_seconds": 2000})
    admin.ask("PUT", ACCESS, json={"expiration_time_seconds": 90})

    new = Account.log_in(server.url, "ann")
    ann.renew()

    assert life(new.refresh) in (2000, 2001)
    assert life(new.access) in (90, 91)
    assert claims(ann.refresh)["exp"] == before
    assert life(ann.access) in (90, 91)


def test_anonymous_users_keep_their_life(admin: Admin, server: AdminServer) -> None:
    """Who cannot log in again is not touched by the life of the others; the access tokens are alike."""
    admin.ask("PUT", REFRESH, json={"expiration_time_seconds": 1800})
    admin.ask("PUT", ACCESS, json={"expiration_time_seconds": 90})

    session = anonymous(server.url)

    assert life(session["refresh_token"]) >= 18_250 * DAY
    assert life(session["access_token"]) in (90, 91)


async def wait_for_life(url: str, seconds: int) -> float:
    """Log in until tokens have this life; returns the seconds that it took."""
    loop = asyncio.get_running_loop()
    since = loop.time()
    async with asyncio.timeout(SECONDS):
        while True:
            asked = loop.time() - since
            session = await asyncio.to_thread(anonymous, url)
            if life(session["access_token"]) in (seconds, seconds + 1):
                return asked


async def test_every_process_knows_within_a_second(start: Start) -> None:
    """A change through one server, or from the shell, holds at a second server of the same data."""
    one, other = start(), start()
    anonymous(other.url)  # the lives that it knows are fresh
    key, secret = make_key(one)
    with httpx.Client(base_url=one.url) as client:
        token = log_in(client, key, secret).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        admin = Admin(client, key, secret)
        for seconds in (100, 200):
            anonymous(other.url)
            admin.ask("PUT", ACCESS, json={"expiration_time_seconds": seconds})
            assert await wait_for_life(other.url, seconds) < SEEN_WITHIN
    assert shell(one, "lifetimes", "set", "--access-seconds", "300").code == 0
    for server in (one, other):
        assert await wait_for_life(server.url, 300) < SEEN_WITHIN


def test_change_outlives_the_server(start: Start) -> None:
    """After a restart the change holds, also with another setting, until the shell takes it back."""
    first = start()
    assert shell(first, "lifetimes", "set", "--access-seconds", "100").code == 0
    first.stop()
    second = start("[lifetimes]\naccess_seconds = 200\n[admin]\nenabled = true")
    assert life(anonymous(second.url)["access_token"]) in (100, 101)
    second.stop()

    assert shell(second, "lifetimes", "reset", "access").code == 0
    third = start("[lifetimes]\naccess_seconds = 200\n[admin]\nenabled = true")
    assert life(anonymous(third.url)["access_token"]) in (200, 201)


def test_range_of_a_real_server(start: Start) -> None:
    """Outside of test mode lives are from 30 minutes to 5 years, or a minute to a day; the bounds count."""
    short = start()
    assert shell(short, "lifetimes", "set", "--access-seconds", "2").code == 0
    short.stop()
    server = start(test_mode=False)
    key, secret = make_key(server)
    with httpx.Client(base_url=server.url) as client:
        token = log_in(client, key, secret).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        admin = Admin(client, key, secret)
        # What was set in test mode and is out of the range now does not count.
        assert admin.ask("GET", ACCESS).json() == {"expiration_time_seconds": 1800}
        for path, low, high in ((REFRESH, 1800, 5 * 365 * DAY), (ACCESS, 60, DAY)):
            for seconds, status in ((low, 204), (high, 204), (low - 1, 400), (high + 1, 400)):
                answer = admin.ask("PUT", path, json={"expiration_time_seconds": seconds})
                assert answer.status_code == status, (path, seconds)
            assert admin.ask("GET", path).json() == {"expiration_time_seconds": high}


def test_what_is_no_life(admin: Admin) -> None:
    """A body without a number changes nothing."""
    wrong: list[object] = [{}, [], {"expiration_time_seconds": "3600"}, None]
    for body in wrong:
        answer = admin.ask("PUT", REFRESH, json=body)

        assert answer.status_code == 400
        assert answer.json()["error_code"] == "BadRequest"
    assert admin.ask("GET", REFRESH).json() == {"expiration_time_seconds": 60 * DAY}


def test_shell_shows_what_holds(server: AdminServer) -> None:
    """The life, whether it was changed, what the settings say and the range; a set one beyond it is refused."""
    assert shell(server, "lifetimes", "set", "--refresh-seconds", "100").code == 0
    told = shell(server, "lifetimes", "show", "--json").document["lifetimes"]
    refused = shell(server, "lifetimes", "set", "--access-seconds", "1", "--refresh-seconds", "50")

    assert told == [
        {
            "token": "access",
            "seconds": 1800,
            "changed": None,
            "settings": 1800,
            "from": 2,
            "to": DAY,
        },
        {
            "token": "refresh",
            "seconds": 100,
            "changed": 100,
            "settings": 60 * DAY,
            "from": 2,
            "to": 5 * 365 * DAY,
        },
    ]
    assert refused.code == 2
    assert "2 to 86400" in refused.err
    assert shell(server, "lifetimes", "set").code == 2
    assert shell(server, "lifetimes", "show", "--json").document["lifetimes"] == told
    assert "1 min 40 s" in shell(server, "lifetimes", "show").out
