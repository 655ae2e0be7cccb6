"""
The whole server as an ASGI application: the account API and the sync socket on one SQLite file.

Everything is put together here and nowhere else. What cannot be used (configuration, key, file)
is told as a typed error before anything is served. The application's end closes all it holds;
`app.state.drain` sends the devices away before. This module decides nothing at run time.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Lifespan

from syncauth.errors import InvalidConfig
from syncauth.interfaces import Clock, Randomness
from syncauth.server.accounts.custom_data import Query, prepare_query
from syncauth.server.accounts.issuer import Issuer
from syncauth.server.accounts.passwords import Passwords
from syncauth.server.accounts.signing_keys import SigningKeys, forget_spent_keys
from syncauth.server.hub.driver import HubDriver
from syncauth.server.hub.socket import SyncEndpoint
from syncauth.server.routes.admin import AdminApi
from syncauth.server.routes.api import ERROR_HANDLERS, AuthApi
from syncauth.server.routes.keys import keys_route
from syncauth.server.services import Parts, Services, open_services
from syncauth.server.settings.config import ServerConfig
from syncauth.server.stores.sqlite import DATABASE, open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.sqlite_rows import SqliteRows
from syncauth.server.stores.thread import StoreThread
from syncauth.server.team.extensions import Extensions, load_extensions

RETRY_AFTER: Final = 1.0
"""Seconds after which devices may come back when the server ends; each adds its own jitter."""

SECONDS_TO_DRAIN: Final = 3.0


def create_app(
    config: ServerConfig,
    data_dir: Path,
    clock: Clock,
    randomness: Randomness,
    extensions: Extensions | None = None,
) -> Starlette:
    """Open the server's file in `data_dir` and return the application, ready to be served once.

    `extensions` are functions and hooks given in code; they win over those that `config` names. Await
    `app.state.drain()` before sockets are closed, so that devices are told to come back. The lifespan closes the file.

    Raises:
        InvalidConfig: the schema file, a served table, a rule, a named callable or a key cannot be used.
        FileCorrupt, StorageError: the signing keys or the file cannot be used; neither was changed.
    """
    with contextlib.ExitStack() as undo:
        added = load_extensions(config.functions, config.hooks, extensions)
        issuer = Issuer(SigningKeys(data_dir), config.app_id)
        thread = StoreThread()
        undo.callback(thread.close)
        store, rows, query = thread.run_blocking(
            _open_stores, config, data_dir, clock.wall(), thread, undo
        )
        passwords = Passwords(config.login.password_cost)
        undo.callback(passwords.close)
        driver = HubDriver(
            config.limits,
            rows=rows,
            accounts=store,
            thread=thread,
            issuer=issuer,
            clock=clock,
            randomness=randomness,
        )
        undo.callback(driver.end)
        services = open_services(
            config,
            added,
            Parts(
                store=store,
                thread=thread,
                issuer=issuer,
                passwords=passwords,
                clock=clock,
                randomness=randomness,
                on_revoked=driver.revoked,
                query=query,
            ),
        )
        undo.callback(services.close)
        endpoint = SyncEndpoint(config, issuer=issuer, clock=clock, driver=driver)
        routes = [*_http_routes(config, services), endpoint.route(), keys_route(issuer, clock)]
        app = Starlette(
            routes=routes,
            exception_handlers=dict(ERROR_HANDLERS),
            lifespan=_lifespan(undo.pop_all()),
        )
    app.state.drain = lambda: driver.drain(RETRY_AFTER, SECONDS_TO_DRAIN)
    return app


def _http_routes(config: ServerConfig, services: Services) -> list[BaseRoute]:
    return [
        *AuthApi(config, services).routes(),
        *AdminApi(config, services.admin).routes(),
    ]


def read_schema(config: ServerConfig) -> str:
    """Return the SQL of the schema file.

    Raises:
        InvalidConfig: it cannot be read.
    """
    try:
        return config.schema.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(
            "the schema file cannot be read",
            setting="server.schema",
            why=str(error),
            remedy="Give the path of an SQL file in UTF-8",
        ) from error


def _open_stores(
    config: ServerConfig,
    data_dir: Path,
    now: float,
    thread: StoreThread,
    undo: contextlib.ExitStack,
) -> tuple[SqliteAccounts, SqliteRows, Query | None]:
    """Open the file and both stores on its one connection; runs in the store thread.

    Signing keys of which no session has a token any more are let go.
    """
    connection = open_server_file(data_dir / DATABASE, read_schema(config))
    undo.callback(thread.run_blocking, connection.close)
    accounts = SqliteAccounts(connection)
    rows = SqliteRows(connection, config, accounts)
    forget_spent_keys(
        data_dir, now=now, alive=lambda opened: accounts.lives_from_before(opened, now)
    )
    sql = config.custom_data.query
    return accounts, rows, None if sql is None else prepare_query(connection, sql)


def _lifespan(held: contextlib.ExitStack) -> Lifespan[Starlette]:
    """Return a lifespan that closes at its end what the application holds."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with held:
            yield

    return lifespan
