"""Clients of App Services, as they are, work against this server: each a process of its own under Node."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from syncauth.server.clock import SystemClock
from syncauth.server.settings.config import Lifetimes
from syncauth.server.team.extensions import Extensions, FunctionContext
from tests.integration.auth_api.conftest import AuthServer, StartServer

ROOT = Path(__file__).parents[3]
PACKAGES = ROOT / ".services" / "app_services" / "node_modules"
PROGRAMS = ROOT / "tests" / "support" / "app_services"


def add(_context: FunctionContext, left: int, right: int) -> int:
    """Add two numbers."""
    return left + right


def echo(_context: FunctionContext, value: Any) -> Any:
    """Return what comes."""
    return value


@pytest.fixture
def server(start_server: StartServer) -> AuthServer:
    """A server in real time, whose access tokens live for two seconds."""
    count = itertools.count()
    extensions = Extensions(
        functions={"sum": add, "echo": echo},
        custom_login=lambda payload: payload["ticket"],
        custom_data=lambda _user_id: {"count": next(count)},
    )
    return start_server(extensions, clock=SystemClock(), lifetimes=Lifetimes(access_seconds=2))


def run(program: str, *arguments: str) -> dict[str, Any]:
    """Run a program under Node and return what it saw."""
    assert PACKAGES.is_dir(), "run `make services`: the clients of App Services are not installed"
    ended = subprocess.run(
        ["node", str(PROGRAMS / program), str(PACKAGES), *arguments],  # noqa: S607 - Node as the path has it
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    seen: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return seen


def test_realm_web_works_unchanged(server: AuthServer) -> None:
    """Logins, links, functions, custom data, API keys, refreshes at once, logout and removal."""
    assert run("realm_web.js", server.url) == {
        "linked": ["anon-user", "local-userpass"],
        "sum": 42,
        "echo": {"text": "ünlimited", "list": [1.5, None, True]},
        "customDataChanged": True,
        "keys": [["backup", False]],
        "disabledKey": "401 AuthError",
        "sameByKey": True,
        "afterExpiry": [2, 4, 6],
        "unknownFunction": "404 FunctionNotFound",
        "takenLink": "409 AccountNameInUse",
        "wrongPassword": "401 InvalidPassword",
        "state": "logged-out",
        "deleted": "401 InvalidPassword",
    }


def test_the_stitch_client_works_unchanged(server: AuthServer, tmp_path: Path) -> None:
    """The older client, whose code is another, sees the same."""
    assert run("stitch.js", server.url, str(tmp_path)) == {
        "sameAfterLink": True,
        "sum": 42,
        "keys": 1,
        "afterExpiry": 3,
        "loggedIn": False,
        "sameByKey": True,
    }
