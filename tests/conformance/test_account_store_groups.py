"""Every `AccountStore` rotates many sessions at once as it does one by one, and tells of many which have ended."""

from __future__ import annotations

import hashlib

import pytest

from syncauth.server.stores.interface import (
    AccountStore,
    NewUser,
    Rotation,
    RotationOutcome,
    SessionRecord,
    SessionStatus,
)
from tests.conformance.conftest import OpenStore

NOW = 1_000_000.123456789
END = NOW + 100.0
ROTATED, REUSED, ENDED = RotationOutcome.ROTATED, RotationOutcome.REUSED, RotationOutcome.ENDED


@pytest.fixture
def store(open_store: OpenStore) -> AccountStore:
    """A store with two users, the first with custom data."""
    accounts = open_store()
    for name in ("ann", "bob"):
        accounts.add_user(NewUser(name, f"id {name}", "local-userpass", name, None, {}), NOW)
    accounts.set_custom_data("ann", {"plan": "ü"})
    return accounts


def open_session(
    store: AccountStore, name: str, of: str = "ann", *, rotates: bool = True, end: float = END
) -> SessionRecord:
    """Open a session whose first token is "0"."""
    record = SessionRecord(
        name, of, "device", f"id {of}", "local-userpass", rotates, end, None, {"plan": "ü"}
    )
    assert store.open_session(record, token_hash=hashed("0"), now=NOW)
    return record


def hashed(text: str) -> bytes:
    """Return what a store keeps of a token."""
    return hashlib.sha256(text.encode()).digest()


def wanted(
    session: str, token: str, refresh_id: str | None, successor: str, now: float = NOW
) -> Rotation:
    """Present a token."""
    known = None if refresh_id is None else hashed(refresh_id)
    return Rotation(session, hashed(token), known, hashed(successor), now)


def test_many_are_rotated_at_once(store: AccountStore) -> None:
    """Each session gets its own successor, and is told as it stands in the store, to the last digit."""
    records = [open_session(store, f"s{number}", end=END + number / 7) for number in range(300)]

    rotated = store.rotate_all([wanted(f"s{n}", "0", "r", f"1 of {n}") for n in range(300)])

    assert [each.outcome for each in rotated] == [ROTATED] * 300
    assert [each.session for each in rotated] == records
    assert all(store.holds(f"s{number}", hashed(f"1 of {number}"), NOW) for number in range(300))


def test_none_are_rotated_at_once(store: AccountStore) -> None:
    """Nothing comes of nothing."""
    assert store.rotate_all([]) == []


def test_tokens_of_one_session_are_judged_in_their_order(store: AccountStore) -> None:
    """A repeat gets a fresh successor, a chain goes on, a reuse ends it, and what comes after finds it ended."""
    open_session(store, "s")
    open_session(store, "other")

    rotated = store.rotate_all(
        [
            wanted("s", "0", "r", "lost"),
            wanted("other", "0", None, "1"),
            wanted("s", "0", "r", "1"),
            wanted("s", "1", "r2", "2"),
            wanted("s", "lost", "r2", "x"),
            wanted("s", "2", "r3", "3"),
        ]
    )

    assert [(each.outcome, each.reason) for each in rotated] == [
        (ROTATED, None),
        (ROTATED, None),
        (ROTATED, None),
        (ROTATED, None),
        (REUSED, "reuse_detected"),
        (ENDED, "reuse_detected"),
    ]
    assert store.session_status("s", NOW) is SessionStatus.REVOKED
    assert store.holds("other", hashed("1"), NOW)


def test_each_is_told_why_it_was_not_done(store: AccountStore) -> None:
    """Unknown, revoked, expired, disabled and removed stand beside each other, and one that does not rotate."""
    for name in ("revoked", "late", "fine"):
        open_session(store, name)
    open_session(store, "fixed", rotates=False)
    open_session(store, "bobs", of="bob")
    store.revoke_session("revoked", NOW)
    store.disable_user("bob", NOW)

    rotated = store.rotate_all(
        [
            wanted("nobody", "0", None, "1"),
            wanted("revoked", "0", None, "1"),
            wanted("late", "0", None, "1", END),
            wanted("bobs", "0", None, "1"),
            wanted("fixed", "0", None, "1"),
            wanted("fine", "0", None, "1"),
        ]
    )

    assert [each.reason for each in rotated] == [
        "revoked",
        "revoked",
        "expired",
        "user_disabled",
        None,
        None,
    ]
    assert [each.outcome for each in rotated[4:]] == [RotationOutcome.STANDS, ROTATED]
    assert rotated[0].session is None
    assert store.session_status("late", NOW) is SessionStatus.ACTIVE


def test_sessions_that_have_ended_are_found_among_many(store: AccountStore) -> None:
    """Exactly those that are not active are told, each as `session_status` tells it."""
    names = [f"s{number}" for number in range(50)]
    for name in names:
        open_session(store, name, of="bob" if name.endswith("7") else "ann")
    store.revoke_session("s3", NOW)
    store.disable_user("bob", NOW)
    open_session(store, "short", end=NOW + 1)

    asked = [*names, "short", "nobody", 'a "quoted" one']
    found = store.inactive_sessions(asked, NOW + 2)

    told = {name: store.session_status(name, NOW + 2) for name in asked}
    assert found == {
        name: status for name, status in told.items() if status is not SessionStatus.ACTIVE
    }
    assert len(found) == 9
    assert store.inactive_sessions([], NOW) == {}
