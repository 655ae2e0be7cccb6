"""
The bundled server: the App Services compatible account API and the sync hub, on one port.

It shares with the client only the wire (`sansio.messages`, `sansio.sync_errors`, `ejson`), `rows`,
`models` and `errors`; it must never import the app, the driver, the replica, the adapters or the engine.
What a program that embeds it may use are the names below; they need the extra `server`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from syncauth.server.accounts.team_users import Tokens, VerifiedUser
    from syncauth.server.settings.config import ServerConfig, read_config
    from syncauth.server.sync_server import SyncServer
    from syncauth.server.team.extensions import (
        Authenticate,
        EmailRequest,
        Extensions,
        Function,
        FunctionContext,
        Mail,
    )

__all__ = [
    "Authenticate",
    "EmailRequest",
    "Extensions",
    "Function",
    "FunctionContext",
    "Mail",
    "ServerConfig",
    "SyncServer",
    "Tokens",
    "VerifiedUser",
    "read_config",
]

_PLACES: Final = {
    "SyncServer": "sync_server",
    "ServerConfig": "settings.config",
    "Tokens": "accounts.team_users",
    "VerifiedUser": "accounts.team_users",
    "read_config": "settings.config",
}
"""In which module a name is; all others are in `team.extensions`."""


def __getattr__(name: str) -> Any:
    """Load a name when it is asked for (PEP 562).

    Every module of the package loads this one first: a command that looks at a file, and the process of a function,
    must not load the whole server for it.
    """
    if name not in __all__:
        message = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(message)
    module = importlib.import_module(f"{__name__}.{_PLACES.get(name, 'team.extensions')}")
    return getattr(module, name)
