"""
What can be read in `sessions.db` without a key: who is known, where each session stands, what waits.

For programs that only look, such as `syncauth doctor`. No token is opened, so that a keyring that is locked is not in
the way, and a file of an older format is read as it is. This module must never write, and never read a sealed column.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any, Final

from syncauth.adapters.sessions_rows import read_profile
from syncauth.adapters.sessions_schema import NO_UTF_8, check_format, damaged, is_undecodable
from syncauth.models import Profile, ReloginReason, SessionState
from syncauth.sansio.effects import Transition

_SEALED: Final = frozenset({"data_key", "access", "refresh"})


@dataclass(frozen=True, slots=True)
class UserSeen:
    """A user as it is stored; `state` is `refreshing` where a refresh was begun and has no answer.

    `received_at`, `access_ends_at` and `refresh_ends_at` are wall clocks of this device, for a person to read: no clock
    ends a session. `reason` and `since` are there while a relogin is required.
    """

    user_id: str
    state: SessionState
    current: bool
    profile: Profile
    received_at: float
    access_ends_at: float | None
    refresh_ends_at: float | None
    reason: ReloginReason | None
    since: float | None


@dataclass(frozen=True, slots=True)
class StoreSeen:
    """What a credential store tells without its key.

    `name` is that of its keys in the keyring; `protection` where they live: "keyring", "key file", "memory", or None as
    long as nobody has logged in. `revocations` counts tokens that wait to be revoked, `removals` are users whose files
    are still to be deleted, `erasing` says that the log is still to be truncated after a logout.
    """

    name: str | None = None
    protection: str | None = None
    users: tuple[UserSeen, ...] = ()
    history: tuple[Transition, ...] = ()
    revocations: int = 0
    removals: tuple[str, ...] = ()
    erasing: bool = False


def read_store(connection: sqlite3.Connection, path: str) -> StoreSeen:
    """Read a credential store in one snapshot; one that is only just being made has nobody.

    Raises:
        FileTooNew, FileNotOurs, FileCorrupt: it cannot be read.
        sqlite3.Error: as `syncauth.cli.readonly` tells.
    """
    connection.row_factory = sqlite3.Row
    connection.execute("BEGIN")
    try:
        check_format(connection, path)
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        if "users" not in {name for (name,) in tables}:
            return StoreSeen()
        return _read(connection)
    except (ValueError, TypeError, KeyError, IndexError):
        # Not "from error": its text shows what the row holds.
        raise damaged(path, "a row cannot be read") from None
    except sqlite3.OperationalError as error:
        if is_undecodable(error):
            raise damaged(path, NO_UTF_8) from None
        raise


def _read(connection: sqlite3.Connection) -> StoreSeen:
    meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
    names = [name for _, name, *_ in connection.execute("PRAGMA table_info(users)")]
    open_columns = ", ".join(name for name in names if name not in _SEALED)
    users = connection.execute(f"SELECT {open_columns} FROM users ORDER BY user_id").fetchall()
    (revocations,) = connection.execute("SELECT count(*) FROM revocations").fetchone()
    removals = connection.execute("SELECT user_id FROM removals ORDER BY user_id").fetchall()
    moves = connection.execute(
        "SELECT user_id, at, before, after, trigger, reason FROM history ORDER BY id"
    ).fetchall()
    return StoreSeen(
        name=meta.get("name"),
        # Keys in memory leave no trace in the file.
        protection=meta.get("protection") or ("memory" if users else None),
        users=tuple(_user(dict(row)) for row in users),
        history=tuple(
            Transition(user, at, SessionState(before), SessionState(after), trigger, reason)
            for user, at, before, after, trigger, reason in moves
        ),
        revocations=revocations,
        removals=tuple(str(user_id) for (user_id,) in removals),
        erasing=bool(meta.get("erasing")),
    )


def _user(row: dict[str, Any]) -> UserSeen:
    state = SessionState(row["state"])
    alive = state is SessionState.ACTIVE
    if alive and row["refresh_id"] is not None:
        state = SessionState.REFRESHING
    reason = row["reason"]
    received_at = float(row["received_at"])
    life = row["life"] if alive else None
    return UserSeen(
        user_id=row["user_id"],
        state=state,
        current=bool(row["current"]),
        profile=read_profile(row["profile"]),
        received_at=received_at,
        access_ends_at=None if life is None else received_at + float(life),
        refresh_ends_at=row.get("refresh_ends_at") if alive else None,
        reason=None if reason is None else ReloginReason(reason),
        since=float(row["since"]) if reason is not None else None,
    )
