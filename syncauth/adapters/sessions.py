"""
`sessions.db`: users, their sessions, their sealed tokens, and what is still to be revoked.

Every commit is one transaction with synchronous=FULL, and every write that changes tokens is a compare-and-set on
epoch and refresh token. Tokens stand sealed under the user's own data key, which is wrapped by the store key: to
erase a user is to erase that key, with secure_delete and a truncated log. This module must never show a token.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from syncauth.adapters.keys import KEY_BYTES, Keys, WrongKey, find_keys, seal, unseal
from syncauth.adapters.sessions_schema import BUSY_SECONDS, damaged, open_sessions, storage_errors
from syncauth.interfaces import Randomness, StaleWrite
from syncauth.models import (
    Identity,
    Profile,
    ReloginReason,
    Secret,
    SessionState,
    TokenPair,
)
from syncauth.sansio import effects
from syncauth.sansio.effects import StoreWrite
from syncauth.sansio.inputs import StoredUser

_NAME_BYTES: Final = 16
UNREADABLE: Final = ReloginReason.TOKENS_UNREADABLE.value


class _Row(msgspec.Struct, frozen=True):
    """What a row of `users` holds if nobody else has written to it."""

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


class SessionStore:
    """The `CredentialStore` of one data directory; the caller holds the directory's lock."""

    def __init__(
        self, directory: Path, *, scope: str, key_storage: str, randomness: Randomness
    ) -> None:
        """Open or make the file, and get its keys; blocks.

        Args:
            directory: the data directory, which exists.
            scope: what tokens are bound to besides the user: the server and the app.
            key_storage: the setting of `AppConfig`.
            randomness: for keys, nonces and names.

        Raises:
            KeyringUnavailable: the key cannot be had now; nothing was changed.
            FileTooNew, FileNotOurs, FileCorrupt, FileFull, StorageError: the file cannot be used.
        """
        self._path = str(directory / "sessions.db")
        self._scope = scope
        self._randomness = randomness
        self._connection = open_sessions(self._path)
        try:
            self._keys = self._open_keys(directory, key_storage)
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

    @property
    def protection(self) -> str:
        """Where the store key lives: "keyring", "key file" or "memory"."""
        return self._keys.protection

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
        try:
            return [self._user(row) for row in rows]
        except (ValueError, TypeError, KeyError, msgspec.ValidationError) as error:
            raise damaged(self._path, "a user's row cannot be read") from error

    def _user(self, row: sqlite3.Row) -> StoredUser:
        msgspec.convert(dict(row), _Row)
        stored: dict[str, Any] = json.loads(row["profile"])
        identities = tuple(Identity(*each) for each in stored["identities"])
        profile = Profile(stored["user_type"], identities, stored["data"])
        state, tokens = SessionState(row["state"]), None
        episode, reason, since = row["episode"], row["reason"], row["since"]
        try:
            tokens = self._tokens(row)
            if state is SessionState.ACTIVE and (tokens is None or row["life"] is None):
                message = "a session without tokens or their life"
                raise ValueError(message)
        except WrongKey:
            state, reason, since = SessionState.REFRESH_EXPIRED, UNREADABLE, row["received_at"]
            # The same one each time it is read: an episode is told once.
            episode = hashlib.sha256(row["data_key"]).hexdigest()[: 2 * _NAME_BYTES]
        return StoredUser(
            user_id=row["user_id"],
            device_id=row["device_id"],
            state=state,
            epoch=row["epoch"],
            current=bool(row["current"]),
            tokens=tokens,
            received_at=row["received_at"],
            refresh_id=row["refresh_id"] if tokens is not None else None,
            profile=profile,
            episode=episode,
            reason=ReloginReason(reason) if reason is not None else None,
            since=since,
        )

    def _tokens(self, row: sqlite3.Row) -> TokenPair | None:
        if row["data_key"] is None:
            return None
        user = row["user_id"]
        key = self._unwrap(user, row["data_key"])
        access = unseal(key, row["access"], self._bound(user, "access"))
        refresh = unseal(key, row["refresh"], self._bound(user, "refresh"))
        return TokenPair(Secret(access), Secret(refresh), row["life"])

    def waiting_revocations(self) -> Sequence[tuple[int, Secret]]:
        """Read the refresh tokens that wait to be revoked, each with its number."""
        with storage_errors(self._path):
            rows = self._connection.execute("SELECT id, refresh FROM revocations ORDER BY id")
            sealed = rows.fetchall()
        found = []
        for number, token in sealed:
            with contextlib.suppress(WrongKey):  # of a key that is gone: nobody can send it
                opened = unseal(self._keys.revocation, token, self._bound("", "revocation"))
                found.append((int(number), Secret(opened)))
        return found

    # --- writing -----------------------------------------------------------------------------------

    def commit(self, writes: Sequence[StoreWrite]) -> None:
        """Make all writes durable in one transaction, or none; see the interface."""
        with self._transaction():
            for write in writes:
                self._write(write)

    def _write(self, write: StoreWrite) -> None:
        match write:
            case effects.PutLogin():
                self._put_login(write)
            case effects.PutMark():
                self._expect(write.user_id, write.epoch, write.refresh_token)
                self._update(write.user_id, refresh_id=write.refresh_id)
            case effects.PutTokens():
                self._expect(write.user_id, write.epoch, write.replaces)
                sealed = self._sealed(write.user_id, write.tokens)
                self._update(
                    write.user_id, received_at=write.received_at, refresh_id=None, **sealed
                )
            case effects.PutExpired():
                self._expect(write.user_id, write.epoch, write.replaces)
                self._erase(write.user_id)
                self._update(
                    write.user_id,
                    state=SessionState.REFRESH_EXPIRED.value,
                    episode=write.episode,
                    reason=write.reason.value,
                    since=write.since,
                )
            case effects.PutLogout():
                self._put_logout(write)
            case effects.PutRevocation():
                self._put_revocation(write.refresh_token)
            case effects.DropRevocation():
                self._connection.execute(
                    "DELETE FROM revocations WHERE id = ?", (write.revocation,)
                )
                self._put_meta("erasing", "1")

    def _put_login(self, write: effects.PutLogin) -> None:
        login = write.login
        older = self._row(login.user_id)
        if older is not None:
            with contextlib.suppress(WrongKey):
                tokens = self._tokens(older)
                if tokens is not None and tokens.refresh != login.tokens.refresh:
                    self._put_revocation(tokens.refresh)
        profile = {
            "user_type": login.profile.user_type,
            "identities": [[each.id, each.provider_type] for each in login.profile.identities],
            "data": login.profile.data,
        }
        self._connection.execute("UPDATE users SET current = 0")
        self._connection.execute(
            "INSERT INTO users (user_id, device_id, state, epoch, profile, received_at)"
            " VALUES (?, '', '', 0, '', 0) ON CONFLICT (user_id) DO NOTHING",
            (login.user_id,),
        )
        self._update(
            login.user_id,
            device_id=login.device_id,
            state=SessionState.ACTIVE.value,
            epoch=write.epoch,
            current=1,
            profile=json.dumps(profile),
            received_at=write.received_at,
            refresh_id=None,
            episode=None,
            reason=None,
            since=0.0,
            **self._sealed(login.user_id, login.tokens),
        )

    def _put_logout(self, write: effects.PutLogout) -> None:
        row = self._row(write.user_id)
        if row is None:
            raise StaleWrite
        if not write.forget:
            with contextlib.suppress(WrongKey):
                tokens = self._tokens(row)
                if tokens is not None:
                    self._put_revocation(tokens.refresh)
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

    def _put_revocation(self, token: Secret) -> None:
        bound = self._bound("", "revocation")
        sealed = seal(self._keys.revocation, token.reveal(), bound, self._randomness)
        self._connection.execute("INSERT INTO revocations (refresh) VALUES (?)", (sealed,))

    def _expect(self, user_id: str, epoch: int, refresh: Secret) -> None:
        """Compare before setting; raises `StaleWrite`."""
        row = self._row(user_id)
        if row is None or row["epoch"] != epoch:
            raise StaleWrite
        try:
            tokens = self._tokens(row)
        except WrongKey as error:
            raise StaleWrite from error
        if tokens is None or tokens.refresh != refresh:
            raise StaleWrite

    def _erase(self, user_id: str) -> None:
        """Erase the data key and what it opens; the log is truncated afterwards."""
        self._update(user_id, data_key=None, access=None, refresh=None, refresh_id=None)
        self._put_meta("erasing", "1")

    def _sealed(self, user_id: str, tokens: TokenPair) -> dict[str, Any]:
        """Return the columns of a pair, under a fresh data key."""
        key = self._randomness.token(KEY_BYTES)
        text = base64.b64encode(key).decode()
        wrapped = seal(self._keys.store, text, self._bound(user_id, "data key"), self._randomness)
        pair = {"access": tokens.access, "refresh": tokens.refresh}
        sealed = {
            name: seal(key, token.reveal(), self._bound(user_id, name), self._randomness)
            for name, token in pair.items()
        }
        return {"data_key": wrapped, "life": tokens.life, **sealed}

    def _unwrap(self, user_id: str, wrapped: bytes) -> bytes:
        return base64.b64decode(unseal(self._keys.store, wrapped, self._bound(user_id, "data key")))

    def _bound(self, user_id: str, what: str) -> str:
        return json.dumps([self._scope, user_id, what])

    def _row(self, user_id: str) -> sqlite3.Row | None:
        found: sqlite3.Row | None = self._connection.execute(
            "SELECT * FROM users WHERE user_id = ?", (user_id,)
        ).fetchone()
        return found

    def _update(self, user_id: str, **columns: Any) -> None:
        terms = ", ".join(f"{name} = ?" for name in columns)
        self._connection.execute(
            f"UPDATE users SET {terms} WHERE user_id = ?", (*columns.values(), user_id)
        )

    # --- the file ----------------------------------------------------------------------------------

    def finish_erasing(self) -> bool:
        """Truncate the log after a logout; False when a reader is in the way and it must be tried again."""
        with storage_errors(self._path):
            # Whoever reads now is not waited for: this runs where everything else waits.
            self._connection.execute("PRAGMA busy_timeout = 0")
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
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
