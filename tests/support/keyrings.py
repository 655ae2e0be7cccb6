"""A keyring of the tests, kept in memory, that can be locked, and its place as the machine's keyring."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import keyring
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked


class OwnKeyring(KeyringBackend):
    """A real backend: what it keeps can be read, and it can be locked."""

    priority = 1

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kept: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        self._check()
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self._check()
        self.kept[service, username] = password

    def _check(self) -> None:
        if self.locked:
            message = "locked"
            raise KeyringLocked(message)


@contextlib.contextmanager
def machine_keyring(backend: KeyringBackend) -> Iterator[None]:
    """Make this the machine's keyring for a while."""
    before = keyring.get_keyring()
    keyring.set_keyring(backend)
    try:
        yield
    finally:
        keyring.set_keyring(before)
