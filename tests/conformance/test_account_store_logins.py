"""Every `AccountStore` keeps links, tokens by mail and API keys alike."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from syncauth.server.stores.interface import (
    AccountStore,
    AddKeyOutcome,
    ApiKeyRecord,
    EmailPurpose,
    EmailToken,
    IdentityRecord,
    LinkOutcome,
    LoginRecord,
    NewUser,
    SessionRecord,
    SessionStatus,
)

NOW = 1_000_000.0
END = NOW + 100.0
KEY = hashlib.sha256(b"key").digest()
TOKEN = hashlib.sha256(b"token").digest()


def user(number: int, provider: str = "local-userpass") -> NewUser:
    """Return a user to be made."""
    email = f"{number}@example.com"
    return NewUser(f"user{number}", f"identity{number}", provider, email, "hash", {"email": email})


def open_session(
    store: AccountStore, name: str, of: str, provider: str = "x", identity: str = "i"
) -> None:
    """Open a session whose token is "token"."""
    record = SessionRecord(name, of, "device", identity, provider, True, END, None, None)
    assert store.open_session(record, token_hash=TOKEN, now=NOW)


def key(number: int = 1, of: str = "user1") -> ApiKeyRecord:
    """Return an API key to be added."""
    return ApiKeyRecord(f"key{number}", of, f"name{number}", disabled=False)


def put(
    store: AccountStore, purpose: EmailPurpose, token_id: str = "t", *, number: int = 1
) -> None:
    """Keep a token that was sent to the address of a user."""
    email = f"{number}@example.com"
    store.put_email_token(EmailToken(purpose, email, token_id, TOKEN, END), NOW)


def test_admitting_makes_a_user_once(store: AccountStore) -> None:
    """Who is admitted again is the same user, with its data renewed and the rest kept."""
    first = store.admit(replace(user(1), data={"a": 1, "b": 1}), NOW)
    again = store.admit(replace(user(1), user_id="other", data={"b": 2}), NOW)

    assert first == again == LoginRecord("user1", "identity1", "hash", None)
    assert store.user("other") is None
    found = store.user("user1")
    assert found is not None
    assert found.data == {"a": 1, "b": 2}


def test_linking_a_new_identity_keeps_the_user(store: AccountStore) -> None:
    """The identity becomes the user's, once; the user's own data wins over the identity's."""
    store.add_user(replace(user(1, "anon-user"), data={"email": "mine"}), NOW)
    more = replace(user(2), data={"email": "2@example.com", "more": 1})

    assert store.link("user1", more, single=True) is LinkOutcome.LINKED
    assert store.link("user1", more, single=True) is LinkOutcome.OWN

    found = store.user("user1")
    assert found is not None
    assert found.data == {"email": "mine", "more": 1}
    assert IdentityRecord("identity2", "local-userpass", "2@example.com") in found.identities


def test_linking_takes_over_an_account_that_nobody_has_used(store: AccountStore) -> None:
    """An account that was registered for the link is the user's then, with its password."""
    store.add_user(user(1, "anon-user"), NOW)
    store.add_user(user(2), NOW)

    assert store.link("user1", user(2), single=True) is LinkOutcome.LINKED

    found = store.find_login("local-userpass", "2@example.com")
    assert found == LoginRecord("user1", "identity2", "hash", None)
    assert store.user("user2") is None


def test_linking_takes_nothing_that_is_somebody_s(store: AccountStore) -> None:
    """An account that has been used, or a second one of a provider that allows one, is refused."""
    store.add_user(user(1), NOW)
    store.add_user(user(2), NOW)
    open_session(store, "s", "user2")

    assert store.link("user1", user(2), single=False) is LinkOutcome.TAKEN
    assert store.link("user1", user(3), single=True) is LinkOutcome.SECOND
    assert store.link("nobody", user(3), single=False) is LinkOutcome.NO_USER
    found = store.find_login("local-userpass", "2@example.com")
    assert found is not None
    assert found.user_id == "user2"
    assert store.find_login("local-userpass", "3@example.com") is None


def test_disabled_user_gets_no_identity(store: AccountStore) -> None:
    """Whoever may not log in may not link either."""
    store.add_user(user(1), NOW)
    store.disable_user("user1", NOW)

    assert store.link("user1", user(2), single=False) is LinkOutcome.NO_USER


def test_present_token_is_held_and_no_other(store: AccountStore) -> None:
    """Only the present token of an active session counts, and looking does not use it up."""
    store.add_user(user(1), NOW)
    open_session(store, "s", "user1")

    for _ in range(2):
        assert store.holds("s", TOKEN, NOW)
    assert not store.holds("s", KEY, NOW)
    assert not store.holds("other", TOKEN, NOW)
    assert not store.holds("s", TOKEN, END)
    store.revoke_session("s", NOW)
    assert not store.holds("s", TOKEN, NOW)


def test_address_is_confirmed_once_by_its_token(store: AccountStore) -> None:
    """The right token in its time confirms, and is spent by it."""
    store.add_user(replace(user(1), confirmed=False), NOW)
    put(store, EmailPurpose.CONFIRM)

    assert not store.confirm_email("t", KEY, NOW)
    assert not store.confirm_email("other", TOKEN, NOW)
    assert not store.confirm_email("t", TOKEN, END)
    found = store.find_login("local-userpass", "1@example.com")
    assert found is not None
    assert not found.confirmed
    assert store.confirm_email("t", TOKEN, NOW)
    assert not store.confirm_email("t", TOKEN, NOW)
    found = store.find_login("local-userpass", "1@example.com")
    assert found is not None
    assert found.confirmed


def test_a_later_token_replaces_the_earlier(store: AccountStore) -> None:
    """Of two mails only the last one counts; one for another purpose does not disturb it."""
    store.add_user(replace(user(1), confirmed=False), NOW)
    put(store, EmailPurpose.CONFIRM, "first")
    put(store, EmailPurpose.CONFIRM, "last")
    put(store, EmailPurpose.RESET, "reset")

    assert not store.confirm_email("first", TOKEN, NOW)
    assert not store.confirm_email("reset", TOKEN, NOW)
    assert store.confirm_email("last", TOKEN, NOW)


def test_reset_sets_the_password_and_ends_the_sessions(store: AccountStore) -> None:
    """Whoever was logged in with the old password is not any more; the mailbox counts as proof."""
    store.add_user(replace(user(1), confirmed=False), NOW)
    open_session(store, "s", "user1")
    put(store, EmailPurpose.RESET)

    assert store.reset_password("t", KEY, "new", NOW) is None
    assert store.reset_password("t", TOKEN, "new", NOW) == ("s",)
    assert store.reset_password("t", TOKEN, "newer", NOW) is None

    assert store.session_status("s", NOW) is SessionStatus.REVOKED
    assert store.find_login("local-userpass", "1@example.com") == LoginRecord(
        "user1", "identity1", "new", None
    )


def test_tokens_of_unknown_addresses_do_nothing(store: AccountStore) -> None:
    """They are kept, so that the clock tells nothing, and lead nowhere."""
    put(store, EmailPurpose.CONFIRM, "c", number=7)
    put(store, EmailPurpose.RESET, "r", number=7)

    assert not store.confirm_email("c", TOKEN, NOW)
    assert store.reset_password("r", TOKEN, "new", NOW) is None
    assert not store.mark_confirmed("7@example.com")
    assert store.set_password("7@example.com", "new", NOW) is None


def test_password_and_confirmation_can_be_set_without_a_token(store: AccountStore) -> None:
    """A function of the team may vouch for an address, or for whoever resets a password."""
    store.add_user(replace(user(1), confirmed=False), NOW)

    assert store.mark_confirmed("1@example.com")
    assert store.set_password("1@example.com", "new", NOW) == ()
    assert store.find_login("local-userpass", "1@example.com") == LoginRecord(
        "user1", "identity1", "new", None
    )


def test_api_key_finds_its_user(store: AccountStore) -> None:
    """A key leads to its user and its own id; it is listed without its hash."""
    store.add_user(user(1), NOW)

    assert store.add_api_key(key(), key_hash=KEY, limit=2, now=NOW) is AddKeyOutcome.ADDED
    assert store.find_api_key(KEY) == LoginRecord("user1", "key1", None, None)
    assert store.find_api_key(TOKEN) is None
    assert store.api_keys("user1") == (key(),)
    assert store.api_keys("user2") == ()


def test_api_keys_are_limited(store: AccountStore) -> None:
    """No more than the limit, no name twice, none for strangers and anonymous users."""
    store.add_user(user(1), NOW)
    store.add_user(user(2, "anon-user"), NOW)

    def add(record: ApiKeyRecord) -> AddKeyOutcome:
        return store.add_api_key(record, key_hash=record.key_id.encode(), limit=2, now=NOW)

    assert add(key(1)) is AddKeyOutcome.ADDED
    assert add(replace(key(2), name="name1")) is AddKeyOutcome.NAME_TAKEN
    assert add(key(3)) is AddKeyOutcome.ADDED
    assert add(key(4)) is AddKeyOutcome.TOO_MANY
    assert add(key(5, "user2")) is AddKeyOutcome.ANONYMOUS
    assert add(key(6, "nobody")) is AddKeyOutcome.NO_USER


@pytest.mark.parametrize("how", ["disable", "remove"])
def test_a_key_that_is_withdrawn_ends_its_sessions(store: AccountStore, how: str) -> None:
    """What was opened with the key ends with it; other sessions of the user live."""
    store.add_user(user(1), NOW)
    store.add_api_key(key(), key_hash=KEY, limit=2, now=NOW)
    open_session(store, "by key", "user1", "api-key", "key1")
    open_session(store, "by password", "user1", "local-userpass", "identity1")

    def withdraw(of: str) -> tuple[str, ...] | None:
        if how == "remove":
            return store.remove_api_key(of, "key1", NOW)
        return store.set_api_key_disabled(of, "key1", disabled=True, now=NOW)

    assert withdraw("user2") is None
    assert withdraw("user1") == ("by key",)
    assert store.find_api_key(KEY) is None
    assert store.session_status("by key", NOW) is SessionStatus.REVOKED
    assert store.session_status("by password", NOW) is SessionStatus.ACTIVE
    again = store.set_api_key_disabled("user1", "key1", disabled=False, now=NOW)
    assert again == (None if how == "remove" else ())
    assert (store.find_api_key(KEY) is None) == (how == "remove")


def test_removed_user_leaves_no_key_and_no_token(store: AccountStore) -> None:
    """With the user goes whatever could bring it back."""
    store.add_user(user(1), NOW)
    store.add_api_key(key(), key_hash=KEY, limit=2, now=NOW)
    put(store, EmailPurpose.RESET)

    store.remove_user("user1", NOW)
    store.add_user(replace(user(2), provider_id="1@example.com"), NOW)

    assert store.find_api_key(KEY) is None
    assert store.reset_password("t", TOKEN, "new", NOW) is None
