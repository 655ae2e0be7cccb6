"""
From the credential store into memory: at the start, and when another process has written there.

What another process did is not judged again: it is adopted through the triggers made for it. A user
that this process has never seen simply appears.
"""

from __future__ import annotations

from syncauth.events import LoggedIn, LoggedOut, TokensRenewed, UserRemoved
from syncauth.models import SessionState
from syncauth.sansio import session_rules
from syncauth.sansio.accounts import Account, Episode, Refresh
from syncauth.sansio.draft import Draft
from syncauth.sansio.records import Moment, StoredUser
from syncauth.sansio.session import SessionTrigger


def account_of(stored: StoredUser, now: Moment) -> Account:
    """Return the account of a stored user.

    The age of its pair is planned by the wall clock, once, here.
    """
    age = max(0.0, now.wall - stored.received_at)
    life = stored.tokens.life if stored.tokens is not None else 0.0
    return Account(
        user_id=stored.user_id,
        device_id=stored.device_id,
        epoch=stored.epoch,
        current=stored.current,
        profile=stored.profile,
        tokens=stored.tokens,
        received_at=now.monotonic - min(age, life),
        refresh_ends_at=stored.refresh_ends_at,
        refresh=Refresh(refresh_id=stored.refresh_id, maybe_sent=stored.refresh_id is not None),
        episode=episode_of(stored),
    )


def session_of(stored: StoredUser) -> SessionState:
    """Return the state to start in: a refresh that was sent and not answered means refreshing."""
    if stored.state is SessionState.ACTIVE and stored.refresh_id is not None:
        return SessionState.REFRESHING
    return stored.state


def episode_of(stored: StoredUser) -> Episode | None:
    """Return the episode of a stored user, of which this process has told the app nothing yet."""
    if stored.episode is None or stored.reason is None:
        return None
    return Episode(stored.episode, stored.reason, stored.since)


def adopt_stored(draft: Draft, stored: StoredUser) -> None:
    """Adopt what another process stored for this user."""
    draft.change(current=stored.current, profile=stored.profile, removed=False)
    adopt_session(draft, stored)


def adopt_session(draft: Draft, stored: StoredUser) -> None:
    """Adopt the session alone: of a look at the store that may be older than our last writes."""
    account = draft.account
    if stored.state is SessionState.LOGGED_OUT:
        if draft.session is not SessionState.LOGGED_OUT:
            draft.fire(SessionTrigger.LOGGED_OUT_ELSEWHERE)
            session_rules.forget_session(draft, stored.epoch)
            draft.tell(LoggedOut(account.user_id, draft.now.wall, elsewhere=True))
        else:
            draft.change(epoch=stored.epoch)
    elif stored.state is SessionState.REFRESH_EXPIRED:
        _adopt_end(draft, stored)
    elif stored.epoch != account.epoch or stored.tokens != account.tokens:
        _adopt_tokens(draft, stored)


def removed_elsewhere(draft: Draft) -> None:
    """Another process has removed this user."""
    if draft.session is not SessionState.LOGGED_OUT:
        draft.fire(SessionTrigger.LOGGED_OUT_ELSEWHERE)
    session_rules.forget_session(draft, draft.account.epoch + 1)
    draft.change(removed=True)
    draft.tell(UserRemoved(draft.account.user_id, draft.now.wall, elsewhere=True))


def drop_request(draft: Draft) -> None:
    """A write of ours came too late, and the store is as we know it: what it was for is asked again.

    A request that was sent meanwhile may have reached the issuer, and its answer is lost with this.
    """
    refresh = draft.account.refresh
    if refresh.ticket is not None:
        sent = refresh.maybe_sent or refresh.fence is not None
        draft.change_refresh(ticket=None, fence=None, maybe_sent=sent, retry_at=draft.now.monotonic)


def _adopt_end(draft: Draft, stored: StoredUser) -> None:
    account, reason = draft.account, stored.reason.value if stored.reason else None
    known = account.episode.id if account.episode else None
    if draft.session is SessionState.REFRESH_EXPIRED and stored.episode == known:
        return
    if draft.session in (SessionState.LOGGED_OUT, SessionState.REFRESH_EXPIRED):
        draft.fire(SessionTrigger.LOGGED_IN_ELSEWHERE)  # of that login only the end is seen
    draft.fire(SessionTrigger.EXPIRED_ELSEWHERE, reason)
    session_rules.forget_session(draft, stored.epoch)
    draft.change(current=account.current, episode=episode_of(stored))


def _adopt_tokens(draft: Draft, stored: StoredUser) -> None:
    newer_epoch = stored.epoch != draft.account.epoch
    out = draft.session is SessionState.LOGGED_OUT
    user, wall = draft.account.user_id, draft.now.wall
    # Two processes may take the same epoch: one logs out while the other logs in.
    if out or (newer_epoch and draft.session is SessionState.REFRESH_EXPIRED):
        draft.fire(SessionTrigger.LOGGED_IN_ELSEWHERE)
        draft.tell(LoggedIn(user, wall))
    else:
        draft.fire(SessionTrigger.TOKENS_ADOPTED)
        draft.tell(TokensRenewed(user, wall, elsewhere=True))
    fresh = account_of(stored, draft.now)
    draft.reset_refresh()
    draft.change_refresh(refresh_id=stored.refresh_id, maybe_sent=stored.refresh_id is not None)
    draft.change(
        epoch=stored.epoch,
        tokens=stored.tokens,
        received_at=fresh.received_at,
        refresh_ends_at=stored.refresh_ends_at,
        rejected=False,
        episode=None,
    )
