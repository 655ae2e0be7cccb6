"""Keys where keyrings prompt, lie, fail or write plain text, and key files are missing, half made or open to all."""

from __future__ import annotations

import base64
import contextlib
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from keyring.backend import KeyringBackend
from keyring.backends.chainer import ChainerBackend

from syncauth.adapters.keys import KEY_FILE, SERVICE, Keys, find_keys
from syncauth.adapters.randomness import SystemRandomness
from syncauth.errors import KeyringUnavailable, StorageError
from tests.support.keyrings import OwnKeyring, machine_keyring

RANDOMNESS = SystemRandomness()
NAME = "store name"


class PlaintextKeyring(OwnKeyring):
    """As there are some that write into a file which anybody may read."""

    priority = 2


class SamePlaintextKeyring(PlaintextKeyring):
    """Another name does not seal anything."""


class FailingKeyring(OwnKeyring):
    """A backend raises what its own library raises."""

    def get_password(self, service: str, username: str) -> str | None:
        message = "org.freedesktop.DBus.Error.NoReply"
        raise RuntimeError(message)


class PromptingKeyring(OwnKeyring):
    """It waits for a person."""

    def __init__(self) -> None:
        super().__init__()
        self.answered = threading.Event()
        self.done = threading.Event()

    def get_password(self, service: str, username: str) -> str | None:
        self.answered.wait(20)
        return super().get_password(service, username)

    def set_password(self, service: str, username: str, password: str) -> None:
        super().set_password(service, username, password)
        self.done.set()


class Chain(ChainerBackend):
    """A chain of these, the first one first."""

    backends: tuple[KeyringBackend, ...] = ()

    def __init__(self, *backends: KeyringBackend) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.backends = backends


@pytest.fixture
def own() -> Iterator[OwnKeyring]:
    own = OwnKeyring()
    with machine_keyring(own):
        yield own


def find(
    directory: Path, storage: str = "keyring", known: str | None = None, seconds: float = 20.0
) -> Keys:
    return find_keys(storage, directory, NAME, known=known, randomness=RANDOMNESS, seconds=seconds)


@pytest.mark.parametrize("backend", [PlaintextKeyring(), SamePlaintextKeyring()])
def test_a_keyring_that_writes_plain_text_is_not_used(backend: OwnKeyring, tmp_path: Path) -> None:
    """Nor one that is made of it; the key goes into a file of its own."""
    with machine_keyring(backend):
        assert find(tmp_path).protection == "key file"
    assert backend.kept == {}


def test_of_a_chain_the_first_that_keeps_secrets_is_used(tmp_path: Path) -> None:
    """A chain asks all of its members: a key in plain text would do for it."""
    plain, own = PlaintextKeyring(), OwnKeyring()
    with machine_keyring(Chain(plain, own)):
        keys = find(tmp_path)
    assert keys.protection == "keyring"
    assert plain.kept == {}
    assert base64.b64decode(own.kept[SERVICE, NAME]) == keys.store + keys.revocation


def test_a_chain_that_keeps_no_secret_is_no_keyring(tmp_path: Path) -> None:
    """Without a member that can be used it is as if there were none."""
    with machine_keyring(Chain(PlaintextKeyring())):
        assert find(tmp_path).protection == "key file"
        with pytest.raises(KeyringUnavailable):
            find(tmp_path, known="keyring")


@pytest.mark.parametrize("known", [None, "keyring"])
def test_whatever_a_backend_raises_is_told_as_one_error(known: str | None, tmp_path: Path) -> None:
    """The cause is kept; no key is made anywhere."""
    backend = FailingKeyring()
    with machine_keyring(backend), pytest.raises(KeyringUnavailable) as raised:
        find(tmp_path, known=known)
    assert isinstance(raised.value.__cause__, RuntimeError)
    assert backend.kept == {}
    assert list(tmp_path.iterdir()) == []


def test_a_keyring_that_prompts_is_waited_for_a_bounded_time(tmp_path: Path) -> None:
    """Then it counts as locked; what it still makes changes no store."""
    backend = PromptingKeyring()
    with machine_keyring(backend):
        with pytest.raises(KeyringUnavailable, match=r"0\.05 seconds"):
            find(tmp_path, seconds=0.05)
        assert backend.kept == {}
        backend.answered.set()
        assert backend.done.wait(20)
        assert find(tmp_path).protection == "keyring"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("entry", ["", "no base64!", base64.b64encode(b"short").decode()])
def test_a_damaged_entry_is_told_and_kept(own: OwnKeyring, entry: str, tmp_path: Path) -> None:
    """Half a key seals nothing, and nobody writes another one over it."""
    own.kept[SERVICE, NAME] = entry
    with pytest.raises(StorageError, match="damaged") as raised:
        find(tmp_path, known="keyring")
    assert not isinstance(raised.value, KeyringUnavailable)
    assert raised.value.remedy
    assert own.kept == {(SERVICE, NAME): entry}


@pytest.mark.parametrize(("known", "storage"), [("keyring", "file"), ("key file", "keyring")])
def test_the_keys_of_a_store_stay_where_they_are(
    own: OwnKeyring, known: str, storage: str, tmp_path: Path
) -> None:
    """Another setting does not move them: what is sealed would no longer open."""
    first = find(tmp_path, "keyring" if known == "keyring" else "file")
    again = find(tmp_path, storage, known=known)
    assert (again, again.protection) == (first, known)


@pytest.mark.parametrize("storage", ["keyring", "file"])
def test_a_key_file_that_is_missing_is_not_made_anew(
    own: OwnKeyring, storage: str, tmp_path: Path
) -> None:
    """A new key would be wrong for all that is sealed already, and hide a file to be restored."""
    with pytest.raises(StorageError, match="missing") as raised:
        find(tmp_path, storage, known="key file")
    assert raised.value.path == str(tmp_path / KEY_FILE)
    assert raised.value.remedy
    assert list(tmp_path.iterdir()) == []
    assert own.kept == {}


@contextlib.contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """Let the system refuse to write more than this to any file, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_half_a_key_file_is_never_there(tmp_path: Path) -> None:
    """What could not be written whole is made again, not taken for a damaged key."""
    with files_of_at_most(10), pytest.raises(StorageError, match="cannot be read or made"):
        find(tmp_path, "file")
    assert not (tmp_path / KEY_FILE).exists()
    keys = find(tmp_path, "file")
    assert find(tmp_path, "file", known="key file") == keys
    assert [path.name for path in tmp_path.iterdir()] == [KEY_FILE]


def test_a_key_file_that_others_may_read_is_closed_to_them(tmp_path: Path) -> None:
    """As a backup may have brought it back."""
    keys = find(tmp_path, "file")
    (tmp_path / KEY_FILE).chmod(0o644)
    assert find(tmp_path, "file", known="key file") == keys
    assert (tmp_path / KEY_FILE).stat().st_mode & 0o777 == 0o600


def test_a_key_file_that_is_no_file_is_told(tmp_path: Path) -> None:
    """The error of the system becomes ours, with the path."""
    (tmp_path / KEY_FILE).mkdir()
    with pytest.raises(StorageError) as raised:
        find(tmp_path, "file", known="key file")
    assert raised.value.path == str(tmp_path / KEY_FILE)


def test_keys_in_memory_are_others_each_time(own: OwnKeyring, tmp_path: Path) -> None:
    """They are kept nowhere."""
    one, other = find(tmp_path, "memory"), find(tmp_path, "memory", known="key file")
    assert one.store != other.store
    assert one.store != one.revocation
    assert one.protection == other.protection == "memory"
    assert own.kept == {}
    assert list(tmp_path.iterdir()) == []
