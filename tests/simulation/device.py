"""
A device in virtual time: the real engine and the real replica on a real file, and a faulty network between.

Whoever uses it writes to the file through a connection of its own, as any program may. When a relogin is required
the user logs in again some hours later, and does nothing else about it.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from syncauth.events import Event, TokensRenewed
from syncauth.models import Credentials, Deferred, SessionState, TableSpec
from syncauth.replica.replica import FileReplica
from syncauth.replica_port import ReplicaEffect, carry_out
from syncauth.sansio import effects, inputs
from syncauth.sansio.effects import Effect, Ticket
from syncauth.sansio.engine import Engine
from syncauth.sansio.inputs import Input
from syncauth.sansio.messages import ClientMessage, PushResult, ServerMessage
from syncauth.sansio.records import Moment, StoredUser
from syncauth.server.accounts.issuer import TokenFault
from tests.simulation.clockwork import Clockwork
from tests.simulation.server import ANN, SimulatedServer

HOUR = 3600.0


class Line:
    """One socket: messages arrive in their order, after a while, until it is cut."""

    def __init__(self, device: SimulatedDevice, ticket: Ticket) -> None:
        self._device = device
        self._world = device.world
        self.ticket = ticket
        self.number = 0
        self.alive = True
        self._last = {"up": 0.0, "down": 0.0}

    def _arrival(self, way: str) -> float:
        time = self._world.now + self._world.random.uniform(0.005, 0.2)
        self._last[way] = max(self._last[way], time)
        return self._last[way]

    def up(self, message: ClientMessage) -> None:
        """Send to the server."""
        self._world.at(self._arrival("up"), lambda: self._arrive_up(message))

    def _arrive_up(self, message: ClientMessage) -> None:
        if self.alive:
            self._device.server.receive(self.number, message)

    def send(self, message: ServerMessage) -> None:
        """Send to the device; called by the hub. An answer that is to be lost takes the socket with it."""
        if isinstance(message, PushResult) and self._device.answers_to_lose:
            self._device.answers_to_lose -= 1
            self._device.counts["lost answers"] += 1
            self._world.after(0.0, self.cut)
            self.alive = False
            return
        self._world.at(self._arrival("down"), lambda: self._arrive_down(message))

    def _arrive_down(self, message: ServerMessage) -> None:
        if self.alive:
            self._device.feed(inputs.MessageReceived(self.ticket, message))

    def close(self, code: int, reason: str) -> None:
        """End in good order; called by the hub."""
        self._world.at(self._arrival("down"), lambda: self.end(code, reason))

    def cut(self) -> None:
        """End as when the network goes."""
        self.end(1006, "the connection broke", kind="network")

    def end(self, code: int, reason: str, kind: str = "closed") -> None:
        """Tell both sides once."""
        if self._device.line is self:
            self.alive = False
            self._device.line = None
            self._device.server.closed(self.number)
            self._device.feed(inputs.SocketLost(self.ticket, kind, code, None, reason))


class SimulatedDevice:
    """One device of ann."""

    def __init__(
        self, world: Clockwork, server: SimulatedServer, path: Path, schema: str, table: TableSpec
    ) -> None:
        self.world = world
        self.server = server
        self.counts: Counter[str] = Counter()
        self.answers_to_lose = 0
        self.offline = False
        self.line: Line | None = None
        self.events: list[Event] = []
        self._waits = False
        self._deadline: float | None = None
        self._requests = 0
        self._life = 0
        self.app = sqlite3.connect(path, isolation_level=None)
        self.app.execute("PRAGMA journal_mode = WAL")
        self.app.executescript(schema)
        self._path, self._table = path, table
        self._start_process(())
        self.log_in()
        world.after(1.0, self._open_replica)

    def _start_process(self, users: tuple[StoredUser, ...]) -> None:
        random = self.world.random
        self.replica = FileReplica.open(
            str(self._path),
            tables=[self._table],
            device=random.randbytes(8).hex(),
            incarnation=str(random.random()),
        )
        self.engine = Engine()
        self._deadline = None
        self.feed(inputs.Started(users, revocations=False))
        self.feed(inputs.HookRegistered())

    def restart(self) -> None:
        """End the process at once and start it again with what was durable; only while the session lives."""
        if self.session is not SessionState.ACTIVE:
            return
        self.counts["restarts"] += 1
        stored = self._stored()
        line, self.line = self.line, None
        if line is not None:
            line.alive = False
            self.server.closed(line.number)
        self._life += 1
        self.replica.close()
        self._start_process((stored,))
        self._open_replica()

    def _stored(self) -> StoredUser:
        """Ann as a credential store has her, which lost nothing."""
        (account,) = self.engine.accounts()
        return StoredUser(
            user_id=account.user_id,
            device_id=account.device_id,
            state=SessionState.ACTIVE,
            epoch=account.epoch,
            current=account.current,
            tokens=account.tokens,
            received_at=self.world.wall - (self.world.now - account.received_at),
            refresh_id=account.refresh.refresh_id,
            profile=account.profile,
        )

    def _open_replica(self) -> None:
        self.feed(inputs.ReplicaOpened(ANN, self.replica.state()))

    @property
    def session(self) -> SessionState:
        """Where the session stands."""
        return self.engine.session(ANN)

    @property
    def idle(self) -> bool:
        """Whether nothing waits to be sent."""
        state = self.replica.state()
        return not state.pending and not state.in_flight

    def log_in(self) -> None:
        """Have the user log in."""
        self._waits = False
        self._requests += 1
        self.feed(inputs.LogInRequested(self._requests, Credentials.anonymous()))

    def set_clock(self) -> None:
        """Let the file's clock show virtual time."""
        self.app.execute(
            "UPDATE _sync_clock SET fixed_ms = ? WHERE id = 1", (round(self.world.wall * 1000),)
        )

    def write(self, *statements: tuple[str, tuple[object, ...]]) -> str:
        """Write as an app does, in one transaction; returns the last stamp that was given."""
        self.app.execute("BEGIN IMMEDIATE")
        self.set_clock()
        for sql, given in statements:
            self.app.execute(sql, given)
        (hlc,) = self.app.execute("SELECT hlc FROM _sync_clock").fetchone()
        (device,) = self.app.execute("SELECT value FROM _sync_meta WHERE key = 'device'").fetchone()
        self.app.execute("COMMIT")
        self.feed(inputs.ReplicaWritten(ANN))
        return f"{hlc:016x}{device}"

    def cut(self) -> None:
        """Lose the network for a moment."""
        if self.line is not None:
            self.counts["cuts"] += 1
            self.line.cut()

    # --- the driver ------------------------------------------------------------------------------

    def _later(self, seconds: float, work: Callable[[], None]) -> None:
        """Plan something that a restart of the process puts an end to."""
        life = self._life
        self.world.after(seconds, lambda: work() if life == self._life else None)

    def feed(self, happening: Input) -> None:
        """Let the engine decide, and carry out what follows."""
        moment = Moment(self.world.now, self.world.wall, self.world.random.randbytes(32))
        decision = self.engine.decide(happening, moment)
        self.engine.adopt(decision)
        self.events += decision.events
        self.counts["access tokens renewed"] += sum(
            isinstance(event, TokensRenewed) for event in decision.events
        )
        for effect in decision.effects:
            self._start(effect)
        self._plan()

    def _plan(self) -> None:
        deadline = self.engine.next_deadline()
        if deadline is None or (self._deadline is not None and self._deadline <= deadline):
            return
        self._deadline = deadline
        self.world.at(deadline, lambda: self._deadline_reached(deadline))

    def _deadline_reached(self, planned: float) -> None:
        if self._deadline == planned:  # else an earlier one has taken its place
            self._deadline = None
            self.feed(inputs.DeadlineReached())

    def _start(self, effect: Effect) -> None:
        soon = self.world.random.uniform(0.01, 0.3)
        match effect:
            case effects.Authenticate():
                login = self.server.log_in()
                self._later(soon, lambda: self.feed(inputs.LogInAnswered(effect.request, login)))
            case effects.HoldRefresh():
                held = inputs.RefreshHeld(effect.ticket, self._stored(), fence=1)
                self._later(0.001, lambda: self.feed(held))
            case effects.RequestRefresh():
                self._refresh(effect, soon)
            case effects.OpenSocket():
                self._later(soon, lambda: self._connect(effect))
            case effects.Send():
                if self.line is not None and self.line.ticket == effect.ticket:
                    self.line.up(effect.message)
            case effects.CloseSocket():
                self._later(soon, lambda: self._closed(effect))
            case effects.CallReloginHook():
                self._relogin(effect)
            case (
                effects.CutBatch()
                | effects.LoadInFlight()
                | effects.AcknowledgeBatches()
                | effects.ApplyChanges()
                | effects.ReadReplica()
                | effects.PrepareReplica()
            ):
                self._work(effect)
            case _:
                pass

    def _refresh(self, effect: effects.RequestRefresh, soon: float) -> None:
        """Ask the token service; now and then the answer is lost on its way."""
        answer = self.server.refresh(effect.refresh_token, effect.refresh_id)
        if self.world.random.random() < 0.1:
            self.counts["lost refresh answers"] += 1
            answer = Deferred("the answer was lost", online=False)
        self._later(soon, lambda: self.feed(inputs.RefreshAnswered(effect.ticket, answer)))

    def _connect(self, effect: effects.OpenSocket) -> None:
        if self.offline:
            self.feed(inputs.SocketLost(effect.ticket, "network", None, None, "no network"))
            return
        self.counts["connects"] += 1
        claims = self.server.verify(effect.access_token)
        if isinstance(claims, TokenFault):
            self.feed(inputs.SocketLost(effect.ticket, "handshake", None, 401, "token"))
            return
        number = self.replica.begin_connection()
        self.line = Line(self, effect.ticket)
        self.line.number = self.server.open(self.line, claims)
        self.feed(inputs.SocketOpened(effect.ticket, number, self.replica.state()))

    def _closed(self, effect: effects.CloseSocket) -> None:
        if self.line is not None and self.line.ticket == effect.ticket:
            self.line.end(effect.code, effect.reason)

    def _relogin(self, effect: effects.CallReloginHook) -> None:
        """The user comes back some hours later."""
        self.counts["relogins"] += 1
        assert self.line is None, "the hook runs before sync has stopped"
        assert not self._waits, "the hook runs twice in one episode"
        self._waits = True
        self.feed(inputs.HookReturned(ANN, effect.event.episode))
        self.world.after(self.world.random.uniform(0.5, 6) * HOUR, self.log_in)

    def _work(self, effect: ReplicaEffect) -> None:
        """Call the replica at once; its answer comes a little later, in the order of the calls."""
        self.set_clock()
        answer = carry_out(self.replica, effect)
        self._later(0.001, lambda: self.feed(answer))

    def close(self) -> None:
        """Close the file."""
        self.replica.close()
        self.app.close()
