"""One credential store under test, of each kind that there is, and how others see its file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from syncauth.adapters.randomness import SystemRandomness
from syncauth.adapters.sessions import SessionStore
from syncauth.interfaces import CredentialStore
from syncauth.models import Identity, Login, Profile, Secret, TokenPair
from syncauth.sansio.effects import PutLogin
from syncauth.sansio.records import StoredUser
from tests.support.keyrings import OwnKeyring, machine_keyring

KINDS = ("file", "keyring", "memory")
LASTING_KINDS = ("file", "keyring")
"""Those whose keys another process, or the next run, has as well."""

PROFILE = Profile("normal", (Identity("id-1", "local-userpass"),), {"email": "ann@example.com"})


def pair(name: str, refresh_life: float | None = None) -> TokenPair:
    """Return a pair that can be told from others by its name."""
    access, refresh = Secret(f"access token {name}"), Secret(f"refresh token {name}")
    return TokenPair(access, refresh, 1800.0, refresh_life)


def login(
    name: str = "1", user: str = "ann", epoch: int = 1, refresh_life: float | None = None
) -> PutLogin:
    """Return a login at the wall clock 1000."""
    accepted = Login(user, "d" * 24, pair(name, refresh_life), PROFILE)
    return PutLogin(accepted, epoch, 1000.0)


class CredentialBench:
    """Opens stores of one kind on one data directory, and closes them in the end."""

    def __init__(self, directory: Path, kind: str) -> None:
        self.kind = kind
        self._directory = directory
        self._opened: list[SessionStore] = []
        self.store = self.another()

    def another(self) -> CredentialStore:
        """Open the file as a further process does."""
        store = SessionStore(
            self._directory,
            scope="server app",
            key_storage=self.kind,
            randomness=SystemRandomness(),
        )
        self._opened.append(store)
        return store

    def restart(self) -> None:
        """Close every store and open the file as the next run does."""
        self.close()
        self.store = self.another()

    def users(self) -> Sequence[StoredUser]:
        """Read the users as whoever opens the file now does; keys in memory are nobody else's."""
        return self._fresh().load()

    def user(self, name: str = "ann") -> StoredUser:
        """Read one user in the same way."""
        (found,) = [each for each in self.users() if each.user_id == name]
        return found

    def revocations(self) -> list[Secret]:
        """Read the tokens that wait to be revoked in the same way."""
        return [token for _, token in self._fresh().waiting_revocations()]

    def _fresh(self) -> CredentialStore:
        return self.another() if self.kind in LASTING_KINDS else self.store

    def close(self) -> None:
        """Close every store."""
        for store in self._opened:
            store.close()
        self._opened.clear()


@contextlib.contextmanager
def credential_bench(directory: Path, kind: str) -> Iterator[CredentialBench]:
    """Give a bench whose machine has a keyring of its own."""
    with machine_keyring(OwnKeyring()):
        bench = CredentialBench(directory, kind)
        try:
            yield bench
        finally:
            bench.close()
