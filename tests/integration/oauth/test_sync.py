"""Apps whose logins belong to a real issuer, synchronised by our server with that issuer's access tokens."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

import syncauth
from syncauth import SessionState
from syncauth.adapters.oauth_provider import OAuthProvider
from syncauth.errors import NotSupported
from syncauth.models import Credentials, Secret
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from tests.integration.oauth.conftest import MakeProvider
from tests.support.app_bench import SERVER_SCHEMA, open_notes, until
from tests.support.browser import Browser
from tests.support.oauth_servers import (
    ANN,
    CLIENT,
    GLEWLWYD_SECRET,
    PASSWORD,
    glewlwyd,
    oidc_provider,
)
from tests.support.processes import Server, configure

pytestmark = pytest.mark.oauth
API = "https://sync.example.com"
LIFE = 4
OpenDevice = Callable[[str], Awaitable[syncauth.App]]


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[str]:
    """An issuer whose access tokens are JWTs for the server, and live for seconds."""
    folder = tmp_path / "oidc"
    folder.mkdir()
    with oidc_provider(folder, life=LIFE, audience=API) as url:
        yield url


@pytest.fixture
def server(issuer: str, tmp_path: Path) -> Iterator[Server]:
    """A server that knows of the issuer its name, and what its tokens must be."""
    with serving(tmp_path / "server", issuer, f'audience = ["{API}"]\nalgorithm = "RS256"') as it:
        yield it


def serving(folder: Path, issuer: str, settings: str) -> Server:
    """Start a server for the access tokens of an issuer."""
    section = f'[issuers.own]\nissuer = "{issuer}"\ndiscovery = true\nsync = true\nlogin = false\n'
    more = f'token = "access"\nclients = ["{CLIENT}"]\n{settings}\n'
    configure(folder, SERVER_SCHEMA, "[tables.notes]", section + more)
    return Server(folder)


@pytest.fixture
async def open_device(
    issuer: str, server: Server, tmp_path: Path, connect: MakeProvider
) -> AsyncIterator[OpenDevice]:
    """Open the App of a device by its name, again and again."""
    opened: list[syncauth.App] = []

    async def open_app(name: str) -> syncauth.App:
        app = app_of(server.url, connect(issuer, resource=API), tmp_path / name)
        opened.append(app)
        return await app.__aenter__()

    yield open_app
    for app in opened:
        await app.aclose()


def app_of(url: str, provider: OAuthProvider, folder: Path) -> syncauth.App:
    """Make an App whose logins are the provider's."""
    return syncauth.App(url, app_id="test", data_dir=folder, provider=provider, key_storage="file")


def person(name: str) -> Credentials:
    """Return the login of a person with a browser."""
    return OAuthProvider.browser_login(Browser(login=name, password="any").open, wait=30)


def note(key: str, title: str) -> dict[str, Any]:
    """Return a row."""
    return {"id": key, "title": title, "body": None}


def titles(replica: syncauth.OpenReplica) -> list[str]:
    """Read all titles of a replica."""
    rows = replica.db.query("SELECT title FROM notes ORDER BY title")
    return [row["title"] for row in rows]


def partitions(server: Server) -> set[str]:
    """Read whose rows the server has."""
    with sqlite3.connect(server.file) as database:
        found = {row[0] for row in database.execute("SELECT _partition FROM notes")}
    database.close()
    return found


async def test_two_devices_of_one_person_share_their_rows(
    server: Server, open_device: OpenDevice
) -> None:
    """With no account at our server: writes of each arrive at the other, for longer than any token lives (I9)."""
    phone, tablet, other = [await open_device(name) for name in ("phone", "tablet", "other")]
    one = await open_notes(phone, await phone.log_in(person("ann")))
    two = await open_notes(tablet, await tablet.log_in(person("ann")))
    bobs = await open_notes(other, await other.log_in(person("bob")))
    one.db["notes"].insert(note("1", "from the phone"))
    two.db["notes"].insert(note("2", "from the tablet"))
    bobs.db["notes"].insert(note("1", "of bob"))
    both = ["from the phone", "from the tablet"]
    await until(lambda: titles(one) == titles(two) == both)

    first = one.user.access_token
    began = time.monotonic()
    await until(lambda: time.monotonic() - began > LIFE + 1)
    one.db["notes"].insert(note("3", "later"))
    await until(lambda: titles(two) == [*both, "later"])
    await bobs.wait_uploaded(10)

    assert one.user.access_token != first
    assert {one.user.state, two.user.state} <= {SessionState.ACTIVE, SessionState.REFRESHING}
    assert titles(bobs) == ["of bob"]
    assert len(partitions(server)) == 2
    assert all(each.startswith("user:") for each in partitions(server))


async def test_writes_are_replayed_after_the_issuer_ended_the_session(
    issuer: str, server: Server, open_device: OpenDevice, connect: MakeProvider
) -> None:
    """The issuer refuses a refresh: sync stops, the app is asked, and after the login all is there (I6)."""
    phone = await open_device("phone")
    reasons: list[str] = []
    phone.on_relogin_required(lambda event: reasons.append(event.reason.value))
    replica = await open_notes(phone, await phone.log_in(person("ann")))
    replica.db["notes"].insert(note("1", "before"))
    await replica.wait_uploaded(10)

    ended: list[Secret] = []
    while not reasons:  # each refresh has a new token; one of them is caught in time
        token = replica.user.refresh_token
        if token is not None and token not in ended:
            ended.append(token)
            await connect(issuer).revoke(token)
        await until(lambda seen=token: bool(reasons) or replica.user.refresh_token != seen)
    for number in range(20):
        replica.db["notes"].insert(note(f"o{number}", f"offline {number:02}"))
    assert replica.user.state is SessionState.REFRESH_EXPIRED
    await phone.log_in(person("ann"))
    await replica.wait_uploaded(10)

    tablet = await open_device("tablet")
    other = await open_notes(tablet, await tablet.log_in(person("ann")))
    await until(lambda: len(titles(other)) == 21)
    assert reasons == ["expired"]
    assert len(partitions(server)) == 1


async def test_denied_subject_is_cut_and_told(
    issuer: str, server: Server, open_device: OpenDevice
) -> None:
    """The open socket of a denied subject ends, the app learns why, and nothing it writes arrives (I3)."""
    phone = await open_device("phone")
    reasons: list[str] = []
    phone.on_relogin_required(lambda event: reasons.append(event.reason.value))
    replica = await open_notes(phone, await phone.log_in(person("ann")))
    await replica.wait_synced(10)
    connection = sqlite3.connect(server.file, isolation_level=None)
    SqliteAccounts(connection).deny_subject(issuer, "ann", time.time())
    await until(lambda: reasons == ["user_disabled"])
    replica.db["notes"].insert(note("1", "kept here"))

    assert partitions(server) == set()
    SqliteAccounts(connection).allow_subject(issuer, "ann")
    connection.close()
    await phone.log_in(person("ann"))
    await replica.wait_uploaded(10)
    assert len(partitions(server)) == 1


async def test_what_needs_the_servers_own_tokens_says_so(open_device: OpenDevice) -> None:
    """Functions, keys, links and deletion belong to the server's own logins: a typed error tells it."""
    phone = await open_device("phone")
    user = await phone.log_in(person("ann"))
    for call in (
        user.refresh_profile,
        lambda: user.api_keys.create("key"),
        lambda: user.functions.call("sum", 1),
        lambda: user.link(person("bob")),
        lambda: phone.delete_user(user),
    ):
        with pytest.raises(NotSupported):
            await call()

    assert user.custom_data == {}
    assert user.id.endswith("|ann")
    await phone.log_out(user)
    assert user.state is SessionState.LOGGED_OUT


async def test_elliptic_keys_and_scopes_of_another_issuer(
    tmp_path: Path, connect: MakeProvider
) -> None:
    """Glewlwyd signs with ES256, and has its scopes for an audience: settings alone make it fit."""
    (tmp_path / "glewlwyd").mkdir()
    with ExitStack() as stack:
        issuer = stack.enter_context(glewlwyd(tmp_path / "glewlwyd"))
        settings = 'audience = ["notes openid"]\nrequired = { scope = "notes" }'
        server = stack.enter_context(serving(tmp_path / "server", issuer, settings))
        provider = connect(
            issuer, client_secret=GLEWLWYD_SECRET, scopes=["openid", "notes"],
            also_refused=[(400, "")], login_refused=[(403, "")],
        )  # fmt: skip
        async with app_of(server.url, provider, tmp_path / "phone") as app:
            user = await app.log_in(OAuthProvider.password_login(ANN, PASSWORD))
            replica = await open_notes(app, user)
            replica.db["notes"].insert(note("1", "elliptic"))
            await replica.wait_uploaded(10)
        assert len(partitions(server)) == 1
