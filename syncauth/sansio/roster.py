"""
All users in one decision: their drafts, opened when they are needed, and what belongs to no single user.

This module must never know a rule.
"""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct
from msgspec.structs import replace

from syncauth.errors import SyncAuthError
from syncauth.models import ConnectionState, SessionState
from syncauth.sansio.accounts import Account
from syncauth.sansio.connection import ConnectionTrigger
from syncauth.sansio.draft import Draft, Output
from syncauth.sansio.effects import Settle
from syncauth.sansio.records import Moment
from syncauth.sansio.session import SessionTrigger
from syncauth.sansio.statemachine import StateMachine


class Common(Struct, frozen=True):
    """What belongs to no single user."""

    logins: frozenset[int] = frozenset()
    hook_registered: bool = False
    revoke_at: float | None = None
    revoke_attempts: int = 0
    next_request: int = 0
    dropped: int = 0


class Seat(Protocol):
    """One user's place in the engine: the data and the two machines."""

    account: Account
    session: StateMachine[SessionState, SessionTrigger]
    connection: StateMachine[ConnectionState, ConnectionTrigger]


class Roster:
    """The users as one decision leaves them."""

    def __init__(self, seats: dict[str, Seat], common: Common, now: Moment) -> None:
        """Start from the engine as it is."""
        self._seats = seats
        self.common = common
        self.now = now
        self.output = Output(common.next_request)
        self.drafts: dict[str, Draft] = {}

    def known(self, user_id: str) -> bool:
        """Tell whether there is such a user."""
        return user_id in self._seats or user_id in self.drafts

    def draft(self, user_id: str) -> Draft:
        """Return the draft of a user who is known."""
        if user_id not in self.drafts:
            seat = self._seats[user_id]
            self.drafts[user_id] = Draft(
                seat.account, seat.session.state, seat.connection.state, self.now, self.output
            )
        return self.drafts[user_id]

    def all(self) -> list[Draft]:
        """Return the drafts of all users."""
        return [self.draft(user) for user in {**self._seats, **self.drafts}]

    def open(self, account: Account, session: SessionState) -> Draft:
        """Add a user who was not known."""
        stopped = ConnectionState.STOPPED
        draft = Draft(account, session, stopped, self.now, self.output)
        draft.appears = True
        self.drafts[account.user_id] = draft
        return draft

    def change(self, **fields: object) -> None:
        """Replace fields of what belongs to no single user."""
        self.common = replace(self.common, **fields)

    def settle(
        self, request: int, *, result: str | None = None, error: SyncAuthError | None = None
    ) -> None:
        """Give a verb of the app that waits its result."""
        self.output.effects.append(Settle(request, result, error))
