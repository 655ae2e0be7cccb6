"""
The keys of the credential store: where they live, and how a token is sealed under them.

One secret of 64 bytes holds two keys: the store key, which wraps each user's data key, and the revocation key, for
tokens that only wait to be revoked. It lives in the keyring of the operating system, or in a key file for this user
of the machine alone. This module is the one door to `keyring` and `cryptography`; it must never print a key, and
never make a new one where an older one may exist.
"""

from __future__ import annotations

import base64
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

import keyring
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend

from syncauth.errors import KeyringUnavailable, StorageError
from syncauth.interfaces import Randomness

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SERVICE: Final = "syncauth"
KEY_FILE: Final = "sessions.key"

KEYRING_SECONDS: Final = 30.0
"""How long a keyring may take, in seconds; one that asks a person may take that long."""

_REFUSED: Final = ("keyring.backends.fail.", "keyring.backends.null.")
_PLAIN_TEXT: Final = "plaintext"
_RESTORE: Final = "Restore it from a backup, or delete it and sessions.db and log in again"

_Answer = TypeVar("_Answer")


class WrongKey(Exception):
    """A key that is there does not open what was sealed."""


@dataclass(frozen=True, slots=True)
class Keys:
    """Both keys, and where they live: "keyring", "key file" or "memory"."""

    store: bytes = field(repr=False)
    revocation: bytes = field(repr=False)
    protection: str


def seal(key: bytes, text: str, bound_to: str, randomness: Randomness) -> bytes:
    """Encrypt a text (AES-256-GCM, RFC 5116), bound to what it is and whose."""
    nonce = randomness.token(NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, text.encode(), bound_to.encode())


def unseal(key: bytes, sealed: bytes, bound_to: str) -> str:
    """Decrypt a text; raises `WrongKey` if key or binding are others, or the bytes were altered."""
    try:
        opened = AESGCM(key).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], bound_to.encode())
    except (InvalidTag, ValueError, TypeError) as error:
        raise WrongKey from error
    return opened.decode()


def usable_keyring() -> KeyringBackend | None:
    """Return the machine's keyring, or None if it has none that keeps secrets."""
    backend = keyring.get_keyring()
    chain = backend.backends if isinstance(backend, ChainerBackend) else (backend,)
    return next((each for each in chain if _keeps_secrets(each)), None)


def _keeps_secrets(backend: KeyringBackend) -> bool:
    names = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(backend).__mro__]
    return not any(name.startswith(_REFUSED) or _PLAIN_TEXT in name.lower() for name in names)


def find_keys(
    storage: str,
    directory: Path,
    name: str,
    *,
    known: str | None,
    randomness: Randomness,
    seconds: float = KEYRING_SECONDS,
) -> Keys:
    """Return the keys of a store, which are made if it is new.

    Args:
        storage: the setting `key_storage`: "keyring", "file" or "memory".
        directory: the data directory, for a key file.
        name: the random name of the store, under which the keyring keeps its keys.
        known: where the keys of an existing store live; None for a new store.
        randomness: for new keys.
        seconds: how long the keyring may take.

    Raises:
        KeyringUnavailable: the keyring cannot be asked now; nothing was changed.
        StorageError: the key cannot be read or written, or is damaged; it was left as it is.
    """
    if storage == "memory":
        return _split(randomness.token(2 * KEY_BYTES), "memory")
    if known == "key file" or (known is None and storage == "file"):
        return _split(_from_file(directory, randomness, known=known is not None), "key file")

    def ask() -> bytes | None:
        backend = usable_keyring()
        if backend is None:
            return None
        return _from_keyring(backend, name, randomness, known=known is not None)

    secret = _in_time(ask, seconds)
    if secret is not None:
        return _split(secret, "keyring")
    if known == "keyring":
        raise _unavailable("this machine has no usable keyring now")
    return _split(_from_file(directory, randomness, known=False), "key file")


def check_keys(
    directory: Path, name: str, protection: str, *, randomness: Randomness, seconds: float
) -> None:
    """Look whether the keys of an existing store are where it says, and change nothing.

    The arguments are those of `find_keys`; `protection` is what is known. Keys in memory cannot be looked for.

    Raises:
        KeyringUnavailable: the keyring is locked or missing, or has no key for this store.
        StorageError: the key is missing or damaged, or others on this machine may read it.
    """
    if protection == "keyring":
        find_keys(
            "keyring", directory, name, known=protection, randomness=randomness, seconds=seconds
        )
    elif protection == "key file":
        _check_file(directory / KEY_FILE)


def _check_file(path: Path) -> None:
    try:
        found = path.stat()
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise StorageError(
            "the key file cannot be read", path=str(path), why=why, remedy=_RESTORE
        ) from error
    if found.st_size != 2 * KEY_BYTES:
        why = f"it has {found.st_size} bytes"
        raise StorageError("the key file is damaged", path=str(path), why=why, remedy=_RESTORE)
    if os.name == "posix" and found.st_mode & 0o077:
        what, why = "the key file is open to others", f"its mode is {found.st_mode & 0o777:03o}"
        raise StorageError(what, path=str(path), why=why, remedy="Set its mode to 600")


def _split(secret: bytes, protection: str) -> Keys:
    return Keys(secret[:KEY_BYTES], secret[KEY_BYTES:], protection)


def _in_time(call: Callable[[], _Answer], seconds: float) -> _Answer:
    """Call a keyring in a thread of its own: one that prompts must not hold the App for ever.

    What it makes after its time has come to nothing: it stands under a name that no store has.
    """
    answer: Future[_Answer] = Future()

    def run() -> None:
        try:
            answer.set_result(call())
        except Exception as error:  # noqa: BLE001 - a backend may raise anything; it is raised below
            answer.set_exception(error)

    threading.Thread(target=run, name="syncauth-keyring", daemon=True).start()
    try:
        return answer.result(seconds)
    except StorageError:
        raise
    except TimeoutError as error:
        raise _unavailable(f"it did not answer within {seconds:g} seconds") from error
    except Exception as error:
        raise _unavailable(type(error).__name__) from error


def _from_keyring(
    backend: KeyringBackend, name: str, randomness: Randomness, *, known: bool
) -> bytes:
    kept = backend.get_password(SERVICE, name)
    if kept is None:
        if known:
            raise _unavailable("the keyring has no key for this store")
        kept = base64.b64encode(randomness.token(2 * KEY_BYTES)).decode()
        backend.set_password(SERVICE, name, kept)
    try:
        secret = base64.b64decode(kept, validate=True)
    except ValueError:
        secret = b""
    if len(secret) != 2 * KEY_BYTES:
        raise StorageError(
            "the key in the keyring is damaged",
            path="keyring",
            why=f"the entry {name!r} of {SERVICE!r} holds no {2 * KEY_BYTES} bytes",
            remedy="Restore the entry, or delete sessions.db and log in again; no rows are lost",
        )
    return secret


def _unavailable(why: str) -> KeyringUnavailable:
    return KeyringUnavailable(
        "the keyring cannot be used now",
        path="keyring",
        why=why,
        remedy="Unlock the keyring and open the App again; nothing was changed",
    )


def _from_file(directory: Path, randomness: Randomness, *, known: bool) -> bytes:
    path = directory / KEY_FILE
    try:
        if not path.exists():
            if known:
                what, why = "the key file is missing", "sessions.db was sealed with it"
                raise StorageError(what, path=str(path), why=why, remedy=_RESTORE)
            _make(path, randomness.token(2 * KEY_BYTES))
        path.chmod(0o600)
        secret = path.read_bytes()
    except OSError as error:
        raise StorageError(
            "the key file cannot be read or made",
            path=str(path),
            why=error.strerror or type(error).__name__,
            remedy="Check the data directory and its permissions",
        ) from error
    if len(secret) != 2 * KEY_BYTES:
        what, why = "the key file is damaged", f"it has {len(secret)} bytes"
        raise StorageError(what, path=str(path), why=why, remedy=_RESTORE)
    return secret


def _make(path: Path, secret: bytes) -> None:
    """Make the key file whole or not at all: half a key would be taken for a damaged one."""
    unfinished = path.with_suffix(".new")
    unfinished.unlink(missing_ok=True)
    door = os.open(unfinished, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(door, "wb") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
