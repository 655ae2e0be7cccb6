"""Users through the admin API, in the shapes of App Services."""

from __future__ import annotations

import httpx

from syncauth.server.stores.interface import NewUser
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from tests.integration.admin.conftest import NOBODY, Admin, AdminServer
from tests.support.socket_device import APP as CLIENT_APP, BASE as CLIENT, Account

PROVIDER = f"{CLIENT_APP}/auth/providers/local-userpass"


def try_login(server: AdminServer, email: str, password: str = "correct horse") -> httpx.Response:
    """Ask for a session as a client does."""
    body = {"username": email, "password": password, "options": {"rotate": True}}
    return httpx.post(f"{server.url}{PROVIDER}/login", json=body)


def add_users(server: AdminServer, count: int) -> list[str]:
    """Make users beside the server that runs; returns their ids in order."""
    connection = open_server_file(server.data / "server.db", "")
    store = SqliteAccounts(connection)
    names = [f"{number:024x}" for number in range(1, count + 1)]
    for number, name in enumerate(names):
        provider = "anon-user" if number % 5 == 0 else "local-userpass"
        user = NewUser(name, name, provider, f"{name}@example.com", None, {"email": name})
        assert store.add_user(user, 1000.0 + number)
    connection.close()
    return names


def test_user_is_told_as_app_services_does(admin: Admin, ann: Account) -> None:
    """One user, and the only one of the list, has identities, dates, state and data, and no hash."""
    found = admin.ask("GET", f"/users/{ann.user}")
    listed = admin.ask("GET", "/users").json()

    assert found.status_code == 200
    user = found.json()
    assert listed == [user]
    assert set(user) == {
        "_id",
        "identities",
        "type",
        "creation_date",
        "last_authentication_date",
        "disabled",
        "data",
    }
    assert (user["_id"], user["type"], user["disabled"]) == (ann.user, "normal", False)
    assert user["data"] == {"email": "ann@example.com"}
    assert [each["provider_type"] for each in user["identities"]] == ["local-userpass"]
    assert 1_600_000_000 < user["creation_date"] <= user["last_authentication_date"]


def test_pages_hold_all_users_once(admin: Admin, server: AdminServer) -> None:
    """Of 260 users pages of 50, or of any size, give each one once, in either direction."""
    names = add_users(server, 260)
    for limit in (None, 50, 7, 500):
        for descending in (False, True):
            found: list[str] = []
            while True:
                asked = {"desc": "true"} if descending else {}
                asked |= {} if limit is None else {"limit": str(limit)}
                asked |= {"after": found[-1]} if found else {}
                page = [each["_id"] for each in admin.ask("GET", "/users", params=asked).json()]
                found += page
                if len(page) < (limit or 50):
                    break

            assert found == sorted(names, reverse=descending)


def test_users_are_filtered(admin: Admin, server: AdminServer) -> None:
    """Lists are for those in a state, and with a login of one of some providers."""
    names = add_users(server, 10)
    admin.ask("PUT", f"/users/{names[3]}/disable")

    def found(**asked: str) -> list[str]:
        return [each["_id"] for each in admin.ask("GET", "/users", params=asked).json()]

    assert found(status="disabled") == [names[3]]
    assert found(status="enabled") == names[:3] + names[4:]
    assert found(provider_types="anon-user,api-key") == [names[0], names[5]]
    assert found(provider_types="custom-token") == []


def test_user_is_found_by_email(admin: Admin, ann: Account) -> None:
    """The address of an email account gives its user, and any other text nobody."""
    for email, found in (("ann@example.com", [ann.user]), ("bo@example.com", []), ("", [])):
        answer = admin.ask("GET", "/users", params={"email": email})

        assert [each["_id"] for each in answer.json()] == found


def test_lists_that_cannot_be_had(admin: Admin) -> None:
    """What is asked for wrongly is refused, and not read as something else."""
    wrong = [{"limit": limit} for limit in ("0", "501", "ten", "-1", "", "9" * 5000)]
    wrong += [{"sort": "name"}, {"desc": "perhaps"}, {"status": "removed"}]
    for asked in wrong:
        answer = admin.ask("GET", "/users", params=asked)

        assert answer.status_code == 400, asked
        assert answer.json()["error_code"] == "BadRequest"


def test_user_is_made(admin: Admin, server: AdminServer) -> None:
    """An account that an administrator makes is told as any, and logs in at once."""
    made = admin.ask(
        "POST", "/users", json={"email": "bo@example.com", "password": "correct horse"}
    )
    login = try_login(server, "bo@example.com")

    assert made.status_code == 201
    assert made.json() == admin.ask("GET", f"/users/{made.json()['_id']}").json() | {
        "last_authentication_date": 0
    }
    assert login.json()["user_id"] == made.json()["_id"]


def test_user_that_cannot_be_made(admin: Admin, ann: Account) -> None:
    """A name that is taken, or what is no account, is refused and nobody is made."""
    good, bad = {"email": "bo@example.com", "password": "correct horse"}, (400, "BadRequest")
    wrong: list[tuple[object, tuple[int, str]]] = [
        (good | {"email": "ann@example.com"}, (409, "AccountNameInUse")),
        (good | {"email": ""}, bad),
        (good | {"password": "short"}, bad),
        ({"email": "bo@example.com"}, bad),
        ([], bad),
    ]
    for body, expected in wrong:
        answer = admin.ask("POST", "/users", json=body)

        assert (answer.status_code, answer.json()["error_code"]) == expected
    assert [each["_id"] for each in admin.ask("GET", "/users").json()] == [ann.user]


def test_users_who_are_not_there(admin: Admin) -> None:
    """Nothing is told of a user who is not there, and nothing can be done to one."""
    calls = [("GET", ""), ("DELETE", ""), ("GET", "/devices"), ("GET", "/sessions")]
    calls += [("PUT", f"/{verb}") for verb in ("logout", "disable", "enable")]
    for user in (NOBODY, "verify_token", "%0a", "x" * 3000):
        for method, path in calls:
            answer = admin.ask(method, f"/users/{user}{path}")

            assert answer.status_code == 404, (user, method, path)
            assert answer.json()["error_code"] == "UserNotFound"


def test_disabled_user_is_out_until_it_is_enabled(
    admin: Admin, server: AdminServer, ann: Account
) -> None:
    """Disabling ends the tokens with the reason and forbids logins; enabling allows new ones alone."""
    assert admin.ask("PUT", f"/users/{ann.user}/disable").status_code == 204
    header = {"Authorization": f"Bearer {ann.refresh}"}
    refresh = httpx.post(f"{server.url}{CLIENT}/auth/session", headers=header)
    login = try_login(server, "ann@example.com")

    assert (refresh.status_code, refresh.json()["reason"]) == (401, "user_disabled")
    assert (login.status_code, login.json()["error_code"]) == (401, "UserDisabled")
    assert admin.ask("GET", f"/users/{ann.user}").json()["disabled"] is True

    assert admin.ask("PUT", f"/users/{ann.user}/enable").status_code == 204
    assert try_login(server, "ann@example.com").status_code == 200
    assert httpx.post(f"{server.url}{CLIENT}/auth/session", headers=header).status_code == 401


def test_logged_out_user_may_come_back(admin: Admin, server: AdminServer, ann: Account) -> None:
    """A logout ends every session, and the next login is a new one."""
    other = Account.log_in(server.url, "ann")
    assert admin.ask("PUT", f"/users/{ann.user}/logout").status_code == 204
    for account in (ann, other):
        header = {"Authorization": f"Bearer {account.refresh}"}
        answer = httpx.post(f"{server.url}{CLIENT}/auth/session", headers=header)
        assert (answer.status_code, answer.json()["reason"]) == (401, "revoked")

    assert try_login(server, "ann@example.com").status_code == 200


def test_removed_user_is_gone(admin: Admin, server: AdminServer, ann: Account) -> None:
    """After a removal neither list nor login knows the user, and the address is free."""
    assert admin.ask("DELETE", f"/users/{ann.user}").status_code == 204
    assert admin.ask("DELETE", f"/users/{ann.user}").status_code == 404

    assert admin.ask("GET", "/users").json() == []
    assert try_login(server, "ann@example.com").status_code == 401
    assert Account.log_in(server.url, "ann").user != ann.user


def test_sessions_and_devices_of_a_user(admin: Admin, server: AdminServer, ann: Account) -> None:
    """Each open session is told with its device, and one of them ends alone."""
    other = Account.log_in(server.url, "ann")
    sessions = admin.ask("GET", f"/users/{ann.user}/sessions").json()
    devices = admin.ask("GET", f"/users/{ann.user}/devices").json()

    assert [each["rotates"] for each in sessions] == [True, True]
    assert [{"_id": each["device_id"]} for each in sessions] == devices
    assert sessions[0]["expiration_date"] - sessions[0]["creation_date"] == 60 * 24 * 3600

    one = f"/users/{ann.user}/sessions/{sessions[0]['_id']}"
    stranger = Account.log_in(server.url, "bo")
    assert admin.ask("DELETE", one.replace(ann.user, stranger.user)).status_code == 404
    assert admin.ask("DELETE", one).status_code == 204
    assert admin.ask("DELETE", one).json()["error_code"] == "SessionNotFound"
    assert admin.ask("GET", f"/users/{ann.user}/sessions").json() == sessions[1:]
    other.renew()
