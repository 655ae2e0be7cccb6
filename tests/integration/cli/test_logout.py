"""`syncauth logout`: whom, with and without a network, and what becomes of the file."""

from __future__ import annotations

from tests.integration.cli.conftest import Place
from tests.support.commands import tokens_in
from tests.support.processes import Device, Server


def test_logout_erases_and_revokes(place: Place) -> None:
    """The current user's tokens are gone from the device and the server has confirmed it (I8)."""
    user = place.log_in()

    ended = place.ask("logout")

    assert ended.code == 0, ended
    lines = dict(line.split(maxsplit=1) for line in ended.out.splitlines())
    assert lines == {
        "user": user,
        "state": "logged_out",
        "revocation": "confirmed",
        "file": "kept",
    }
    assert tokens_in(place.data, place.url) == []


def test_one_of_several_users_is_chosen(place: Place) -> None:
    """`--user` logs another than the current one out."""
    first = place.log_in()
    second = place.ask("login", "--anonymous", "--json").document["user"]

    ended = place.ask("logout", "--user", first, "--json")

    states = {
        each["user"]: each["state"] for each in place.run("users", "--json").document["users"]
    }
    assert ended.document["user"] == first
    assert states == {first: "logged_out", second: "active"}


def test_logout_works_offline(place: Place, server: Server) -> None:
    """Without a server it ends with 0 and says that the revocation waits (I8)."""
    place.log_in()
    server.stop()

    ended = place.ask("logout", "--wait", "0.2", "--json")

    assert ended.code == 0, ended
    assert ended.document["revocation"] == "waits for the server"
    findings = place.run("doctor", "--json").document["findings"]
    assert [each["code"] for each in findings] == ["revocations_wait"]


def test_forgotten_session_is_not_revoked(place: Place) -> None:
    """`--forget` keeps nothing to be revoked, and says so."""
    place.log_in()

    ended = place.ask("logout", "--forget", "--json")

    assert ended.document["revocation"] == "not asked for"
    assert tokens_in(place.data, place.url) == []


def test_nobody_to_log_out_ends_with_2(place: Place) -> None:
    """Without a user, or for one who is not known, it is a usage error; a directory is not made."""
    missing = place.ask("logout")
    place.log_in()
    unknown = place.ask("logout", "--user", "somebody", "--json")
    place.ask("logout")
    nobody = place.ask("logout")

    assert missing.code == 4
    assert (unknown.code, nobody.code) == (2, 2)
    assert unknown.document["error"]["type"] == "NotLoggedInError"


def test_unsent_changes_go_only_when_they_are_counted(place: Place, server: Server) -> None:
    """`--discard` deletes the file only if it names how many changes are lost (I1)."""
    place.log_in()
    server.stop()
    place.write_offline(3)

    wrong = place.ask("logout", "--discard", "2", "--wait", "0")
    kept = place.run("status", "--json").document["status"]
    right = place.ask("logout", "--discard", "3", "--wait", "0", "--json")
    after = place.run("status", "--json").document["status"]

    assert wrong.code == 2
    assert "3 changes wait" in wrong.err
    assert [(each["state"], each["outbox"]) for each in kept] == [("active", 3)]
    assert (right.code, right.document["file"]) == (0, "deleted")
    assert [(each["state"], each["outbox"]) for each in after] == [("logged_out", None)]


def test_running_app_learns_of_it(place: Place, device: Device) -> None:
    """An app that runs beside stops to sync, and its user is logged out there too."""
    ended = place.ask("logout")

    assert ended.code == 0, ended
    device.hear_until(happened="transition", machine="session", state="logged_out")
    assert device.do("status")["session"] == "logged_out"
    device.start("commit", sql="INSERT INTO notes (id) VALUES (?)", row=["a"])
    device.finish("commit")
