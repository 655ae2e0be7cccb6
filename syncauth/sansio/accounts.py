"""
What the engine knows of one user, as frozen values that are replaced as a whole.

The two states themselves are not here: they live in the machines. What exists only while something
lasts is an object of its own that comes and goes with it: a `Refresh` while a pair is to be
renewed, an `Episode` while a relogin is required, a `Link` while there is a socket. This module
must never decide anything. Each decision replaces some of them several times, hence structs and not dataclasses.
"""

from __future__ import annotations

from msgspec import Struct, field

from syncauth.models import PauseReason, Profile, ReloginReason, Secret, TokenPair
from syncauth.sansio.effects import Ticket
from syncauth.sansio.messages import Limits
from syncauth.sansio.records import Batch, ReplicaState


class Refresh(Struct, frozen=True):
    """How the renewal of the pair goes.

    `refresh_id` is the durable mark, `ticket` the request that is out, `started_at` when the last
    one started, `retry_at` when the next is due (all monotonic seconds); `doubtful` counts answers
    that only something in between gives, since `doubtful_since`. `fence` is the fencing number
    while the lock of this user's refreshes is held here; `maybe_sent` says that the issuer may have
    had the token with this refresh id already.
    """

    refresh_id: str | None = None
    ticket: Ticket | None = None
    fence: int | None = None
    maybe_sent: bool = False
    started_at: float | None = None
    retry_at: float | None = None
    attempts: int = 0
    doubtful: int = 0
    doubtful_since: float = 0.0
    uncertain_told: bool = False


class Episode(Struct, frozen=True):
    """A required relogin: what the app was told of it in this run of the process."""

    id: str
    reason: ReloginReason
    since: float
    published: bool = False
    hook_called: bool = False
    hook_running: bool = False
    told_offline: bool = False


class Link(Struct, frozen=True):
    """One socket, from the wish to open it to its end.

    `token` is the access token that the server has from us; `push_until` the monotonic second at
    which its told life ends. `queue` are batches ready to be sent, `outstanding` those sent and not
    judged. `asked` and `answered` count our questions for a checkpoint (the hello is the first) and
    the server's answers.
    """

    ticket: Ticket
    token: Secret
    opened: bool = False
    welcomed: bool = False
    closing: bool = False
    blocked: bool = False
    push_until: float = 0.0
    limits: Limits | None = None
    queue: tuple[Batch, ...] = ()
    outstanding: tuple[int, ...] = ()
    cutting: bool = False
    loading: bool = False
    asked: int = 1
    answered: int = 0
    retry_after: float | None = None


class TokenWaiter(Struct, frozen=True):
    """A verb that waits for an access token until a monotonic second."""

    request: int
    until: float


class SyncWaiter(Struct, frozen=True):
    """A `wait_synced` that waits for answer `needed` of this link, or the first of the next."""

    request: int
    link: int | None
    needed: int


class Account(Struct, frozen=True):
    """One user's data.

    `received_at` is the monotonic second at which the pair came; `rejected` says that the server
    did not take the access token. `refresh_ends_at` is the wall clock at which the refresh token is
    known to end, `warn_at` the monotonic second at which the app is to be told. `working` counts
    effects on the replica that are not answered; `written` says that there may be changes to cut,
    `uncounted` that `replica` does not know of them. `when_stopped` are verbs to be settled once
    sync has stopped.
    """

    user_id: str
    device_id: str
    epoch: int
    current: bool
    profile: Profile
    tokens: TokenPair | None = None
    received_at: float = 0.0
    rejected: bool = False
    refresh_ends_at: float | None = None
    warn_at: float | None = None
    removed: bool = False
    online: bool = True
    refresh: Refresh = field(default_factory=Refresh)
    episode: Episode | None = None
    paused: frozenset[PauseReason] = frozenset()
    replica: ReplicaState | None = None
    link: Link | None = None
    connect_attempts: int = 0
    connect_at: float | None = None
    working: int = 0
    written: bool = False
    uncounted: bool = False
    uploading: bool = False
    waiters: tuple[SyncWaiter, ...] = ()
    token_waiters: tuple[TokenWaiter, ...] = ()
    when_stopped: tuple[int, ...] = ()
    last_error: str | None = None

    @property
    def sync_stopped(self) -> bool:
        """Nothing of sync is going on: no socket, and no effect on the replica under way."""
        return self.link is None and self.working == 0

    @property
    def pending(self) -> int:
        """Changes in the outbox and in flight, as last read."""
        if self.replica is None:
            return 0
        return self.replica.pending + self.replica.in_flight_changes

    def usable(self, now: float) -> bool:
        """Tell whether the access token may be sent.

        Not rejected, and its told life has not run out.
        """
        if self.tokens is None or self.rejected:
            return False
        return now < self.received_at + self.tokens.life
