"""Any connection may write, by any statement; the triggers are invisible to it and miss nothing (I1)."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from syncauth.errors import StorageError
from syncauth.models import TableSpec
from syncauth.replica.schema import open_connection
from tests.support.replica_bench import ReplicaBench, remote


def _keys(bench: ReplicaBench) -> list[tuple[str, object]]:
    return [(each.kind, each.key[0]) for each in bench.cut()]


def test_a_file_that_is_attached_under_another_name_is_captured(
    bench: ReplicaBench, tmp_path: Path
) -> None:
    """The triggers find our tables in their own file, not in the main one."""
    other = sqlite3.connect(tmp_path / "other.db", isolation_level=None)
    other.execute("CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title, body, likes)")
    other.execute("CREATE TEMP TABLE _sync_clock (id, entry, hlc, applying)")
    other.execute("ATTACH ? AS far", (bench.path,))
    other.execute("INSERT INTO far.notes VALUES ('1', 'a', 'b', 3)")
    other.execute("INSERT INTO main.notes VALUES ('2', 'a', 'b', 3)")
    other.close()
    assert _keys(bench) == [("insert", "1")]


def test_the_app_s_own_counts_are_not_disturbed(bench: ReplicaBench) -> None:
    """Row count, last rowid and RETURNING are those of the app's statement."""
    cursor = bench.app.execute("INSERT INTO notes VALUES ('1', 'a', 'b', 3), ('2', 'c', 'd', 4)")
    assert (cursor.rowcount, cursor.lastrowid) == (2, 2)
    assert bench.app.execute("SELECT changes(), last_insert_rowid()").fetchone() == (2, 2)
    bench.settle()
    rows = bench.app.execute("UPDATE notes SET likes = likes + 1 RETURNING id, likes").fetchall()
    assert sorted(rows) == [("1", 4), ("2", 5)]
    assert bench.app.execute("SELECT changes()").fetchone() == (2,)
    assert bench.app.execute("DELETE FROM notes").rowcount == 2


def test_rare_statements_are_captured_too(bench: ReplicaBench) -> None:
    """INSERT … SELECT, UPDATE … FROM, common table expressions, a DELETE of everything."""
    bench.run(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)"
        " INSERT INTO notes SELECT 'n' || i, 'a', NULL, i FROM n"
    )
    assert len(bench.cut()) == 50
    bench.acknowledge()
    bench.run(
        "UPDATE notes SET title = new.title FROM (SELECT 'n7' AS id, 'from' AS title) AS new"
        " WHERE notes.id = new.id",
        "UPDATE notes SET (title, body) = ('both', 'two') WHERE rowid = 9",
    )
    assert {each.key[0]: each.values for each in bench.cut()} == {
        "n7": {"title": "from"},
        "n9": {"title": "both", "body": "two"},
    }
    bench.run("DELETE FROM notes")
    assert len(bench.cut()) == 50


@pytest.mark.parametrize(
    "pragma",
    [
        "trusted_schema = OFF",
        "cell_size_check = ON",
        "reverse_unordered_selects = ON",
        "case_sensitive_like = ON",
        "locking_mode = NORMAL",
        "cache_size = 1",
    ],
)
def test_settings_of_the_app_s_connection_change_nothing(bench: ReplicaBench, pragma: str) -> None:
    """The triggers use nothing that a setting could forbid or turn round."""
    bench.run(f"PRAGMA {pragma}")
    bench.run(
        "INSERT INTO notes VALUES ('1', 'a', 'b', 3)", "INSERT INTO notes VALUES ('2', '', '', 0)"
    )
    bench.run("UPDATE notes SET title = 'c'", "DELETE FROM notes WHERE id = '2'")
    assert bench.sent() == [("insert", ("1",), {"title": "c", "body": "b", "likes": 3}, {})]


def test_what_waits_lives_through_a_vacuum(bench: ReplicaBench) -> None:
    """VACUUM gives new rowids to tables without a key of their own; ours do not rely on them."""
    bench.run(*(f"INSERT INTO notes VALUES ('{place}', 'a', 'b', 3)" for place in range(9)))
    bench.cut(rows=4)
    bench.run(
        "DELETE FROM notes WHERE id IN ('1', '5')", "VACUUM", "PRAGMA wal_checkpoint(TRUNCATE)"
    )
    assert len(bench.replica.batches_in_flight(0)) == 1
    bench.acknowledge()
    assert sorted(_keys(bench)) == [("delete", "1"), *(("insert", each) for each in "4678")]


def test_a_wide_table(tmp_path: Path) -> None:
    """A thousand columns: no expression of the triggers grows too deep, no statement too long."""
    names = [f"c{place}" for place in range(1000)]
    bench = ReplicaBench(
        tmp_path,
        f"CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, {' INTEGER, '.join(names)} INTEGER)",
        TableSpec("notes", counters=("c999",)),
    )
    bench.run("INSERT INTO notes (id, c999) VALUES ('1', 5)")
    (first,) = bench.cut()
    assert len(first.values) == 1000
    bench.acknowledge()
    bench.run("UPDATE notes SET c0 = 1, c500 = 2, c999 = c999 + 1")
    assert bench.sent() == [("update", ("1",), {"c0": 1, "c500": 2}, {"c999": 1})]
    bench.apply(remote(["2", *range(1000)], columns=names))
    assert bench.table()[1] == ("2", *range(1000))
    bench.close()


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    """A text that is no UTF-8 would be altered in a UTF-16 file: said at once, and nothing is changed."""
    connection = sqlite3.connect(tmp_path / "app.db")
    connection.execute("PRAGMA encoding = 'UTF-16'")
    connection.execute("CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY)")
    with pytest.raises(StorageError) as raised:
        open_connection(str(tmp_path / "app.db"))
    assert "UTF-16" in str(raised.value)
    assert connection.execute("SELECT name FROM sqlite_master").fetchone() == ("notes",)
    connection.close()
