"""
The file of the signing keys: `token-key.json` in the data directory, readable by its owner alone.

It is replaced as a whole, under a lock, so that it is there whole or not at all and no change is lost. Format 1 is one
private JWK (RFC 7517); it is read as well. This module must never show a part of a key, and never write into the file
that is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from syncauth.errors import FileCorrupt, FileTooNew, StorageError
from syncauth.server.accounts.key_ring import CURVE, KeyRing, OwnKey, RetiredKey

LOGGER: Final = logging.getLogger("syncauth.server.accounts.key_file")

KEY_FILE: Final = "token-key.json"
FORMAT: Final = 2

Stamp = tuple[int, int, int] | None
"""What tells one state of the file from another without reading it; None if there is no file."""

_Jwk = dict[str, str | list[str]]


class _Retired(msgspec.Struct, frozen=True):
    key: _Jwk
    retired_at: float


class _Content(msgspec.Struct, frozen=True, kw_only=True):
    format: Literal[2] = 2
    signing: _Jwk
    following: _Jwk
    retired: list[_Retired]


class KeyFile:
    """The file of one data directory."""

    def __init__(self, data_dir: Path) -> None:
        """Touch nothing yet."""
        self.path = data_dir / KEY_FILE

    def stamp(self) -> Stamp:
        """Return what changes with the file."""
        try:
            status = self.path.stat()
        except OSError:
            return None
        return (status.st_ino, status.st_mtime_ns, status.st_size)

    def read(self) -> KeyRing:
        """Return the keys.

        Raises:
            FileCorrupt, FileTooNew: the file holds no such keys; it was left as it is.
            StorageError: the file is not there, or others can read it.
        """
        try:
            content = self.path.read_bytes()
            mode = self.path.stat().st_mode
        except OSError as error:
            raise self._refusal("cannot be read", error) from error
        ring = _decoded(self.path, content)
        self._check_mode(stat.S_IMODE(mode))
        return ring

    def is_format_1(self) -> bool:
        """Tell whether the file that is there, and can be read, is to be written anew."""
        return b'"format"' not in self.path.read_bytes()

    def write(self, ring: KeyRing) -> None:
        """Replace the file; on disk when this returns.

        Raises:
            StorageError: it cannot be written; the one before is still there.
        """
        content = _Content(
            signing=ring.signing.key.as_dict(private=True),
            following=ring.following.key.as_dict(private=True),
            retired=[
                _Retired(old.own.key.as_dict(private=False), old.retired_at) for old in ring.retired
            ],
        )
        try:
            self._replace(msgspec.json.encode(content))
        except OSError as error:
            raise self._refusal("cannot be written", error) from error

    def _replace(self, content: bytes) -> None:
        draft = self.path.with_name(f"{self.path.name}.new")
        draft.unlink(missing_ok=True)  # of a process that died over it
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if os.geteuid() == 0:
                # An administrator changes it, and the server's own user has to read it.
                owner = (self.path if self.path.exists() else self.path.parent).stat()
                os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(self.path)
        with self._folder() as folder:
            os.fsync(folder)

    def _refusal(self, what: str, error: OSError) -> StorageError:
        return StorageError(
            f"the signing keys {self.path} {what}",
            path=str(self.path),
            why=str(error.strerror),
            remedy="Give the data directory of a server that has run, as the user that it runs as",
        )

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from changing the file; the kernel frees the lock of one that dies."""
        with self._folder() as folder:
            fcntl.flock(folder, fcntl.LOCK_EX)
            yield

    @contextlib.contextmanager
    def _folder(self) -> Iterator[int]:
        try:
            folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise self._refusal("cannot be reached", error) from error
        try:
            yield folder
        finally:
            os.close(folder)

    def _check_mode(self, mode: int) -> None:
        if mode & stat.S_IRWXO:
            raise StorageError(
                f"the signing keys {self.path} are open to every user of this machine",
                path=str(self.path),
                why=f"its mode is {mode:04o}, and whoever has them can make tokens of any user",
                remedy="chmod it to 0600; if somebody may have read it, `syncauth server rotate-key --revoke-old`",
            )
        if mode & stat.S_IRWXG:
            LOGGER.warning("%s is open to its group (mode %04o); chmod it to 0600", self.path, mode)


def _decoded(path: Path, content: bytes) -> KeyRing:
    try:
        found: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
        if "format" not in found:
            # The next key is of this moment only: whoever may write the file keeps one.
            return KeyRing(_key(found), OwnKey.made())
        mark = found["format"]
        if isinstance(mark, int) and mark > FORMAT:
            raise FileTooNew(
                "the signing keys were written by a newer version of syncauth",
                path=str(path),
                why=f"their format is {mark}, this version knows {FORMAT}",
                remedy="Install the newer version; the file was not touched",
            )
        read = msgspec.convert(found, _Content)
        return KeyRing(
            _key(read.signing),
            _key(read.following),
            tuple(RetiredKey(_key(old.key, private=False), old.retired_at) for old in read.retired),
        )
    except (
        JoseError,
        msgspec.MsgspecError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
    ) as error:
        # Not "from error": its text might hold a part of a key.
        what = f"the signing keys {path} cannot be read"
        why = str(error) if isinstance(error, _NoSuchKey) else type(error).__name__
        remedy = "Restore the file from a backup; without it every user must log in again"
        raise FileCorrupt(what, path=str(path), why=why, remedy=remedy) from None


class _NoSuchKey(ValueError):
    """What is no key of ours; its text shows nothing of it."""


def _key(content: dict[str, Any], *, private: bool = True) -> OwnKey:
    key = ECKey.import_key(content)
    if key.curve_name != CURVE or (private and not key.is_private):
        raise _NoSuchKey(f"it is no {'private' if private else 'public'} key on the curve {CURVE}")
    return OwnKey.of(key)
