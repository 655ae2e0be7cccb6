"""
What can happen: the one vocabulary of what the app, the outside and the clock tell the engine.

An answer to an effect carries the effect's `Ticket`; the engine drops it when the ticket is no
longer current (I7). This vocabulary is closed; it has no behaviour.
"""

from __future__ import annotations

from dataclasses import dataclass

from syncauth.errors import SyncAuthError
from syncauth.models import Credentials, DeadLetter, Login, Profile, RefreshAnswer, Secret
from syncauth.sansio.effects import Ticket
from syncauth.sansio.messages import Changes, Checkpoint, ServerMessage
from syncauth.sansio.records import Batch, ReplicaState, StoredUser

# --- from the app --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The App has opened and read its credential store; always the first input."""

    users: tuple[StoredUser, ...]
    revocations: bool


@dataclass(frozen=True, slots=True)
class LogInRequested:
    """`App.log_in` was called."""

    request: int
    credentials: Credentials


@dataclass(frozen=True, slots=True)
class RequestCancelled:
    """Nobody waits any more for what was asked for under this number."""

    request: int


@dataclass(frozen=True, slots=True)
class LogOutRequested:
    """`App.log_out` or, with `remove`, `App.remove_user` was called.

    `discard` is how many unsent changes a removal may lose; None for any number.
    """

    request: int
    user_id: str
    forget: bool
    remove: bool = False
    discard: int | None = None


@dataclass(frozen=True, slots=True)
class SwitchRequested:
    """`App.switch_user` was called."""

    request: int
    user_id: str


@dataclass(frozen=True, slots=True)
class ProfileRead:
    """The server told anew who the user is."""

    request: int
    user_id: str
    profile: Profile


@dataclass(frozen=True, slots=True)
class TokenWanted:
    """Somebody waits for an access token, until the monotonic second `until` at most.

    `rejected` is a token that a server did not take; `renew` asks for a new one in any case.
    """

    request: int
    user_id: str
    until: float
    rejected: Secret | None = None
    renew: bool = False


@dataclass(frozen=True, slots=True)
class ReplicaOpened:
    """A replica of this user is open and ready to sync."""

    user_id: str
    state: ReplicaState


@dataclass(frozen=True, slots=True)
class ReplicaClosing:
    """The replica of this user is about to close; settled when its socket has ended."""

    request: int
    user_id: str


@dataclass(frozen=True, slots=True)
class ReplicaWritten:
    """Somebody has committed to the replica; there may be changes to send."""

    user_id: str


@dataclass(frozen=True, slots=True)
class SyncWanted:
    """`wait_synced` was called: settled when everything the server has by now is in the replica."""

    request: int
    user_id: str


@dataclass(frozen=True, slots=True)
class NetworkChanged:
    """`App.network_changed` was called: try at once what waits for the network."""


@dataclass(frozen=True, slots=True)
class HookRegistered:
    """A handler for `on_relogin_required` is there."""


@dataclass(frozen=True, slots=True)
class HookReturned:
    """The handler has returned or raised."""

    user_id: str
    episode: str


@dataclass(frozen=True, slots=True)
class ReloginAsked:
    """`App.request_relogin` was called: call the handler again."""

    user_id: str


# --- from the clock ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeadlineReached:
    """The moment that `next_deadline` named has come."""


@dataclass(frozen=True, slots=True)
class ClockJumped:
    """The wall clock went on by so many seconds more than the monotonic one: the machine slept.

    Negative if it was set back.
    """

    seconds: float


# --- answers about tokens ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LogInAnswered:
    """The provider answered a login."""

    request: int
    outcome: Login | SyncAuthError


@dataclass(frozen=True, slots=True)
class RefreshHeld:
    """The lock of a refresh is held: what the store has now, and the raised fencing number.

    `stored` is None for a user who is not there any more.
    """

    ticket: Ticket
    stored: StoredUser | None
    fence: int


@dataclass(frozen=True, slots=True)
class RefreshNotHeld:
    """The store failed before a refresh could begin."""

    ticket: Ticket


@dataclass(frozen=True, slots=True)
class RefreshAnswered:
    """The provider's adapter judged the answer to a refresh."""

    ticket: Ticket
    answer: RefreshAnswer


@dataclass(frozen=True, slots=True)
class RevokeAnswered:
    """A revocation that waited was sent; `confirmed` False means try again later."""

    revocation: int
    confirmed: bool


@dataclass(frozen=True, slots=True)
class SessionsReread:
    """The credential store as another process left it.

    `stale` is the user for whom a write of ours came too late, if it was that which told.
    """

    users: tuple[StoredUser, ...]
    stale: str | None = None


# --- from the sync socket ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SocketOpened:
    """The socket is open; `connection` is the number that was durably raised for it."""

    ticket: Ticket
    connection: int
    state: ReplicaState


@dataclass(frozen=True, slots=True)
class SocketLost:
    """The socket has ended or could not be opened; see `interfaces.ConnectionLost` for the fields.

    One more kind is "storage": the replica could not raise its connection number.
    """

    ticket: Ticket
    kind: str
    code: int | None
    status: int | None
    why: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A message of the server."""

    ticket: Ticket
    message: ServerMessage


# --- from the replica ----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReplicaRead:
    """The state of the replica as it is now."""

    ticket: Ticket
    state: ReplicaState


@dataclass(frozen=True, slots=True)
class ReplicaPrepared:
    """Clock offset and device id are durable."""

    ticket: Ticket
    state: ReplicaState


@dataclass(frozen=True, slots=True)
class BatchCut:
    """A batch is durable in flight; None when there was nothing to send."""

    ticket: Ticket
    batch: Batch | None
    state: ReplicaState
    refused: tuple[DeadLetter, ...] = ()


@dataclass(frozen=True, slots=True)
class InFlightLoaded:
    """The batches to be resent, in order."""

    ticket: Ticket
    batches: tuple[Batch, ...]


@dataclass(frozen=True, slots=True)
class BatchesAcknowledged:
    """The results are durable; `refused` are the changes that the server did not accept."""

    ticket: Ticket
    state: ReplicaState
    refused: tuple[DeadLetter, ...]


@dataclass(frozen=True, slots=True)
class ChangesApplied:
    """A page or checkpoint is durable; `refused` were given up on the way to it.

    `restored` names the tables that have been compared with the server by it.
    """

    ticket: Ticket
    message: Changes | Checkpoint
    state: ReplicaState
    refused: tuple[DeadLetter, ...] = ()
    restored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplicaFailed:
    """An effect on the replica raised; nothing of it was done."""

    ticket: Ticket
    error: SyncAuthError


AppInput = (
    Started
    | LogInRequested
    | LogInAnswered
    | LogOutRequested
    | RequestCancelled
    | SessionsReread
    | HookRegistered
    | NetworkChanged
    | DeadlineReached
    | ClockJumped
    | RevokeAnswered
    | SwitchRequested
    | RefreshHeld
    | RefreshAnswered
)
"""What concerns the App as a whole, or brings its user along."""

_Named = (
    ReplicaOpened
    | ReplicaClosing
    | ReplicaWritten
    | SyncWanted
    | HookReturned
    | ReloginAsked
    | ProfileRead
    | TokenWanted
)
_Answer = (
    RefreshNotHeld
    | SocketOpened
    | SocketLost
    | MessageReceived
    | ReplicaRead
    | ReplicaPrepared
    | BatchCut
    | InFlightLoaded
    | BatchesAcknowledged
    | ChangesApplied
    | ReplicaFailed
)

UserInput = _Named | _Answer
"""What concerns one user, who is known to the engine."""

Input = AppInput | UserInput


def user_of(happening: UserInput) -> str:
    """Return whose input this is."""
    if isinstance(happening, _Named):
        return happening.user_id
    return happening.ticket.user_id
