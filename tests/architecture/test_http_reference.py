"""The page of the HTTP API lists exactly the endpoints that there are, each with a test that calls it."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.routing import Route

from syncauth.server.accounts.issuer import Issuer
from syncauth.server.accounts.passwords import Passwords
from syncauth.server.accounts.signing_keys import SigningKeys
from syncauth.server.clock import SystemClock, SystemRandomness
from syncauth.server.routes.api import BASE, AuthApi
from syncauth.server.services import Parts, open_services
from syncauth.server.settings.config import ServerConfig
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.thread import StoreThread
from syncauth.server.team.extensions import Extensions
from tests.support.source import ROOT

PAGE = (ROOT / "docs" / "reference" / "app-services-api.md").read_text("utf-8")
TESTS = ROOT / "tests" / "integration" / "auth_api"
LINE = re.compile(r"^\| `(\w+) ([^`]+)` \|.*\| `(\w+\.py)` \|$", re.MULTILINE)


def routes(folder: Path) -> list[Route]:
    """Return the routes of a server with the standard settings."""
    config = ServerConfig("app", folder / "schema.sql", test_mode=True)
    thread, passwords, clock = StoreThread(), Passwords("low"), SystemClock()
    connection = open_server_file(folder / "server.db", "")
    services = open_services(
        config,
        Extensions(),
        Parts(
            store=SqliteAccounts(connection),
            thread=thread,
            issuer=Issuer(SigningKeys(folder), "app"),
            passwords=passwords,
            clock=clock,
            randomness=SystemRandomness(),
            on_revoked=lambda _ended: None,
        ),
    )
    found = [route for route in AuthApi(config, services).routes() if isinstance(route, Route)]
    services.close()
    thread.close()
    passwords.close()
    connection.close()
    return found


def test_every_endpoint_is_listed(tmp_path: Path) -> None:
    """No route is without a line, and no line without a route."""
    there = {
        (method, route.path.removeprefix(BASE))
        for route in routes(tmp_path)
        for method in (route.methods or set()) - {"HEAD"}
        if route.path.startswith(BASE)
    }
    listed = {
        (
            method,
            path.replace("{provider}", "{app}/auth/providers").replace("{app}", "/app/{app_id}"),
        )
        for method, path, _ in LINE.findall(PAGE)
    }

    assert listed == there


def test_the_named_test_speaks_of_the_endpoint() -> None:
    """The file that a line names is there, and calls what the path ends with, itself or by the fixture."""
    fixture = (TESTS / "conftest.py").read_text("utf-8")
    for _, path, name in LINE.findall(PAGE):
        text = (TESTS / name).read_text("utf-8") + fixture
        word = path.replace("/login", "").rpartition("/")[2]
        assert word in text or word.startswith("{"), path
