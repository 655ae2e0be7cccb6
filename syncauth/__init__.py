"""
syncauth: sync for offline-first apps that owns the login.

These are the public names; everything else may move.
"""

from syncauth import blocking
from syncauth.adapters.oauth_credentials import DevicePrompt
from syncauth.adapters.oauth_discovery import OAuthEndpoints
from syncauth.adapters.oauth_provider import OAuthProvider
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
    SessionExpiring,
    SessionUncertain,
    SyncErrorRaised,
    TokensRenewed,
    Uploaded,
    UserRemoved,
    UserSwitched,
)
from syncauth.handles import GuestReplica, OpenReplica
from syncauth.identifiers import new_id
from syncauth.models import (
    ApiKey,
    ConnectionState,
    Credentials,
    DeadLetter,
    Identity,
    PauseReason,
    Profile,
    ReloginReason,
    Secret,
    SessionState,
    Status,
)
from syncauth.user import User

__all__ = [
    "ApiKey",
    "App",
    "CaptureRestored",
    "ChangeRejected",
    "ChangesReceived",
    "ConnectionChanged",
    "ConnectionState",
    "Credentials",
    "DeadLetter",
    "DevicePrompt",
    "Event",
    "GuestReplica",
    "Identity",
    "LoggedIn",
    "LoggedOut",
    "OAuthEndpoints",
    "OAuthProvider",
    "OpenReplica",
    "PauseReason",
    "Profile",
    "RefreshDeferred",
    "ReloginReason",
    "ReloginRequired",
    "Secret",
    "SessionChanged",
    "SessionExpiring",
    "SessionState",
    "SessionUncertain",
    "Status",
    "SyncAuthError",
    "SyncErrorRaised",
    "TokensRenewed",
    "Uploaded",
    "User",
    "UserRemoved",
    "UserSwitched",
    "blocking",
    "new_id",
]
