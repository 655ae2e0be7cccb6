"""
`sessions.db`: users, their sessions, their sealed tokens, and what is still to be revoked.

Every commit is one transaction with synchronous=FULL, and every write that changes tokens is a compare-and-set on
epoch and refresh token. Tokens stand sealed under the user's own data key, which is wrapped by the store key: to
erase a user is to erase that key, with secure_delete and a truncated log. This module must never show a token.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from syncauth.adapters.keys import Keys, WrongKey, find_keys
from syncauth.adapters.sessions_rows import read_user, write_profile
from syncauth.adapters.sessions_schema import BUSY_SECONDS, damaged, open_sessions, storage_errors
from syncauth.adapters.sessions_vault import Vault
from syncauth.interfaces import Randomness, StaleWrite
from syncauth.models import Secret, SessionState, TokenPair
from syncauth.sansio import effects
from syncauth.sansio.effects import StoreWrite, Transition
from syncauth.sansio.records import StoredUser

STORE_FILE: Final = "sessions.db"
_NAME_BYTES: Final = 16
HISTORY_ROWS: Final = 1000
"""How many moves of sessions are kept, of all users together."""


class SessionStore:
    """The `CredentialStore` of one data directory, which several processes may have open."""

    def __init__(
        self, directory: Path, *, scope: str, key_storage: str, randomness: Randomness
    ) -> None:
        """Open or make the file, and get its keys; blocks. Two processes must not do it at once.

        Args:
            directory: the data directory, which exists.
            scope: what tokens are bound to besides the user: the issuer and the app.
            key_storage: the setting of `AppConfig`.
            randomness: for keys, nonces and names.

        Raises:
            KeyringUnavailable: the key cannot be had now; nothing was changed.
            FileTooNew, FileNotOurs, FileCorrupt, FileFull, StorageError: the file cannot be used.
        """
        self._path = str(directory / STORE_FILE)
        self._randomness = randomness
        self._connection = open_sessions(self._path)
        try:
            keys = self._open_keys(directory, key_storage)
            self.protection = keys.protection
            self._vault = Vault(keys, scope, randomness)
            self._version = self._data_version()
        except BaseException:
            self._connection.close()
            raise

    def _open_keys(self, directory: Path, key_storage: str) -> Keys:
        name, known = self._meta("name"), self._meta("protection")
        fresh = name or self._randomness.token(_NAME_BYTES).hex()
        keys = find_keys(key_storage, directory, fresh, known=known, randomness=self._randomness)
        if known is None and keys.protection != "memory":
            with self._transaction():
                self._put_meta("name", fresh)
                self._put_meta("protection", keys.protection)
        return keys

    def close(self) -> None:
        """Close the file; idempotent."""
        self._connection.close()

    # --- reading -----------------------------------------------------------------------------------

    def load(self) -> Sequence[StoredUser]:
        """Read every user with its tokens; finishes a logout that was interrupted.

        A user whose tokens the key does not open is told to log in again; its rows are not touched.
        """
        if self._meta("erasing"):
            self.finish_erasing()
        with storage_errors(self._path):
            rows = self._connection.execute("SELECT * FROM users ORDER BY user_id").fetchall()
        return [self._read(row) for row in rows]

    def raise_fence(self, user_id: str) -> tuple[int, StoredUser | None]:
        """Raise the fencing number of a user, whose refresh lock the caller holds, and read the user."""
        with self._transaction():
            self._connection.execute(
                "UPDATE users SET fence = fence + 1 WHERE user_id = ?", (user_id,)
            )
            row = self._row(user_id)
        return (0, None) if row is None else (int(row["fence"]), self._read(row))

    def changed(self) -> bool:
        """Tell whether another process has written since this was last asked."""
        with storage_errors(self._path):
            version = self._data_version()
        before, self._version = self._version, version
        return version != before

    def waiting_revocations(self) -> Sequence[tuple[int, Secret]]:
        """Read the refresh tokens that wait to be revoked, each with its number."""
        with storage_errors(self._path):
            rows = self._connection.execute("SELECT id, refresh FROM revocations ORDER BY id")
            sealed = rows.fetchall()
        found = []
        for number, token in sealed:
            with contextlib.suppress(WrongKey):  # of a key that is gone: nobody can send it
                found.append((int(number), self._vault.open_revocation(token)))
        return found

    def waiting_removals(self) -> Sequence[tuple[str, int | None]]:
        """Read the users whose files are still to be deleted, each with what may be lost; see the interface."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT user_id, discard FROM removals ORDER BY user_id"
            )
            return [(str(user_id), discard) for user_id, discard in rows]

    def history(self, user_id: str | None = None) -> Sequence[Transition]:
        """Read the moves of sessions that are kept, oldest first, of one user or of all."""
        with storage_errors(self._path):
            rows = self._connection.execute(
                "SELECT user_id, at, before, after, trigger, reason FROM history"
                " WHERE ?1 IS NULL OR user_id = ?1 ORDER BY id",
                (user_id,),
            ).fetchall()
        try:
            return [
                Transition(user, at, SessionState(before), SessionState(after), trigger, reason)
                for user, at, before, after, trigger, reason in rows
            ]
        except ValueError:
            raise damaged(self._path, "a move of a session cannot be read") from None

    def _read(self, row: sqlite3.Row) -> StoredUser:
        try:
            return read_user(row, self._vault)
        except (ValueError, TypeError, KeyError, msgspec.ValidationError):
            # Not "from error": its text shows what the row holds.
            raise damaged(self._path, "a user's row cannot be read") from None

    # --- writing -----------------------------------------------------------------------------------

    def commit(self, writes: Sequence[StoreWrite], history: Sequence[Transition] = ()) -> None:
        """Make all writes durable in one transaction, or none; see the interface."""
        with self._transaction():
            for write in writes:
                self._write(write)
            if history:
                self._keep(history)

    def _write(self, write: StoreWrite) -> None:  # noqa: C901 - one case for each write
        match write:
            case effects.PutLogin():
                self._put_login(write)
            case effects.PutMark():
                self._expect(write.user_id, write.epoch, write.refresh_token, write.fence)
                self._update(write.user_id, refresh_id=write.refresh_id)
            case effects.PutTokens():
                self._put_tokens(write)
            case effects.PutExpired():
                self._put_expired(write)
            case effects.PutLogout():
                self._put_logout(write)
            case effects.PutCurrent():
                self._connection.execute(
                    "UPDATE users SET current = (user_id IS ?)", (write.user_id,)
                )
            case effects.PutProfile():
                self._update(write.user_id, profile=write_profile(write.profile))
            case effects.PutRemoval():
                self._put_removal(write)
            case effects.DropRemoval():
                self._execute("DELETE FROM removals WHERE user_id = ?", write.user_id)
            case effects.PutRevocation():
                self._put_revocation(write.refresh_token)
            case effects.DropRevocation():
                self._execute("DELETE FROM revocations WHERE id = ?", write.revocation)
                self._put_meta("erasing", "1")

    def _put_login(self, write: effects.PutLogin) -> None:
        login = write.login
        older = self._row(login.user_id)
        if older is not None:
            self._revoke_later(older, unless=login.tokens.refresh)
        self._execute("UPDATE users SET current = 0")
        self._execute("DELETE FROM removals WHERE user_id = ?", login.user_id)
        self._execute(
            "INSERT INTO users (user_id, device_id, state, epoch, profile, received_at)"
            " VALUES (?, '', '', 0, '', 0) ON CONFLICT (user_id) DO NOTHING",
            login.user_id,
        )
        self._update(
            login.user_id,
            device_id=login.device_id,
            state=SessionState.ACTIVE.value,
            epoch=write.epoch,
            current=1,
            profile=write_profile(login.profile),
            received_at=write.received_at,
            refresh_ends_at=_ends_at(login.tokens, write.received_at),
            refresh_id=None,
            episode=None,
            reason=None,
            since=0.0,
            **self._vault.sealed(login.user_id, login.tokens),
        )

    def _put_tokens(self, write: effects.PutTokens) -> None:
        row = self._expect(write.user_id, write.epoch, write.replaces, write.fence)
        rotated = write.tokens.refresh != write.replaces
        ends = _ends_at(write.tokens, write.received_at) if rotated else row["refresh_ends_at"]
        self._update(
            write.user_id,
            received_at=write.received_at,
            refresh_ends_at=ends,
            refresh_id=None,
            **self._vault.sealed(write.user_id, write.tokens),
        )

    def _put_expired(self, write: effects.PutExpired) -> None:
        self._expect(write.user_id, write.epoch, write.replaces, write.fence)
        self._erase(write.user_id)
        self._update(
            write.user_id,
            state=SessionState.REFRESH_EXPIRED.value,
            episode=write.episode,
            reason=write.reason.value,
            since=write.since,
        )

    def _put_logout(self, write: effects.PutLogout) -> None:
        row = self._row(write.user_id)
        if row is None:
            raise StaleWrite(write.user_id)
        if not write.forget:
            self._revoke_later(row)
        self._erase(write.user_id)
        self._update(
            write.user_id,
            state=SessionState.LOGGED_OUT.value,
            epoch=write.epoch,
            current=0,
            episode=None,
            reason=None,
            since=0.0,
        )

    def _put_removal(self, write: effects.PutRemoval) -> None:
        row = self._row(write.user_id)
        if row is not None and not write.forget:
            self._revoke_later(row)
        self._execute("DELETE FROM users WHERE user_id = ?", write.user_id)
        self._execute("INSERT OR REPLACE INTO removals VALUES (?, ?)", write.user_id, write.discard)
        self._put_meta("erasing", "1")

    def _revoke_later(self, row: sqlite3.Row, unless: Secret | None = None) -> None:
        """Keep the refresh token of a row to be revoked, if it can be read and is another one."""
        with contextlib.suppress(WrongKey):
            tokens = self._vault.opened(_columns(row))
            if tokens is not None and tokens.refresh != unless:
                self._put_revocation(tokens.refresh)

    def _put_revocation(self, token: Secret) -> None:
        sealed = self._vault.seal_revocation(token)
        self._execute("INSERT INTO revocations (refresh) VALUES (?)", sealed)

    def _keep(self, history: Sequence[Transition]) -> None:
        self._connection.executemany(
            "INSERT INTO history (user_id, at, before, after, trigger, reason)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            [
                (
                    move.user_id,
                    move.at,
                    move.before.value,
                    move.after.value,
                    move.trigger,
                    move.reason,
                )
                for move in history
            ],
        )
        self._execute(
            "DELETE FROM history WHERE id <= (SELECT max(id) FROM history) - ?", HISTORY_ROWS
        )

    def _expect(self, user_id: str, epoch: int, refresh: Secret, fence: int | None) -> sqlite3.Row:
        """Compare before setting, and return the row; raises `StaleWrite`."""
        row = self._row(user_id)
        if row is None or row["epoch"] != epoch or fence not in (None, row["fence"]):
            raise StaleWrite(user_id)
        try:
            tokens = self._vault.opened(_columns(row))
        except WrongKey as error:
            raise StaleWrite(user_id) from error
        if tokens is None or tokens.refresh != refresh:
            raise StaleWrite(user_id)
        return row

    def _erase(self, user_id: str) -> None:
        """Erase the data key and what it opens; the log is truncated afterwards."""
        self._update(user_id, data_key=None, access=None, refresh=None, refresh_id=None)
        self._update(user_id, refresh_life=None, refresh_ends_at=None)
        self._put_meta("erasing", "1")

    def _row(self, user_id: str) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._connection.execute(
            "SELECT * FROM users WHERE user_id = ?", (user_id,)
        ).fetchone()
        return found

    def _update(self, user_id: str, **columns: Any) -> None:
        terms = ", ".join(f"{name} = ?" for name in columns)
        self._execute(f"UPDATE users SET {terms} WHERE user_id = ?", *columns.values(), user_id)

    def _execute(self, statement: str, *values: Any) -> None:
        self._connection.execute(statement, values)

    # --- the file ----------------------------------------------------------------------------------

    def finish_erasing(self) -> bool:
        """Truncate the log after a logout; False when a reader is in the way and it must be tried again."""
        with storage_errors(self._path):
            # Whoever reads now is not waited for: this runs where everything else waits.
            self._connection.execute("PRAGMA busy_timeout = 0")
            try:
                busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                self._connection.execute(f"PRAGMA busy_timeout = {round(BUSY_SECONDS * 1000)}")
        if busy:
            return False
        with self._transaction():
            self._put_meta("erasing", None)
        return True

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        with storage_errors(self._path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def _meta(self, key: str) -> str | None:
        with storage_errors(self._path):
            row = self._connection.execute(
                "SELECT value FROM meta WHERE key = ?", (key,)
            ).fetchone()
        return None if row is None else row[0]

    def _put_meta(self, key: str, value: str | None) -> None:
        self._connection.execute(
            "INSERT INTO meta (key, value) VALUES (?, ?)"
            " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            (key, value),
        )

    def _data_version(self) -> int:
        (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        return int(version)


def _columns(row: sqlite3.Row) -> dict[str, Any]:
    return {name: row[name] for name in row.keys()}  # noqa: SIM118 - a row iterates over values


def _ends_at(tokens: TokenPair, received_at: float) -> float | None:
    """Return the wall clock at which a refresh token that came then is known to end."""
    return None if tokens.refresh_life is None else received_at + tokens.refresh_life
