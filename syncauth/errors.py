"""
Every exception syncauth raises, in one tree, grouped by who must act.

SyncAuthError
├── UsageError
│   ├── InvalidState
│   ├── Closed
│   ├── InvalidConfig
│   ├── NotLoggedInError
│   ├── UserRemovedError
│   ├── ChangesPending
│   ├── NotSupported
│   ├── BodyNotReplayable
│   ├── FunctionError
│   ├── WrongLoop
│   └── TableNotTrackable
├── AuthError
│   ├── CredentialsRefused
│   ├── AccountNameInUse
│   ├── TokenRefused
│   └── ReloginRequiredError
├── UnreachableError
│   ├── ServerUnreachable
│   ├── ServerBusy
│   ├── TokenUnavailableError
│   └── WaitTimedOut
├── ProtocolError
│   ├── InvalidToken
│   ├── InvalidMessage
│   ├── InvalidDocument
│   ├── UnexpectedAnswer
│   ├── FunctionFailed
│   └── InsecureServer
├── SyncError
│   └── SyncStopped
└── StorageError
    ├── FileCorrupt
    ├── FileFull
    ├── FileTooNew
    ├── FileNotOurs
    ├── FileInUse
    └── KeyringUnavailable

* `UsageError`: you, the programmer, must change the program.
* `AuthError`: a person must act (type another password, log in again).
* `UnreachableError`: time will tell; syncauth tries again by itself.
* `ProtocolError`: one of the two sides has a bug or is not what it says it is.
* `SyncError`: this change or this replica cannot go on as it is.
* `StorageError`: this device's disk, files or keyring.

The classes in between are never raised themselves, only their leaves. Every message says what
happened, why, and the remedy; what a program may need stands in attributes, never only in the text.
No message and no attribute holds a token or a password. This module must never import anything of
syncauth.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SyncAuthError(Exception):
    """The root of all errors of syncauth; never raised itself."""

    def __init__(self, what: str, *, why: str = "", remedy: str = "") -> None:
        """Say what happened, why (if known) and what to do about it."""
        self.what = what
        self.why = why
        self.remedy = remedy
        text = what
        if why:
            text += f": {why}"
        if remedy:
            text += f". {remedy}"
        super().__init__(text)


class UsageError(SyncAuthError):
    """The program must be changed; trying again does not help."""


class InvalidState(UsageError):
    """A trigger was fired in a state whose table has no such edge; nothing has changed (I13)."""

    def __init__(self, *, machine: str, state: str, trigger: str) -> None:
        """Name the machine, the state it is in (and stays in) and the trigger."""
        self.machine = machine
        self.state = state
        self.trigger = trigger
        super().__init__(
            f"the {machine} machine has no transition for {trigger} in state {state}",
            remedy="Nothing has changed",
        )


class Closed(UsageError):
    """The App, replica or server was closed; its verbs can no longer be used."""


@dataclass(frozen=True, slots=True)
class ConfigFault:
    """One thing that is wrong with a configuration; `line` counts from 1, None where no line is known."""

    setting: str
    why: str
    remedy: str = ""
    line: int | None = None


class InvalidConfig(UsageError):
    """Settings are missing, misspelt, of the wrong type or out of their range.

    `faults` are all that were found, at least one; `setting` is the first one's.
    """

    def __init__(
        self,
        what: str,
        *,
        setting: str,
        why: str = "",
        remedy: str = "",
        faults: Sequence[ConfigFault] = (),
    ) -> None:
        """Name the setting, as the user wrote it."""
        self.setting = setting
        self.faults = tuple(faults) or (ConfigFault(setting, why or what, remedy),)
        super().__init__(what, why=why, remedy=remedy)


class NotLoggedInError(UsageError):
    """The call needs a user who is logged in; call `App.log_in` first."""


class UserRemovedError(UsageError):
    """This user was removed from this device; its handles stay dead, also after a new login."""


class ChangesPending(UsageError):
    """Changes that the server does not have would be lost, and this was not said to be wanted.

    `pending` is how many there are.
    """

    def __init__(self, what: str, *, pending: int, remedy: str) -> None:
        """Keep how many changes wait."""
        self.pending = pending
        super().__init__(what, why=f"{pending} changes wait", remedy=remedy)


class NotSupported(UsageError):
    """The identity provider of this App does not offer this."""


class BodyNotReplayable(UsageError):
    """A request was refused for its token and could not be repeated, since its body was a stream.

    `method` and `origin` tell which; the rest of its address may hold secrets and is not kept. The token has been
    renewed, so that the same request with a new body goes out with a good one.
    """

    def __init__(self, *, method: str, origin: str) -> None:
        """Name the request."""
        self.method = method
        self.origin = origin
        super().__init__(
            f"the {method} to {origin} was not repeated after its token was refused",
            why="its body can be read once only",
            remedy="Send it again with a new body, or give the body as bytes",
        )


class FunctionError(UsageError):
    """Raised by a function of the server's team to refuse its caller, who is told `what` and nothing else."""


class WrongLoop(UsageError):
    """A `SyncServer` was used in another event loop than the one in which it was started."""


class TableNotTrackable(UsageError):
    """A table cannot be synchronised in its present shape; nothing was changed.

    `reason` is a fixed word: `no_primary_key`, `nullable_key`, `key_collation`, `key_without_type`,
    `view`, `virtual_table`, `integer_primary_key`, `expression_index`, `app_trigger`,
    `unknown_table`, `unknown_column`, `counter_not_integer`, `reserved_name`, `shape_changed`,
    `too_many_columns`.
    """

    def __init__(self, *, table: str, reason: str, why: str, remedy: str) -> None:
        """Name the table, the fixed reason, and the remedy."""
        self.table = table
        self.reason = reason
        super().__init__(f"table {table!r} cannot be synchronised", why=why, remedy=remedy)


class AuthError(SyncAuthError):
    """A person must act."""


class CredentialsRefused(AuthError):
    """The server refused the credentials at login or registration.

    `code` is the server's own name for the refusal, such as `InvalidPassword` or `UserDisabled`.
    """

    def __init__(self, *, code: str, why: str) -> None:
        """Keep the server's code; wrong passwords and unknown users answer alike."""
        self.code = code
        super().__init__(
            "the server refused the credentials", why=why, remedy="Check them and log in again"
        )


class AccountNameInUse(AuthError):
    """Registration was refused because the name is taken."""


class TokenRefused(AuthError):
    """What was given to `SyncServer.verify` is no valid access token; the text is not kept.

    `reason` is `invalid` (no access token of this app), `expired` (its end has come: its holder may refresh), or a
    word of `models.ReloginReason` (its session has ended: its user must log in).
    """

    def __init__(self, *, reason: str) -> None:
        """Keep why."""
        self.reason = reason
        super().__init__("the access token was refused", why=reason, remedy="Answer with 401")


class ReloginRequiredError(AuthError):
    """The session has ended: the user must log in before anything works that involves the server.

    `reason` is a word of `models.ReloginReason`.
    """

    def __init__(self, *, user_id: str, reason: str) -> None:
        """Name the user and why the session has ended."""
        self.user_id = user_id
        self.reason = reason
        super().__init__("a relogin is required", why=reason, remedy="Send the user to the login")


class UnreachableError(SyncAuthError):
    """Time will tell."""


class ServerUnreachable(UnreachableError):
    """No connection, a time-out, or an answer that only a proxy or captive portal gives."""


class ServerBusy(UnreachableError):
    """The server asked for patience; `retry_after` is in seconds, or None."""

    def __init__(self, what: str, *, retry_after: float | None, why: str = "") -> None:
        """Keep what the server said in Retry-After."""
        self.retry_after = retry_after
        super().__init__(what, why=why, remedy="Try again later")


class TokenUnavailableError(UnreachableError):
    """There is no valid access token now; the session goes on, and local work with it.

    `retry_at` is the wall clock of the next attempt, or None if it has no time yet; `online` is
    False when nobody answered at all.
    """

    def __init__(self, what: str, *, retry_at: float | None, online: bool, why: str = "") -> None:
        """Keep when the next attempt comes."""
        self.retry_at = retry_at
        self.online = online
        super().__init__(what, why=why, remedy="Work offline; it is tried again by itself")


class WaitTimedOut(UnreachableError):
    """What a `wait_…` verb or a login waited for did not happen in time; `waited` is in seconds."""

    def __init__(
        self,
        what: str,
        *,
        waited: float,
        why: str = "",
        remedy: str = "Look at replica.status, or wait longer",
    ) -> None:
        """Keep how long was waited."""
        self.waited = waited
        super().__init__(what, why=why, remedy=remedy)


class ProtocolError(SyncAuthError):
    """One of the two sides has a bug or is not what it says it is."""


class InvalidToken(ProtocolError):
    """What was given as a token is not a JWT that this program can read; the text is not kept."""


class InvalidMessage(ProtocolError):
    """A message of the sync protocol cannot be read or breaks a rule of the protocol."""


class InvalidDocument(ProtocolError):
    """A value has no Extended JSON form, or a document cannot be read as one.

    `path` tells where in it, such as `$.items[2].price`.
    """

    def __init__(self, *, path: str, why: str) -> None:
        """Name the place; the value is not kept."""
        self.path = path
        super().__init__(
            f"no Extended JSON at {path}",
            why=why,
            remedy="Send only what syncauth.ejson lists",
        )


class UnexpectedAnswer(ProtocolError):
    """An HTTP answer has not the shape of the App Services API; `status` is its HTTP status."""

    def __init__(self, what: str, *, status: int, why: str = "", remedy: str = "") -> None:
        """Keep the status; the body may hold secrets and is not kept."""
        self.status = status
        super().__init__(what, why=why, remedy=remedy)


class FunctionFailed(ProtocolError):
    """A function of the server was refused or failed; `code` is the server's name for it.

    `status` is the HTTP status.
    """

    def __init__(self, *, name: str, code: str, status: int, why: str) -> None:
        """Name the function; neither its arguments nor its result are kept."""
        self.name = name
        self.code = code
        self.status = status
        super().__init__(f"the function {name!r} failed", why=why, remedy="See the server's log")


class InsecureServer(ProtocolError):
    """Tokens would travel in clear text, or to a host that is not trusted."""


class SyncError(SyncAuthError):
    """This change or this replica cannot go on as it is."""


class SyncStopped(SyncError):
    """Sync has stopped for a reason that does not end by itself.

    `code` is a name of the catalogue in `syncauth.sansio.sync_errors`.
    """

    def __init__(self, *, code: str, why: str, remedy: str) -> None:
        """Keep the code of the catalogue."""
        self.code = code
        super().__init__("sync has stopped", why=why, remedy=remedy)


class StorageError(SyncAuthError):
    """This device must be mended: disk, files or keyring.

    `path` names the file where there is one.
    """

    def __init__(self, what: str, *, path: str = "", why: str = "", remedy: str = "") -> None:
        """Keep the path of the file."""
        self.path = path
        super().__init__(what, why=why, remedy=remedy)


class FileCorrupt(StorageError):
    """SQLite says that the file is damaged or not a database; it was left as it is."""


class FileFull(StorageError):
    """The disk is full; nothing of the refused write was kept, everything before it was."""


class FileTooNew(StorageError):
    """The file was written by a newer version of syncauth; it was not touched."""


class FileNotOurs(StorageError):
    """The file is of another user, app or server, or a copy of another device's file (I12)."""


class FileInUse(StorageError):
    """Another App or process holds the lock of this file or data directory."""


class KeyringUnavailable(StorageError):
    """The keyring is locked, missing or prompting; nothing was erased and no new key was made."""
