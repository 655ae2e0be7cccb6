"""
The ends of a session: login, logout, removal, and the proof that it is over. Each rule changes one draft.

A rule fires the machine, replaces the account's data and asks for writes and effects; it never
looks at the connection, which `engine.py` couples afterwards. How a pair is renewed in between
stands in `refresh_rules`.
"""

from __future__ import annotations

from typing import Final

from syncauth.events import LoggedIn, LoggedOut, SessionExpiring, UserRemoved
from syncauth.models import Login, PauseReason, ReloginReason, SessionState
from syncauth.sansio.accounts import Episode
from syncauth.sansio.draft import Draft
from syncauth.sansio.effects import (
    FinishErasing,
    PutExpired,
    PutLogin,
    PutLogout,
    PutRemoval,
    RevokeWaiting,
)
from syncauth.sansio.session import SessionTrigger

_LIVE: Final = (SessionState.ACTIVE, SessionState.REFRESHING)


def logged_in(draft: Draft, login: Login) -> None:
    """Take the tokens of a login: a new epoch begins, an episode ends."""
    draft.fire(SessionTrigger.LOG_IN)
    epoch = draft.account.epoch + 1
    draft.write(PutLogin(login, epoch, draft.now.wall))
    replaced = draft.account.tokens is not None
    draft.reset_refresh()
    draft.change(
        epoch=epoch,
        device_id=login.device_id,
        profile=login.profile,
        current=True,
        removed=False,
        tokens=login.tokens,
        received_at=draft.now.monotonic,
        refresh_ends_at=ends_at(login.tokens.refresh_life, draft.now.wall),
        rejected=False,
        online=True,
        episode=None,
        paused=draft.account.paused - {PauseReason.MISCONFIGURED},
        connect_attempts=0,
        connect_at=None,
    )
    draft.tell(LoggedIn(login.user_id, draft.now.wall))
    if replaced:
        draft.do(RevokeWaiting())


def logged_out(draft: Draft, *, forget: bool, remove: bool, discard: int | None = None) -> None:
    """Erase the tokens first and take a new epoch.

    What is still out comes back to nobody (I7, I8).
    """
    draft.fire(SessionTrigger.LOG_OUT)
    user, epoch, wall = draft.account.user_id, draft.account.epoch + 1, draft.now.wall
    draft.write(PutRemoval(user, forget, discard) if remove else PutLogout(user, epoch, forget))
    forget_session(draft, epoch)
    draft.change(removed=remove)
    draft.tell(LoggedOut(user, wall))
    if remove:
        draft.tell(UserRemoved(user, wall))
    draft.do(FinishErasing())
    if not forget:
        draft.do(RevokeWaiting())


def forget_session(draft: Draft, epoch: int) -> None:
    """Keep nothing in memory of a session that is no more."""
    draft.reset_refresh()
    paused = draft.account.paused - {PauseReason.MISCONFIGURED}
    draft.change(
        epoch=epoch,
        current=False,
        tokens=None,
        refresh_ends_at=None,
        warn_at=None,
        rejected=False,
        episode=None,
        paused=paused,
    )


def end_session(draft: Draft, reason: ReloginReason) -> None:
    """Begin an episode; the machine has been moved to refresh_expired by the caller."""
    account = draft.account
    if account.tokens is not None:
        draft.write(
            PutExpired(
                account.user_id,
                account.epoch,
                account.tokens.refresh,
                draft.identifier(),
                reason,
                draft.now.wall,
                account.refresh.fence,
            )
        )
        draft.do(FinishErasing())
    draft.reset_refresh()
    episode = Episode(draft.identifier(), reason, draft.now.wall)
    paused = account.paused - {PauseReason.MISCONFIGURED}
    draft.change(tokens=None, rejected=False, episode=episode, paused=paused)
    draft.change(refresh_ends_at=None, warn_at=None)


def ends_at(refresh_life: float | None, wall: float) -> float | None:
    """Return the wall clock at which a refresh token that has just come is known to end."""
    return None if refresh_life is None else wall + refresh_life


def plan_warning(draft: Draft, before: float) -> None:
    """Plan when the app is told that the refresh token ends: `before` seconds before.

    A life that is not much longer is warned of at its half.
    """
    account, now = draft.account, draft.now
    ends, life = account.refresh_ends_at, account.tokens.refresh_life if account.tokens else None
    if ends is None or draft.session not in _LIVE:
        draft.change(warn_at=None)
        return
    margin = before if life is None else min(before, life / 2)
    draft.change(warn_at=now.monotonic + max(0.0, ends - margin - now.wall))


def warn(draft: Draft) -> None:
    """Tell the app, once, that the refresh token ends soon, if it is time."""
    account, now = draft.account, draft.now
    if account.warn_at is None or now.monotonic < account.warn_at or draft.session not in _LIVE:
        return
    draft.change(warn_at=None)
    if account.refresh_ends_at is not None:
        draft.tell(SessionExpiring(account.user_id, now.wall, account.refresh_ends_at))
