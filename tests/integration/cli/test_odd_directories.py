"""Data directories that are missing, empty, damaged or of a newer version: told, ended with a code, left alone."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.cli.conftest import Place
from tests.support.commands import change_store, contents, run
from tests.support.processes import Server

READING = ("users", "status", "history", "doctor")


def error_of(document: dict[str, object]) -> object:
    """Return the name of the error of a document."""
    error = document["error"]
    assert isinstance(error, dict)
    return error["type"]


@pytest.mark.parametrize("command", READING)
def test_missing_directory_ends_with_4(tmp_path: Path, command: str) -> None:
    """A directory that is not there is told and not made, in both forms."""
    told = run(command, "--data", tmp_path / "nowhere")
    ended = run(command, "--data", tmp_path / "nowhere", "--json")

    assert (told.code, ended.code) == (4, 4)
    assert told.err.startswith(f"syncauth {command}: there is no data directory")
    assert (error_of(ended.document), ended.err) == ("StorageError", "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", READING)
def test_empty_directory_has_nobody(tmp_path: Path, command: str) -> None:
    """A directory in which nobody has logged in is no error, and stays empty."""
    told = run(command, SYNCAUTH_DATA=str(tmp_path))
    ended = run(command, "--json", SYNCAUTH_DATA=str(tmp_path))

    assert (told.code, ended.code) == (0, 0), (told, ended)
    assert told.out
    if command != "doctor":
        assert list(ended.document.values()) == [[]]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", READING)
def test_directory_must_be_given(command: str) -> None:
    """Without --data it is a usage error, as is an unknown option."""
    assert run(command).code == 2
    assert run(command, "--data", "x", "--unknown").code == 2


def test_damaged_store_ends_with_4(place: Place) -> None:
    """A credential store that is no database ends every command with 4; doctor looks at the rest."""
    place.data.mkdir()
    (place.data / "sessions.db").write_text("this is no database at all, but long enough")
    before = contents(place.data)

    for command in ("users", "status", "history"):
        ended = place.run(command, "--json")
        assert (ended.code, error_of(ended.document)) == (4, "FileCorrupt")
    doctor = place.run("doctor", "--json")
    login = place.ask("login", "--anonymous", "--json")

    assert doctor.code == 4
    assert [each["code"] for each in doctor.document["findings"]] == ["store_unreadable"]
    assert (login.code, error_of(login.document)) == (4, "FileCorrupt")
    after = contents(place.data)
    assert after.pop("syncauth.lock", None) is not None  # of the login
    assert after == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE users SET state = 'asleep'",
        "UPDATE users SET profile = '{'",
        "UPDATE users SET received_at = 'noon'",
        "DROP TABLE history",
        "UPDATE history SET after = 'asleep'",
    ],
)
def test_damaged_rows_end_with_4(place: Place, statement: str) -> None:
    """A row that cannot be read is damage, and no traceback."""
    place.log_in()
    change_store(place.data, statement)

    ended = place.run("users")

    assert ended.code == 4, ended
    assert "credential store" in ended.err


def test_newer_store_ends_with_4(place: Place) -> None:
    """A credential store of a newer version is told as such and not touched."""
    place.log_in()
    change_store(place.data, "PRAGMA user_version = 99")
    before = contents(place.data)

    for command in ("users", "status", "history"):
        ended = place.run(command, "--json")
        assert (ended.code, error_of(ended.document)) == (4, "FileTooNew")
    assert place.run("doctor").code == 4
    assert contents(place.data) == before
    assert place.ask("logout").code == 4


def test_store_of_an_older_format_is_read(place: Place) -> None:
    """A credential store of format 1, which lacks columns, is read as it is."""
    user = place.log_in()
    for column in ("fence", "refresh_life", "refresh_ends_at"):
        change_store(place.data, f"ALTER TABLE users DROP COLUMN {column}")
    change_store(place.data, "PRAGMA user_version = 1")
    before = contents(place.data)

    (found,) = place.run("users", "--json").document["users"]

    assert (found["user"], found["refresh_ends"]) == (user, None)
    assert contents(place.data) == before


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("UPDATE _sync_meta SET value = 99 WHERE key = 'format'", "newer version"),
        ("DROP TABLE _sync_waiting", "damaged"),
        ("DROP TABLE _sync_meta", "no file of ours"),
    ],
)
def test_unreadable_file_ends_status_with_4(
    place: Place, server: Server, statement: str, error: str
) -> None:
    """A user's file that cannot be read has a line that says why, and ends with 4; users still work."""
    place.log_in()
    server.stop()
    place.write_offline(1)
    (path,) = (place.data / "replicas").glob("*.db")
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    before = contents(place.data)

    told = place.run("status")
    ended = place.run("status", "--json")
    doctor = place.run("doctor", "--json")

    assert (told.code, ended.code, doctor.code) == (4, 4, 4)
    assert error in told.out
    assert any(error in (each["trouble"] or "") for each in ended.document["status"])
    assert [each["code"] for each in doctor.document["findings"]] == ["file_unreadable"]
    assert place.run("users").code == 0
    assert contents(place.data) == before
