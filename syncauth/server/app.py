"""
The whole server as an ASGI application: the account API and the sync socket on one SQLite file.

Everything is put together here and nowhere else. What cannot be used (configuration, key, file)
is told as a typed error before anything is served. The application's end closes all it holds;
`app.state.drain` sends the devices away before. This module decides nothing at run time.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import Lifespan

from syncauth.errors import InvalidConfig
from syncauth.interfaces import Clock, Randomness
from syncauth.server.accounts.custom_data import Query, prepare_query
from syncauth.server.accounts.foreign_access import ForeignAccess
from syncauth.server.accounts.foreign_tokens import ForeignTokens
from syncauth.server.accounts.issuer import Issuer, open_key
from syncauth.server.accounts.passwords import Passwords
from syncauth.server.hub.driver import HubDriver
from syncauth.server.hub.socket import SyncEndpoint
from syncauth.server.routes.admin import AdminApi
from syncauth.server.routes.api import ERROR_HANDLERS, AuthApi
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

    `extensions` are functions and hooks given in code; they win over those that `config` names.
    Await `app.state.drain()` before the server closes its sockets, so that every device is told
    to come back. `app.state.denials` keeps subjects of other issuers out. The file is closed at
    the end of the application's lifespan.

    Raises:
        InvalidConfig: the schema file, a served table, a rule, a named callable or a key cannot be used.
        FileCorrupt, StorageError: the signing key or the file cannot be used; neither was changed.
    """
    with contextlib.ExitStack() as undo:
        added = load_extensions(config.functions, config.hooks, extensions)
        issuer = Issuer(open_key(data_dir), config.app_id)
        thread = StoreThread()
        undo.callback(thread.close)
        store, rows, query = thread.run_blocking(
            _open_stores, config, data_dir / DATABASE, thread, undo
        )
        passwords = Passwords(config.login.password_cost)
        undo.callback(passwords.close)
        tokens, foreign = _accept_foreign(config, store, thread, clock, randomness)
        driver = HubDriver(
            config.limits,
            rows=rows,
            accounts=store,
            thread=thread,
            issuer=issuer,
            clock=clock,
            randomness=randomness,
            foreign=foreign,
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
                foreign=tokens,
            ),
        )
        undo.callback(services.close)
        socket = SyncEndpoint(config, issuer=issuer, clock=clock, driver=driver, foreign=foreign)
        routes = [*_http_routes(config, services), socket.route()]
        return _application(routes, undo.pop_all(), driver, services)


def _application(
    routes: Sequence[BaseRoute], held: contextlib.ExitStack, driver: HubDriver, services: Services
) -> Starlette:
    handlers = dict(ERROR_HANDLERS)
    app = Starlette(routes=routes, exception_handlers=handlers, lifespan=_lifespan(held))
    app.state.drain = lambda: driver.drain(RETRY_AFTER, SECONDS_TO_DRAIN)
    app.state.denials = services.denials
    return app


def _accept_foreign(
    config: ServerConfig,
    store: SqliteAccounts,
    thread: StoreThread,
    clock: Clock,
    randomness: Randomness,
) -> tuple[ForeignTokens, ForeignAccess]:
    """Read the keys of other issuers; logins and sockets share those that are published."""
    tokens = ForeignTokens(config.issuers)
    return tokens, ForeignAccess(
        tokens, store=store, thread=thread, clock=clock, randomness=randomness
    )


def _http_routes(config: ServerConfig, services: Services) -> list[BaseRoute]:
    return [
        *AuthApi(config, services).routes(),
        *AdminApi(config, services.admin).routes(),
    ]


def _open_stores(
    config: ServerConfig, path: Path, thread: StoreThread, undo: contextlib.ExitStack
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
    connection = open_server_file(path, schema)
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
