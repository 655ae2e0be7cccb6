"""A user's file: its place, its owner, its modes, and the app's SQL run in it."""

from __future__ import annotations

import itertools
import sqlite3
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from syncauth.errors import (
    FileCorrupt,
    FileNotOurs,
    FileTooNew,
    InvalidConfig,
    StorageError,
    SyncAuthError,
    TableNotTrackable,
)
from syncauth.models import TableSpec
from syncauth.replica import files, schema
from syncauth.replica.files import Owner
from syncauth.replica.replica import FileReplica

ALICE = Owner("https://sync.example.com", "field-notes", "alice")
NOTES = "CREATE TABLE IF NOT EXISTS notes (id TEXT NOT NULL PRIMARY KEY, text TEXT);"
DEVICE = "00000000000000aa"


def make(path: str, owner: Owner = ALICE, create: str = NOTES) -> int:
    """Make a file with one tracked table and close it; returns its fencing number."""
    files.make_directory(path)
    files.make_file(path)
    connection = schema.open_connection(path)
    schema.create(connection, path, device=DEVICE, incarnation="one")
    fencing = files.claim(connection, path, owner)
    specs = [TableSpec("notes")]
    files.run_create(path, create, specs)
    FileReplica(connection, path, tables=specs, device=DEVICE, incarnation="one").close()
    return fencing


def tables(path: str) -> set[str]:
    """The app's tables in the file."""
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    finally:
        connection.close()
    return {name for (name,) in rows if not name.startswith(("_sync_", "sqlite_"))}


def edit_meta(path: str, sql: str) -> None:
    """Change our own notes in the file behind our back."""
    connection = sqlite3.connect(path)
    connection.execute(sql)
    connection.commit()
    connection.close()


# --- the path ------------------------------------------------------------------------------------


def test_no_two_owners_share_a_path(tmp_path: Path) -> None:
    """However server, app and user are cut, each owner has a path of its own (I12)."""
    names = ["", "a", "b", "ab", "a/b", '","', "../../etc", "\x00", "ü", "\ud800"]
    owners = [Owner(*parts) for parts in itertools.product(names, repeat=3)]
    paths = {files.path_of(tmp_path, owner) for owner in owners}

    assert len(paths) == len(owners)
    assert {Path(path).parent for path in paths} == {tmp_path / "replicas"}
    assert all(len(Path(path).stem) == 32 for path in paths)


def test_a_path_is_the_same_on_every_start() -> None:
    """The name is a fixed hash: a user's rows would be lost to sight if it ever changed."""
    expected = "/data/replicas/0a80b5d2a89d46422cec74ffbf5be2a7.db"

    assert files.path_of("/data", ALICE) == expected


def test_modes_are_for_one_user_of_the_machine(tmp_path: Path) -> None:
    """Directory 0700 and file 0600, the log included, also where they were wider before."""
    path = files.path_of(tmp_path, ALICE)
    (tmp_path / "replicas").mkdir(mode=0o755)
    Path(path).touch(mode=0o644)
    make(path)
    connection = schema.open_connection(path)
    connection.execute("INSERT INTO notes VALUES ('a', 'b')")
    modes = {
        each.name[32:]: stat.S_IMODE(each.stat().st_mode) for each in Path(path).parent.iterdir()
    }
    connection.close()

    assert modes == {".db": 0o600, ".db-wal": 0o600, ".db-shm": 0o600}
    assert stat.S_IMODE(Path(path).parent.stat().st_mode) == 0o700


def test_a_directory_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    """A file in the directory's place is an error with its path, not a crash."""
    (tmp_path / "replicas").touch()
    with pytest.raises(StorageError) as raised:
        files.make_directory(files.path_of(tmp_path, ALICE))

    assert raised.value.path == str(tmp_path / "replicas")


# --- the owner -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "other",
    [
        Owner("https://other.example.com", ALICE.app, ALICE.user),
        Owner(ALICE.server, "other", ALICE.user),
        Owner(ALICE.server, ALICE.app, "bob"),
    ],
)
def test_another_owners_file_is_refused_and_not_touched(tmp_path: Path, other: Owner) -> None:
    """A file copied to another owner's place keeps every byte and is not used (I12)."""
    source = files.path_of(tmp_path, ALICE)
    make(source)
    target = Path(files.path_of(tmp_path, other))
    content = Path(source).read_bytes()
    target.write_bytes(content)

    with pytest.raises(FileNotOurs) as raised:
        files.check_owner(str(target), other)
    assert raised.value.path == str(target)
    assert "alice" not in str(raised.value)
    assert target.read_bytes() == content
    files.check_owner(source, ALICE)


def test_the_owner_is_read_from_the_log_too(tmp_path: Path) -> None:
    """A file copied with its log after a kill -9 is refused as well, and both stay (I12, I14)."""
    source = files.path_of(tmp_path, ALICE)
    make(source)
    edit_meta(source, "UPDATE _sync_meta SET value = NULL WHERE key = 'user'")
    held = sqlite3.connect(source)
    held.execute("SELECT * FROM notes").fetchall()
    edit_meta(source, "UPDATE _sync_meta SET value = 'bob' WHERE key = 'user'")
    target = tmp_path / "copy.db"
    for suffix in ("", "-wal"):
        Path(f"{target}{suffix}").write_bytes(Path(f"{source}{suffix}").read_bytes())
    held.close()
    before = [Path(f"{target}{suffix}").read_bytes() for suffix in ("", "-wal")]

    with pytest.raises(FileNotOurs):
        files.check_owner(str(target), ALICE)
    assert [Path(f"{target}{suffix}").read_bytes() for suffix in ("", "-wal")] == before
    files.check_owner(str(target), Owner(ALICE.server, ALICE.app, "bob"))


def test_a_file_without_an_owner_is_taken_only_if_nothing_is_tracked(tmp_path: Path) -> None:
    """An interrupted first open, or a plain database, is anybody's; tracked rows are not."""
    path = files.path_of(tmp_path, ALICE)
    files.check_owner(path, ALICE)
    assert not Path(path).exists()

    files.make_directory(path)
    edit_meta(path, NOTES)
    files.check_owner(path, ALICE)
    connection = schema.open_connection(path)
    schema.create(connection, path, device=DEVICE, incarnation="one")
    connection.close()
    files.check_owner(path, ALICE)

    make(path)
    edit_meta(path, "DELETE FROM _sync_meta WHERE key IN ('server', 'app', 'user')")
    with pytest.raises(FileNotOurs):
        files.check_owner(path, ALICE)


@pytest.mark.parametrize("number", ["2", "'next'"])
def test_a_newer_file_is_not_touched(tmp_path: Path, number: str) -> None:
    """What a newer version wrote stays byte for byte, log mode included."""
    path = files.path_of(tmp_path, ALICE)
    make(path)
    edit_meta(path, f"UPDATE _sync_meta SET value = {number} WHERE key = 'format'")
    content = Path(path).read_bytes()

    with pytest.raises(FileTooNew):
        files.check_owner(path, ALICE)
    assert Path(path).read_bytes() == content


def test_a_damaged_file_is_not_touched(tmp_path: Path) -> None:
    """What is no database is told by its own error and left as it is."""
    path = tmp_path / "a.db"
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(FileCorrupt):
        files.check_owner(str(path), ALICE)

    assert path.read_bytes() == b"no database at all" * 100


def test_the_fencing_number_rises_with_every_open(tmp_path: Path) -> None:
    """Whoever opens later has the higher number; device and incarnation stay those of the file."""
    path = files.path_of(tmp_path, ALICE)
    assert [make(path) for _ in range(3)] == [1, 2, 3]

    replica = FileReplica.open(path, tables=[], device="ff" * 8, incarnation="two")
    state = replica.state()
    replica.close()
    assert (state.device, state.incarnation, state.fencing) == (DEVICE, "one", 3)


# --- the app's SQL -------------------------------------------------------------------------------


def test_a_script_of_many_statements_runs_whole(tmp_path: Path) -> None:
    """Semicolons in strings, comments and triggers end no statement; a last one may lack its own."""
    path = files.path_of(tmp_path, ALICE)
    script = """
        PRAGMA user_version = 7; -- a comment; with a semicolon
        CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, text TEXT DEFAULT ';');
        CREATE TABLE log (what TEXT);
        CREATE TRIGGER logged AFTER INSERT ON log BEGIN
            UPDATE log SET what = what || ';' WHERE rowid = NEW.rowid; SELECT 1;
        END;
        /* and ; one more */ INSERT INTO log VALUES ('a;b');
        INSERT INTO notes (id) VALUES ('x')"""
    make(path, create=script)
    connection = sqlite3.connect(path)

    assert connection.execute("SELECT what FROM log").fetchall() == [("a;b;",)]
    assert connection.execute("SELECT * FROM notes").fetchall() == [("x", ";")]
    assert connection.execute("PRAGMA user_version").fetchone() == (7,)
    assert connection.execute("SELECT count(*) FROM _sync_capture_1").fetchone() == (1,)
    connection.close()


@pytest.mark.parametrize(
    "broken",
    [
        "INSERT INTO nowhere VALUES (1);",
        "CREATE TABLE;",
        "CREATE TABLE unfinished (a",
        "COMMIT;",
        "ROLLBACK;",
        "BEGIN;",
        "VACUUM;",
        "SELECT 'a\x00b';",
        "SELECT '\ud800';",
        "SELECT '\ud800'",
        "SELECT ?;",
        "SELECT json('{');",
    ],
)
def test_nothing_remains_of_a_script_that_fails(tmp_path: Path, broken: str) -> None:
    """An error takes back what ran before it and tells SQLite's own words."""
    path = files.path_of(tmp_path, ALICE)
    with pytest.raises(InvalidConfig) as raised:
        make(path, create=f"{NOTES} CREATE TABLE extra (a);\n{broken}")

    assert raised.value.setting == "create"
    assert raised.value.why
    assert tables(path) == set()
    make(path)
    assert tables(path) == {"notes"}


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("CREATE TABLE notes (id TEXT, text TEXT);", "no_primary_key"),
        ("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);", "integer_primary_key"),
        ("CREATE TABLE other (id TEXT NOT NULL PRIMARY KEY);", "unknown_table"),
    ],
)
def test_tables_that_do_not_fit_are_not_made(tmp_path: Path, script: str, reason: str) -> None:
    """After the mended script the table has its new shape: the old one was not kept."""
    path = files.path_of(tmp_path, ALICE)
    with pytest.raises(TableNotTrackable) as raised:
        make(path, create=script)

    assert raised.value.reason == reason
    assert tables(path) == set()
    make(path)


@pytest.mark.parametrize(
    "script",
    [
        "DROP TABLE _sync_meta;",
        "DELETE FROM _sync_rows_1;",
        "UPDATE _sync_clock SET entry = 0;",
        "ALTER TABLE _sync_meta RENAME TO mine;",
        "CREATE TABLE _sync_mine (a);",
        "INSERT INTO notes VALUES ('2', 'x'); INSERT INTO _sync_meta VALUES ('a', 1);",
    ],
)
def test_the_script_leaves_our_tables_alone(tmp_path: Path, script: str) -> None:
    """It would undo what it writes, and the file with it; nothing of such a script is kept (I1)."""
    path = files.path_of(tmp_path, ALICE)
    make(path)
    with pytest.raises(InvalidConfig):
        make(path, create=script)
    make(path, create="INSERT INTO notes VALUES ('1', 'x'); DELETE FROM notes;")
    make(path, create="DROP TABLE notes; CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, n);")


def test_the_script_may_run_again_and_be_recorded(tmp_path: Path) -> None:
    """On later opens the script runs with the capture in place: what it writes is a change (I1)."""
    path = files.path_of(tmp_path, ALICE)
    make(path)
    make(path, create=f"{NOTES} INSERT OR IGNORE INTO notes VALUES ('later', 'x');")
    replica = FileReplica.open(path, tables=[], device=DEVICE, incarnation="one")
    state = replica.state()
    replica.close()

    assert state.pending == 1


def test_a_full_disk_is_not_the_scripts_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What SQLite says about the disk keeps its own error."""
    path = files.path_of(tmp_path, ALICE)
    make(path)
    connect: Callable[..., sqlite3.Connection] = sqlite3.connect

    def small(*arguments: object, **named: object) -> sqlite3.Connection:
        connection = connect(*arguments, **named)
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {pages}")
        return connection

    monkeypatch.setattr(files.sqlite3, "connect", small)
    with pytest.raises(SyncAuthError) as raised:
        files.run_create(path, "CREATE TABLE big AS SELECT zeroblob(100000) AS b;", [])

    assert type(raised.value).__name__ == "FileFull"
    assert isinstance(raised.value, StorageError)
    assert raised.value.path == path
    assert tables(path) == {"notes"}
