"""The waking of an open file, by its own connections and by anybody else's commit."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlite_utils

from syncauth.adapters import watching
from syncauth.replica.opened import OpenedFile
from tests.support.opened_file import LIMIT, NoWatcher, Wakes, insert, open_notes, settle

FOREIGN = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
for line in sys.stdin:
    with connection:
        connection.execute("INSERT INTO notes VALUES (?, 'foreign')", (line.strip(),))
    print("committed", flush=True)
"""


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenedFile]:
    found = open_notes(tmp_path)
    yield found
    found.close()


@pytest.fixture
def unwatched(tmp_path: Path) -> Iterator[OpenedFile]:
    """A file whose directory tells nothing, so that a wake can only come from its connections."""
    found = open_notes(tmp_path, watch=NoWatcher)
    yield found
    found.close()


@pytest.fixture
def only_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """No notice without an event of the system."""
    monkeypatch.setattr(watching, "REST_MILLISECONDS", 3_600_000)


# --- waking by our own connections ---------------------------------------------------------------


def _count_afterinsert(db: sqlite_utils.Database) -> int:
    insert(db)
    return int(db["notes"].count)


def _commit(db: sqlite_utils.Database) -> None:
    db.conn.execute("INSERT INTO notes VALUES ('new', 'x')")
    db.conn.commit()


def _block(db: sqlite_utils.Database) -> None:
    with db.conn:
        db.conn.execute("UPDATE notes SET text = 'y'")


def _plain_sql(db: sqlite_utils.Database) -> None:
    db.conn.execute("BEGIN")
    db.conn.execute("DELETE FROM notes")
    db.conn.execute("COMMIT")


def _script(db: sqlite_utils.Database) -> None:
    db.conn.executescript("INSERT INTO notes VALUES ('new', 'x');")


def _cursor(db: sqlite_utils.Database) -> None:
    cursor = db.conn.cursor()
    cursor.executemany("INSERT INTO notes VALUES (?, ?)", [("n1", "x"), ("n2", "y")])
    db.conn.commit()


def _autocommit(db: sqlite_utils.Database) -> None:
    db.conn.isolation_level = None
    db.conn.execute("UPDATE notes SET text = 'z'")


@pytest.mark.parametrize(
    "write", [insert, _commit, _block, _plain_sql, _script, _cursor, _autocommit]
)
def test_every_way_to_commit_on_the_own_connection_wakes(
    unwatched: OpenedFile, write: Callable[[sqlite_utils.Database], None]
) -> None:
    """A commit through `db` is told without any help of the file system."""
    unwatched.db["notes"].insert({"id": "old", "text": "x"})
    wakes = Wakes()
    unwatched.watch(wakes)
    settle(unwatched)
    count = wakes.count
    write(unwatched.db)

    wakes.wait_above(count)


def test_the_writer_wakes(unwatched: OpenedFile) -> None:
    """A commit of `write` is told as well, and its result is what the function returned."""
    wakes = Wakes()
    unwatched.watch(wakes)
    settle(unwatched)
    result = unwatched.write(lambda db: db["notes"].insert({"id": "a", "text": "x"}).last_pk)

    assert result.result(LIMIT) == 1
    wakes.wait_above(0)


def test_what_commits_nothing_wakes_nobody(unwatched: OpenedFile) -> None:
    """Reading, an open transaction, a rollback and the replica's own transactions are no news."""
    insert(unwatched.db)
    wakes = Wakes()
    unwatched.watch(wakes)
    settle(unwatched)
    count = wakes.count
    db = unwatched.db
    assert db.conn.execute("SELECT * FROM notes").fetchall() == [("new", "x")]
    assert list(db["notes"].rows) == [{"id": "new", "text": "x"}]
    db.conn.execute("INSERT INTO notes VALUES ('open', 'x')")
    settle(unwatched)
    db.conn.rollback()
    unwatched.worker.submit(lambda: unwatched.replica.cut(rows=10, size=1000)).result(LIMIT)
    settle(unwatched)
    settle(unwatched)

    assert wakes.count == count


def test_commits_between_opening_and_watching_are_told(unwatched: OpenedFile) -> None:
    """Whatever was written before anybody watched is news at the first look."""
    insert(unwatched.db)
    settle(unwatched)
    wakes = Wakes()
    unwatched.watch(wakes)

    wakes.wait_above(0)


def test_many_commits_are_told_together(unwatched: OpenedFile) -> None:
    """While the file's thread is busy commits pile up into one wake, and the last is told too."""
    wakes = Wakes()
    unwatched.watch(wakes)
    settle(unwatched)
    gate = threading.Event()
    unwatched.worker.submit(lambda: gate.wait(LIMIT))
    unwatched.db["notes"].insert_all({"id": str(number), "text": "x"} for number in range(3))
    for number in range(100):
        unwatched.db["notes"].insert({"id": f"more {number}", "text": "x"})
    assert wakes.count == 0
    gate.set()
    wakes.wait_above(0)
    settle(unwatched)

    assert wakes.count == 1


def test_a_file_that_cannot_be_looked_at_wakes(
    unwatched: OpenedFile, caplog: pytest.LogCaptureFixture
) -> None:
    """An error of looking is logged and told as news: the next call finds out what it means."""
    wakes = Wakes()
    unwatched.watch(wakes)
    settle(unwatched)
    unwatched.replica.close()
    insert(unwatched.db)

    wakes.wait_above(0)
    settle(unwatched)
    assert "closed database" in caplog.text


# --- waking by others ----------------------------------------------------------------------------


@pytest.mark.usefixtures("only_events")
def test_a_plain_connection_of_this_process_wakes(opened: OpenedFile) -> None:
    """A connection that never heard of us is noticed by the directory."""
    wakes = Wakes()
    opened.watch(wakes)
    settle(opened)
    other = sqlite3.connect(opened.path)
    for number in range(5):
        count = wakes.count
        with other:
            other.execute("INSERT INTO notes VALUES (?, 'x')", (str(number),))
        wakes.wait_above(count)
    other.close()


@pytest.mark.usefixtures("only_events")
def test_another_process_wakes(opened: OpenedFile) -> None:
    """Its commits are told one by one."""
    wakes = Wakes()
    opened.watch(wakes)
    settle(opened)
    command = [sys.executable, "-c", FOREIGN, opened.path]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(9):
            count = wakes.count
            process.stdin.write(f"{number}\n")
            wakes.wait_above(count)
            assert process.stdout.readline() == "committed\n"
            settle(opened)
        process.stdin.close()

    assert opened.worker.submit(opened.replica.state).result(LIMIT).pending == 9


def test_where_nothing_can_be_watched_others_are_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the system's help the file is looked at all the time, and `watching` says so."""

    def refuse(*_: object) -> None:
        message = "no more watches"
        raise OSError(message)

    monkeypatch.setattr(watching, "RustNotify", refuse)
    opened = open_notes(tmp_path)
    wakes = Wakes()
    opened.watch(wakes)
    settle(opened)
    with sqlite3.connect(opened.path) as other:
        other.execute("INSERT INTO notes VALUES ('a', 'x')")
    other.close()
    wakes.wait_above(0)

    assert opened.watching == "polling"
    opened.close()
