"""Where the keys of the credential store live, and what a keyring that fails leads to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.backends.null
import pytest

from syncauth.adapters.keys import KEY_FILE, Keys, WrongKey, find_keys, seal, unseal
from syncauth.adapters.randomness import SystemRandomness
from syncauth.errors import KeyringUnavailable, StorageError
from tests.support.keyrings import OwnKeyring, machine_keyring

RANDOMNESS = SystemRandomness()


@pytest.fixture
def own() -> Iterator[OwnKeyring]:
    own = OwnKeyring()
    with machine_keyring(own):
        yield own


def find(directory: Path, storage: str = "keyring", known: str | None = None) -> Keys:
    return find_keys(storage, directory, "store name", known=known, randomness=RANDOMNESS)


def test_the_keyring_keeps_the_keys(own: OwnKeyring, tmp_path: Path) -> None:
    """Made once, found again, and nowhere in a file."""
    keys = find(tmp_path)
    assert keys.protection == "keyring"
    assert find(tmp_path, known="keyring") == keys
    assert list(tmp_path.iterdir()) == []
    assert len(own.kept) == 1


def test_a_locked_keyring_changes_nothing(own: OwnKeyring, tmp_path: Path) -> None:
    """No new key is made, in the keyring or in a file: it is to be tried again."""
    own.locked = True
    for known in (None, "keyring"):
        with pytest.raises(KeyringUnavailable) as raised:
            find(tmp_path, known=known)
        assert raised.value.remedy
    assert own.kept == {}
    assert list(tmp_path.iterdir()) == []


def test_a_keyring_without_the_key_of_an_existing_store_makes_no_other(
    own: OwnKeyring, tmp_path: Path
) -> None:
    """A new key would be wrong for all that is sealed already."""
    with pytest.raises(KeyringUnavailable):
        find(tmp_path, known="keyring")
    assert own.kept == {}


@pytest.mark.parametrize("backend", [keyring.backends.fail.Keyring, keyring.backends.null.Keyring])
def test_without_a_usable_keyring_there_is_a_key_file(
    own: OwnKeyring, tmp_path: Path, backend: type[keyring.backend.KeyringBackend]
) -> None:
    """For this user of the machine alone; which one it is, is told."""
    keyring.set_keyring(backend())
    keys = find(tmp_path)
    assert keys.protection == "key file"
    assert find(tmp_path, known="key file") == keys
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600
    with pytest.raises(KeyringUnavailable):
        find(tmp_path, known="keyring")


def test_a_damaged_key_file_is_told_and_kept(tmp_path: Path) -> None:
    """Half a key is no key; nobody writes another one over it."""
    (tmp_path / KEY_FILE).write_bytes(b"short")
    with pytest.raises(StorageError, match="damaged"):
        find(tmp_path, "file")
    assert (tmp_path / KEY_FILE).read_bytes() == b"short"


def test_what_is_sealed_opens_with_its_key_and_binding_alone() -> None:
    """Another key, another binding or an altered byte is told from what was sealed."""
    key, other = RANDOMNESS.token(32), RANDOMNESS.token(32)
    sealed = seal(key, "a token", "whose", RANDOMNESS)
    assert unseal(key, sealed, "whose") == "a token"
    assert seal(key, "a token", "whose", RANDOMNESS) != sealed
    altered = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for wrong in ((other, sealed, "whose"), (key, sealed, "another's"), (key, altered, "whose")):
        with pytest.raises(WrongKey):
            unseal(*wrong)


def test_keys_cannot_be_printed() -> None:
    """Neither by repr nor by format (I10)."""
    keys = Keys(b"secret store key", b"secret revocation key", "memory")
    assert "secret" not in f"{keys} {keys!r}"
