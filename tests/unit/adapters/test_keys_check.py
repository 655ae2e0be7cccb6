"""The keys of a store are looked for without being made, changed or handed out."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncauth.adapters.keys import check_keys, find_keys
from syncauth.adapters.randomness import SystemRandomness
from syncauth.errors import KeyringUnavailable, StorageError
from tests.support.keyrings import OwnKeyring, machine_keyring


def check(directory: Path, protection: str) -> None:
    """Look for the keys of the store `name`."""
    check_keys(directory, "name", protection, randomness=SystemRandomness(), seconds=5)


def make(directory: Path, storage: str) -> None:
    """Make the keys of the store `name`."""
    find_keys(storage, directory, "name", known=None, randomness=SystemRandomness())


def test_keys_of_a_keyring(tmp_path: Path) -> None:
    """A keyring with the key is well; one that is locked, empty or damaged is told and not changed."""
    keyring = OwnKeyring()
    with machine_keyring(keyring):
        with pytest.raises(KeyringUnavailable, match="no key"):
            check(tmp_path, "keyring")
        assert keyring.kept == {}
        make(tmp_path, "keyring")
        check(tmp_path, "keyring")
        keyring.locked = True
        with pytest.raises(KeyringUnavailable):
            check(tmp_path, "keyring")
        keyring.locked = False
        (place,) = keyring.kept
        keyring.kept[place] = "short"
        with pytest.raises(StorageError, match="damaged"):
            check(tmp_path, "keyring")
        assert keyring.kept == {place: "short"}


def test_key_file(tmp_path: Path) -> None:
    """A key file that is whole and private is well; one that is missing, short or open is told and left so."""
    with pytest.raises(StorageError, match="No such file"):
        check(tmp_path, "key file")
    assert list(tmp_path.iterdir()) == []
    make(tmp_path, "file")
    check(tmp_path, "key file")
    path = tmp_path / "sessions.key"
    path.chmod(0o640)
    with pytest.raises(StorageError, match="640"):
        check(tmp_path, "key file")
    assert path.stat().st_mode & 0o777 == 0o640
    path.write_bytes(b"short")
    with pytest.raises(StorageError, match="5 bytes"):
        check(tmp_path, "key file")
    assert path.read_bytes() == b"short"


def test_keys_in_memory_cannot_be_looked_for(tmp_path: Path) -> None:
    """They belong to another process."""
    check(tmp_path, "memory")
