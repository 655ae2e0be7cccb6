"""The pages of the HTTP APIs list exactly the endpoints that there are, each with a test that calls it."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from syncauth.server.accounts.issuer import Issuer
from syncauth.server.accounts.passwords import Passwords
from syncauth.server.accounts.signing_keys import SigningKeys
from syncauth.server.app import create_app
from syncauth.server.clock import SystemClock, SystemRandomness
from syncauth.server.routes.admin import OPERATIONS as FOR_ADMINISTRATORS, AdminApi
from syncauth.server.routes.admin_users import BASE as ADMIN_BASE
from syncauth.server.routes.api import OPERATIONS, AuthApi
from syncauth.server.routes.openapi import make_document
from syncauth.server.routes.operations import BASE, STATUS
from syncauth.server.services import Parts, open_services
from syncauth.server.settings.admin import AdminSettings
from syncauth.server.settings.config import ServerConfig
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.thread import StoreThread
from syncauth.server.team.extensions import Extensions
from tests.support.source import ROOT

REFERENCE = ROOT / "docs" / "reference"
PAGE = (REFERENCE / "app-services-api.md").read_text("utf-8")
ADMIN_PAGE = (REFERENCE / "admin-api.md").read_text("utf-8")
TESTS = ROOT / "tests" / "integration" / "auth_api"
EVERY_OPERATION = (*OPERATIONS, *FOR_ADMINISTRATORS)
EVERYWHERE = {"InternalServerError", "RequestTooLarge", "ServerRestarting"}
"""Codes that the page of the admin API leaves to the other."""

ADMIN_TESTS = ROOT / "tests" / "integration" / "admin"
LINE = re.compile(r"^\| `(\w+) ([^`]+)` \|.*\| `(\w+\.py)` \|$", re.MULTILINE)


def routes(folder: Path) -> list[Route]:
    """Return the routes of a server with the standard settings, and those for administrators."""
    admin = AdminSettings(enabled=True)
    config = ServerConfig("app", folder / "schema.sql", test_mode=True, admin=admin)
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
    both = [*AuthApi(config, services).routes(), *AdminApi(config, services.admin).routes()]
    found = [route for route in both if isinstance(route, Route)]
    services.close()
    thread.close()
    passwords.close()
    connection.close()
    return found


def test_every_endpoint_is_listed(tmp_path: Path) -> None:
    """No route is without a line, and no line without a route."""
    there = endpoints(tmp_path, BASE)
    listed = {
        (
            method,
            path.replace("{provider}", "{app}/auth/providers").replace("{app}", "/app/{app_id}"),
        )
        for method, path, _ in LINE.findall(PAGE)
    }

    assert listed == there


def endpoints(folder: Path, base: str) -> set[tuple[str, str]]:
    """Return method and path of every route under a base."""
    return {
        (method, route.path.removeprefix(base))
        for route in routes(folder)
        for method in (route.methods or set()) - {"HEAD"}
        if route.path.startswith(base)
    }


def test_every_endpoint_for_administrators_is_listed(tmp_path: Path) -> None:
    """The same of the page of the admin API."""
    app = "/groups/{group_id}/apps/{app_id}"
    listed = {(method, path.replace("{app}", app)) for method, path, _ in LINE.findall(ADMIN_PAGE)}

    assert listed == endpoints(tmp_path, ADMIN_BASE)


def test_every_route_stands_in_the_openapi_document(tmp_path: Path) -> None:
    """Each method of each route of a whole server has its operation, and no operation is without a route."""
    (tmp_path / "schema.sql").write_text("")
    admin = AdminSettings(enabled=True)
    config = ServerConfig("app", tmp_path / "schema.sql", test_mode=True, admin=admin)
    app = create_app(config, tmp_path, SystemClock(), SystemRandomness())
    with asyncio.Runner() as loop:
        loop.run(_end(app))
    there = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
    }
    told = [(each.method, each.path) for each in EVERY_OPERATION]

    assert set(told) == there
    assert len(told) == len(there)


async def _end(app: Starlette) -> None:
    async with app.router.lifespan_context(app):
        pass


def test_operations_have_names_of_their_own() -> None:
    """Programs made from the document call each operation by its own name."""
    paths = make_document(EVERY_OPERATION, "app")["paths"].values()
    names = [operation["operationId"] for path in paths for operation in path.values()]

    assert len(names) == len(set(names))


def codes_of(page: str) -> dict[str, int]:
    """Return the codes of a page's table with their statuses."""
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([\d, ]+) \|", page, re.MULTILINE)
    listed: dict[str, int] = {}
    for names, numbers in rows:
        words = re.findall(r"\w+", names)
        statuses = [int(number) for number in numbers.split(",")]
        listed |= zip(
            words, statuses * len(words) if len(statuses) == 1 else statuses, strict=False
        )
    return listed


def test_the_pages_list_the_codes_of_the_document() -> None:
    """Every code that an operation may answer with is in its page's table, with its one status."""
    listed, of_admin = codes_of(PAGE), codes_of(ADMIN_PAGE)
    off = {"NotFound": of_admin.pop("NotFound")}  # where there is no admin API

    assert off == {"NotFound": 404}
    assert listed | of_admin == dict(STATUS)
    assert set(listed) == {code for each in OPERATIONS for code in each.all_codes()}
    assert (
        set(of_admin)
        == {code for each in FOR_ADMINISTRATORS for code in each.all_codes()} - EVERYWHERE
    )


@pytest.mark.parametrize(
    ("page", "tests"), [(PAGE, TESTS), (ADMIN_PAGE, ADMIN_TESTS)], ids=["clients", "administrators"]
)
def test_the_named_test_speaks_of_the_endpoint(page: str, tests: Path) -> None:
    """The file that a line names is there, and calls what the path ends with, itself or by the fixture."""
    fixture = (tests / "conftest.py").read_text("utf-8")
    for _, path, name in LINE.findall(page):
        text = (tests / name).read_text("utf-8") + fixture
        word = path.replace("/login", "").rpartition("/")[2]
        assert word in text or word.startswith("{"), path
