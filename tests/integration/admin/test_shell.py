"""`syncauth admin` on the data folder of a server: what it shows, what it does, how it ends."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from syncauth.server.stores.sqlite import FORMAT, open_server_file
from tests.integration.admin.conftest import (
    NOBODY,
    Admin,
    AdminServer,
    Start,
    log_in,
    make_key,
    shell,
)
from tests.integration.admin.test_users import add_users, try_login
from tests.support.commands import contents, run
from tests.support.socket_device import Account


def test_pages_of_users(server: AdminServer) -> None:
    """Page after page gives all of 260 users once; the text names the way to the next page."""
    names = add_users(server, 260)
    found: list[str] = []
    after: list[str] = []
    while True:
        page = shell(server, "users", "list", "--limit", "100", "--json", *after).document
        found += [each["user"] for each in page["users"]]
        if page["next"] is None:
            break
        assert page["next"] == found[-1]
        after = ["--after", page["next"]]
    text = shell(server, "users", "list").out.splitlines()

    assert found == names
    assert len(text) == 52
    assert text[-1] == f"There are more: --after {names[49]}"
    assert shell(server, "users", "list", "--after", names[209]).out.count("\n") == 51


def test_users_are_found_by_state_and_provider(server: AdminServer) -> None:
    """Lists can be narrowed, and an empty one says so."""
    names = add_users(server, 6)
    assert shell(server, "users", "disable", names[1]).code == 0

    def found(*arguments: str) -> list[str]:
        document = shell(server, "users", "list", "--json", *arguments).document
        return [each["user"] for each in document["users"]]

    assert found("--status", "disabled") == [names[1]]
    assert found("--provider", "anon-user", "--provider", "api-key") == [names[0], names[5]]
    assert "no such users" in shell(server, "users", "list", "--provider", "api-key").out


def test_user_is_shown_by_id_or_address(server: AdminServer, ann: Account) -> None:
    """The id and the email address name the same user, with its logins and how many sessions are open."""
    by_id = shell(server, "users", "show", ann.user, "--json").document
    by_address = shell(server, "users", "show", "ann@example.com", "--json").document
    text = shell(server, "users", "show", ann.user).out

    assert by_id == by_address
    assert (by_id["user"], by_id["state"], by_id["sessions"]) == (ann.user, "enabled", 1)
    assert by_id["data"] == {"email": "ann@example.com"}
    assert [each["provider"] for each in by_id["identities"]] == ["local-userpass"]
    assert "ann@example.com" in text


def test_deeds_on_a_user(server: AdminServer, ann: Account) -> None:
    """Logout, disable, enable and remove do what they say, tell it, and count the sessions that ended."""
    login = {"email": "ann@example.com"}

    out = shell(server, "users", "logout", ann.user, "--json").document
    assert out == {"user": ann.user, "state": "logged out", "sessions_ended": 1}
    assert try_login(server, **login).status_code == 200

    out = shell(server, "users", "disable", "ann@example.com", "--json").document
    assert out == {"user": ann.user, "state": "disabled", "sessions_ended": 1}
    assert try_login(server, **login).json()["error_code"] == "UserDisabled"

    assert "enabled" in shell(server, "users", "enable", ann.user).out
    assert try_login(server, **login).status_code == 200

    out = shell(server, "users", "remove", ann.user, "--yes", "--json").document
    assert out == {"user": ann.user, "state": "removed", "sessions_ended": 1}
    assert try_login(server, **login).json()["error_code"] == "InvalidPassword"


def test_removal_asks_first(server: AdminServer, ann: Account) -> None:
    """Without --yes a person says yes, and anything else leaves the user alone."""
    for answer, code in (("", 1), ("n\n", 1), ("y\n", 0)):
        assert shell(server, "users", "show", ann.user).code == 0
        assert shell(server, "users", "remove", ann.user, stdin=answer).code == code
    assert shell(server, "users", "show", ann.user).code == 2


def test_sessions_are_listed_and_revoked(server: AdminServer, ann: Account) -> None:
    """One session ends alone, once; the other stays."""
    other = Account.log_in(server.url, "ann")
    first, second = shell(server, "sessions", "list", ann.user, "--json").document["sessions"]

    ended = shell(server, "sessions", "revoke", first["session"], "--json")
    again = shell(server, "sessions", "revoke", first["session"])

    assert ended.document == {"session": first["session"], "state": "revoked"}
    assert again.code == 2
    assert shell(server, "sessions", "list", ann.user, "--json").document["sessions"] == [second]
    assert second["session"] in shell(server, "sessions", "list", "ann@example.com").out
    other.renew()


def test_keys_are_made_and_looked_after(server: AdminServer) -> None:
    """A key is told with its secret once; lists have names and states; a name is taken once."""
    key, _ = make_key(server, "ops.1")
    assert shell(server, "keys", "create", "--name", "ops.1").code == 2
    assert shell(server, "keys", "create", "--name", "two words").code == 2
    text = shell(server, "keys", "create", "--name", "ops.2")
    assert "syncauth_admin_" in text.out
    assert "not shown again" in text.err

    for verb, state in (("disable", "disabled"), ("enable", "enabled")):
        assert shell(server, "keys", verb, key, "--json").document == {"key": key, "state": state}
        listed = shell(server, "keys", "list", "--json").document["keys"]
        assert [(each["name"], each["state"]) for each in listed] == [
            ("ops.1", state),
            ("ops.2", "enabled"),
        ]
    assert shell(server, "keys", "remove", key).code == 0
    assert "ops.1" not in shell(server, "keys", "list").out


@pytest.mark.parametrize(
    "arguments",
    [
        ("users", "show", NOBODY),
        ("users", "disable", "nobody@example.com"),
        ("users", "enable", NOBODY),
        ("users", "logout", NOBODY),
        ("users", "remove", NOBODY, "--yes"),
        ("sessions", "list", NOBODY),
        ("sessions", "revoke", NOBODY),
        ("keys", "disable", NOBODY),
        ("keys", "enable", NOBODY),
        ("keys", "remove", NOBODY),
    ],
    ids=" ".join,
)
def test_who_is_not_there(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """A user, session or key that is not there is wrong usage."""
    data = tmp_path / "data"
    data.mkdir()
    make_file(data)
    group, verb, *rest = arguments
    command = ("admin", group, verb, "--data", data, *rest)

    ended = run(*command, "--json")

    assert ended.code == 2
    assert ended.document["error"]["type"] == "InvalidConfig"
    assert "there is no such" in ended.document["error"]["what"]


def make_file(data: Path) -> None:
    """Make a server's file as it stands where no server runs."""
    open_server_file(data / "server.db", "").close()


def test_there_is_no_server_here(tmp_path: Path) -> None:
    """Without a server's file nothing is made, and the exit code is that of storage."""
    for data in (tmp_path, tmp_path / "missing"):
        ended = run("admin", "keys", "create", "--name", "a", "--data", data)
        assert ended.code == 4
        assert "server's file" in ended.err
    assert contents(tmp_path) == {}


def test_newer_and_damaged_files_are_left_alone(tmp_path: Path) -> None:
    """A file of a newer version, or of something else, is not touched."""
    path = tmp_path / "server.db"
    make_file(tmp_path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE _sync_meta SET value = ? WHERE key = 'format'", (FORMAT + 1,))
    before = contents(tmp_path)
    newer = run("admin", "users", "list", "--data", tmp_path, "--json")
    assert (newer.code, newer.document["error"]["type"]) == (4, "FileTooNew")
    assert contents(tmp_path)["server.db"] == before["server.db"]

    path.write_bytes(b"something else" * 1000)
    damaged = run("admin", "users", "list", "--data", tmp_path, "--json")
    assert (damaged.code, damaged.document["error"]["type"]) == (4, "FileCorrupt")
    assert path.read_bytes() == b"something else" * 1000


def test_it_works_where_no_server_runs(start: Start, admin: Admin, ann: Account) -> None:
    """What the shell does to a file at rest holds when its server starts again."""
    server = start()
    server.stop()
    assert shell(server, "users", "disable", ann.user).code == 0
    again = start()

    assert try_login(again, "ann@example.com").json()["error_code"] == "UserDisabled"
    assert log_in(admin.client, admin.key, admin.secret).status_code == 200
