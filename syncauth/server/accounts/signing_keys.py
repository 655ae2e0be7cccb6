"""
The keys of a running server, which follow their file, and the changes that an operator makes to it.

A rotation is seen by every process within a second, without a restart. This module must never read a clock.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from joserfc.jwk import ECKey

from syncauth.errors import StorageError
from syncauth.server.accounts.key_file import KeyFile, Stamp
from syncauth.server.accounts.key_ring import Alive, KeyRing, OwnKey

LOGGER: Final = logging.getLogger("syncauth.server.accounts.signing_keys")

LOOK_AFTER: Final = 0.5
"""Seconds after which a process looks whether the file has changed."""


class SigningKeys:
    """The keys of one data directory, as the file says now. `now` is in wall-clock seconds."""

    def __init__(self, data_dir: Path) -> None:
        """Read the keys, or make them at the first start; a file of format 1 is brought to this one.

        Raises:
            FileCorrupt, FileTooNew: the file holds no such keys; it was left as it is.
            StorageError: the file cannot be used, or others can read it.
        """
        self._file = KeyFile(data_dir)
        with self._file.locked():
            if not self._file.path.exists():
                self._file.write(KeyRing.made())
            self._seen = self._file.stamp()
            self._ring = self._file.read()
            if self._file.is_format_1():
                self._file.write(self._ring)
                self._seen = self._file.stamp()
        self._looked: float | None = None
        self._refused: Stamp | Literal[False] = False  # the state that was told as unreadable

    def signing(self, now: float) -> OwnKey:
        """Return the key that signs."""
        return self._current(now).signing

    def key_of(self, kid: object, *, now: float, access: bool) -> ECKey | None:
        """Return the key of that id, as `KeyRing.key_of`; for an unknown one the file is looked at first."""
        found = self._current(now).key_of(kid, now=now, access=access)
        if found is None and self._look():
            found = self._ring.key_of(kid, now=now, access=access)
        return found

    def published(self, now: float) -> list[dict[str, Any]]:
        """Return the public keys, as `KeyRing.published`."""
        return self._current(now).published(now)

    def _current(self, now: float) -> KeyRing:
        # The clock may be set back: then it is looked at as well.
        if self._looked is None or abs(now - self._looked) >= LOOK_AFTER:
            self._looked = now
            self._look()
        return self._ring

    def _look(self) -> bool:
        """Read the file if it is another than before; tells whether there are other keys now.

        What cannot be read now is tried again at each look: it may be a lack of file handles, or a mode that is set
        right, which leaves the stamp as it is. A revocation must not be missed for that.
        """
        seen = self._file.stamp()
        if seen == self._seen:
            return False
        try:
            self._ring = self._file.read()
        except StorageError as error:
            # Those in memory go on: nobody must be logged out because a file was moved.
            if seen != self._refused:
                self._refused = seen
                LOGGER.error("the signing keys stay as they were: %s", error)  # noqa: TRY400 - told whole
            return False
        self._seen, self._refused = seen, False
        LOGGER.info("the signing keys have changed: %s signs", self._ring.signing.kid)
        return True


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: which key signs now, how many old ones are kept, and how many were let go."""

    kid: str
    retired: int
    forgotten: int


def rotate_keys(data_dir: Path, *, now: float, alive: Alive, revoke_old: bool = False) -> Rotation:
    """Let the next key sign from now on; with `revoke_old` make all keys anew, so that no old token counts.

    Raises:
        FileCorrupt, FileTooNew, StorageError: as `SigningKeys`; nothing was changed.
    """
    file = KeyFile(data_dir)
    with file.locked():
        before = file.read()
        after = KeyRing.made() if revoke_old else before.rotated(now).without_spent(now, alive)
        file.write(after)
    gone = len(before.retired) + 1 - len(after.retired)
    return Rotation(after.signing.kid, len(after.retired), gone)


def forget_spent_keys(data_dir: Path, *, now: float, alive: Alive) -> int:
    """Remove the retired keys of which no token can be used any more; returns how many.

    Raises:
        FileCorrupt, FileTooNew, StorageError: as `SigningKeys`; nothing was changed.
    """
    file = KeyFile(data_dir)
    with file.locked():
        before = file.read()
        after = before.without_spent(now, alive)
        if len(after.retired) < len(before.retired):
            file.write(after)
    return len(before.retired) - len(after.retired)
