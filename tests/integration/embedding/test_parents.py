"""The server inside of Starlette, FastAPI and Django: the how-to page's programs, under real ASGI servers."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import app_services
from tests.support.embedding.parents import NOTES, Parent, write_project
from tests.support.processes import EMAIL, PASSWORD, ROOT, Device

PROJECT = ROOT / "tests" / "support" / "embedding"
INSERT = "INSERT INTO notes (id, text) VALUES (?, ?)"
SHORT = "[lifetimes]\naccess_seconds = 2\nrefresh_seconds = 6\n"
ENDED = {0, -signal.SIGTERM}
"""How ASGI servers end that were asked to; uvicorn raises the signal again at its end."""

StartParent = Callable[..., Parent]
StartDevice = Callable[..., Device]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What a test starts ends with it."""
    with ExitStack() as held:
        yield held


@pytest.fixture
def parent(tmp_path: Path, stack: ExitStack) -> StartParent:
    """Start a parent from the page."""

    def start(
        application: str, under: str = "uvicorn", more: str = "", ready: str = "/sync/healthz"
    ) -> Parent:
        write_project(tmp_path / "project", more)
        started = stack.enter_context(Parent(tmp_path / "project", application, under))
        started.wait_ready(ready)
        return started

    return start


@pytest.fixture
def device(tmp_path: Path, stack: ExitStack) -> StartDevice:
    """Start a device of its own."""
    return lambda url, name: stack.enter_context(Device(url, tmp_path / name))


def open_notes(device: Device) -> str:
    """Open the replica and return its path."""
    return str(device.do("open", tables=["notes"], create=NOTES)["path"])


def write(device: Device, *texts: str) -> None:
    """Write notes and wait until they are at the server."""
    device.do("write", sql=INSERT, rows=[[text, text] for text in texts])
    device.do("uploaded")


def notes_of(path: str) -> set[str]:
    """Read the notes as any program may."""
    with closing(sqlite3.connect(path)) as connection:
        return {text for (text,) in connection.execute("SELECT text FROM notes")}


def drive(url: str, device: StartDevice) -> None:
    """Two devices of one user, one of whose session ends: what was written meanwhile arrives after the login."""
    one = device(url, "one")
    one.do("register", email=EMAIL, password=PASSWORD)
    one.log_in()
    open_notes(one)
    write(one, "first")
    one.hear_until(happened="relogin_required")
    one.do("write", sql=INSERT, rows=[["second", "second"]])
    one.log_in()
    one.do("uploaded")
    two = device(url, "two")
    two.log_in()
    path = open_notes(two)
    two.do("synced")
    assert notes_of(path) == {"first", "second"}


def drive_realm_web(url: str, payload: dict[str, Any]) -> dict[str, Any]:
    """Run realm-web and return what it saw."""
    return app_services.drive("mounted.js", url, json.dumps(payload))


@pytest.mark.parametrize("under", ["uvicorn", "uvicorn without lifespan", "hypercorn", "daphne"])
def test_a_starlette_parent(parent: StartParent, device: StartDevice, under: str) -> None:
    """Login, writing, relogin and a second device below a path, whoever serves, with a lifespan or without (I6)."""
    started = parent("starlette_app:app", under, SHORT)

    drive(f"{started.url}/sync", device)

    assert started.stop() in ENDED
    # The last connection that is closed in good order takes the log with it; nobody closes it without a lifespan.
    closed = not (started.directory / "data" / "server.db-wal").exists()
    assert closed == (under in {"uvicorn", "hypercorn"})


def test_a_starlette_parent_and_realm_web(parent: StartParent) -> None:
    """The location names the mount, so that a client of App Services finds what stands below it."""
    url = parent("starlette_app:app").url + "/sync"

    seen = drive_realm_web(url, {})

    assert seen == {
        "location": url,
        "provider": "local-userpass",
        "again": True,
        "own": "404 AuthProviderNotFound",
    }


def test_a_fastapi_parent_with_a_sign_in_of_its_own(
    parent: StartParent, device: StartDevice
) -> None:
    """A ticket of the parent's own sign-in logs in; the app's token counts at the parent's endpoints until revoked."""
    started = parent("fastapi_app:app")
    url = f"{started.url}/sync"
    with httpx.Client(base_url=started.url) as client:
        first, second, third = (
            client.post("/sign-in", params={"name": "ann"}).json() for _ in range(3)
        )
        one, two = device(url, "one"), device(url, "two")
        login = one.do("log_in_with", payload=first)
        assert two.do("log_in_with", payload=second)["user"] == login["user"]
        open_notes(one)
        path = open_notes(two)
        write(one, "from one")
        two.do("synced")
        assert notes_of(path) == {"from one"}
        bearer = {"Authorization": f"Bearer {login['token']}"}
        assert client.get("/me", headers=bearer).json() == {"user": login["user"]}

        assert client.post("/sign-out-everywhere", headers=bearer).json() == 2

        one.hear_until(happened="relogin_required", reason="revoked")
        refused = client.get("/me", headers=bearer)
        assert (refused.status_code, refused.json()) == (401, {"detail": "revoked"})
        assert client.get("/me", headers={"Authorization": "Bearer x"}).status_code == 401
    one.do("write", sql=INSERT, rows=[["later", "later"]])
    one.do("log_in_with", payload=third)
    one.do("uploaded")


def test_a_fastapi_parent_and_realm_web(parent: StartParent) -> None:
    """A client of App Services logs in by the parent's sign-in, and keeps the path."""
    started = parent("fastapi_app:app")
    ticket = httpx.post(f"{started.url}/sign-in", params={"name": "bob"}).json()

    seen = drive_realm_web(f"{started.url}/sync", ticket)

    assert (seen["location"], seen["own"]) == (f"{started.url}/sync", "none")


@pytest.fixture
def django(tmp_path: Path, stack: ExitStack) -> StartParent:
    """Start the page's Django project, with one account."""

    def start(application: str, under: str = "uvicorn", more: str = "") -> Parent:
        directory = tmp_path / "project"
        write_project(directory, more)
        for name in ("settings.py", "urls.py"):
            (directory / name).write_text((PROJECT / "django_project" / name).read_text())
        made = [sys.executable, str(PROJECT / "make_site.py"), "ann", PASSWORD]
        subprocess.run(made, cwd=directory, check=True, timeout=50)
        started = stack.enter_context(Parent(directory, application, under))
        started.wait_ready()
        return started

    return start


@pytest.mark.parametrize(
    ("application", "under"),
    [
        ("asgi:application", "uvicorn"),
        ("asgi_by_path:application", "uvicorn"),
        ("asgi_by_path:application", "daphne"),
    ],
)
def test_a_django_parent(
    django: StartParent, device: StartDevice, application: str, under: str
) -> None:
    """Behind Starlette or by path alone: devices synchronise beside the site's own pages (I6)."""
    started = django(application, under, SHORT)

    drive(f"{started.url}/sync", device)

    assert httpx.get(f"{started.url}/sign-in?name=ann&password=no").status_code == 401
    assert started.stop() in ENDED


def test_the_session_cookie_of_django_logs_in_but_not_from_other_sites(
    django: StartParent,
) -> None:
    """Who is signed in to the site gets a session, unless a page of another site asks; a view can end it."""
    started = django("asgi:application", more='trusted_origins = ["https://app.example.com"]\n')
    login = f"{started.url}/sync/api/client/v2.0/app/test/auth/providers/custom-function/login"
    with httpx.Client(base_url=started.url) as browser:
        assert browser.post(login, json={}).status_code == 401
        assert browser.get("/sign-in", params={"name": "ann", "password": PASSWORD}).is_success
        for headers, status in (
            ({"Origin": "https://evil.example.com"}, 403),
            ({"Origin": "null"}, 403),
            ({"Sec-Fetch-Site": "cross-site"}, 403),
            ({"Sec-Fetch-Site": "same-site", "Origin": "https://x.example.com"}, 403),
            ({"Origin": started.url}, 200),
            ({"Origin": "https://app.example.com", "Sec-Fetch-Site": "cross-site"}, 200),
            ({}, 200),
        ):
            answer = browser.post(login, json={}, headers=headers)
            assert answer.status_code == status, headers
        refresh = {"Authorization": f"Bearer {answer.json()['refresh_token']}"}

        assert browser.get("/sign-out-everywhere").json() == {"ended": 3}

        ended = browser.post(f"{started.url}/sync/api/client/v2.0/auth/session", headers=refresh)
        assert ended.json()["error_code"] == "InvalidSession"


def test_two_servers_in_one_parent(parent: StartParent, device: StartDevice) -> None:
    """Each has its own users and its own file; the token of one is nothing to the other (I12)."""
    started = parent("two_apps:app", ready="/notes/healthz")
    one, two = device(f"{started.url}/notes", "one"), device(f"{started.url}/tasks", "two")
    one.do("register", email=EMAIL, password=PASSWORD)
    one.log_in()
    two.do("register", email=EMAIL, password=PASSWORD)
    two.log_in()
    open_notes(one)
    path = open_notes(two)
    write(one, "a note")
    write(two, "a task")
    two.do("synced")

    assert notes_of(path) == {"a task"}
    for name, text in (("notes", "a note"), ("tasks", "a task")):
        assert notes_of(str(started.directory / "data" / name / "server.db")) == {text}


def test_a_parent_ends_with_open_sockets_and_comes_back(
    parent: StartParent, device: StartDevice
) -> None:
    """The parent ends in good order while devices are connected; they go on by themselves with the next one (I14)."""
    started = parent("starlette_app:app")
    url = f"{started.url}/sync"
    one, two = device(url, "one"), device(url, "two")
    one.do("register", email=EMAIL, password=PASSWORD)
    for each in (one, two):
        each.log_in()
    path = open_notes(two)
    open_notes(one)
    write(one, "before")

    assert started.stop() in ENDED

    # The last connection that is closed in good order takes the log with it.
    assert not (started.directory / "data" / "server.db-wal").exists()
    one.do("write", sql=INSERT, rows=[["meanwhile", "meanwhile"]])
    started.start()
    started.wait_ready()
    one.do("uploaded")
    two.hear_until(happened="transition", state="live")
    two.do("synced")
    assert notes_of(path) == {"before", "meanwhile"}
