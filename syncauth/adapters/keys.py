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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import keyring
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from keyring.backend import KeyringBackend
from keyring.errors import KeyringError

from syncauth.errors import KeyringUnavailable, StorageError
from syncauth.interfaces import Randomness

KEY_BYTES: Final = 32
NONCE_BYTES: Final = 12
SERVICE: Final = "syncauth"
KEY_FILE: Final = "sessions.key"

_PLAIN_TEXT: Final = ("keyrings.alt.file.PlaintextKeyring", "keyring.backends.null")


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
    except (InvalidTag, ValueError) as error:
        raise WrongKey from error
    return opened.decode()


def usable_keyring() -> KeyringBackend | None:
    """Return the machine's keyring, or None if it has none that keeps secrets."""
    backend = keyring.get_keyring()
    name = f"{type(backend).__module__}.{type(backend).__qualname__}"
    if name.startswith(("keyring.backends.fail.", *_PLAIN_TEXT)):
        return None
    return backend


def find_keys(
    storage: str, directory: Path, name: str, *, known: str | None, randomness: Randomness
) -> Keys:
    """Return the keys of a store, which are made if it is new.

    Args:
        storage: the setting `key_storage`: "keyring", "file" or "memory".
        directory: the data directory, for a key file.
        name: the random name of the store, under which the keyring keeps its keys.
        known: where the keys of an existing store live; None for a new store.
        randomness: for new keys.

    Raises:
        KeyringUnavailable: the keyring cannot be asked now; nothing was changed.
        StorageError: the key file cannot be read or written.
    """
    if storage == "memory":
        return _split(randomness.token(2 * KEY_BYTES), "memory")
    if known == "key file" or (known is None and storage == "file"):
        return _split(_from_file(directory / KEY_FILE, randomness), "key file")
    backend = usable_keyring()
    if backend is None:
        if known == "keyring":
            raise _unavailable("this machine has no usable keyring now")
        return _split(_from_file(directory / KEY_FILE, randomness), "key file")
    return _split(_from_keyring(backend, name, randomness, known=known is not None), "keyring")


def _split(secret: bytes, protection: str) -> Keys:
    return Keys(secret[:KEY_BYTES], secret[KEY_BYTES : 2 * KEY_BYTES], protection)


def _from_keyring(
    backend: KeyringBackend, name: str, randomness: Randomness, *, known: bool
) -> bytes:
    try:
        kept = backend.get_password(SERVICE, name)
        if kept is None:
            if known:
                raise _unavailable("the keyring has no key for this store")
            kept = base64.b64encode(randomness.token(2 * KEY_BYTES)).decode()
            backend.set_password(SERVICE, name, kept)
    except (KeyringError, OSError) as error:
        raise _unavailable(type(error).__name__) from error
    return base64.b64decode(kept)


def _unavailable(why: str) -> KeyringUnavailable:
    return KeyringUnavailable(
        "the keyring cannot be used now",
        path="keyring",
        why=why,
        remedy="Unlock the keyring and open the App again; nothing was changed",
    )


def _from_file(path: Path, randomness: Randomness) -> bytes:
    try:
        if not path.exists():
            door = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
            with os.fdopen(door, "wb") as file:
                file.write(randomness.token(2 * KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
        secret = path.read_bytes()
    except OSError as error:
        raise StorageError(
            "the key file cannot be read or made",
            path=str(path),
            why=error.strerror or type(error).__name__,
            remedy="Check the data directory and its permissions",
        ) from error
    if len(secret) != 2 * KEY_BYTES:
        raise StorageError(
            "the key file is damaged",
            path=str(path),
            why=f"it has {len(secret)} bytes",
            remedy="Restore it from a backup, or delete it together with sessions.db and log in again",
        )
    return secret
