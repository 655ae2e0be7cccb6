"""
The whole server as an ASGI application: the account API and the sync socket on one SQLite file.

Everything is put together here and nowhere else. What cannot be used (configuration, key, file)
is told as a typed error before anything is served. The application's end closes all it holds;
`app.state.drain` sends the devices away before. `app.state.operations` is what whoever runs the
server sees of it. This module decides nothing at run time.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

from starlette.applications import Starlette
from starlette.routing import BaseRoute

from syncauth.interfaces import Clock, Randomness
from syncauth.server.accounts.foreign_access import ForeignAccess
from syncauth.server.accounts.foreign_tokens import ForeignTokens
from syncauth.server.accounts.issuer import Issuer
from syncauth.server.accounts.passwords import Passwords
from syncauth.server.accounts.signing_keys import SigningKeys
from syncauth.server.hub.driver import HubDriver
from syncauth.server.hub.socket import SyncEndpoint
from syncauth.server.operations.operations import Operations
from syncauth.server.operations.tracing import Tracing
from syncauth.server.routes.admin import AdminApi
from syncauth.server.routes.api import ERROR_HANDLERS, AuthApi
from syncauth.server.routes.keys import keys_route
from syncauth.server.services import Parts, Services, open_services
from syncauth.server.settings.config import ServerConfig
from syncauth.server.storage import open_storage
from syncauth.server.stores.sqlite import is_of_the_file
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
    to come back. `app.state.team_users` is for `SyncServer`, `app.state.denials` keeps subjects of other
    issuers out. The file is closed at the end of the application's lifespan. Spans go to `tracing`, by
    default to OpenTelemetry where it is installed.

    Raises:
        InvalidConfig: the schema file, a served table, a rule, a named callable or a key cannot be used.
        FileCorrupt, StorageError: the signing keys, the file or the directory cannot be used.
    """
    with contextlib.ExitStack() as undo:
        undo.callback(restore.enter(data_dir).release)
        added = load_extensions(config.functions, config.hooks, extensions)
        operations = Operations(config, clock, randomness, tracing)
        parts, rows = _open_parts(config, data_dir, clock, randomness, operations, undo)
        foreign = ForeignAccess(
            parts.foreign,
            store=parts.store,
            thread=parts.thread,
            clock=clock,
            randomness=randomness,
        )
        driver = _open_hub(config, parts, rows, operations, foreign)
        undo.callback(driver.end)
        services = open_services(config, added, replace(parts, on_revoked=driver.revoked))
        undo.callback(services.close)
        socket = SyncEndpoint(
            config, issuer=parts.issuer, clock=clock, driver=driver, foreign=foreign
        )
        routes = [
            *_http_routes(config, services, operations),
            keys_route(parts.issuer, clock),
            socket.route(),
        ]
        app = _application(routes, undo.pop_all())
    app.state.team_users, app.state.denials = services.team_users, services.denials
    operations.surround(app, routes, line=lambda: parts.passwords.line)
    return app


def _open_parts(
    config: ServerConfig,
    data_dir: Path,
    clock: Clock,
    randomness: Randomness,
    operations: Operations,
    undo: contextlib.ExitStack,
) -> tuple[Parts, SqliteRows]:
    """Open keys and file; what is opened is closed by `undo`."""
    issuer = Issuer(SigningKeys(data_dir), config.app_id)
    thread = StoreThread(operations.line, is_of_the_file)
    undo.callback(thread.close)
    stored = thread.run_blocking(
        lambda: open_storage(
            config, data_dir, thread, undo, clock, randomness, operations.connection_class()
        )
    )
    passwords = Passwords(config.login.password_cost)
    undo.callback(passwords.close)
    parts = Parts(
        store=stored.accounts,
        thread=thread,
        issuer=issuer,
        passwords=passwords,
        clock=clock,
        randomness=randomness,
        on_revoked=lambda _ended: None,
        query=stored.query,
        metrics=operations.metrics,
        foreign=ForeignTokens(config.issuers),
    )
    return parts, stored.rows


def _http_routes(
    config: ServerConfig, services: Services, operations: Operations
) -> list[BaseRoute]:
    admin = AdminApi(config, services.admin)
    return [
        *AuthApi(config, services, lambda: operations.is_ending, admin.operations_for).routes(),
        *admin.routes(),
        *operations.routes,
    ]


def _open_hub(
    config: ServerConfig,
    parts: Parts,
    rows: SqliteRows,
    operations: Operations,
    foreign: ForeignAccess,
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
        foreign=foreign,
        watch=operations.watch,
    )
    operations.on_drain(driver.drain)
    return driver


def _application(routes: Sequence[BaseRoute], held: contextlib.ExitStack) -> Starlette:
    """Return the routes as an application that closes at its lifespan's end what it holds."""

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        with held:
            yield

    return Starlette(routes=routes, exception_handlers=dict(ERROR_HANDLERS), lifespan=lifespan)
