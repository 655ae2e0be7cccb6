"""The app's transactions in the writer's thread: whole or not at all, one after the other."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlite_utils

from syncauth.errors import Closed, FileInUse, InvalidConfig
from syncauth.replica import writer as module
from syncauth.replica.courtesy import Courtesy
from syncauth.replica.writer import Worker, Writer

LIMIT = 10.0


class Boom(Exception):
    """What the app's function raises."""


class Opened:
    """A writer on a file with one table, and how often it told of a commit."""

    def __init__(self, path: str) -> None:
        with sqlite3.connect(path) as other:
            other.execute("PRAGMA journal_mode = WAL")
            other.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v UNIQUE)")
        other.close()
        self.path = path
        self.writer = Writer(path, Courtesy())
        self.commits = 0

    def committed(self) -> None:
        self.commits += 1

    def rows(self) -> list[tuple[int, object]]:
        other = sqlite3.connect(self.path)
        try:
            return other.execute("SELECT id, v FROM t ORDER BY id").fetchall()
        finally:
            other.close()


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    found = Opened(str(tmp_path / "a.db"))
    yield found
    found.writer.close()


def test_calls_run_in_their_order_in_one_thread() -> None:
    """A worker is a queue: no call overtakes another, whoever submits."""
    worker = Worker("test")
    seen: list[tuple[int, int]] = []

    def call(number: int) -> int:
        seen.append((number, threading.get_ident()))
        return number

    results = [worker.submit(lambda number=number: call(number)) for number in range(200)]
    assert [each.result(LIMIT) for each in results] == list(range(200))
    worker.close()

    assert [number for number, _ in seen] == list(range(200))
    assert {thread for _, thread in seen} != {threading.get_ident()}
    assert len({thread for _, thread in seen}) == 1


def test_closing_a_worker_runs_what_was_submitted_and_takes_no_more() -> None:
    """`close` waits for the queue; afterwards a call is refused by a typed error."""
    worker = Worker("test")
    gate = threading.Event()
    first = worker.submit(lambda: gate.wait(LIMIT))
    second = worker.submit(lambda: "ran")
    closing = threading.Thread(target=worker.close)
    closing.start()
    gate.set()
    closing.join(LIMIT)

    assert first.done()
    assert second.result(0) == "ran"
    with pytest.raises(Closed):
        worker.submit(lambda: None)


def test_what_a_call_without_a_waiter_raises_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that no future carries is not swallowed."""
    worker = Worker("test")

    def fail() -> None:
        raise Boom("seen")

    worker.start(fail)
    worker.close()

    assert "Boom: seen" in caplog.text


def test_a_write_is_one_transaction_and_tells_once(opened: Opened) -> None:
    """All that the function wrote is there when its result is, and the commit was told."""

    def work(db: sqlite_utils.Database) -> int:
        db["t"].insert_all({"id": number, "v": number} for number in range(500))
        with db.atomic():
            db["t"].insert({"id": 500, "v": "nested"})
        with db.conn:
            db.conn.execute("INSERT INTO t VALUES (501, 'block')")
        assert opened.rows() == []
        return db["t"].count

    assert opened.writer.write(work, opened.committed).result(LIMIT) == 502
    assert len(opened.rows()) == 502
    assert opened.commits == 1


def test_an_exception_takes_everything_back_and_is_raised_itself(opened: Opened) -> None:
    """The very exception comes out, nothing stays, nothing is told, and the next write works."""
    boom = Boom()

    def work(db: sqlite_utils.Database) -> None:
        db["t"].insert({"id": 1, "v": 1})
        with db.conn:
            db.conn.execute("INSERT INTO t VALUES (2, 2)")
        raise boom

    with pytest.raises(Boom) as raised:
        opened.writer.write(work, opened.committed).result(LIMIT)
    assert raised.value is boom
    assert opened.rows() == []
    assert opened.commits == 0

    opened.writer.write(lambda db: db["t"].insert({"id": 3, "v": 3}), opened.committed).result(
        LIMIT
    )
    assert opened.rows() == [(3, 3)]


def test_a_failed_block_inside_is_taken_back_alone(opened: Opened) -> None:
    """A `with db.conn:` block whose exception the function catches leaves nothing; the rest stays."""

    def block(connection: sqlite3.Connection) -> None:
        with connection:
            connection.execute("INSERT INTO t VALUES (2, 'gone')")
            connection.execute("INSERT INTO t VALUES (3, 'kept')")

    def work(db: sqlite_utils.Database) -> None:
        db.conn.execute("INSERT INTO t VALUES (1, 'kept')")
        with pytest.raises(sqlite3.IntegrityError):
            block(db.conn)

    opened.writer.write(work, opened.committed).result(LIMIT)

    assert opened.rows() == [(1, "kept")]


@pytest.mark.parametrize("ending", ["COMMIT", "END", "ROLLBACK", "BEGIN", "commit()", "rollback()"])
def test_a_function_cannot_end_its_transaction(opened: Opened, ending: str) -> None:
    """Half of a write can be neither kept nor thrown away by the function."""

    def work(db: sqlite_utils.Database) -> None:
        db.conn.execute("INSERT INTO t VALUES (1, 1)")
        if ending.endswith("()"):
            getattr(db.conn, ending[:-2])()
        else:
            db.conn.execute(ending)

    for _ in range(2):  # the second time the statement might come from the cache
        with pytest.raises(InvalidConfig, match="ended its transaction") as raised:
            opened.writer.write(work, opened.committed).result(LIMIT)
        assert raised.value.setting == "work"
        assert opened.rows() == []


def test_a_write_inside_a_write_is_refused_at_once(opened: Opened) -> None:
    """It would wait for its own end; the function gets a typed error, and may go on without it."""

    def work(db: sqlite_utils.Database) -> str:
        db["t"].insert({"id": 1, "v": 1})
        with pytest.raises(InvalidConfig, match=r"given to replica\.write"):
            opened.writer.write(lambda _: None, opened.committed)
        return "went on"

    assert opened.writer.write(work, opened.committed).result(LIMIT) == "went on"
    assert opened.rows() == [(1, 1)]


def test_a_write_may_write_to_another_file(opened: Opened, tmp_path: Path) -> None:
    """Rows can be carried from one user's file to another's: only the own writer is waited for in vain."""
    other = Opened(str(tmp_path / "other.db"))

    def work(_: sqlite_utils.Database) -> None:
        insert = other.writer.write(lambda db: db["t"].insert({"id": 2, "v": 2}), other.committed)
        insert.result(LIMIT)

    opened.writer.write(work, opened.committed).result(LIMIT)
    other.writer.close()

    assert other.rows() == [(2, 2)]


def test_a_transaction_that_sqlite_ends_is_an_error(opened: Opened) -> None:
    """OR ROLLBACK ends the whole transaction; a function that goes on is told so."""

    def work(db: sqlite_utils.Database) -> None:
        db.conn.execute("INSERT INTO t VALUES (1, 1)")
        with pytest.raises(sqlite3.IntegrityError):
            db.conn.execute("INSERT OR ROLLBACK INTO t VALUES (2, 1)")

    with pytest.raises(InvalidConfig, match="ROLLBACK"):
        opened.writer.write(work, opened.committed).result(LIMIT)
    assert opened.rows() == []
    assert opened.commits == 0


def test_a_write_that_gets_no_lock_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another connection's open transaction keeps a write out: a typed error, and nothing is lost."""
    monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
    opened = Opened(str(tmp_path / "busy.db"))
    other = sqlite3.connect(opened.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    ran: list[bool] = []
    with pytest.raises(FileInUse):
        opened.writer.write(lambda _: ran.append(True), opened.committed).result(LIMIT)
    other.close()

    opened.writer.write(lambda _: ran.append(True), opened.committed).result(LIMIT)
    opened.writer.close()
    assert ran == [True]


def test_closing_lets_the_writes_submitted_end(opened: Opened) -> None:
    """What was submitted before `close` is kept (I1); afterwards nothing is taken."""
    for number in range(50):
        opened.writer.write(
            lambda db, number=number: db["t"].insert({"id": number, "v": number}), opened.committed
        )
    opened.writer.close()
    opened.writer.close()

    assert len(opened.rows()) == 50
    with pytest.raises(Closed):
        opened.writer.write(lambda _: None, opened.committed)
