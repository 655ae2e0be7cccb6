"""
A process on a session bus of its own, with a real Secret Service: the keyring daemon of GNOME.

Run it under `dbus-run-session`. It obeys JSON lines on stdin and tells JSON lines on stdout what came of them; no
token and no key is told. The daemon is its child and ends with it.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import secretstorage
from jeepney.bus_messages import message_bus
from jeepney.io.blocking import open_dbus_connection

from syncauth.adapters.keys import SERVICE
from syncauth.adapters.randomness import SystemRandomness
from syncauth.adapters.sessions import SessionStore
from syncauth.errors import SyncAuthError
from syncauth.models import Login, Profile, Secret, TokenPair
from syncauth.sansio import effects

SECONDS = 15.0
SECRET_SERVICE = "org.freedesktop.secrets"
TOKENS = TokenPair(Secret("an access token"), Secret("a refresh token"), 1800.0)


class Program:
    """One bus, one daemon, one data directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.daemon: subprocess.Popen[bytes] | None = None

    def start(self, password: str) -> dict[str, Any]:
        """Start the daemon, which opens the keyring with this password or makes it; wait until it serves."""
        self.daemon = subprocess.Popen(
            ["gnome-keyring-daemon", "--foreground", "--unlock", "--components=secrets"],  # noqa: S607
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
        )
        if self.daemon.stdin is None:
            raise AssertionError
        self.daemon.stdin.write(password.encode())
        self.daemon.stdin.close()
        with open_dbus_connection("SESSION") as bus:
            end = time.monotonic() + SECONDS
            question = message_bus.NameHasOwner(SECRET_SERVICE)
            while not bus.send_and_get_reply(question).body[0]:
                if time.monotonic() > end:
                    raise TimeoutError
                time.sleep(0.01)
        return {}

    def open(self) -> dict[str, Any]:
        """Open the store and read it; tell where its key lives, or the error."""
        try:
            store = self._store()
        except SyncAuthError as error:
            return {"error": type(error).__name__, "why": error.why, "remedy": error.remedy}
        try:
            users = store.load()
            same = all(
                user.tokens is not None
                and (user.tokens.access, user.tokens.refresh) == (TOKENS.access, TOKENS.refresh)
                for user in users
            )
            return {"protection": store.protection, "users": len(users), "same_tokens": same}
        finally:
            store.close()

    def log_in(self) -> dict[str, Any]:
        """Keep a login."""
        store = self._store()
        try:
            login = Login("u1", "d1", TOKENS, Profile())
            store.commit([effects.PutLogin(login, 1, 1_700_000_000.0)])
        finally:
            store.close()
        return {}

    def _store(self) -> SessionStore:
        return SessionStore(
            self.directory,
            scope="https://sync.example.com field-notes",
            key_storage="keyring",
            randomness=SystemRandomness(),
        )

    def lock(self) -> dict[str, Any]:
        """Lock the keyring, as a screen saver or its owner does."""
        return {"locked": self._collection().lock()}

    def keys(self) -> dict[str, Any]:
        """Tell the keys of syncauth in the keyring: how many, and a digest of all their bytes."""
        found = sorted(item.get_secret() for item in self._items())
        return {"keys": len(found), "digest": hashlib.sha256(b"\n".join(found)).hexdigest()}

    def delete_keys(self) -> dict[str, Any]:
        """Delete the keys of syncauth."""
        for item in self._items():
            item.delete()
        return {}

    def delete_keyring(self) -> dict[str, Any]:
        """Delete the keyring itself."""
        self._collection().delete()
        return {}

    def _items(self) -> list[secretstorage.Item]:
        return list(self._collection().search_items({"service": SERVICE}))

    def _collection(self) -> secretstorage.Collection:
        return secretstorage.get_default_collection(secretstorage.dbus_init())

    def stop(self) -> None:
        """End the daemon by its id."""
        if self.daemon is not None:
            self.daemon.terminate()
            self.daemon.wait(SECONDS)


def main() -> None:
    """Obey until the input ends."""
    program = Program(Path(sys.argv[1]))
    try:
        for line in sys.stdin:
            wanted = json.loads(line)
            told = getattr(program, wanted.pop("do"))(**wanted)
            print(json.dumps(told), flush=True)  # noqa: T201 - this is how it tells
    finally:
        program.stop()


if __name__ == "__main__":
    main()
