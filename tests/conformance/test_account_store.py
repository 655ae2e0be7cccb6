"""Every `AccountStore` behaves alike; each test runs against each implementation."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import replace

import pytest

from syncauth.server.stores.interface import (
    AccountStore,
    IdentityRecord,
    LoginRecord,
    NewUser,
    RotationOutcome,
    SessionRecord,
    SessionStatus,
    UserRecord,
)
from tests.conformance.conftest import OpenStore

NOW = 1_000_000.0
END = NOW + 100.0


def hashed(text: str) -> bytes:
    """Return what a store keeps of a token."""
    return hashlib.sha256(text.encode()).digest()


def user(number: int = 1, name: str | None = None) -> NewUser:
    """Return a user to be made."""
    email = name or f"{number}@example.com"
    return NewUser(
        f"user{number}", f"identity{number}", "local-userpass", email, "hash", {"email": email}
    )


def session(name: str = "s", of: str = "user1", *, rotates: bool = True) -> SessionRecord:
    """Return a session to be opened, ending at END."""
    return SessionRecord(
        name, of, "device", "identity1", "local-userpass", rotates, END, None, None
    )


def open_session(
    store: AccountStore, name: str = "s", of: str = "user1", *, rotates: bool = True
) -> None:
    """Open a session whose first token is "0"."""
    opened = store.open_session(session(name, of, rotates=rotates), token_hash=hashed("0"), now=NOW)
    assert opened


def rotate(
    store: AccountStore, token: str, refresh_id: str | None, successor: str, now: float = NOW
) -> RotationOutcome:
    """Present a token of session "s"."""
    return store.rotate(
        "s",
        presented=hashed(token),
        refresh_id=None if refresh_id is None else hashed(refresh_id),
        successor=hashed(successor),
        now=now,
    )


def test_user_is_found_again(store: AccountStore) -> None:
    """A user that was made is found by its identity and by its id, a stranger by neither."""
    assert store.add_user(user(), NOW)

    assert store.find_login("local-userpass", "1@example.com") == LoginRecord(
        "user1", "identity1", "hash", None
    )
    assert store.user("user1") == UserRecord(
        "user1",
        {"email": "1@example.com"},
        (IdentityRecord("identity1", "local-userpass", "1@example.com"),),
    )
    assert store.find_login("local-userpass", "2@example.com") is None
    assert store.find_login("anon-user", "1@example.com") is None
    assert store.user("user2") is None
    store.ping()


def test_name_is_taken_once(store: AccountStore) -> None:
    """A second user of the same name is not made, and the first one stays as it is."""
    assert store.add_user(user(1, "ä@example.com"), NOW)

    assert not store.add_user(user(2, "ä@example.com"), NOW)
    assert store.user("user2") is None
    found = store.find_login("local-userpass", "ä@example.com")
    assert found is not None
    assert found.user_id == "user1"


def test_custom_data_goes_with_login_and_session(store: AccountStore) -> None:
    """What is set as custom data is told at the next login and with every session of the user."""
    store.add_user(user(), NOW)
    open_session(store)

    assert store.set_custom_data("user1", {"plan": "free", "n": 1.5})
    assert not store.set_custom_data("nobody", {})

    found = store.find_login("local-userpass", "1@example.com")
    kept = store.session("s")
    assert found is not None
    assert kept is not None
    assert found.custom_data == kept.custom_data == {"plan": "free", "n": 1.5}


def test_session_is_kept_as_opened(store: AccountStore) -> None:
    """A session is read back as it was opened; of an unknown one nothing is said."""
    store.add_user(user(), NOW)
    for rotates in (True, False):
        open_session(store, f"s{rotates}", rotates=rotates)

        assert store.session(f"s{rotates}") == session(f"s{rotates}", rotates=rotates)

    assert store.session("other") is None


def test_session_lives_until_its_end(store: AccountStore) -> None:
    """A session is active until just before its end; an unknown one counts as revoked."""
    store.add_user(user(), NOW)
    open_session(store)

    assert store.session_status("s", NOW) is SessionStatus.ACTIVE
    assert store.session_status("s", END - 0.001) is SessionStatus.ACTIVE
    assert store.session_status("s", END) is SessionStatus.EXPIRED
    assert store.session_status("other", NOW) is SessionStatus.REVOKED


def test_rotation_goes_on_for_ever(store: AccountStore) -> None:
    """Each token is replaced by its successor, with or without a refresh id."""
    store.add_user(user(), NOW)
    open_session(store)

    for number in range(10):
        refresh_id = f"r{number}" if number % 2 else None
        outcome = rotate(store, str(number), refresh_id, str(number + 1))
        assert outcome is RotationOutcome.ROTATED

    assert store.session_status("s", NOW) is SessionStatus.ACTIVE


def test_repeat_with_the_same_refresh_id_gets_a_fresh_successor(store: AccountStore) -> None:
    """A lost answer may be asked for again, often and late; the last successor is the one."""
    store.add_user(user(), NOW)
    open_session(store)

    for number in range(5):
        outcome = rotate(store, "0", "r", f"lost{number}", END - 1)
        assert outcome is RotationOutcome.ROTATED

    assert rotate(store, "lost4", "r2", "2") is RotationOutcome.ROTATED


@pytest.mark.parametrize(
    ("token", "refresh_id"),
    [
        pytest.param("0", "other", id="spent token, other refresh id"),
        pytest.param("0", None, id="spent token, no refresh id"),
        pytest.param("lost", "r", id="the unused successor that died"),
        pytest.param("stranger", "r", id="a token that never was"),
    ],
)
def test_any_other_reuse_revokes_the_session(
    store: AccountStore, token: str, refresh_id: str | None
) -> None:
    """Whatever is neither the present token nor a rightful repeat ends the whole session."""
    store.add_user(user(), NOW)
    open_session(store)
    rotate(store, "0", "r", "lost")
    rotate(store, "0", "r", "1")

    assert rotate(store, token, refresh_id, "2") is RotationOutcome.REUSED

    assert store.session_status("s", NOW) is SessionStatus.REVOKED
    ended = store.session("s")
    assert ended is not None
    assert ended.end_reason == "reuse_detected"
    for token_after in ("0", "1", "2", "lost"):
        assert rotate(store, token_after, "r", "3") is RotationOutcome.ENDED


def test_repeat_ends_when_the_successor_is_used(store: AccountStore) -> None:
    """Once the successor has been used, the token before it is reuse, even with its refresh id."""
    store.add_user(user(), NOW)
    open_session(store)
    rotate(store, "0", "r0", "1")
    rotate(store, "1", "r1", "2")

    assert rotate(store, "0", "r0", "x") is RotationOutcome.REUSED


def test_token_rotated_without_refresh_id_cannot_be_repeated(store: AccountStore) -> None:
    """A rotation without a refresh id has no repeat: absence is not an id that matches."""
    store.add_user(user(), NOW)
    open_session(store)
    rotate(store, "0", None, "1")

    assert rotate(store, "0", None, "x") is RotationOutcome.REUSED


def test_session_that_does_not_rotate_keeps_its_token(store: AccountStore) -> None:
    """A non-rotating session accepts its one token again and again, and no other."""
    store.add_user(user(), NOW)
    open_session(store, rotates=False)

    for _ in range(3):
        assert rotate(store, "0", "r", "1") is RotationOutcome.STANDS
    assert rotate(store, "1", "r", "2") is RotationOutcome.REUSED


def test_ended_session_rotates_no_more(store: AccountStore) -> None:
    """A session that is over or unknown gives no token, and its reuse is not told as reuse."""
    store.add_user(user(), NOW)
    open_session(store)

    assert rotate(store, "0", "r", "1", now=END) is RotationOutcome.ENDED
    assert store.revoke_session("s", NOW)
    assert rotate(store, "0", "r", "1") is RotationOutcome.ENDED
    assert (
        store.rotate("other", presented=b"", refresh_id=None, successor=b"x", now=NOW)
        is RotationOutcome.ENDED
    )


def test_session_is_revoked_once(store: AccountStore) -> None:
    """Revoking says whether there was anything to revoke."""
    store.add_user(user(), NOW)
    open_session(store)

    assert store.revoke_session("s", NOW)
    assert not store.revoke_session("s", NOW)
    assert not store.revoke_session("other", NOW)
    ended = store.session("s")
    assert ended == replace(session(), end_reason="revoked")


def test_all_sessions_of_a_user_end_together(store: AccountStore) -> None:
    """Revoking a user ends its active sessions, names them, and leaves other users alone."""
    store.add_user(user(1), NOW)
    store.add_user(user(2), NOW)
    open_session(store, "a", "user1")
    open_session(store, "b", "user1")
    open_session(store, "old", "user1")
    open_session(store, "c", "user2")
    store.revoke_session("old", NOW)

    assert set(store.revoke_user("user1", NOW)) == {"a", "b"}

    assert store.session_status("a", NOW) is SessionStatus.REVOKED
    assert store.session_status("c", NOW) is SessionStatus.ACTIVE
    assert store.revoke_user("user1", NOW) == ()


def test_disabled_user_has_no_session_and_gets_none(store: AccountStore) -> None:
    """Disabling ends the sessions and forbids logins; enabling allows logins, not old sessions."""
    store.add_user(user(), NOW)
    open_session(store)

    assert store.disable_user("user1", NOW) == ("s",)
    assert store.session_status("s", NOW) is SessionStatus.USER_DISABLED
    assert not store.open_session(session("t"), token_hash=hashed("0"), now=NOW)
    assert store.find_login("local-userpass", "1@example.com") is not None

    assert store.enable_user("user1")
    assert not store.enable_user("nobody")
    assert store.session_status("s", NOW) is SessionStatus.REVOKED
    open_session(store, "t")


def test_removed_user_leaves_nothing_but_the_reason(store: AccountStore) -> None:
    """Removing erases identity and data, frees the name, and its sessions tell why they ended."""
    store.add_user(user(), NOW)
    store.set_custom_data("user1", {"a": 1})
    open_session(store)

    assert store.remove_user("user1", NOW) == ("s",)

    assert store.session_status("s", NOW) is SessionStatus.USER_REMOVED
    assert store.user("user1") is None
    assert store.find_login("local-userpass", "1@example.com") is None
    assert not store.enable_user("user1")
    assert not store.set_custom_data("user1", {})
    assert store.disable_user("user1", NOW) == ()
    assert store.session_status("s", NOW) is SessionStatus.USER_REMOVED
    assert not store.open_session(session("t"), token_hash=hashed("0"), now=NOW)
    assert store.add_user(user(2, "1@example.com"), NOW)


def test_unknown_user_gets_no_session(store: AccountStore) -> None:
    """A session for a user that does not exist is not opened."""
    assert not store.open_session(session("t", "nobody"), token_hash=hashed("0"), now=NOW)
    assert store.session("t") is None


def test_old_sessions_are_forgotten_in_bounded_steps(store: AccountStore) -> None:
    """Only sessions whose life ended before the given time are deleted, so many at once at most."""
    store.add_user(user(), NOW)
    for number in range(5):
        open_session(store, f"s{number}")

    assert store.forget_sessions(END, 10) == 0
    assert store.forget_sessions(END + 1, 3) == 3
    assert store.forget_sessions(END + 1, 3) == 2
    assert store.session("s0") is None


def test_what_one_process_does_the_other_sees(open_store: OpenStore) -> None:
    """A revocation in one store is what the other store answers next, without being told."""
    one, other = open_store(), open_store()
    one.add_user(user(), NOW)
    open_session(one)
    assert other.session_status("s", NOW) is SessionStatus.ACTIVE

    one.revoke_session("s", NOW)

    assert other.session_status("s", NOW) is SessionStatus.REVOKED
    assert rotate(other, "0", "r", "1") is RotationOutcome.ENDED


def test_failed_call_changes_nothing(open_store: OpenStore) -> None:
    """A call that fails half way is undone, and the store goes on working."""
    store = open_store()
    store.add_user(user(), NOW)
    open_session(store)

    with pytest.raises(sqlite3.IntegrityError):
        store.add_user(replace(user(), provider_id="new@example.com"), NOW)

    assert store.find_login("local-userpass", "new@example.com") is None
    assert store.add_user(user(2), NOW)
    assert open_store().user("user2") is not None
