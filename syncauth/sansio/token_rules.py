"""
Who waits for an access token, and what ends the wait.

A waiter joins the refresh that is out and gets what comes of it. Nobody waits through a back-off,
and nobody longer than it said: then the answer is that there is no token now, and when the next
attempt comes. A token that a server did not take is dead by its value, whatever the clock says.
"""

from __future__ import annotations

from typing import Final

from syncauth.errors import (
    NotLoggedInError,
    ReloginRequiredError,
    SyncAuthError,
    TokenUnavailableError,
)
from syncauth.models import ReloginReason, SessionState
from syncauth.sansio import refresh_rules
from syncauth.sansio.accounts import Account, TokenWaiter
from syncauth.sansio.draft import Draft
from syncauth.sansio.effects import Settle
from syncauth.sansio.inputs import TokenWanted
from syncauth.sansio.session import SessionTrigger

RENEWING: Final = (
    SessionTrigger.TOKENS_RENEWED,
    SessionTrigger.TOKENS_ADOPTED,
    SessionTrigger.LOG_IN,
    SessionTrigger.LOGGED_IN_ELSEWHERE,
)
"""The moves that bring a pair of tokens."""


def wanted(draft: Draft, want: TokenWanted) -> None:
    """Give a token at once, or have one renewed and let the caller wait for it."""
    tokens = draft.account.tokens
    if tokens is not None and draft.session in (SessionState.ACTIVE, SessionState.REFRESHING):
        dead = want.rejected is not None and want.rejected == tokens.access
        if dead:
            refresh_rules.want_refresh(draft, SessionTrigger.ACCESS_REJECTED)
        elif want.renew or not draft.account.usable(draft.now.monotonic):
            refresh_rules.want_refresh(draft, SessionTrigger.REFRESH_REQUESTED)
        else:
            draft.do(Settle(want.request, tokens.access))
            return
    waiter = TokenWaiter(want.request, want.until)
    draft.change(token_waiters=(*draft.account.token_waiters, waiter))


def settle(draft: Draft) -> None:
    """End the waits that have come to their end with this decision."""
    account = draft.account
    if not account.token_waiters:
        return
    tokens, error = account.tokens, _error(draft)
    if error is None and tokens is not None and any(move in RENEWING for move in draft.moves):
        for waiter in account.token_waiters:
            draft.do(Settle(waiter.request, tokens.access))
        draft.change(token_waiters=())
        return
    left = []
    for waiter in account.token_waiters:
        if error is not None:
            draft.do(Settle(waiter.request, error=error))
        elif draft.now.monotonic >= waiter.until:
            late = _unavailable(draft, "no access token came in time")
            draft.do(Settle(waiter.request, error=late))
        else:
            left.append(waiter)
    draft.change(token_waiters=tuple(left))


def give_up(draft: Draft, request: int) -> None:
    """Nobody waits any more under this number."""
    left = tuple(each for each in draft.account.token_waiters if each.request != request)
    draft.change(token_waiters=left)


def due_at(account: Account) -> float | None:
    """Return the monotonic second at which the first wait ends, or None."""
    return min((waiter.until for waiter in account.token_waiters), default=None)


def _error(draft: Draft) -> SyncAuthError | None:
    """Return why nobody gets a token now, or None if one may still come."""
    account, refresh = draft.account, draft.account.refresh
    if draft.session is SessionState.LOGGED_OUT:
        return NotLoggedInError("this user is not logged in", remedy="Call App.log_in")
    if draft.session is SessionState.REFRESH_EXPIRED:
        reason = account.episode.reason if account.episode else ReloginReason.EXPIRED
        return ReloginRequiredError(user_id=account.user_id, reason=reason.value)
    if refresh.ticket is None and refresh.attempts:
        return _unavailable(draft, "the access token could not be renewed")
    return None


def _unavailable(draft: Draft, what: str) -> TokenUnavailableError:
    retry_at, now = draft.account.refresh.retry_at, draft.now
    wall = None if retry_at is None else now.wall + retry_at - now.monotonic
    return TokenUnavailableError(what, retry_at=wall, online=draft.account.online)
