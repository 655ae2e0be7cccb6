"""An open file: its connections, its lock, the waking by anybody's commit, and its end."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils

from syncauth.adapters import watching
from syncauth.adapters.locks import hold_file
from syncauth.adapters.watching import Watcher
from syncauth.errors import Closed, FileInUse, FileNotOurs, InvalidConfig, TableNotTrackable
from syncauth.models import TableSpec
from syncauth.replica.connections import AppConnection
from syncauth.replica.opened import OpenedFile, Owner, open_file

LIMIT = 10.0
ALICE = Owner("https://sync.example.com", "field-notes", "alice")
NOTES = "CREATE TABLE IF NOT EXISTS notes (id TEXT NOT NULL PRIMARY KEY, text TEXT);"

FOREIGN = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
for line in sys.stdin:
    with connection:
        connection.execute("INSERT INTO notes VALUES (?, 'foreign')", (line.strip(),))
    print("committed", flush=True)
"""


class NoWatcher:
    """A watched directory in which nothing is ever seen: only own notices are left."""

    kind = "events"

    def __init__(self, *_: object) -> None:
        pass

    def close(self) -> None:
        pass


def open_notes(data_dir: Path, owner: Owner = ALICE, **changes: Any) -> OpenedFile:
    arguments: dict[str, Any] = {
        "tables": [TableSpec("notes")],
        "create": NOTES,
        "device": "00000000000000aa",
        "incarnation": "one",
        "hold": hold_file,
        "watch": Watcher,
    }
    return open_file(data_dir, owner, **(arguments | changes))


class Wakes:
    """A callback that counts, and whose calls can be waited for."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self.count = 0

    def __call__(self) -> None:
        with self._condition:
            self.count += 1
            self._condition.notify_all()

    def wait_above(self, count: int) -> None:
        with self._condition:
            assert self._condition.wait_for(lambda: self.count > count, LIMIT)


def settle(opened: OpenedFile) -> None:
    """Wait until the file's thread has done everything that was noticed before."""
    opened.worker.submit(lambda: None).result(LIMIT)


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


# --- opening -------------------------------------------------------------------------------------


def test_a_new_file_is_tracked_and_ready(opened: OpenedFile) -> None:
    """What is written into a new file waits in its outbox at once (I1)."""
    opened.db["notes"].insert({"id": "a", "text": "x"})
    state = opened.worker.submit(opened.replica.state).result(LIMIT)

    assert (state.pending, state.device, state.incarnation, state.fencing) == (
        1,
        "00000000000000aa",
        "one",
        1,
    )
    assert opened.dead_letters().result(LIMIT) == ()
    assert opened.watching == "events"


def test_modes_of_an_open_file(opened: OpenedFile) -> None:
    """Directory 0700, and database, log, shared memory and lock 0600."""
    opened.db["notes"].insert({"id": "a", "text": "x"})
    directory = Path(opened.path).parent
    modes = {each.name[32:]: stat.S_IMODE(each.stat().st_mode) for each in directory.iterdir()}

    assert modes == dict.fromkeys((".db", ".db-wal", ".db-shm", ".db.lock"), 0o600)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_second_open_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    """One App at a time has a user's file, also inside one process."""
    first = open_notes(tmp_path)
    with pytest.raises(FileInUse) as raised:
        open_notes(tmp_path)
    assert raised.value.path == first.path
    first.close()

    second = open_notes(tmp_path)
    assert second.replica.state().fencing == 2
    second.close()


def test_a_file_held_by_another_process_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    """The lock ends with the process that has it, and with nothing else (I14)."""
    path = open_notes(tmp_path)
    path.close()
    holder = (
        "import sys; from syncauth.adapters.locks import hold_file; lock = hold_file(sys.argv[1]);"
        " print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holder, path.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(FileInUse):
            open_notes(tmp_path)
        process.kill()
    open_notes(tmp_path).close()


def test_two_users_have_two_files(tmp_path: Path) -> None:
    """Both may be open at a time, and neither sees the other's rows (I12)."""
    alice = open_notes(tmp_path)
    bob = open_notes(tmp_path, Owner(ALICE.server, ALICE.app, "bob"))
    alice.db["notes"].insert({"id": "a", "text": "of alice"})

    assert list(bob.db["notes"].rows) == []
    alice.close()
    bob.close()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"create": "CREATE TABLE;"}, InvalidConfig),
        ({"create": "", "tables": [TableSpec("missing")]}, TableNotTrackable),
        ({"create": "CREATE TABLE notes (id TEXT);"}, TableNotTrackable),
    ],
)
def test_an_open_that_fails_leaves_nothing_held(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception]
) -> None:
    """After a refusal the lock is free and no thread is left, and the mended call succeeds."""
    threads = threading.active_count()
    with pytest.raises(error):
        open_notes(tmp_path, **changes)
    assert threading.active_count() == threads

    open_notes(tmp_path).close()


def test_a_copied_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """A file put into another user's place is neither used nor changed (I12)."""
    alice = open_notes(tmp_path)
    alice.close()
    bob = Owner(ALICE.server, ALICE.app, "bob")
    place = open_notes(tmp_path, bob)
    place.close()
    content = Path(alice.path).read_bytes()
    Path(place.path).write_bytes(content)

    with pytest.raises(FileNotOurs):
        open_notes(tmp_path, bob)
    assert Path(place.path).read_bytes() == content


# --- waking by our own connections ---------------------------------------------------------------


def _insert(db: sqlite_utils.Database) -> None:
    db["notes"].insert({"id": "new", "text": "x"})


def _count_after_insert(db: sqlite_utils.Database) -> int:
    _insert(db)
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
    "write", [_insert, _commit, _block, _plain_sql, _script, _cursor, _autocommit]
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
    _insert(unwatched.db)
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
    _insert(unwatched.db)
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
    _insert(unwatched.db)

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
def test_another_process_wakes_soon(opened: OpenedFile) -> None:
    """Its commits are told one by one; most within a quarter of a second on any machine."""
    wakes = Wakes()
    opened.watch(wakes)
    settle(opened)
    command = [sys.executable, "-c", FOREIGN, opened.path]
    waits = []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for number in range(9):
            count = wakes.count
            process.stdin.write(f"{number}\n")
            began = time.perf_counter()
            wakes.wait_above(count)
            waits.append(time.perf_counter() - began)
            assert process.stdout.readline() == "committed\n"
            settle(opened)
        process.stdin.close()

    assert sorted(waits)[len(waits) // 2] < 0.25
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


# --- threads and connections ---------------------------------------------------------------------


def test_each_thread_has_one_connection_of_its_own(opened: OpenedFile) -> None:
    """The same database in one thread, another in each other; the rows are the same."""
    opened.db["notes"].insert({"id": "a", "text": "x"})
    found: list[sqlite_utils.Database] = []

    def use() -> None:
        found.append(opened.db)
        assert opened.db is found[-1]
        assert opened.db["notes"].count == 1

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)

    assert len({id(db.conn) for db in [*found, opened.db]}) == 4


def test_the_connection_of_an_ended_thread_goes(opened: OpenedFile) -> None:
    """Threads that come and go leave no open connections behind."""
    before = sum(isinstance(each, AppConnection) for each in gc.get_objects())
    for _ in range(20):
        thread = threading.Thread(target=lambda: opened.db["notes"].count)
        thread.start()
        thread.join(LIMIT)
    gc.collect()

    assert sum(isinstance(each, AppConnection) for each in gc.get_objects()) <= before + 1


async def test_it_serves_an_event_loop(tmp_path: Path) -> None:
    """Opened and closed in threads, used on the loop: the way of the App."""
    opened = await asyncio.to_thread(open_notes, tmp_path)
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    opened.watch(lambda: loop.call_soon_threadsafe(woken.set))
    opened.db["notes"].insert({"id": "a", "text": "x"})
    await asyncio.wait_for(woken.wait(), LIMIT)
    count = await asyncio.wrap_future(opened.write(lambda db: db["notes"].count))
    await asyncio.to_thread(opened.close)

    assert count == 1
    with pytest.raises(Closed):
        _ = opened.db


# --- closing -------------------------------------------------------------------------------------


def test_closing_leaves_one_file_and_no_thread(tmp_path: Path) -> None:
    """The log is moved into the database, every connection closed, the lock free; twice is once."""
    threads = threading.active_count()
    opened = open_notes(tmp_path)
    opened.watch(lambda: None)
    kept = opened.db.conn
    _insert(opened.db)
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
