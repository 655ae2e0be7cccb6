"""
What the app can be told: one frozen class per happening, published after it is durable.

`App.events()` yields them all, in order, to every subscriber. No event holds a token. `at` is the
wall clock in seconds since the epoch. This module has no behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncauth.models import (
    ConnectionState,
    DeadLetter,
    PauseReason,
    ReloginReason,
    SessionState,
)


@dataclass(frozen=True, slots=True)
class Event:
    """The base of all events; never published itself."""

    user_id: str
    at: float


@dataclass(frozen=True, slots=True)
class SessionChanged(Event):
    """The session moved from one state to another, by this trigger."""

    before: SessionState
    after: SessionState
    trigger: str


@dataclass(frozen=True, slots=True)
class ConnectionChanged(Event):
    """The sync connection moved; `paused` are the reasons that hold it after the move."""

    before: ConnectionState
    after: ConnectionState
    trigger: str
    paused: frozenset[PauseReason]


@dataclass(frozen=True, slots=True)
class LoggedIn(Event):
    """A login is durable, of this process or of another one of the app."""


@dataclass(frozen=True, slots=True)
class LoggedOut(Event):
    """A logout is durable: no token of this user can open a session again (I8).

    `elsewhere` if another process of the app did it.
    """

    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class UserSwitched(Event):
    """This user is the current one now; `previous` was it before, or None.

    Told as well when another process of the app did it; of a login `LoggedIn` tells alone.
    """

    previous: str | None


@dataclass(frozen=True, slots=True)
class UserRemoved(Event):
    """This user was removed from this device: its handles are dead, its rows gone.

    `elsewhere` if another process of the app did it.
    """

    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class TokensRenewed(Event):
    """A renewed pair is durable; `elsewhere` if another process of the app renewed it."""

    elsewhere: bool = False


@dataclass(frozen=True, slots=True)
class SessionExpiring(Event):
    """The refresh token ends soon, at the wall clock `ends_at`: a login before that avoids a pause.

    Told once for each end, `AppConfig.session_expiring_days` before it.
    """

    ends_at: float


@dataclass(frozen=True, slots=True)
class RefreshDeferred(Event):
    """A refresh was not judged; the next attempt comes in `retry_in` seconds."""

    why: str
    online: bool
    retry_in: float


@dataclass(frozen=True, slots=True)
class SessionUncertain(Event):
    """For minutes only answers came that a proxy or captive portal gives.

    The user stays logged in.
    """

    why: str
    attempts: int


@dataclass(frozen=True, slots=True)
class ReloginRequired(Event):
    """The session has ended and sync has stopped; the app should send the user to its login.

    `episode` is the same until the next login or logout; `since` is the wall clock of its
    beginning.
    """

    episode: str
    reason: ReloginReason
    online: bool
    changes_pending: int
    since: float


@dataclass(frozen=True, slots=True)
class ChangeRejected(Event):
    """The server refused this change.

    It is kept in the dead letters and its row is as the server has it.
    """

    change: DeadLetter


@dataclass(frozen=True, slots=True)
class SyncErrorRaised(Event):
    """Something went wrong with sync that the app may want to show.

    `code` is a name of the catalogue.

    `stopped` says whether sync waits for someone to act.
    """

    code: str
    why: str
    stopped: bool


@dataclass(frozen=True, slots=True)
class Uploaded(Event):
    """Everything that was written is at the server: outbox and in flight are empty."""


@dataclass(frozen=True, slots=True)
class ChangesReceived(Event):
    """Remote rows are in the replica; `checkpoints` are the versions reached."""

    checkpoints: dict[str, int]


@dataclass(frozen=True, slots=True)
class CaptureRestored(Event):
    """The capture of these tables was interrupted (a rebuild drops triggers), and has been made good.

    Rows added or removed meanwhile are in the outbox, and so are the columns that differed from the
    server's. Where it could not be told which side had changed a column, the server's value stands,
    and the other one was rejected with the code `capture_interrupted`.
    """

    tables: tuple[str, ...]
