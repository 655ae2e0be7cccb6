"""
A row of `users` in the credential store, read into a `StoredUser` and checked on the way.

This module must never write.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from typing import Any, Final

import msgspec

from syncauth.adapters.keys import WrongKey
from syncauth.adapters.sessions_vault import Vault
from syncauth.models import Identity, Profile, ReloginReason, SessionState
from syncauth.sansio.records import StoredUser

UNREADABLE: Final = ReloginReason.TOKENS_UNREADABLE.value
_EPISODE_DIGITS: Final = 32


class _Row(msgspec.Struct, frozen=True):
    """What a row holds if nobody else has written to it."""

    user_id: str
    device_id: str
    state: str
    epoch: int
    current: int
    profile: str
    received_at: float
    since: float
    data_key: bytes | None
    access: bytes | None
    refresh: bytes | None
    life: float | None
    refresh_id: str | None
    episode: str | None
    reason: str | None
    fence: int
    refresh_life: float | None
    refresh_ends_at: float | None


class _Profile(msgspec.Struct, frozen=True):
    user_type: str
    identities: list[tuple[str, str]]
    data: dict[str, Any]


def read_user(row: sqlite3.Row, vault: Vault) -> StoredUser:
    """Return the user of a row; one whose tokens the key does not open has to log in again.

    Raises:
        ValueError, TypeError, KeyError, msgspec.ValidationError: the row is damaged.
    """
    columns = {name: row[name] for name in row.keys()}  # noqa: SIM118 - a row iterates over values
    msgspec.convert(columns, _Row)
    state, tokens = SessionState(row["state"]), None
    episode, reason, since = row["episode"], row["reason"], row["since"]
    try:
        tokens = vault.opened(columns)
        if state is SessionState.ACTIVE and (tokens is None or row["life"] is None):
            message = "a session without tokens or their life"
            raise ValueError(message)
    except WrongKey:
        state, reason, since = SessionState.REFRESH_EXPIRED, UNREADABLE, row["received_at"]
        # The same one each time it is read: an episode is told once.
        episode = hashlib.sha256(row["data_key"]).hexdigest()[:_EPISODE_DIGITS]
    return StoredUser(
        user_id=row["user_id"],
        device_id=row["device_id"],
        state=state,
        epoch=row["epoch"],
        current=bool(row["current"]),
        tokens=tokens,
        received_at=row["received_at"],
        refresh_id=row["refresh_id"] if tokens is not None else None,
        profile=read_profile(row["profile"]),
        episode=episode,
        reason=ReloginReason(reason) if reason is not None else None,
        since=since,
        refresh_ends_at=row["refresh_ends_at"],
    )


def read_profile(text: str) -> Profile:
    """Return a profile as it is stored.

    Raises:
        ValueError, TypeError: it is none.
    """
    try:
        stored = msgspec.convert(json.loads(text), _Profile)
    except RecursionError:
        message = "a profile is nested too deeply"
        raise ValueError(message) from None
    identities = tuple(Identity(*each) for each in stored.identities)
    return Profile(stored.user_type, identities, stored.data)


def write_profile(profile: Profile) -> str:
    """Return the text under which a profile is stored."""
    identities = [[each.id, each.provider_type] for each in profile.identities]
    return json.dumps(
        {"user_type": profile.user_type, "identities": identities, "data": profile.data}
    )
