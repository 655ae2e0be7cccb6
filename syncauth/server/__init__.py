"""
The bundled server: the App Services compatible account API and the sync hub, on one port.

It shares with the client only the wire (`sansio.messages`, `sansio.sync_errors`, `ejson`), `rows`,
`models` and `errors`; it must never import the app, the driver, the replica, the adapters or the engine.
What a program that embeds it may use are the names below; they need the extra `server`.
"""

from syncauth.server.accounts.team_users import Tokens, VerifiedUser
from syncauth.server.settings.config import ServerConfig, read_config
from syncauth.server.sync_server import SyncServer
from syncauth.server.team.extensions import (
    Authenticate,
    EmailRequest,
    Extensions,
    FunctionContext,
    Mail,
)

__all__ = [
    "Authenticate",
    "EmailRequest",
    "Extensions",
    "FunctionContext",
    "Mail",
    "ServerConfig",
    "SyncServer",
    "Tokens",
    "VerifiedUser",
    "read_config",
]
