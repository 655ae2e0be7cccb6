"""
The whole server as an ASGI application: the account API and the sync socket on one SQLite file.

Everything is put together here and nowhere else. What cannot be used (configuration, key, file)
is told as a typed error before anything is served. The application's end closes all it holds;
`app.state.drain` sends the devices away before. `app.state.operations` is what whoever runs the
server sees of it. This module decides nothing at run time.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Lifespan

from syncauth.errors import InvalidConfig
from syncauth.interfaces import Clock, Randomness
from syncauth.server.accounts.custom_data import Query, prepare_query
from syncauth.server.accounts.issuer import Issuer, open_key
from syncauth.server.accounts.passwords import Passwords
from syncauth.server.hub.driver import HubDriver
from syncauth.server.hub.socket import SyncEndpoint
from syncauth.server.operations.operations import Operations
from syncauth.server.operations.tracing import Tracing
from syncauth.server.routes.admin import AdminApi
from syncauth.server.routes.api import ERROR_HANDLERS, AuthApi
from syncauth.server.services import Parts, Services, open_services
from syncauth.server.settings.config import ServerConfig
from syncauth.server.stores.sqlite import DATABASE, open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from syncauth.server.stores.sqlite_rows import SqliteRows
from syncauth.server.stores.thread import StoreThread
from syncauth.server.team.extensions import Extensions, load_extensions
from syncauth.server.upkeep import restore


def create_app(
    config: ServerConfig,
    data_dir: Path,
    clock: Clock,
    randomness: Randomness,
    extensions: Extensions | None = None,
    *,
    tracing: Tracing | None = None,
) -> Starlette:
    """Open the server's file in `data_dir` and return the application, ready to be served once.

    `extensions` are functions and hooks given in code; they win over those that `config` names.
    Await `app.state.drain()` before the server closes its sockets, so that every device is told
    to come back. The file is closed at the end of the application's lifespan. Spans go to `tracing`,
    by default to OpenTelemetry where it is installed.

    Raises:
        InvalidConfig: the schema file, a served table, a rule, a named callable or a key cannot be used.
        FileCorrupt, StorageError: the signing key, the file or the directory cannot be used.
    """
    with contextlib.ExitStack() as undo:
        undo.callback(restore.enter(data_dir).release)
        added = load_extensions(config.functions, config.hooks, extensions)
        issuer = Issuer(open_key(data_dir), config.app_id)
        operations = Operations(config, clock, randomness, tracing)
        thread = StoreThread(operations.line)
        undo.callback(thread.close)
        store, rows, query = thread.run_blocking(
            _open_stores, config, data_dir / DATABASE, thread, operations.connection_class(), undo
        )
        thread.run_blocking(rows.begin_history, randomness.token(8).hex(), clock.wall())
        passwords = Passwords(config.login.password_cost)
        undo.callback(passwords.close)
        parts = Parts(
            store=store,
            thread=thread,
            issuer=issuer,
            passwords=passwords,
            clock=clock,
            randomness=randomness,
            on_revoked=lambda _ended: None,
            query=query,
            metrics=operations.metrics,
        )
        driver = _open_hub(config, parts, rows, operations)
        undo.callback(driver.end)
        services = open_services(config, added, replace(parts, on_revoked=driver.revoked))
        undo.callback(services.close)
        endpoint = SyncEndpoint(config, issuer=issuer, clock=clock, driver=driver)
        routes = [*_http_routes(config, services, operations), endpoint.route()]
        app = Starlette(
            routes=routes,
            exception_handlers=dict(ERROR_HANDLERS),
            lifespan=_lifespan(undo.pop_all()),
        )
    operations.surround(app, routes, line=lambda: passwords.line)
    return app


def _http_routes(
    config: ServerConfig, services: Services, operations: Operations
) -> list[BaseRoute]:
    return [
        *AuthApi(config, services, lambda: operations.is_ending).routes(),
        *AdminApi(config, services.admin).routes(),
        *operations.routes,
    ]


def _open_hub(
    config: ServerConfig, parts: Parts, rows: SqliteRows, operations: Operations
) -> HubDriver:
    """Make the running hub; when the server drains it sends its sockets away."""
    driver = HubDriver(
        config.limits,
        rows=rows,
        accounts=parts.store,
        thread=parts.thread,
        issuer=parts.issuer,
        clock=parts.clock,
        randomness=parts.randomness,
        watch=operations.watch,
    )
    operations.on_drain(driver.drain)
    return driver


def _open_stores(
    config: ServerConfig,
    path: Path,
    thread: StoreThread,
    connection_class: type[sqlite3.Connection],
    undo: contextlib.ExitStack,
) -> tuple[SqliteAccounts, SqliteRows, Query | None]:
    """Open the file and both stores on its one connection; runs in the store thread."""
    try:
        schema = config.schema.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfig(
            "the schema file cannot be read",
            setting="server.schema",
            why=str(error),
            remedy="Give the path of an SQL file in UTF-8",
        ) from error
    connection = open_server_file(path, schema, connection_class)
    undo.callback(thread.run_blocking, connection.close)
    accounts = SqliteAccounts(connection)
    rows = SqliteRows(connection, config, accounts)
    sql = config.custom_data.query
    return accounts, rows, None if sql is None else prepare_query(connection, sql)


def _lifespan(held: contextlib.ExitStack) -> Lifespan[Starlette]:
    """Return a lifespan that closes at its end what the application holds."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with held:
            yield

    return lifespan
