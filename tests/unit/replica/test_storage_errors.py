"""What the disk and the file can do to a replica: typed errors with the path, and nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncauth.errors import (
    Closed,
    FileCorrupt,
    FileFull,
    FileInUse,
    FileTooNew,
    InvalidConfig,
    StorageError,
)
from syncauth.models import TableSpec
from syncauth.replica import schema
from syncauth.replica.replica import FileReplica
from syncauth.sansio.messages import Refused, Section
from tests.support.replica_bench import DEVICE, OTHER, OWN, ReplicaBench, remote

BIG = 300_000
ROOMY = 1 << 30


@pytest.fixture
def connection(bench: ReplicaBench) -> Iterator[sqlite3.Connection]:
    """Hand out the connection that the replica works on, which a test may give too little room."""
    bench.replica.close()
    connection = schema.open_connection(bench.path)
    bench.replica = FileReplica(
        connection, bench.path, tables=bench.specs, device=DEVICE, incarnation="other"
    )
    yield connection
    connection.close()


def _open(path: Path) -> FileReplica:
    return FileReplica.open(
        str(path), tables=[TableSpec("notes")], device=DEVICE, incarnation="one"
    )


def _full(connection: sqlite3.Connection) -> None:
    """Let the file grow no further, and have no free page in it."""
    connection.execute("VACUUM")
    connection.execute("PRAGMA max_page_count = 1")


def _refuse_once(
    connection: sqlite3.Connection, path: str, work: Callable[[], Any]
) -> tuple[Any, ...]:
    """Check that work fails on a full disk and changes nothing of ours; then give it room."""
    before = _everything(path)
    _full(connection)
    with pytest.raises(FileFull) as raised:
        work()
    assert raised.value.path == path
    assert not connection.in_transaction
    connection.execute(f"PRAGMA max_page_count = {ROOMY}")
    assert _everything(path) == before
    return before


def _everything(path: str) -> tuple[Any, ...]:
    """Read every row of every table of the file, our own included."""
    other = sqlite3.connect(path)
    names = [
        row[0]
        for row in other.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY 1")
    ]
    found = tuple((name, other.execute(f'SELECT * FROM "{name}"').fetchall()) for name in names)
    other.close()
    return found


# --- a full disk -------------------------------------------------------------------------------------


def test_a_cut_on_a_full_disk_leaves_the_outbox(
    bench: ReplicaBench, connection: sqlite3.Connection
) -> None:
    """The changes stay where they were, and are sent when there is room (I1)."""
    bench.app.execute("INSERT INTO notes VALUES ('1', ?, NULL, 0)", ("x" * BIG,))
    _refuse_once(connection, bench.path, bench.cut)
    (sent,) = bench.cut()
    assert sent.values["title"] == "x" * BIG


def test_a_page_on_a_full_disk_is_not_applied_at_all(
    bench: ReplicaBench, connection: sqlite3.Connection
) -> None:
    """Rows and cursor stay together; what the app writes next is captured, and the page comes again."""
    bench.apply(remote(["1", "a", "b", 3]))
    life = f"{1 << 40:016x}{OTHER}"
    page = remote(["1", "new", "b", 3], ["2", "x" * BIG, None, 0], hlc=2 << 40, life=life)
    _refuse_once(connection, bench.path, lambda: bench.apply(page))
    assert bench.replica.state().checkpoints == {OWN: 1}
    bench.run("UPDATE notes SET likes = 4")
    bench.apply(page)
    assert bench.table() == [("1", "new", "b", 4), ("2", "x" * BIG, None, 0)]
    assert bench.sent() == [("update", ("1",), {"likes": 4}, {})]


def test_a_result_on_a_full_disk_keeps_the_batch_in_flight(
    bench: ReplicaBench, connection: sqlite3.Connection
) -> None:
    """Trim, dead letters and rows put back are one transaction: all of it or nothing."""
    bench.app.execute("INSERT INTO notes VALUES ('1', ?, NULL, 0)", ("x" * BIG,))
    (sent,) = bench.cut()
    gone = Section("notes", "exit", [["1"]], partition=OWN)
    refused = Refused(sent.entry, "constraint", "no")
    _refuse_once(connection, bench.path, lambda: bench.acknowledge(refused, rows=[gone]))
    assert len(bench.replica.state().in_flight) == 1
    done = bench.acknowledge(refused, rows=[gone])
    assert [each.values["title"] for each in done.refused] == ["x" * BIG]
    assert bench.table() == []


def test_a_write_of_the_app_on_a_full_disk_leaves_no_entry(bench: ReplicaBench) -> None:
    """Row and entry commit together or not at all; the error is the app's own."""
    bench.run("VACUUM", "PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        bench.app.execute("INSERT INTO notes VALUES ('1', ?, NULL, 0)", ("x" * BIG,))
    assert bench.replica.state().pending == 0
    assert bench.cut() == []


def test_a_file_that_has_no_room_for_our_tables_stays_as_it_was(tmp_path: Path) -> None:
    """Opening for the first time is all or nothing."""
    path = tmp_path / "app.db"
    app = sqlite3.connect(path)
    app.execute("CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY)")
    app.close()
    connection = schema.open_connection(str(path))
    _full(connection)
    with pytest.raises(FileFull):
        FileReplica(
            connection, str(path), tables=[TableSpec("notes")], device=DEVICE, incarnation="one"
        )
    assert _everything(str(path)) == (("notes", []),)
    connection.execute(f"PRAGMA max_page_count = {ROOMY}")
    connection.close()
    _open(path).close()


# --- files that cannot be used -------------------------------------------------------------------------


@pytest.mark.parametrize("value", [2, 1 << 40, "two"])
def test_a_file_of_a_newer_version_is_not_touched(bench: ReplicaBench, value: object) -> None:
    """Neither our tables nor the app's; the app can still use it."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.replica.close()
    bench.app.execute("UPDATE _sync_meta SET value = ? WHERE key = 'format'", (value,))
    before = _everything(bench.path)
    with pytest.raises(FileTooNew) as raised:
        bench.open()
    assert raised.value.path == bench.path
    assert raised.value.remedy
    assert _everything(bench.path) == before


@pytest.mark.parametrize(
    "content", [b"no database at all" * 500, b"SQLite format 3\0" + b"x" * 9000]
)
def test_what_is_no_database_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    """Every byte stays: somebody may know what it was."""
    path = tmp_path / "app.db"
    path.write_bytes(content)
    with pytest.raises(FileCorrupt) as raised:
        _open(path)
    assert raised.value.path == str(path)
    assert path.read_bytes() == content


def test_damage_in_the_middle_is_told_when_it_is_met(tmp_path: Path) -> None:
    """A page of the outbox is overwritten: the cut says so, and sends nothing half."""
    bench = ReplicaBench(tmp_path)
    for place in range(2000):
        bench.app.execute("INSERT INTO notes VALUES (?, 'a', 'b', 3)", (f"{place}",))
    (root,) = bench.app.execute(
        "SELECT rootpage FROM sqlite_master WHERE name = '_sync_capture_1'"
    ).fetchone()
    (size,) = bench.app.execute("PRAGMA page_size").fetchone()
    bench.app.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    bench.close()
    with Path(bench.path).open("r+b") as file:
        file.seek((root - 1) * size)
        file.write(b"\x00garbage" * (size // 8))
    damaged = Path(bench.path).read_bytes()
    with pytest.raises(FileCorrupt) as raised:  # noqa: PT012 - it may be met by either call
        replica = _open(Path(bench.path))
        try:
            replica.cut(rows=1000, size=1_000_000)
        finally:
            replica.close()
    assert raised.value.path == bench.path
    assert (
        Path(bench.path).read_bytes()[(root - 1) * size : root * size]
        == (damaged[(root - 1) * size : root * size])
    )


def test_a_writer_that_does_not_end_is_told(
    bench: ReplicaBench, connection: sqlite3.Connection
) -> None:
    """After its patience the replica says that the file is in use; reading waits for nobody."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)", "BEGIN IMMEDIATE")
    connection.execute("PRAGMA busy_timeout = 20")
    with pytest.raises(FileInUse):
        bench.cut()
    assert bench.replica.state().pending == 1
    bench.run("COMMIT")
    assert len(bench.cut()) == 1


def test_a_file_that_may_not_be_written(
    bench: ReplicaBench, connection: sqlite3.Connection
) -> None:
    """What cannot be written is a storage error, not a crash, and the changes wait."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    connection.execute("PRAGMA query_only = ON")
    with pytest.raises(StorageError):
        bench.cut()
    connection.execute("PRAGMA query_only = OFF")
    assert len(bench.cut()) == 1


@pytest.mark.parametrize("name", ["missing/app.db", "."])
def test_a_place_without_a_file_is_a_storage_error(tmp_path: Path, name: str) -> None:
    """A missing directory, or a directory in the file's place."""
    with pytest.raises(StorageError) as raised:
        _open(tmp_path / name)
    assert raised.value.path == str(tmp_path / name)


def test_a_file_without_a_log_is_refused() -> None:
    """In memory there is no WAL mode, and nothing would be durable."""
    with pytest.raises(StorageError):
        _open(Path(":memory:"))


@pytest.mark.parametrize("pragma", ["foreign_keys = ON", "synchronous = NORMAL"])
def test_our_own_connection_keeps_its_settings(
    bench: ReplicaBench, connection: sqlite3.Connection, pragma: str
) -> None:
    """With others a cascade would delete unsent rows, or a commit not be durable (seen)."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    connection.execute(f"PRAGMA {pragma}")
    with pytest.raises(InvalidConfig):
        bench.cut()
    assert bench.replica.state().pending == 1


def test_a_closed_replica_says_so(bench: ReplicaBench) -> None:
    """Every call after the end is answered with the same error; closing twice is fine."""
    bench.replica.close()
    bench.replica.close()
    for work in (bench.replica.state, bench.cut, bench.replica.dead_letters):
        with pytest.raises(Closed):
            work()
