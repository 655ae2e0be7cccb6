"""The guest's file, and its one adoption by a user."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from syncauth.adapters.locks import hold_file
from syncauth.errors import FileInUse, FileNotOurs, TableNotTrackable
from syncauth.models import TableSpec
from syncauth.replica import adopting, files
from syncauth.replica.adopting import Counts
from syncauth.replica.opened import OpenedFile, Owner
from tests.support.opened_file import ALICE, LIMIT, NoWatcher, Wakes, open_notes

GUEST = Owner(ALICE.server, ALICE.app, None)
ALICE_HOME = (ALICE.server, ALICE.app)
BOB = Owner(ALICE.server, ALICE.app, "bob")
SHAPES = """
    CREATE TABLE IF NOT EXISTS books (id TEXT NOT NULL PRIMARY KEY, title TEXT UNIQUE, n INTEGER);
    CREATE TABLE IF NOT EXISTS pages (
        book TEXT NOT NULL REFERENCES books (id), number INTEGER NOT NULL, body,
        size INTEGER AS (length(body)), PRIMARY KEY (book, number)) WITHOUT ROWID;
"""
SHELF = {
    "create": SHAPES,
    "tables": [TableSpec("pages"), TableSpec("books", counters=("n",))],
}


def guest_with(tmp_path: Path, *statements: tuple[str, Any], **shape: Any) -> str:
    """Make a guest's file, write into it, and close it; returns its path."""
    opened = open_notes(tmp_path, GUEST, incarnation="of the guest", watch=NoWatcher, **shape)
    for sql, given in statements:
        with opened.db.conn:
            opened.db.execute(sql, given)
    opened.close()
    return opened.path


def adopt(opened: OpenedFile, tmp_path: Path) -> dict[str, Counts]:
    return dict(opened.adopt(tmp_path, GUEST, hold_file).result(LIMIT))


def rows(path: str, sql: str) -> list[Any]:
    """Read with another connection, texts as bytes."""
    connection = sqlite3.connect(path)
    connection.text_factory = bytes
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def pending(opened: OpenedFile) -> int:
    return opened.worker.submit(opened.replica.state).result(LIMIT).pending


# --- the file ------------------------------------------------------------------------------------


def test_a_guests_file_is_no_users(tmp_path: Path) -> None:
    """No id of a user leads to the guest's file, and in the guest's place no user's file is opened (I12)."""
    guest = files.path_of(tmp_path, GUEST)
    ids = ["", "None", "null", "0", "guest", "\x00"]
    assert guest not in {files.path_of(tmp_path, Owner(*ALICE_HOME, each)) for each in ids}

    open_notes(tmp_path).close()
    Path(files.path_of(tmp_path, ALICE)).rename(guest)
    with pytest.raises(FileNotOurs):
        open_notes(tmp_path, GUEST)


@pytest.mark.parametrize("user", ["alice", "", "0", "None"])
def test_a_guests_file_is_opened_by_no_user(tmp_path: Path, user: str) -> None:
    """Put into a user's place it is refused, whatever the user's id looks like (I12)."""
    owner = Owner(*ALICE_HOME, user)
    Path(guest_with(tmp_path)).rename(files.path_of(tmp_path, owner))

    with pytest.raises(FileNotOurs):
        open_notes(tmp_path, owner)


def test_a_guests_file_is_one_for_each_server_and_app(tmp_path: Path) -> None:
    """The same guest comes back to the same file; another app or server has another (I12)."""
    guest_with(tmp_path, ("INSERT INTO notes VALUES ('a', 'x')", ()))
    again = open_notes(tmp_path, GUEST)
    other = open_notes(tmp_path, Owner(ALICE.server, "other", None))

    assert (again.db["notes"].count, other.db["notes"].count) == (1, 0)
    again.close()
    other.close()


# --- adopting ------------------------------------------------------------------------------------


def test_rows_of_the_guest_become_changes_of_the_user(tmp_path: Path) -> None:
    """Each row is an unsent insert of the user's, and whoever sends is woken (I1)."""
    guest_with(tmp_path, *[("INSERT INTO notes VALUES (?, 'x')", (str(n),)) for n in range(3)])
    opened = open_notes(tmp_path)
    wakes = Wakes()
    opened.watch(wakes)
    before = wakes.count

    assert adopt(opened, tmp_path) == {"notes": Counts(3, 0, 0)}
    wakes.wait_above(before)
    assert opened.db["notes"].count == pending(opened) == 3
    opened.close()


def test_a_key_that_the_user_has_is_left_as_it_is(tmp_path: Path) -> None:
    """The user's own row stays, with what waits of it, and the guest's is counted as kept."""
    values = [("INSERT INTO notes VALUES (?, 'guest')", (key,)) for key in "ab"]
    guest_with(tmp_path, *values)
    opened = open_notes(tmp_path)
    opened.db["notes"].insert({"id": "a", "text": "alice"})

    assert adopt(opened, tmp_path) == {"notes": Counts(1, 1, 0)}
    assert rows(opened.path, "SELECT * FROM notes") == [(b"a", b"alice"), (b"b", b"guest")]
    assert pending(opened) == 2
    opened.close()


def test_values_survive_bit_for_bit(tmp_path: Path) -> None:
    """Every value has the type and the bits that it had: texts that are no UTF-8, blobs, infinities, large numbers."""
    values = [
        *(b"bytes", b"", 2**63 - 1, -(2**63), 0.1, -0.0, 1e308 * 10, 5e-324, None),
        *("a\x00b", "ä\U0001f600", ""),
    ]
    inserts = [("INSERT INTO books (id) VALUES ('one')", ())]
    inserts += [
        ("INSERT INTO pages (book, number, body) VALUES ('one', ?, ?)", (number, value))
        for number, value in enumerate(values)
    ]
    broken = "INSERT INTO pages (book, number, body) VALUES ('one', 99, CAST(x'ff00fe' AS TEXT))"
    guest = guest_with(tmp_path, *inserts, (broken, ()), **SHELF)
    opened = open_notes(tmp_path, **SHELF)

    assert adopt(opened, tmp_path)["pages"] == Counts(len(values) + 1, 0, 0)
    sql = "SELECT number, typeof(body), hex(body), quote(body), size FROM pages ORDER BY number"
    assert rows(opened.path, sql) == rows(guest, sql)
    assert opened.worker.submit(lambda: opened.replica.cut(rows=99, size=9999)).result(LIMIT).batch
    opened.close()


def test_rows_come_after_those_that_they_refer_to(tmp_path: Path) -> None:
    """The server judges a book before its pages, and a counter arrives with the value that it had."""
    guest_with(
        tmp_path,
        ("INSERT INTO books VALUES ('one', 'One', 5)", ()),
        ("INSERT INTO pages (book, number, body) VALUES ('one', 1, 'x')", ()),
        ("UPDATE books SET n = n + 2", ()),
        **SHELF,
    )
    opened = open_notes(tmp_path, **SHELF)
    adopt(opened, tmp_path)
    batch = opened.worker.submit(lambda: opened.replica.cut(rows=9, size=9999)).result(LIMIT).batch
    assert batch is not None
    sections = json.loads(batch.sections)
    opened.close()

    assert [(each["table"], each["kind"]) for each in sections] == [
        ("books", "insert"),
        ("pages", "insert"),
    ]
    assert sections[0]["rows"][0][-2:] == ["One", 7]


def test_what_does_not_fit_is_handed_to_the_app(tmp_path: Path) -> None:
    """A row whose unique value the user's file has goes to the dead letters, the others are adopted (I1)."""
    broken = "INSERT INTO books VALUES (CAST(x'ff' AS TEXT), 'Taken', 1)"
    guest_with(
        tmp_path,
        (broken, ()),
        ("INSERT INTO books VALUES ('free', 'Free', 2)", ()),
        **SHELF,
    )
    opened = open_notes(tmp_path, **SHELF)
    opened.db["books"].insert({"id": "own", "title": "Taken"})

    assert adopt(opened, tmp_path)["books"] == Counts(1, 0, 1)
    (letter,) = opened.dead_letters().result(LIMIT)
    assert (letter.table, letter.kind, letter.code) == ("books", "insert", "unique_conflict")
    assert (bytes(letter.key[0]), letter.values) == (b"\xff", {"title": "Taken", "n": 1})
    assert pending(opened) == 2
    opened.close()


def test_it_happens_once(tmp_path: Path) -> None:
    """Called again it changes nothing and tells the same, also when the rows have gone their way since."""
    guest = guest_with(tmp_path, ("INSERT INTO notes VALUES ('a', 'x')", ()))
    opened = open_notes(tmp_path)
    first = adopt(opened, tmp_path)
    opened.db.execute("DELETE FROM notes")
    opened.db.conn.commit()

    assert adopt(opened, tmp_path) == first == {"notes": Counts(1, 0, 0)}
    assert opened.db["notes"].count == 0
    assert adopting.unfinished(guest) is None
    opened.close()


def test_an_adopted_file_belongs_to_that_user(tmp_path: Path) -> None:
    """No other user adopts it, and no guest opens it again (I12)."""
    guest = guest_with(tmp_path, ("INSERT INTO notes VALUES ('a', 'x')", ()))
    opened = open_notes(tmp_path)
    adopt(opened, tmp_path)
    opened.close()

    other = open_notes(tmp_path, BOB)
    with pytest.raises(FileNotOurs) as raised:
        adopt(other, tmp_path)
    assert "alice" not in str(raised.value)
    assert other.db["notes"].count == pending(other) == 0
    other.close()
    with pytest.raises(FileNotOurs):
        open_notes(tmp_path, GUEST)
    assert rows(guest, "SELECT id FROM notes") == [(b"a",)]


def test_an_open_guests_file_is_not_adopted(tmp_path: Path) -> None:
    """Whoever still writes to it would write for nobody."""
    guest = open_notes(tmp_path, GUEST)
    opened = open_notes(tmp_path)

    with pytest.raises(FileInUse):
        adopt(opened, tmp_path)
    guest.close()
    assert adopt(opened, tmp_path) == {"notes": Counts(0, 0, 0)}
    opened.close()


def test_without_a_guests_file_there_is_nothing_to_adopt(tmp_path: Path) -> None:
    """Nor is one made."""
    opened = open_notes(tmp_path)

    assert adopt(opened, tmp_path) == {}
    assert adopting.unfinished(files.path_of(tmp_path, GUEST)) is None
    assert not Path(files.path_of(tmp_path, GUEST)).exists()
    opened.close()


@pytest.mark.parametrize(
    ("create", "reason"),
    [
        ("CREATE TABLE other (id TEXT NOT NULL PRIMARY KEY, text TEXT);", "unknown_table"),
        ("CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, txt TEXT);", "shape_changed"),
        ("CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, text INTEGER);", "shape_changed"),
        ("CREATE TABLE notes (key TEXT NOT NULL PRIMARY KEY, text TEXT);", "shape_changed"),
    ],
)
def test_rows_without_a_place_are_refused_before_anything_is_done(
    tmp_path: Path, create: str, reason: str
) -> None:
    """The guest's file stays the guest's, to be adopted with the right tables (I1)."""
    guest_with(tmp_path, ("INSERT INTO notes VALUES ('a', 'x')", ()))
    name = "other" if "other" in create else "notes"
    opened = open_notes(tmp_path, create=create, tables=[TableSpec(name)])

    with pytest.raises(TableNotTrackable) as raised:
        adopt(opened, tmp_path)
    assert (raised.value.table, raised.value.reason) == ("notes", reason)
    opened.close()
    open_notes(tmp_path, GUEST).close()


def test_new_columns_have_their_defaults(tmp_path: Path) -> None:
    """A user's table may have more columns than the guest's had."""
    guest_with(tmp_path, ("INSERT INTO notes VALUES ('a', 'x')", ()))
    create = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, text TEXT, n INTEGER DEFAULT 3);"
    opened = open_notes(tmp_path, create=create)

    assert adopt(opened, tmp_path) == {"notes": Counts(1, 0, 0)}
    assert rows(opened.path, "SELECT n FROM notes") == [(3,)]
    opened.close()


def test_nobody_writes_to_the_guests_file_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write of another program between the copy and the mark would be lost: it is refused instead (I1)."""
    guest = guest_with(tmp_path, ("INSERT INTO notes VALUES ('a', 'x')", ()))
    opened = open_notes(tmp_path)
    refused = []
    copy = adopting.Guest.copy_into

    def copy_and_write(self: Any, *arguments: Any) -> Any:
        found = copy(self, *arguments)
        stranger = sqlite3.connect(guest, timeout=0)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            stranger.execute("INSERT INTO notes VALUES ('b', 'x')")
        stranger.close()
        refused.append(True)
        return found

    monkeypatch.setattr(adopting.Guest, "copy_into", copy_and_write)
    adopt(opened, tmp_path)

    assert refused
    opened.close()


@pytest.mark.timeout(300)  # some twenty processes, one after the other
def test_killed_anywhere_it_is_done_once(tmp_path: Path) -> None:
    """I14: cut off before any statement of any of its transactions, the same call does what is missing, once."""
    steps = 0
    while True:
        steps += 1
        where = tmp_path / str(steps)
        where.mkdir()
        path = guest_with(where, *[("INSERT INTO notes VALUES (?, 'x')", (n,)) for n in "abc"])
        open_notes(where, watch=NoWatcher).close()
        child = subprocess.run(
            [sys.executable, "-m", "tests.support.adopting_program", str(where), str(steps)],
            cwd=Path(__file__).parents[3],
            check=False,
        )
        begun = adopting.unfinished(path)
        other = open_notes(where, BOB, watch=NoWatcher)
        if begun is not None:
            assert begun == "alice"
            with pytest.raises(FileNotOurs):
                adopt(other, where)
        other.close()
        opened = open_notes(where, watch=NoWatcher)
        assert adopt(opened, where) == {"notes": Counts(3, 0, 0)}
        assert opened.db["notes"].count == pending(opened) == 3
        opened.close()
        if child.returncode == 0:
            break
        assert child.returncode == -signal.SIGKILL
    assert steps > 10
