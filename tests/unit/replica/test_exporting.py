"""The export: what the server does not have, in a file that any program can read."""

from __future__ import annotations

import sqlite3
import stat
from pathlib import Path
from typing import Any

import pytest

from syncauth.errors import FileFull, StorageError
from syncauth.models import TableSpec
from syncauth.replica import exporting
from syncauth.sansio.messages import Refused
from tests.support.opened_file import ALICE, LIMIT, NoWatcher, open_notes
from tests.support.replica_bench import ReplicaBench, remote

COUNTED = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title, body, likes INTEGER)"
CELLS = (
    "SELECT state, table_name, kind, role, name, value FROM changes"
    " LEFT JOIN cells ON change = number ORDER BY number, cells.rowid"
)


@pytest.fixture
def counted(tmp_path: Path) -> Any:
    """A replica whose values have any type, and which counts likes."""
    bench = ReplicaBench(tmp_path, COUNTED, TableSpec("notes", counters=("likes",)))
    yield bench
    bench.close()


def read(path: Path, sql: str = CELLS) -> list[Any]:
    """Read the file as a program without syncauth does."""
    connection = sqlite3.connect(path)
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def test_everything_that_waits_is_written(counted: ReplicaBench, tmp_path: Path) -> None:
    """In flight, unsent and refused changes are there with kind, key, values and deltas, in their order (I1)."""
    counted.apply(remote(["r", "old", "old", 1], ["gone", "x", "x", 1]))
    counted.run("INSERT INTO notes VALUES ('bad', 'no', NULL, 1)")
    counted.cut()
    counted.acknowledge(Refused(1, "permission_denied", "not yours"))
    counted.run("INSERT INTO notes VALUES ('a', 'one', NULL, 3)")
    counted.cut()
    counted.run(
        "UPDATE notes SET title = 'two' WHERE id = 'a'",
        "UPDATE notes SET likes = likes + 5 WHERE id = 'r'",
        "DELETE FROM notes WHERE id = 'gone'",
    )
    target = tmp_path / "out.db"

    assert counted.replica.export(str(target)) == 5
    assert read(target) == [
        ("in flight", "notes", "insert", "key", "id", "a"),
        ("in flight", "notes", "insert", "value", "title", "one"),
        ("in flight", "notes", "insert", "value", "body", None),
        ("in flight", "notes", "insert", "value", "likes", 3),
        ("unsent", "notes", "update", "key", "id", "a"),
        ("unsent", "notes", "update", "value", "title", "two"),
        ("unsent", "notes", "update", "key", "id", "r"),
        ("unsent", "notes", "update", "delta", "likes", 5),
        ("unsent", "notes", "delete", "key", "id", "gone"),
        ("refused", "notes", "insert", "key", "id", "bad"),
        ("refused", "notes", "insert", "value", "title", "no"),
        ("refused", "notes", "insert", "value", "body", None),
        ("refused", "notes", "insert", "value", "likes", 1),
    ]
    assert read(target, "SELECT state, code, reason FROM changes WHERE code IS NOT NULL") == [
        ("refused", "permission_denied", "not yours")
    ]


@pytest.mark.parametrize("cut", [False, True], ids=["unsent", "in flight"])
def test_values_survive_bit_for_bit(counted: ReplicaBench, tmp_path: Path, cut: bool) -> None:
    """Every value has the type and the bits that it has in the file, whether it was encoded before or not."""
    literals = [
        *("9223372036854775807", "-9223372036854775808", "0.1", "-0.0", "9e999", "-9e999"),
        *("5e-324", "x''", "x'00ff'", "CAST(x'ff00fe' AS TEXT)", "char(97, 0, 98)", "''", "NULL"),
    ]
    counted.run(
        *(
            f"INSERT INTO notes (id, title) VALUES ('{number:02}', {literal})"
            for number, literal in enumerate(literals)
        )
    )
    if cut:
        counted.cut()
    target = tmp_path / "out.db"
    counted.replica.export(str(target))

    bits = "typeof({0}), hex({0}), {0} IS -0.0 AND printf('%!+.17g', {0})"
    exported = read(
        target, f"SELECT {bits.format('value')} FROM cells WHERE name = 'title' ORDER BY change"
    )
    kept = counted.app.execute(f"SELECT {bits.format('title')} FROM notes ORDER BY id").fetchall()
    assert exported == kept


def test_nothing_that_waits_makes_an_empty_export(bench: ReplicaBench, tmp_path: Path) -> None:
    """The file is there, so that whoever looks for it finds that it holds nothing."""
    target = tmp_path / "out.db"

    assert bench.replica.export(str(target)) == 0
    assert read(target, "SELECT count(*) FROM changes") == [(0,)]
    assert read(target, "SELECT name, value FROM about ORDER BY name") == [
        ("format", exporting.EXPORT_FORMAT),
        ("user", None),
    ]


def test_a_file_that_is_there_is_not_written_over(bench: ReplicaBench, tmp_path: Path) -> None:
    """Neither an older export nor anything else is touched."""
    target = tmp_path / "out.db"
    target.write_bytes(b"mine")
    with pytest.raises(StorageError) as raised:
        bench.replica.export(str(target))

    assert raised.value.path == str(target)
    assert target.read_bytes() == b"mine"


def test_a_directory_that_is_not_there_says_so(bench: ReplicaBench, tmp_path: Path) -> None:
    """The replica goes on afterwards."""
    with pytest.raises(StorageError):
        bench.replica.export(str(tmp_path / "nowhere" / "out.db"))

    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    assert len(bench.cut()) == 1


def test_half_an_export_is_none(
    bench: ReplicaBench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the disk is full nothing remains under the name, and a second try may use it."""
    bench.run("INSERT INTO notes VALUES ('1', zeroblob(100000), 'b', 3)")
    target = tmp_path / "out.db"
    tables = exporting._TABLES
    small = (*tables, f"PRAGMA {exporting._TO}.max_page_count = 6")
    monkeypatch.setattr(exporting, "_TABLES", small)
    with pytest.raises(FileFull):
        bench.replica.export(str(target))
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith("out")] == []

    monkeypatch.setattr(exporting, "_TABLES", tables)
    assert bench.replica.export(str(target)) == 1
    assert len(bench.cut()) == 1


def test_the_replica_is_left_as_it_was(bench: ReplicaBench, tmp_path: Path) -> None:
    """An export sends nothing and forgets nothing, and one beside a writer waits for nobody (I11)."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    before = bench.replica.state()
    bench.app.execute("BEGIN IMMEDIATE")
    bench.app.execute("INSERT INTO notes VALUES ('2', 'a', 'b', 3)")

    assert bench.replica.export(str(tmp_path / "out.db")) == 1
    bench.app.execute("COMMIT")
    assert bench.replica.state().pending == before.pending + 1


def test_an_open_file_is_exported_for_its_owner_alone(tmp_path: Path) -> None:
    """The export names the user, and only this user of the machine may read it; it is one whole file."""
    opened = open_notes(tmp_path, watch=NoWatcher)
    opened.db["notes"].insert({"id": "a", "text": "x"})
    target = tmp_path / "out.db"

    assert opened.export(target).result(LIMIT) == 1
    opened.close()
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert read(target, "SELECT value FROM about WHERE name = 'user'") == [(ALICE.user,)]
    assert not [each for each in tmp_path.iterdir() if each.name.startswith("out.db-")]
