"""`syncauth server doctor` looks at everything, changes nothing, and ends with the gravest finding."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from syncauth.server.stores.sqlite import BACKED_UP_AT
from syncauth.server.upkeep.backup import LAST_BACKUP
from syncauth.server.upkeep.restore import DECIDED
from tests.support.app_bench import SERVER_SCHEMA
from tests.support.commands import Ended, run
from tests.support.processes import Server, configure

FINE = {"backup_unknown"}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """The directory of a server that has run and ended."""
    configure(tmp_path, SERVER_SCHEMA, "[tables.notes]")
    with Server(tmp_path) as server:
        assert server.stop() == 0
    return tmp_path


def examine(place: Path, *more: str) -> Ended:
    """Run the command."""
    config = place / "syncauth.toml"
    return run("server", "doctor", "--data", place / "data", "--config", config, "--json", *more)


def found(ended: Ended) -> dict[str, int]:
    """Return the codes of the findings, each with its exit code."""
    return {each["code"]: each["exit_code"] for each in ended.document["findings"]}


def change(place: Path, sql: str, *given: object) -> None:
    """Write into the server's file."""
    with closing(sqlite3.connect(place / "data" / "server.db", isolation_level=None)) as file:
        file.execute(sql, given)


def contents(folder: Path) -> dict[str, str]:
    """Return every file with the digest of its bytes."""
    files = [each for each in folder.rglob("*") if each.is_file()]
    return {str(each): hashlib.sha256(each.read_bytes()).hexdigest() for each in files}


def test_a_server_that_rests_is_well(place: Path) -> None:
    """Nothing grave is found, and not a byte of the directory is another one afterwards."""
    before = contents(place)

    ended = examine(place)

    assert (ended.code, set(found(ended))) == (0, FINE)
    assert contents(place) == before
    assert ended.document["open"] is False
    assert ended.document["file"]["format"] == 3
    text = run("server", "doctor", "--data", place / "data", "--config", place / "syncauth.toml")
    assert text.code == 0
    assert "note backup_unknown: no backup of this directory is known" in text.out


def test_a_server_that_runs_is_asked_for_its_health(place: Path) -> None:
    """Its process is named, also while it writes; after its end nobody answers, which is 3."""
    with Server(place) as server:
        ended = examine(place, "--server", server.url)

        assert (ended.code, ended.document["healthy"]) == (0, True)
        assert (ended.document["open"], ended.document["pid"]) == (True, server.pid)
    assert found(examine(place, "--server", server.url))["server_unreachable"] == 3


def test_something_else_at_the_address_is_not_well(place: Path) -> None:
    """Whatever answers otherwise than with 200 is no healthy server."""
    with Server(place) as server:
        ended = examine(place, "--server", f"{server.url}/elsewhere")

    assert (ended.code, found(ended)["server_unhealthy"]) == (3, 3)


def test_a_backup_is_known_until_it_is_old(place: Path, tmp_path: Path) -> None:
    """A week is old."""
    made = run("server", "backup", "--data", place / "data", "--to", tmp_path / "b.db", "--json")
    assert made.code == 0

    ended = examine(place)
    assert found(ended) == {}
    assert ended.document["backup"] == {"at": made.document["at"], "file": str(tmp_path / "b.db")}

    note = place / "data" / LAST_BACKUP
    note.write_text(f'{{"at": {time.time() - 8 * 24 * 3600}, "file": "b.db"}}')
    assert found(examine(place))["backup_old"] == 1


def _remove(name: str) -> Callable[[Path], object]:
    return lambda place: (place / name).unlink()


def _write(name: str, text: str) -> Callable[[Path], object]:
    return lambda place: (place / name).write_text(text)


def _sql(sql: str, *given: object) -> Callable[[Path], object]:
    return lambda place: change(place, sql, *given)


def _damage(place: Path) -> None:
    with (place / "data" / "server.db").open("r+b") as file:
        file.seek(2 * 4096)
        file.write(b"\xff" * 4096 * 8)


def _orphan(place: Path) -> None:
    change(place, "CREATE TABLE parents (id TEXT PRIMARY KEY)")
    change(place, "CREATE TABLE children (id TEXT PRIMARY KEY, parent TEXT REFERENCES parents)")
    change(place, "INSERT INTO children VALUES ('1', 'nobody')")


SESSION = (
    "INSERT INTO _sync_sessions (id, user_id, device_id, identity_id, provider_type, rotates,"
    " created_at, expires_at, token) VALUES ('s', 'u', 'd', 'i', 'p', 1, ?, ?, x'00')"
)
CASES: dict[str, tuple[int, Callable[[Path], object]]] = {
    "config_unusable": (2, _write("syncauth.toml", "nonsense")),
    "schema_unusable": (2, _write("schema.sql", "CREATE NONSENSE")),
    "data_open": (1, lambda place: (place / "data").chmod(0o755)),
    "key_open": (4, lambda place: (place / "data" / "token-key.json").chmod(0o644)),
    "file_missing": (0, _remove("data/server.db")),
    "file_unreadable": (4, _write("data/server.db", "no database" * 1000)),
    "file_damaged": (4, _damage),
    "format_older": (0, _sql("UPDATE _sync_meta SET value = 2 WHERE key = 'format'")),
    "never_restored": (4, _sql("INSERT INTO _sync_meta VALUES (?, 1.0)", BACKED_UP_AT)),
    "orphans": (1, _orphan),
    "schema_differs": (1, _sql("ALTER TABLE notes DROP COLUMN body")),
    "sessions_unswept": (0, _sql(SESSION, 1.0, 2.0)),
    "clock_behind": (1, _sql(SESSION, time.time() + 10_000, time.time() + 20_000)),
    "restore_unfinished": (4, _write(f"data/{DECIDED}x", "")),
    "replaced_kept": (0, _write("data/server.db.replaced-x", "")),
}


@pytest.mark.parametrize("code", CASES)
def test_each_finding_is_found(place: Path, code: str) -> None:
    """With the exit code that the page tells."""
    exit_code, spoil = CASES[code]
    spoil(place)

    ended = examine(place)

    assert found(ended)[code] == exit_code
    assert ended.code == exit_code == ended.document["exit_code"]


def test_a_foreign_key_that_names_nothing_unique_is_told(place: Path) -> None:
    """It cannot be checked, and is no damage of the file."""
    change(place, "CREATE TABLE parents (id TEXT)")
    change(place, "CREATE TABLE children (id TEXT PRIMARY KEY, p TEXT REFERENCES parents (id))")

    ended = examine(place)

    assert (ended.code, found(ended)["schema_differs"]) == (1, 1)


def test_a_schema_file_reaches_no_other_file(place: Path) -> None:
    """It is run in memory, where nothing can be attached."""
    (place / "schema.sql").write_text(
        f"ATTACH '{place / 'other.db'}' AS other; CREATE TABLE other.t (a);"
    )

    assert "schema_unusable" in found(examine(place))
    assert not (place / "other.db").exists()


def test_an_added_column_is_named(place: Path) -> None:
    """CREATE TABLE IF NOT EXISTS does not add it, so that somebody must."""
    (place / "schema.sql").write_text(
        SERVER_SCHEMA.replace("body TEXT", "body INTEGER, more TEXT")
        + "CREATE INDEX IF NOT EXISTS by_title ON notes (title);"
    )

    (finding,) = [
        each for each in examine(place).document["findings"] if each["code"] == "schema_differs"
    ]

    for part in ("notes.more is missing", "notes.body has the type TEXT", "index by_title"):
        assert part in finding["what"]


def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """It ends with 4 and makes nothing."""
    assert run("server", "doctor", "--data", tmp_path / "nowhere").code == 4
    assert not (tmp_path / "nowhere").exists()
