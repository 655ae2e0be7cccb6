"""A story told to the engine alone: what happens, and what it then asks for."""

from __future__ import annotations

from typing import TypeVar

from syncauth.events import Event
from syncauth.models import (
    ConnectionState,
    Credentials,
    Login,
    Profile,
    RefreshAnswer,
    Renewed,
    Secret,
    SessionState,
    TokenPair,
)
from syncauth.sansio import inputs
from syncauth.sansio.effects import (
    Authenticate,
    Effect,
    HoldRefresh,
    OpenSocket,
    RequestRefresh,
    Send,
    StoreWrite,
    Ticket,
    Transition,
)
from syncauth.sansio.engine import Decision, Engine
from syncauth.sansio.inputs import Input
from syncauth.sansio.messages import (
    BatchMark,
    BatchResult,
    Checkpoint,
    ClientMessage,
    Limits,
    PushResult,
    ServerMessage,
    TableShape,
    Welcome,
)
from syncauth.sansio.records import Batch, Moment, ReplicaState
from tests.support.stored_users import as_stored

ANN = "ann"
LIFE = 1800.0
LIMITS = Limits(batch_rows=10_000, batch_bytes=4_000_000, window=2)
NOTES = TableShape("notes", ["id"], ["text"])

_Kind = TypeVar("_Kind")


def pair(name: str, life: float = LIFE) -> TokenPair:
    """Return a pair that can be told from others by its name."""
    return TokenPair(Secret(f"access-{name}"), Secret(f"refresh-{name}"), life)


def login(name: str = "1", user: str = ANN) -> Login:
    """Return an accepted login."""
    return Login(user, "d" * 24, pair(name), Profile())


def replica_state(
    *, pending: int = 0, in_flight: tuple[int, ...] = (), acked: int = 0
) -> ReplicaState:
    """Return a replica's state; every batch in flight holds one change."""
    return ReplicaState(
        device="a" * 16,
        incarnation="b" * 16,
        fencing=1,
        acked=BatchMark(acked, f"digest-{acked}") if acked else None,
        in_flight=tuple(BatchMark(number, f"digest-{number}") for number in in_flight),
        in_flight_changes=len(in_flight),
        pending=pending,
        dead_letters=0,
        checkpoints={"user:ann": 7},
        tables=(NOTES,),
    )


class Story:
    """Feeds one engine and remembers all it asked for; time moves only by `wait`."""

    def __init__(self, engine: Engine | None = None) -> None:
        """Start with nobody."""
        self.engine = engine or Engine()
        self.now = 1000.0
        self.wall = 1_800_000_000.0
        self.writes: list[StoreWrite] = []
        self.effects: list[Effect] = []
        self.events: list[Event] = []
        self.history: list[Transition] = []
        self.locked_elsewhere = False
        self.fence = 0
        self._chance = 0

    # --- telling ---------------------------------------------------------------------------------

    def happen(self, happening: Input) -> Decision:
        """Let something happen and adopt what follows."""
        decision = self.decide(happening)
        self.engine.adopt(decision)
        self.writes += decision.writes
        self.effects += decision.effects
        self.events += decision.events
        self.history += decision.history
        for effect in decision.effects:
            if isinstance(effect, HoldRefresh) and not self.locked_elsewhere:
                self.held(effect)
        return decision

    def held(self, effect: HoldRefresh) -> Decision:
        """Let the lock of a refresh be taken, and the store be as the engine knows it."""
        user = effect.ticket.user_id
        (account,) = [each for each in self.engine.accounts() if each.user_id == user]
        session = self.engine.session(user)
        stored = as_stored(account, session, received_at=self.wall)
        self.fence += 1
        return self.happen(inputs.RefreshHeld(effect.ticket, stored, self.fence))

    def decide(self, happening: Input) -> Decision:
        """Ask what would follow, and leave it at that."""
        self._chance += 1
        entropy = self._chance.to_bytes(16, "big") + b"\x80" * 16
        return self.engine.decide(happening, Moment(self.now, self.wall, entropy))

    def wait(self, seconds: float) -> None:
        """Let time pass and serve every deadline on the way."""
        end = self.now + seconds
        for _ in range(10_000):
            deadline = self.engine.next_deadline()
            if deadline is None or deadline > end:
                break
            self._advance(max(deadline, self.now))
            self.happen(inputs.DeadlineReached())
        else:
            message = "a deadline that was served comes again at once"
            raise AssertionError(message)
        self._advance(end)

    def _advance(self, to: float) -> None:
        self.wall += to - self.now
        self.now = to

    # --- chapters --------------------------------------------------------------------------------

    def logged_in(self, name: str = "1", user: str = ANN) -> Story:
        """Log a user in."""
        return self.logged_in_with(login(name, user))

    def logged_in_with(self, accepted: Login) -> Story:
        """Let this login be accepted."""
        self.happen(inputs.LogInRequested(9, Credentials.anonymous(reuse=False)))
        assert isinstance(self.effects[-1], Authenticate)
        self.happen(inputs.LogInAnswered(9, accepted))
        return self

    def replica_opened(self, state: ReplicaState | None = None) -> Story:
        """Open the user's replica."""
        self.happen(inputs.ReplicaOpened(ANN, state or replica_state()))
        return self

    def socket_opened(self, state: ReplicaState | None = None) -> Story:
        """Let the socket that is wanted open."""
        ticket = self.socket
        self.happen(inputs.SocketOpened(ticket, 1, state or replica_state()))
        return self

    def welcomed(
        self,
        *,
        state: ReplicaState | None = None,
        results: list[BatchResult] | None = None,
        last: int = 0,
        resent: tuple[Batch, ...] = (),
        life: float = LIFE,
    ) -> Story:
        """Let the server say welcome, and the replica do what follows."""
        kept = state or replica_state()
        ticket = self.socket
        self.receive(
            Welcome(
                time=round(self.wall * 1000),
                life=round(life * 1000),
                device=kept.device,
                limits=LIMITS,
                last=last,
                results=results or [],
                partitions={"user:ann": "write"},
                tables=[NOTES],
            )
        )
        self.happen(inputs.ReplicaPrepared(ticket, kept))
        if results:
            self.happen(inputs.BatchesAcknowledged(ticket, kept, ()))
        self.happen(inputs.InFlightLoaded(ticket, resent))
        return self

    def live(self) -> Story:
        """From logged in to live, with nothing to send."""
        self.logged_in().replica_opened().socket_opened().welcomed()
        self.happen(inputs.BatchCut(self.socket, None, replica_state()))
        self.checkpoint()
        return self

    def checkpoint(self, version: int = 7) -> None:
        """Let a checkpoint come and be recorded."""
        message = Checkpoint({"user:ann": version}, 1)
        self.receive(message)
        self.happen(inputs.ChangesApplied(self.socket, message, replica_state()))

    def receive(self, message: ServerMessage) -> Decision:
        """Let a message of the server come on the present socket."""
        return self.happen(inputs.MessageReceived(self.socket, message))

    def lose(
        self, kind: str = "closed", code: int | None = None, status: int | None = None
    ) -> None:
        """Let the present socket end."""
        self.happen(inputs.SocketLost(self.socket, kind, code, status, "test"))

    def cut(self, number: int, *, pending: int = 0) -> Decision:
        """Let the replica answer the cut that is wanted with a batch."""
        state = replica_state(in_flight=(number,), pending=pending)
        return self.happen(inputs.BatchCut(self.socket, batch(number), state))

    def judge(self, number: int, *, pending: int = 0) -> None:
        """Let the server judge a batch and the replica trim it."""
        self.receive(PushResult(BatchResult(number, f"digest-{number}")))
        state = replica_state(acked=number, pending=pending)
        self.happen(inputs.BatchesAcknowledged(self.socket, state, ()))

    def refresh_answered(self, answer: RefreshAnswer, ticket: Ticket | None = None) -> Decision:
        """Let the provider answer the refresh that is out."""
        wanted = ticket or self.last(RequestRefresh).ticket
        return self.happen(inputs.RefreshAnswered(wanted, answer))

    def renewed(self, name: str = "2") -> Decision:
        """Let the refresh that is out bring a new pair."""
        return self.refresh_answered(Renewed(pair(name)))

    # --- asking ----------------------------------------------------------------------------------

    @property
    def session(self) -> SessionState:
        """Ann's session."""
        return self.engine.session(ANN)

    @property
    def connection(self) -> ConnectionState:
        """Ann's connection."""
        return self.engine.status(ANN).connection

    @property
    def socket(self) -> Ticket:
        """The ticket of the latest socket."""
        return self.last(OpenSocket).ticket

    def last(self, kind: type[_Kind]) -> _Kind:
        """Return the latest effect, write or event of a kind."""
        found = [
            each for each in (*self.writes, *self.effects, *self.events) if isinstance(each, kind)
        ]
        assert found, f"no {kind.__name__}"
        return found[-1]

    def count(self, kind: type[object]) -> int:
        """Count effects, writes and events of a kind."""
        every = (*self.writes, *self.effects, *self.events)
        return sum(isinstance(each, kind) for each in every)

    def sent(self, kind: type[_Kind]) -> list[_Kind]:
        """Return the messages of a kind that were sent on whatever socket."""
        return [each for each in self.all_sent() if isinstance(each, kind)]

    def all_sent(self) -> list[ClientMessage]:
        """Return all messages sent, in order."""
        return [effect.message for effect in self.effects if isinstance(effect, Send)]


def batch(number: int) -> Batch:
    """Return a batch whose bytes tell its number."""
    return Batch(number, f"digest-{number}", b'[{"batch":%d}]' % number, 1)
