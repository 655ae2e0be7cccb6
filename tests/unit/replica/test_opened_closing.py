"""The end of an open file: nothing committed is lost, and nothing is left behind."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from syncauth.errors import Closed
from syncauth.replica.opened import OpenedFile
from tests.support.opened_file import LIMIT, insert, open_notes


def test_closing_leaves_one_file_and_no_thread(tmp_path: Path) -> None:
    """The log is moved into the database, every connection closed, the lock free; twice is once."""
    threads = threading.active_count()
    opened = open_notes(tmp_path)
    opened.watch(lambda: None)
    kept = opened.db.conn
    insert(opened.db)
    opened.write(lambda db: db["notes"].count).result(LIMIT)
    opened.close()
    opened.close()

    assert threading.active_count() == threads
    assert sorted(each.name[32:] for each in Path(opened.path).parent.iterdir()) == [
        ".db",
        ".db.lock",
    ]
    for use in (
        lambda: opened.db,
        lambda: opened.write(lambda _: None),
        opened.dead_letters,
        lambda: opened.watch(lambda: None),
        lambda: kept.execute("SELECT 1"),
        kept.commit,
    ):
        with pytest.raises(Closed):
            use()


def test_closing_takes_open_transactions_back(tmp_path: Path) -> None:
    """A transaction left open is rolled back; a thread waiting for its lock does not hinder."""
    opened = open_notes(tmp_path)
    opened.db.conn.execute("INSERT INTO notes VALUES ('open', 'x')")
    began = threading.Event()
    ended: list[BaseException | None] = []

    def wait_for_the_lock() -> None:
        db = opened.db
        began.set()
        try:
            db["notes"].insert({"id": "waiting", "text": "x"})
            ended.append(None)
        except (Closed, sqlite3.Error) as error:
            ended.append(error)

    thread = threading.Thread(target=wait_for_the_lock)
    thread.start()
    assert began.wait(LIMIT)
    opened.close()
    thread.join(LIMIT)

    assert len(ended) == 1
    again = open_notes(tmp_path)
    assert {row["id"] for row in again.db["notes"].rows} <= {"waiting"}
    again.close()


def _load(opened: OpenedFile, number: int, committed: list[str], began: threading.Barrier) -> None:
    """Write, read and leave a writing statement half read, until the file is closed."""
    db = opened.db
    for step in range(1_000_000):
        key = f"{number} {step}"
        db.conn.execute("BEGIN IMMEDIATE")  # a deferred one may meet a newer snapshot, and fail
        db.conn.execute("INSERT INTO notes VALUES (?, 'x')", (key,))
        db.conn.execute("COMMIT")
        committed.append(key)
        changed = db.conn.execute("UPDATE notes SET text = 'y' WHERE id = ? RETURNING id", (key,))
        assert next(changed) == (key,)
        db.conn.rollback()
        for _ in range(20):
            assert db["notes"].count > 0
            assert db.conn.in_transaction is False
        if step == 3:
            began.wait(LIMIT)


def test_closing_under_load_loses_no_commit(tmp_path: Path) -> None:
    """Threads that read and write are told that it is closed; what they saw committed stays (I1)."""
    opened = open_notes(tmp_path)
    opened.watch(lambda: None)
    committed: list[list[str]] = [[] for _ in range(3)]
    ends: list[BaseException] = []
    began = threading.Barrier(4)

    def load(number: int) -> None:
        try:
            _load(opened, number, committed[number], began)
        except (Closed, sqlite3.Error, AssertionError) as error:
            ends.append(error)

    threads = [threading.Thread(target=load, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    began.wait(LIMIT)
    write = opened.write(lambda db: db["notes"].insert({"id": "write", "text": "x"}))
    opened.close()
    for thread in threads:
        thread.join(LIMIT)

    assert write.exception(0) is None
    assert len(ends) == 3
    assert [e for e in ends if not isinstance(e, (Closed, sqlite3.ProgrammingError))] == []
    again = open_notes(tmp_path)
    there = {row["id"] for row in again.db["notes"].rows}
    again.close()
    assert there >= {"write", *(each for keys in committed for each in keys)}
    assert len(there) <= sum(map(len, committed)) + 1 + 3


def test_two_threads_may_close_at_a_time(tmp_path: Path) -> None:
    """Both return after the end: the lock is free for either."""
    opened = open_notes(tmp_path)
    gate = threading.Event()
    opened.worker.submit(lambda: gate.wait(LIMIT))
    threads = [threading.Thread(target=opened.close) for _ in range(2)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(LIMIT)

    open_notes(tmp_path).close()


def test_a_half_read_statement_keeps_no_lock(tmp_path: Path) -> None:
    """Closing ends its transaction, although the app still holds the cursor (seen)."""
    opened = open_notes(tmp_path)
    opened.db["notes"].insert({"id": "a", "text": "x"})
    half_read = opened.db.conn.execute("UPDATE notes SET text = 'y' RETURNING id")
    assert next(half_read) == ("a",)
    opened.close()
    other = sqlite3.connect(opened.path, timeout=0.5)
    with other:
        other.execute("UPDATE notes SET text = 'z'")
    other.close()
    del half_read
