"""
One decision in the making: the account as it will be, and what has to be done to get there.

A draft moves on copies. The machines themselves are moved when the decision is adopted, along the
triggers recorded here, which have been checked against the tables already. This module must never
know a rule.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from syncauth.events import ConnectionChanged, Event, SessionChanged
from syncauth.models import ConnectionState, SessionState
from syncauth.sansio.accounts import Account, Link, Refresh
from syncauth.sansio.connection import CONNECTION_TABLE, ConnectionTrigger
from syncauth.sansio.effects import Effect, StoreWrite, Ticket, Transition
from syncauth.sansio.records import Moment, ReplicaState
from syncauth.sansio.session import SESSION_TABLE, SessionTrigger

Moves = tuple[SessionTrigger | ConnectionTrigger, ...]


@dataclass(slots=True)
class Output:
    """What a decision asks for, shared by the drafts of all accounts it touches."""

    next_request: int
    writes: list[StoreWrite] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    history: list[Transition] = field(default_factory=list)
    dropped: int = 0

    def new_request(self) -> int:
        """Return a number never used before."""
        self.next_request += 1
        return self.next_request


class Draft:
    """One account on its way from before to after a decision."""

    def __init__(
        self,
        account: Account,
        session: SessionState,
        connection: ConnectionState,
        now: Moment,
        output: Output,
    ) -> None:
        """Start from the account as it is."""
        self.account = self.started_with = account
        self.started_in = session
        self.appears = False  # nobody knew this user before
        self.session = session
        self.connection = connection
        self.now = now
        self.output = output
        self.moves: Moves = ()

    def fire(self, trigger: SessionTrigger | ConnectionTrigger, reason: str | None = None) -> None:
        """Move one of the machines and tell the app if the state is another one.

        `reason` goes into the history of the session. Raises `InvalidState`.
        """
        self.moves = (*self.moves, trigger)
        at, user = self.now.wall, self.account.user_id
        if isinstance(trigger, SessionTrigger):
            before, self.session = self.session, SESSION_TABLE.target_of(self.session, trigger)
            if before is not self.session:
                self.tell(SessionChanged(user, at, before, self.session, trigger.value))
                move = Transition(user, at, before, self.session, trigger.value, reason)
                self.output.history.append(move)
            return
        was, self.connection = self.connection, CONNECTION_TABLE.target_of(self.connection, trigger)
        if was is not self.connection:
            paused = self.account.paused
            self.tell(ConnectionChanged(user, at, was, self.connection, trigger.value, paused))

    def change(self, **fields: Any) -> None:
        """Replace fields of the account."""
        self.account = replace(self.account, **fields)

    def change_refresh(self, **fields: Any) -> None:
        """Replace fields of the renewal."""
        self.change(refresh=replace(self.account.refresh, **fields))

    def reset_refresh(self) -> None:
        """Forget the renewal: there is a fresh pair, or none."""
        self.change(refresh=Refresh())

    def change_link(self, **fields: Any) -> None:
        """Replace fields of the link, which must be there."""
        self.change(link=replace(self.link, **fields))

    @property
    def link(self) -> Link:
        """The link, which must be there."""
        if self.account.link is None:
            message = "no link; the caller has to ask for account.link first"
            raise AssertionError(message)
        return self.account.link

    def write(self, write: StoreWrite) -> None:
        """Ask for a durable write before anything else."""
        self.output.writes.append(write)

    def do(self, effect: Effect) -> None:
        """Ask for an effect after the commit."""
        self.output.effects.append(effect)

    def know(self, state: ReplicaState) -> None:
        """Take over the replica's present state, unless it is closing: a late answer opens nothing."""
        if self.account.replica is not None:
            self.change(replica=state)

    def worked(self, state: ReplicaState) -> None:
        """Take the answer to an effect on the replica."""
        self.change(working=self.account.working - 1)
        self.know(state)

    def work(self, effect: Effect) -> None:
        """Ask for an effect on the replica, whose answer is awaited."""
        self.change(working=self.account.working + 1)
        self.do(effect)

    def tell(self, event: Event) -> None:
        """Publish an event after the commit."""
        self.output.events.append(event)

    def ticket(self) -> Ticket:
        """Return a new ticket of this account's present epoch."""
        return Ticket(self.account.user_id, self.account.epoch, self.output.new_request())

    def identifier(self) -> str:
        """Return a random identifier out of this moment's entropy."""
        return self.now.entropy[:16].hex()

    def fraction(self) -> float:
        """Return a random number from 0 to 1 out of this moment's entropy."""
        return int.from_bytes(self.now.entropy[16:24], "big") / 2**64
