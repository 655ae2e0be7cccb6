"""
What inputs speak of: a moment, a user as it is stored, the state of a replica, a batch.

Frozen values without behaviour, which the engine gets from the clock, the credential store and the replica.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from syncauth.models import Profile, ReloginReason, SessionState, TokenPair
from syncauth.sansio.messages import BatchMark, TableShape


@dataclass(frozen=True, slots=True)
class Moment:
    """When an input is decided, and the chance that the decision may use.

    `monotonic` and `wall` in seconds; `entropy` are 32 fresh random bytes, so that deciding stays
    pure. `durable` False says that the credential store takes no writes now: what needs one is put off.
    """

    monotonic: float
    wall: float
    entropy: bytes = field(repr=False)
    durable: bool = True


@dataclass(frozen=True, slots=True)
class StoredUser:
    """One user as the credential store holds it.

    `state` is logged_out, active or refresh_expired; `refresh_id` is the mark of a refresh that was
    sent and not answered; `received_at` the wall clock when the tokens came; `episode`, `reason`
    and `since` are set in refresh_expired alone. `refresh_ends_at` is the wall clock at which the
    refresh token is known to end, or None.
    """

    user_id: str
    device_id: str
    state: SessionState
    epoch: int
    current: bool
    tokens: TokenPair | None
    received_at: float
    refresh_id: str | None
    profile: Profile
    episode: str | None = None
    reason: ReloginReason | None = None
    since: float = 0.0
    refresh_ends_at: float | None = None


@dataclass(frozen=True, slots=True)
class ReplicaState:
    """What a replica file knows of its own history; read at open and after each change to it.

    `pending` counts the changes in the outbox (not yet in flight), `in_flight_changes` those in
    flight. `again` says that the tables or versions named to the server no longer hold, so that a
    new connection must name them afresh; `compare` are the versions that were reached before, by
    partition, while rows are to be compared with the server's. `history` is that of the server's
    file as far as this file followed it, "" while none was told.
    """

    device: str
    incarnation: str
    fencing: int
    acked: BatchMark | None
    in_flight: tuple[BatchMark, ...]
    in_flight_changes: int
    pending: int
    dead_letters: int
    checkpoints: dict[str, int]
    tables: tuple[TableShape, ...]
    compare: dict[str, int] = field(default_factory=dict)
    again: bool = False
    history: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch in flight.

    Its number, the digest of its bytes, the bytes, and how many changes it holds.
    """

    number: int
    digest: str
    sections: bytes
    changes: int
