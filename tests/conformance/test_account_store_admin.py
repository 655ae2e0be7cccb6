"""Every `AdminStore` lists users and sessions and keeps admin keys and lifetimes alike."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from syncauth.server.stores.admin_interface import (
    AccountRecord,
    AdminKeyRecord,
    AdminStore,
    Lifetime,
    OpenSession,
    UserFilter,
)
from syncauth.server.stores.interface import IdentityRecord, NewUser, SessionRecord
from tests.conformance.conftest import OpenStore

NOW = 1_000_000.0
END = NOW + 100.0
EVERYBODY = UserFilter()


def add_user(store: AdminStore, name: str, provider: str = "local-userpass") -> None:
    """Make a user whose id is its name."""
    user = NewUser(name, f"i-{name}", provider, f"{name}@example.com", None, {"email": name})
    assert store.add_user(user, NOW)


def open_session(store: AdminStore, name: str, of: str, now: float = NOW) -> None:
    """Open a session that ends at END."""
    record = SessionRecord(name, of, "device", "i", "local-userpass", True, END, None, None)
    assert store.open_session(record, token_hash=name.encode(), now=now)


def key(number: int = 1) -> AdminKeyRecord:
    """Return an admin key to be kept."""
    hashed = hashlib.sha256(str(number).encode()).digest()
    return AdminKeyRecord(f"key{number}", f"name{number}", hashed, False, NOW + number)


def ids(found: tuple[AccountRecord, ...]) -> list[str]:
    """Return whose accounts these are."""
    return [each.user_id for each in found]


def test_account_tells_what_an_administrator_asks(store: AdminStore) -> None:
    """A user has its state, when it was made, its last login, data and identities; a stranger nothing."""
    add_user(store, "a")
    identity = IdentityRecord("i-a", "local-userpass", "a@example.com")
    made = AccountRecord("a", False, NOW, None, {"email": "a"}, (identity,))

    assert store.account("a") == made
    assert store.account("b") is None

    open_session(store, "s1", "a", NOW + 1)
    open_session(store, "s2", "a", NOW + 2)
    store.disable_user("a", NOW + 3)
    assert store.account("a") == replace(made, disabled=True, last_login_at=NOW + 2)

    store.remove_user("a", NOW + 4)
    assert store.account("a") is None
    assert store.accounts(EVERYBODY, after=None, limit=9) == ()


def test_pages_of_users_miss_and_repeat_nobody(store: AdminStore) -> None:
    """Page after page gives every user once, in either direction, while users come and go."""
    names = [f"{number:03}" for number in range(25)]
    for name in reversed(names):
        add_user(store, name)

    found: list[str] = []
    after: str | None = None
    while page := store.accounts(EVERYBODY, after=after, limit=10):
        assert len(page) <= 10
        found += ids(page)
        after = found[-1]
        # The last one of a page may be gone when the next page is asked for.
        store.remove_user(after, NOW)

    assert found == names
    assert ids(store.accounts(EVERYBODY, after=None, limit=3, descending=True)) == [
        "023",
        "022",
        "021",
    ]
    assert ids(store.accounts(EVERYBODY, after="002", limit=9, descending=True)) == ["001", "000"]


def test_ids_are_compared_as_bytes(store: AdminStore) -> None:
    """Upper case comes before lower case, whatever language the machine speaks."""
    for name in ("b", "A", "a", "B"):
        add_user(store, name)

    assert ids(store.accounts(EVERYBODY, after=None, limit=9)) == ["A", "B", "a", "b"]
    assert ids(store.accounts(EVERYBODY, after="B", limit=9)) == ["a", "b"]


def test_users_are_filtered_before_they_are_paged(store: AdminStore) -> None:
    """Only those in the wanted state, and with one of the wanted providers, fill a page."""
    for number in range(6):
        add_user(store, str(number), "anon-user" if number % 2 else "local-userpass")
    store.disable_user("3", NOW)
    store.disable_user("4", NOW)

    def found(only: UserFilter, limit: int = 9) -> list[str]:
        return ids(store.accounts(only, after=None, limit=limit))

    assert found(UserFilter(disabled=True)) == ["3", "4"]
    assert found(UserFilter(disabled=False), 3) == ["0", "1", "2"]
    assert found(UserFilter(providers=("anon-user",))) == ["1", "3", "5"]
    assert found(UserFilter(False, ("anon-user", "api-key"))) == ["1", "5"]
    assert found(UserFilter(providers=("api-key",))) == []


def test_open_sessions_are_those_that_are_active(store: AdminStore) -> None:
    """Neither ended nor expired sessions are told, nor those of others."""
    for name in ("a", "b"):
        add_user(store, name)
    open_session(store, "s2", "a", NOW + 2)
    open_session(store, "s1", "a", NOW + 1)
    open_session(store, "ended", "a", NOW + 3)
    open_session(store, "other", "b", NOW + 3)
    store.revoke_session("ended", NOW + 4)

    found = store.open_sessions("a", NOW + 5)

    assert [each.session_id for each in found] == ["s1", "s2"]
    assert found[0] == OpenSession("s1", "a", "device", "local-userpass", True, NOW + 1, END)
    assert store.open_sessions("a", END) == ()
    assert store.open_sessions("nobody", NOW) == ()


def test_admin_key_is_kept_as_it_was_added(store: AdminStore) -> None:
    """A key is found by its id, with its hash, which no `repr` shows (I10)."""
    for number in (2, 1):
        assert store.add_admin_key(key(number))

    assert store.admin_key("key1") == key(1)
    assert store.admin_key("key3") is None
    assert store.admin_keys() == (key(1), key(2))
    assert repr(key(1).key_hash) not in repr(key(1))


def test_names_of_admin_keys_are_taken_once(store: AdminStore) -> None:
    """A second key of a name is refused, and the first one stays; after its removal the name is free."""
    assert store.add_admin_key(key(1))

    assert not store.add_admin_key(replace(key(2), name="name1"))
    assert store.admin_keys() == (key(1),)
    assert store.remove_admin_key("key1")
    assert store.add_admin_key(replace(key(2), name="name1"))


def test_admin_keys_are_disabled_enabled_and_removed(store: AdminStore) -> None:
    """Each is said of a key that is there, and denied of one that is not."""
    store.add_admin_key(key())

    assert store.set_admin_key_disabled("key1", disabled=True)
    assert store.admin_key("key1") == replace(key(), disabled=True)
    assert store.set_admin_key_disabled("key1", disabled=False)
    assert store.admin_key("key1") == key()
    assert store.remove_admin_key("key1")
    assert store.admin_key("key1") is None
    assert not store.remove_admin_key("key1")
    assert not store.set_admin_key_disabled("key1", disabled=True)


def test_lifetimes_are_seen_by_every_process(open_store: OpenStore) -> None:
    """What one process changes the other reads next; without a change the settings say it."""
    one, other = open_store(), open_store()
    assert other.changed_lifetimes() == {}

    one.change_lifetime(Lifetime.ACCESS, 60)
    one.change_lifetime(Lifetime.REFRESH, 1800)
    one.change_lifetime(Lifetime.ACCESS, 90)
    assert other.changed_lifetimes() == {Lifetime.ACCESS: 90, Lifetime.REFRESH: 1800}

    one.change_lifetime(Lifetime.REFRESH, None)
    one.change_lifetime(Lifetime.REFRESH, None)
    assert other.changed_lifetimes() == {Lifetime.ACCESS: 90}
