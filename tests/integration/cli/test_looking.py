"""`users`, `status` and `history`: offline, beside a running app, in both forms, and without a trace."""

from __future__ import annotations

import asyncio

import syncauth
from tests.integration.cli.conftest import Place
from tests.support.app_bench import TABLE
from tests.support.commands import APP, change_store, contents, end_session
from tests.support.processes import EMAIL, Device, Server

INSERT = "INSERT INTO notes (id, title) VALUES (?, ?)"


def test_users_are_shown(place: Place, server: Server) -> None:
    """Each user has a line with its state and name, offline as well."""
    ann = place.log_in()
    anonymous = place.ask("login", "--anonymous", "--json").document["user"]
    server.stop()

    told = place.run("users")
    document = place.run("users", "--json").document["users"]

    assert told.code == 0
    heading, *lines = told.out.splitlines()
    assert heading.split() == [
        "USER",
        "CURRENT",
        "STATE",
        "REASON",
        "NAME",
        "PROVIDERS",
        "REFRESH",
        "ENDS",
    ]
    by_user = {line.split()[0]: line.split()[1:6] for line in lines}
    assert by_user == {
        ann: ["no", "active", "-", EMAIL, "local-userpass"],
        anonymous: ["yes", "active", "-", "-", "anon-user"],
    }
    assert {each["user"]: each["providers"] for each in document} == {
        ann: ["local-userpass"],
        anonymous: ["anon-user"],
    }


def test_status_beside_a_running_app(place: Place, device: Device) -> None:
    """While an app has the file open, its process is named and what waits is counted."""
    device.do("write", sql=INSERT, rows=[["1", "one"]])
    device.do("uploaded")

    told = place.run("status")
    (line,) = place.run("status", "--json").document["status"]

    assert told.code == 0, told
    assert f"pid {device.pid}" in told.out
    assert (line["open"], line["pid"]) == (True, device.pid)
    assert (line["outbox"], line["in_flight"], line["dead_letters"]) == (0, 0, 0)
    assert (line["server"], line["app"], line["state"]) == (place.url, APP, "active")
    assert list(line["checkpoints"].values()) != []


def test_status_counts_what_waits(place: Place, server: Server) -> None:
    """Unsent changes are counted and the oldest is dated; the options choose files."""
    user = place.log_in()
    server.stop()
    place.write_offline(2)

    (line,) = place.run("status", "--json").document["status"]
    chosen = [
        len(place.run("status", "--json", *options).document["status"])
        for options in (
            ("--user", user),
            ("--user", "somebody"),
            ("--server", f"{place.url}/", "--app-id", APP),
            ("--app-id", "another", "--user", "somebody"),
        )
    ]

    assert (line["user"], line["outbox"], line["open"]) == (user, 2, False)
    assert line["oldest"].startswith("20")
    assert chosen == [1, 0, 1, 0]


def test_status_ends_with_1_if_a_relogin_is_required(place: Place) -> None:
    """A session that has ended shows its reason, and ends `status` with 1."""
    place.log_in()
    user = end_session(place.data, place.url)

    told = place.run("status")
    users = place.run("users")

    assert (told.code, users.code) == (1, 0)
    assert "refresh_expired" in told.out
    assert users.out.splitlines()[1].split()[:4] == [user, "yes", "refresh_expired", "revoked"]


def test_refresh_without_an_answer_is_refreshing(place: Place) -> None:
    """A user whose refresh was begun and has no answer is shown so."""
    place.log_in()
    change_store(place.data, "UPDATE users SET refresh_id = 'begun'")

    assert [each["state"] for each in place.run("users", "--json").document["users"]] == [
        "refreshing"
    ]


def test_guest_has_a_line(place: Place) -> None:
    """The file of the guest, who is no user, is shown as such."""

    async def write() -> None:
        app = syncauth.App(place.url, app_id=APP, data_dir=place.data, key_storage="file")
        async with app:
            guest = await app.open_guest_replica(tables=["notes"], create=TABLE)
            await guest.write(lambda db: db["notes"].insert({"id": "1"}))

    asyncio.run(write())
    told = place.run("status")
    (line,) = place.run("status", "--json").document["status"]

    assert told.code == 0
    assert "(guest)" in told.out
    assert (line["user"], line["guest"], line["outbox"]) == (None, True, 1)


def test_history_tells_the_moves(place: Place) -> None:
    """Every move of a session has a line, the newest last; user and number can be chosen."""
    user = place.log_in()
    place.ask("logout")

    told = place.run("history")
    moves = place.run("history", "--json").document["history"]
    newest = place.run("history", "--json", "--limit", "1").document["history"]
    nobody = place.run("history", "--user", "somebody")

    assert told.code == 0
    assert told.out.splitlines()[0].split() == [
        "AT",
        "USER",
        "BEFORE",
        "AFTER",
        "TRIGGER",
        "REASON",
    ]
    assert [(each["user"], each["trigger"], each["after"]) for each in moves] == [
        (user, "log_in", "active"),
        (user, "log_out", "logged_out"),
    ]
    assert newest == moves[-1:]
    assert nobody.out == "No session has moved on this device.\n"


def test_looking_leaves_no_trace(place: Place, server: Server) -> None:
    """What only reads changes no file and makes none."""
    place.log_in()
    server.stop()
    place.write_offline(1)
    before = contents(place.data)

    codes = [place.run(command).code for command in ("users", "status", "history", "doctor")]

    assert codes == [0, 0, 0, 0]
    assert contents(place.data) == before


def test_names_cannot_drive_the_terminal(place: Place) -> None:
    """Control characters in what came from outside are shown as escapes."""
    place.log_in()
    change_store(place.data, "UPDATE users SET user_id = 'a' || char(27) || '[2Jb'")

    told = place.run("users")

    assert "\x1b" not in told.out
    assert "a\\x1b[2Jb" in told.out
