"""A story of tokens: who wants one, who holds the lock of a refresh, and what other processes store."""

from __future__ import annotations

from typing import Any

from syncauth.models import Secret, SessionState, TokenPair
from syncauth.sansio import inputs
from syncauth.sansio.accounts import Account
from syncauth.sansio.effects import EndRefresh, HoldRefresh, Settle, Ticket
from syncauth.sansio.engine import Decision
from syncauth.sansio.records import Moment, StoredUser
from tests.support.engine_story import ANN, LIFE, Story
from tests.support.stored_users import as_stored

MARGIN = 300.0
"""How many seconds before the end of `LIFE` a pair is renewed."""


class TokenStory(Story):
    """A story without replicas, in which the lock of a refresh may be somebody else's."""

    # --- telling ---------------------------------------------------------------------------------

    def due(self) -> TokenStory:
        """Let time pass until the pair is to be renewed."""
        self.wait(LIFE - MARGIN)
        return self

    def want(
        self,
        request: int,
        *,
        seconds: float = 10.0,
        rejected: Secret | None = None,
        renew: bool = False,
        user: str = ANN,
    ) -> Decision:
        """Wait for an access token."""
        until = self.now + seconds
        return self.happen(inputs.TokenWanted(request, user, until, rejected, renew))

    def lock_freed(self, fence: int = 7, **changes: Any) -> Decision:
        """Let the lock that another process had be taken here: the store may have changed meanwhile."""
        ticket = self.last(HoldRefresh).ticket
        return self.happen(inputs.RefreshHeld(ticket, self.row(ticket.user_id, **changes), fence))

    def elsewhere(self, *users: StoredUser, stale: str | None = None) -> Decision:
        """Let another process have left the store like this; `stale` is whose write it came before."""
        return self.happen(inputs.SessionsReread(users, stale))

    def without_store(self, happening: inputs.Input) -> Decision:
        """Let something happen while the store takes no writes."""
        moment = Moment(self.now, self.wall, b"\x01" * 32, durable=False)
        decision = self.engine.decide(happening, moment)
        assert decision.writes == ()
        self.engine.adopt(decision)
        self.effects += decision.effects
        self.events += decision.events
        self.history += decision.history
        return decision

    # --- asking ----------------------------------------------------------------------------------

    def account(self, user: str = ANN) -> Account:
        """Return what the engine knows of a user."""
        (found,) = [each for each in self.engine.accounts() if each.user_id == user]
        return found

    def row(self, user: str = ANN, **changes: Any) -> StoredUser:
        """Return the user as our own writes have left it in the store, with some changes."""
        account, session = self.account(user), self.engine.session(user)
        received_at = self.wall - (self.now - account.received_at)
        return as_stored(account, session, **({"received_at": received_at} | changes))

    def newer(self, tokens: TokenPair, user: str = ANN, **changes: Any) -> StoredUser:
        """Return the user with a pair that another process has stored just now."""
        changes = {"tokens": tokens, "received_at": self.wall, "refresh_id": None} | changes
        return self.row(user, state=SessionState.ACTIVE, **changes)

    def settled(self, request: int) -> Settle:
        """Return how a request was settled; it was, and once."""
        (found,) = [
            each for each in self.effects if isinstance(each, Settle) and each.request == request
        ]
        return found

    def waits(self, request: int) -> bool:
        """Tell whether a request is not settled."""
        return not any(
            isinstance(each, Settle) and each.request == request for each in self.effects
        )

    def given_back(self, ticket: Ticket) -> int:
        """Count how often the lock of a refresh was given back."""
        return self.effects.count(EndRefresh(ticket))

    def current(self) -> list[str]:
        """Return whoever is current."""
        return [each.user_id for each in self.engine.accounts() if each.current]
