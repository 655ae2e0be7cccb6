"""Every `AccountStore` tells alike what a change of the signing keys has to know, and ends all sessions when asked."""

from __future__ import annotations

import hashlib

import pytest

from syncauth.server.stores.interface import AccountStore, NewUser, SessionRecord, SessionStatus
from tests.conformance.conftest import OpenStore

NOW = 1_000_000.0
END = NOW + 100.0
TOKEN = hashlib.sha256(b"token").digest()


@pytest.fixture
def store(open_store: OpenStore) -> AccountStore:
    """One open store with two users."""
    opened = open_store()
    for number in (1, 2):
        name = f"user{number}"
        opened.add_user(NewUser(name, name, "local-userpass", name, "hash", {}), NOW)
    return opened


def open_session(store: AccountStore, name: str, of: str = "user1") -> None:
    """Open a session until END."""
    record = SessionRecord(name, of, "device", of, "local-userpass", True, END, None, None)
    assert store.open_session(record, token_hash=TOKEN, now=NOW)


def test_all_sessions_can_be_ended_at_once(store: AccountStore) -> None:
    """Those of all users, and each is told as revoked; those that had ended are not counted."""
    for name, of in (("old", "user1"), ("a", "user1"), ("b", "user2")):
        open_session(store, name, of)
    store.revoke_session("old", NOW)

    assert store.revoke_all(END) == 0
    assert store.revoke_all(NOW + 1) == 2
    for name in ("a", "b"):
        assert store.session_status(name, NOW) is SessionStatus.REVOKED
        assert not store.holds(name, TOKEN, NOW)
    assert store.revoke_all(NOW + 1) == 0


def test_it_is_known_whether_a_session_of_before_lives(store: AccountStore) -> None:
    """One counts that was opened before the moment and has neither ended nor expired."""
    assert not store.lives_from_before(NOW + 1, NOW)
    open_session(store, "a")

    assert not store.lives_from_before(NOW, NOW)
    assert store.lives_from_before(NOW + 1, NOW + 50)
    assert not store.lives_from_before(NOW + 1, END)
    store.revoke_session("a", NOW)
    assert not store.lives_from_before(NOW + 1, NOW)
