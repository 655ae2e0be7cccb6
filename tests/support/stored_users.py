"""Users as a credential store holds them, made from what the engine knows or from nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from syncauth.models import Profile, SessionState
from syncauth.sansio.accounts import Account
from syncauth.sansio.records import StoredUser

_LIVE = (SessionState.ACTIVE, SessionState.REFRESHING)


def as_stored(
    account: Account, session: SessionState, *, received_at: float, **changes: Any
) -> StoredUser:
    """Return the row that the engine's own writes have made of this account, with some changes."""
    episode = account.episode
    stored = StoredUser(
        account.user_id,
        account.device_id,
        SessionState.ACTIVE if session in _LIVE else session,
        account.epoch,
        account.current,
        account.tokens,
        received_at,
        account.refresh.refresh_id,
        account.profile,
        episode=episode.id if episode else None,
        reason=episode.reason if episode else None,
        since=episode.since if episode else 0.0,
        refresh_ends_at=account.refresh_ends_at,
    )
    return replace(stored, **changes)


def never_seen(user: str, **changes: Any) -> StoredUser:
    """Return a user who has logged out long ago, with some changes."""
    stored = StoredUser(
        user, "d" * 24, SessionState.LOGGED_OUT, 1, False, None, 0.0, None, Profile()
    )
    return replace(stored, **changes)
