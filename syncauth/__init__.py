"""
syncauth: sync for offline-first apps that owns the login.

These are the public names; everything else may move.
"""

from syncauth import blocking
from syncauth.app import App
from syncauth.errors import SyncAuthError
from syncauth.events import (
    CaptureRestored,
    ChangeRejected,
    ChangesReceived,
    ConnectionChanged,
    Event,
    LoggedIn,
    LoggedOut,
    RefreshDeferred,
    ReloginRequired,
    SessionChanged,
    SessionUncertain,
    SyncErrorRaised,
    TokensRenewed,
    Uploaded,
)
from syncauth.handles import OpenReplica, User
from syncauth.identifiers import new_id
from syncauth.models import (
    ConnectionState,
    Credentials,
    DeadLetter,
    PauseReason,
    ReloginReason,
    SessionState,
    Status,
)

__all__ = [
    "App",
    "CaptureRestored",
    "ChangeRejected",
    "ChangesReceived",
    "ConnectionChanged",
    "ConnectionState",
    "Credentials",
    "DeadLetter",
    "Event",
    "LoggedIn",
    "LoggedOut",
    "OpenReplica",
    "PauseReason",
    "RefreshDeferred",
    "ReloginReason",
    "ReloginRequired",
    "SessionChanged",
    "SessionState",
    "SessionUncertain",
    "Status",
    "SyncAuthError",
    "SyncErrorRaised",
    "TokensRenewed",
    "Uploaded",
    "User",
    "blocking",
    "new_id",
]
