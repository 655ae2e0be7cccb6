"""
What the engine can ask for: writes to the credential store first, then effects on the outside.

A `StoreWrite` is durable before anything else of its decision happens; all writes of one decision
are one transaction. Every write that changes tokens is a compare-and-set on epoch and on the
refresh token that it replaces; one that belongs to a refresh compares the fencing number as well,
which whoever takes the user's refresh lock raises. An effect that has an answer carries a `Ticket`; the answer brings
it back, and one that is no longer current is dropped before it reaches a machine (I7). This
vocabulary is closed; it has no behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncauth.errors import SyncAuthError
from syncauth.events import ReloginRequired
from syncauth.models import (
    Credentials,
    Login,
    Profile,
    ReloginReason,
    Secret,
    SessionState,
    TokenPair,
)
from syncauth.sansio.messages import BatchResult, Changes, Checkpoint, ClientMessage


@dataclass(frozen=True, slots=True)
class Ticket:
    """Whose effect this is.

    The user, the epoch it was asked for in, and a number never used twice.
    """

    user_id: str
    epoch: int
    request: int


# --- writes to the credential store --------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PutLogin:
    """A login: make the user current, with this epoch and these tokens; ends the episode.

    `received_at` is the wall clock at receipt, for planning after a restart. An older session of
    the same user that these tokens replace is moved to the revocations.
    """

    login: Login
    epoch: int
    received_at: float


@dataclass(frozen=True, slots=True)
class PutMark:
    """The durable mark that precedes a refresh request: its refresh id."""

    user_id: str
    epoch: int
    refresh_token: Secret
    refresh_id: str
    fence: int | None = None


@dataclass(frozen=True, slots=True)
class PutTokens:
    """A renewed pair in place of `replaces`; removes the mark."""

    user_id: str
    epoch: int
    replaces: Secret
    tokens: TokenPair
    received_at: float
    fence: int | None = None


@dataclass(frozen=True, slots=True)
class PutExpired:
    """The session has ended: erase both tokens, begin the episode."""

    user_id: str
    epoch: int
    replaces: Secret
    episode: str
    reason: ReloginReason
    since: float
    fence: int | None = None


@dataclass(frozen=True, slots=True)
class PutLogout:
    """Mark the user as logged out, with its new epoch, and erase its tokens and its data key.

    Unless `forget`, the refresh token moves to the revocations in the same commit.
    """

    user_id: str
    epoch: int
    forget: bool


@dataclass(frozen=True, slots=True)
class PutCurrent:
    """Make this user the current one; None for nobody."""

    user_id: str | None


@dataclass(frozen=True, slots=True)
class PutProfile:
    """Keep what the server told of the user."""

    user_id: str
    profile: Profile


@dataclass(frozen=True, slots=True)
class PutRemoval:
    """Forget the user: erase tokens and row, and note that its file is to be deleted.

    Unless `forget`, the refresh token moves to the revocations in the same commit. The file is
    deleted only if `discard` changes are unsent in it; None means any number.
    """

    user_id: str
    forget: bool
    discard: int | None = None


@dataclass(frozen=True, slots=True)
class DropRemoval:
    """The user's file is deleted."""

    user_id: str


@dataclass(frozen=True, slots=True)
class PutRevocation:
    """Keep, to be revoked, the refresh token of a session that must not live: a late login."""

    refresh_token: Secret


@dataclass(frozen=True, slots=True)
class DropRevocation:
    """The server confirmed: erase this token."""

    revocation: int


StoreWrite = (
    PutLogin
    | PutMark
    | PutTokens
    | PutExpired
    | PutLogout
    | PutCurrent
    | PutProfile
    | PutRemoval
    | DropRemoval
    | PutRevocation
    | DropRevocation
)


@dataclass(frozen=True, slots=True)
class Transition:
    """One move of a session, for the history: from where to where, by what, and why.

    `at` is the wall clock; `reason` a word of `ReloginReason` where there is one. It is kept beside
    the writes of a decision and never keeps them from being made.
    """

    user_id: str
    at: float
    before: SessionState
    after: SessionState
    trigger: str
    reason: str | None = None


# --- effects: tokens -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Authenticate:
    """Log in at the provider; answered by `LogInAnswered`."""

    request: int
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class HoldRefresh:
    """Take the lock of this user's refreshes, which one process at a time has, and then look again.

    Answered by `RefreshHeld`, or `RefreshNotHeld` if the store failed; `EndRefresh` gives it back.
    """

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class EndRefresh:
    """Give the lock of a refresh back: what came of it is durable."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class RequestRefresh:
    """Send one refresh request; answered by `RefreshAnswered`."""

    ticket: Ticket
    refresh_token: Secret
    refresh_id: str


@dataclass(frozen=True, slots=True)
class RevokeWaiting:
    """Revoke what waits in the store's revocations; each answered by `RevokeAnswered`."""


# --- effects: the sync socket --------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class OpenSocket:
    """Raise the connection number, then connect; answered by `SocketOpened` or `SocketLost`."""

    ticket: Ticket
    access_token: Secret


@dataclass(frozen=True, slots=True)
class Send:
    """Send one message on the socket that the ticket opened."""

    ticket: Ticket
    message: ClientMessage


@dataclass(frozen=True, slots=True)
class CloseSocket:
    """Close the socket, or give up opening it; answered by `SocketLost`."""

    ticket: Ticket
    code: int
    reason: str


# --- effects: the replica ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CutBatch:
    """Move the oldest unsent changes in flight; answered by `BatchCut`."""

    ticket: Ticket
    rows: int
    size: int


@dataclass(frozen=True, slots=True)
class LoadInFlight:
    """Read the batches in flight for a resend; answered by `InFlightLoaded`."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class AcknowledgeBatches:
    """Trim what these results judge; answered by `BatchesAcknowledged`."""

    ticket: Ticket
    results: tuple[BatchResult, ...]


@dataclass(frozen=True, slots=True)
class ApplyChanges:
    """Apply a page, or record a checkpoint that brought no rows; answered by `ChangesApplied`."""

    ticket: Ticket
    changes: Changes | Checkpoint


@dataclass(frozen=True, slots=True)
class ReadReplica:
    """Read the state of the replica afresh; answered by `ReplicaRead`."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class PrepareReplica:
    """Keep the server's clock offset (ms), the device id it gave and its history ("" if untold).

    Answered by `ReplicaPrepared`.
    """

    ticket: Ticket
    device: str
    offset_ms: int
    history: str = ""


# --- effects: the app ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CallReloginHook:
    """Call the app's `on_relogin_required`; answered by `HookReturned`."""

    event: ReloginRequired


@dataclass(frozen=True, slots=True)
class Settle:
    """Give a verb of the app that waits its result: nothing, a user id or token, or the error to raise."""

    request: int
    result: str | Secret | None = None
    error: SyncAuthError | None = None


@dataclass(frozen=True, slots=True)
class FinishErasing:
    """Truncate the store's log so that nothing erased remains on the disk."""


Effect = (
    Authenticate
    | HoldRefresh
    | EndRefresh
    | RequestRefresh
    | RevokeWaiting
    | OpenSocket
    | Send
    | CloseSocket
    | CutBatch
    | LoadInFlight
    | AcknowledgeBatches
    | ApplyChanges
    | ReadReplica
    | PrepareReplica
    | CallReloginHook
    | Settle
    | FinishErasing
)
