"""Subjects of other issuers: every `AccountStore` admits, denies and forgets them alike."""

from __future__ import annotations

import hashlib

import pytest

from syncauth.server.stores.interface import (
    AccountStore,
    LinkOutcome,
    LoginRecord,
    NewUser,
    SessionRecord,
    SessionStatus,
)
from syncauth.server.stores.subjects import (
    CUSTOM_TOKEN,
    FOREIGN,
    DeniedSubject,
    read_subject_session,
    subject_name,
    subject_session,
)
from tests.conformance.conftest import OpenStore

ISS, SUB, NOW = "https://id.example", "ann", 1_000_000.0
NAME = subject_name(ISS, SUB)


def subject(
    number: int = 1, name: str = NAME, *, provider: str = CUSTOM_TOKEN, **data: str
) -> NewUser:
    """Return a subject to be admitted as user `user<number>`, if it is new."""
    ids = f"user{number}", f"identity{number}"
    return NewUser(*ids, provider, name, None, dict(data))


def admit(store: AccountStore, new: NewUser, *, returning: bool = False) -> str:
    """Admit a subject; returns its user's id."""
    record = store.admit_subject(new, NOW, returning=returning)
    assert isinstance(record, LoginRecord)
    return record.user_id


def status(store: AccountStore, user_id: str = "user1", name: str = NAME) -> SessionStatus:
    """Read what the subject's tokens are good for."""
    return store.session_status(store.session_of_subject(user_id, name), NOW)


def open_session(store: AccountStore, name: str, identity: str, provider: str) -> None:
    """Open a session of user1."""
    record = SessionRecord(
        name, "user1", "d", identity, provider, rotates=True, expires_at=NOW + 9,
        end_reason=None, custom_data=None,
    )  # fmt: skip
    assert store.open_session(record, token_hash=hashlib.sha256(b"0").digest(), now=NOW)


def test_subject_is_admitted_once(open_store: OpenStore) -> None:
    """The first token makes the user, by whichever process; the next renews its data alone."""
    store, other = open_store(), open_store()

    assert admit(store, subject(1, name="A")) == "user1"
    assert admit(other, subject(2, name="A", email="a@example.com")) == "user1"

    assert status(other, "user1", "A") is SessionStatus.ACTIVE
    assert admit(store, subject(3, name="B")) == "user3"


def test_subject_has_data_of_its_tokens(store: AccountStore) -> None:
    """What the settings take from the claims is the user's data."""
    admit(store, subject(1, email="old"))
    admit(store, subject(2, email="new"))

    user = store.user("user1")
    assert user is not None
    assert user.data == {"email": "new"}
    assert [each.provider_type for each in user.identities] == [CUSTOM_TOKEN]


def test_what_stands_for_a_session_names_user_and_subject(store: AccountStore) -> None:
    """As another user, or as a subject that is not known, it is good for nothing (I15)."""
    admit(store, subject(1))
    admit(store, subject(2, name="B"))

    assert status(store) is SessionStatus.ACTIVE
    assert status(store, "user2") is SessionStatus.USER_REMOVED
    assert status(store, "user1", "B") is SessionStatus.USER_REMOVED
    assert status(store, "user9", "C") is SessionStatus.USER_REMOVED
    assert store.session_status(NAME, NOW) is SessionStatus.REVOKED


@pytest.mark.parametrize(("issuer", "sub"), [(ISS, SUB), ("a:b", 'x"y'), ("", "ä:subject:")])
def test_names_of_subjects_are_read_back(issuer: str, sub: str) -> None:
    """No issuer or subject reads as another one."""
    name = subject_name(issuer, sub)

    assert read_subject_session(subject_session("u", name, 3)) == ("u", name, 3)
    assert read_subject_session("0a" * 12) is None


def test_denied_subject_is_kept_out(open_store: OpenStore) -> None:
    """A denial is seen by every process; it ends sessions of that subject and no others (I3)."""
    store, other = open_store(), open_store()
    admit(store, subject(1))
    open_session(store, "by token", "identity1", CUSTOM_TOKEN)
    open_session(store, "by key", "key", "api-key")

    ended = other.deny_subject(ISS, SUB, NOW)

    assert ended == ("by token", subject_session("user1", NAME))
    assert status(store) is SessionStatus.USER_DISABLED
    assert store.session_status("by token", NOW) is SessionStatus.REVOKED
    assert store.session_status("by key", NOW) is SessionStatus.ACTIVE
    for returning in (False, True):
        refused = store.admit_subject(subject(2), NOW, returning=returning)
        assert refused is SessionStatus.USER_DISABLED


@pytest.mark.parametrize("provider", FOREIGN)
def test_subjects_of_all_providers_are_alike(store: AccountStore, provider: str) -> None:
    """Denial, disabling, link and removal hold of whichever type the identity is (I3, I15)."""
    admit(store, subject(1, provider=provider))
    admit(store, subject(2, name="B"))
    open_session(store, "by token", "identity1", provider)

    assert status(store) is SessionStatus.ACTIVE
    assert store.deny_subject(ISS, SUB, NOW) == ("by token", subject_session("user1", NAME))
    assert status(store) is SessionStatus.USER_DISABLED
    assert store.link("user2", subject(3, provider=provider), single=False) is LinkOutcome.DENIED
    refused = store.admit_subject(subject(3, provider=provider), NOW, returning=True)
    assert refused is SessionStatus.USER_DISABLED
    store.allow_subject(ISS, SUB)
    assert store.disable_user("user1", NOW) == (subject_session("user1", NAME),)
    assert status(store) is SessionStatus.USER_DISABLED
    store.enable_user("user1")
    assert store.remove_user("user1", NOW) == (subject_session("user1", NAME, 1),)
    assert status(store) is SessionStatus.USER_REMOVED
    barred = store.admit_subject(subject(3, provider=provider), NOW, returning=False)
    assert barred is SessionStatus.USER_REMOVED


def test_a_denial_reaches_every_user_of_the_subject(store: AccountStore) -> None:
    """Whoever had another type before its issuer's section was changed is two users, and both are cut (I3)."""
    admit(store, subject(1))
    admit(store, subject(2, provider="oauth2-google"))
    open_session(store, "before", "identity1", CUSTOM_TOKEN)

    ended = store.deny_subject(ISS, SUB, NOW)

    both = {subject_session("user1", NAME), subject_session("user2", NAME)}
    assert set(ended) == {"before"} | both
    assert len(ended) == len(set(ended))
    assert status(store) is status(store, "user2") is SessionStatus.USER_DISABLED


def test_subject_is_denied_before_it_ever_came(store: AccountStore) -> None:
    """It is then made no user, and stands in the list with the time of the first denial."""
    assert store.deny_subject(ISS, SUB, NOW) == ()
    store.deny_subject(ISS, SUB, NOW + 5)
    store.deny_subject(ISS, "aaron", NOW + 6)

    assert store.admit_subject(subject(1), NOW, returning=True) is SessionStatus.USER_DISABLED
    assert store.find_login(CUSTOM_TOKEN, NAME) is None
    assert store.denied_subjects() == (
        DeniedSubject(ISS, "aaron", NOW + 6),
        DeniedSubject(ISS, SUB, NOW),
    )


def test_allowed_subject_is_the_same_user_again(store: AccountStore) -> None:
    """Only whoever is kept out can be let in."""
    admit(store, subject(1))
    assert not store.allow_subject(ISS, SUB)
    store.deny_subject(ISS, SUB, NOW)

    assert store.allow_subject(ISS, SUB)

    assert admit(store, subject(2)) == "user1"
    assert status(store) is SessionStatus.ACTIVE
    assert store.denied_subjects() == ()


def test_logout_ends_what_was_opened_before(open_store: OpenStore) -> None:
    """Every process sees it, also after a second one; the subject may come again, and others stay (I3)."""
    store, other = open_store(), open_store()
    admit(store, subject(1))
    admit(store, subject(2, name="B"))
    before = store.session_of_subject("user1", NAME)
    others = store.session_of_subject("user2", "B")

    for _ in range(2):
        assert other.revoke_user("user1", NOW) == (before,)

        assert store.session_status(before, NOW) is SessionStatus.REVOKED
        assert store.inactive_sessions([before, others], NOW) == {before: SessionStatus.REVOKED}
        assert admit(store, subject(3)) == "user1"
        before = store.session_of_subject("user1", NAME)
        assert store.session_status(before, NOW) is SessionStatus.ACTIVE


def test_enabling_does_not_bring_back_what_was_open(store: AccountStore) -> None:
    """A user disabled and enabled within the look once a second has its sockets cut all the same (I3)."""
    admit(store, subject(1))
    before = store.session_of_subject("user1", NAME)
    store.disable_user("user1", NOW)
    store.enable_user("user1")

    assert store.session_status(before, NOW) is SessionStatus.REVOKED
    assert status(store) is SessionStatus.ACTIVE


def test_disabled_user_is_kept_out(store: AccountStore) -> None:
    """Disabling a user disables its tokens of other issuers, and tells which sockets to cut."""
    admit(store, subject(1))

    assert store.disable_user("user1", NOW) == (subject_session("user1", NAME),)

    assert status(store) is SessionStatus.USER_DISABLED
    assert store.admit_subject(subject(2), NOW, returning=True) is SessionStatus.USER_DISABLED
    store.enable_user("user1")
    assert admit(store, subject(3)) == "user1"


def test_removed_user_does_not_come_back_by_itself(store: AccountStore) -> None:
    """Its tokens stay good at their issuer, and make no new user here; its name is not kept."""
    admit(store, subject(1))

    assert store.remove_user("user1", NOW) == (subject_session("user1", NAME),)

    assert status(store) is SessionStatus.USER_REMOVED
    assert store.admit_subject(subject(2), NOW, returning=False) is SessionStatus.USER_REMOVED
    assert store.denied_subjects() == ()


def test_removed_user_comes_back_by_a_login(store: AccountStore) -> None:
    """Whoever logs in again is a new user, and what the old one had open stays ended (I15)."""
    admit(store, subject(1))
    store.remove_user("user1", NOW)

    assert admit(store, subject(2), returning=True) == "user2"

    assert status(store, "user1") is SessionStatus.USER_REMOVED
    assert status(store, "user2") is SessionStatus.ACTIVE
    assert admit(store, subject(3)) == "user2"


def test_removed_subject_is_let_in_by_hand(store: AccountStore) -> None:
    """Allowing it is the other way back; a denial of it stands above its removal."""
    admit(store, subject(1))
    store.remove_user("user1", NOW)
    store.deny_subject(ISS, SUB, NOW)
    assert store.admit_subject(subject(2), NOW, returning=True) is SessionStatus.USER_DISABLED

    assert store.allow_subject(ISS, SUB)

    assert admit(store, subject(3)) == "user3"


def test_denied_subject_is_not_linked(store: AccountStore) -> None:
    """Nobody takes in an identity that is kept out, and one that was removed comes back by it."""
    admit(store, subject(1, name="A"))
    store.deny_subject(ISS, SUB, NOW)
    assert store.link("user1", subject(2), single=False) is LinkOutcome.DENIED

    store.allow_subject(ISS, SUB)
    assert store.link("user1", subject(2), single=False) is LinkOutcome.LINKED
    assert admit(store, subject(3)) == "user1"


def test_subject_that_came_is_nobody_elses(store: AccountStore) -> None:
    """Whoever was admitted on the socket has logged in: its identity is not taken over by a link."""
    admit(store, subject(1, name="A"))
    admit(store, subject(2))

    assert store.link("user1", subject(3), single=False) is LinkOutcome.TAKEN
