"""Which tables can be synchronised: each refusal with its fixed reason, and the shapes that work."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from syncauth.errors import TableNotTrackable
from syncauth.models import TableSpec
from syncauth.replica.replica import FileReplica
from tests.support.replica_bench import DEVICE, ReplicaBench, gone, remote

NOTES = TableSpec("notes")
KEY = "id TEXT NOT NULL PRIMARY KEY"

REFUSED = {
    "no such table": ("CREATE TABLE other (a)", NOTES, "unknown_table"),
    "no key": ("CREATE TABLE notes (id TEXT, title TEXT)", NOTES, "no_primary_key"),
    "unique is no key": ("CREATE TABLE notes (id TEXT NOT NULL UNIQUE)", NOTES, "no_primary_key"),
    "nullable key": ("CREATE TABLE notes (id TEXT PRIMARY KEY)", NOTES, "nullable_key"),
    "one nullable of two": (
        "CREATE TABLE notes (a TEXT NOT NULL, b TEXT, PRIMARY KEY (a, b))",
        NOTES,
        "nullable_key",
    ),
    "nullable descending integer": (
        "CREATE TABLE notes (id INTEGER PRIMARY KEY DESC)",
        NOTES,
        "nullable_key",
    ),
    "collation of the column": (
        "CREATE TABLE notes (id TEXT NOT NULL COLLATE NOCASE PRIMARY KEY)",
        NOTES,
        "key_collation",
    ),
    "collation of the constraint": (
        "CREATE TABLE notes (id TEXT NOT NULL, PRIMARY KEY (id COLLATE RTRIM))",
        NOTES,
        "key_collation",
    ),
    "collation after a comment": (
        "CREATE TABLE notes (id TEXT NOT NULL /* , */ COLLATE /**/ nocase, PRIMARY KEY (id))",
        NOTES,
        "key_collation",
    ),
    "no declared type": ("CREATE TABLE notes (id NOT NULL PRIMARY KEY)", NOTES, "key_without_type"),
    "integer key": (
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, a)",
        NOTES,
        "integer_primary_key",
    ),
    "autoincrement": (
        "CREATE TABLE notes (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        NOTES,
        "integer_primary_key",
    ),
    "view": (f"CREATE TABLE n ({KEY}); CREATE VIEW notes AS SELECT * FROM n", NOTES, "view"),
    "full-text table": ("CREATE VIRTUAL TABLE notes USING fts5(a)", NOTES, "virtual_table"),
    "shadow table": (
        "CREATE VIRTUAL TABLE notes USING fts5(a)",
        TableSpec("notes_config"),
        "virtual_table",
    ),
    "index on an expression": (
        f"CREATE TABLE notes ({KEY}, a TEXT); CREATE UNIQUE INDEX i ON notes (a, lower(a))",
        NOTES,
        "expression_index",
    ),
    "trigger": (
        (
            f"CREATE TABLE notes ({KEY}); CREATE TABLE log (a);"
            " CREATE TRIGGER t AFTER INSERT ON NOTES BEGIN INSERT INTO log VALUES (1); END"
        ),
        NOTES,
        "app_trigger",
    ),
    "counter of no column": (
        f"CREATE TABLE notes ({KEY}, a INTEGER)",
        TableSpec("notes", counters=("b",)),
        "unknown_column",
    ),
    "counter that is text": (
        f"CREATE TABLE notes ({KEY}, a TEXT)",
        TableSpec("notes", counters=("a",)),
        "counter_not_integer",
    ),
    "counter in the key": (
        "CREATE TABLE notes (id INTEGER NOT NULL, a, PRIMARY KEY (id)) WITHOUT ROWID",
        TableSpec("notes", counters=("id",)),
        "counter_not_integer",
    ),
    "generated counter": (
        f"CREATE TABLE notes ({KEY}, a INTEGER, b INTEGER AS (a + 1))",
        TableSpec("notes", counters=("b",)),
        "counter_not_integer",
    ),
    "our prefix in a column": (
        f"CREATE TABLE notes ({KEY}, _SYNC_a TEXT)",
        NOTES,
        "reserved_name",
    ),
    "too many columns": (
        f"CREATE TABLE notes ({KEY}, {', '.join(f'c{place}' for place in range(1990))})",
        NOTES,
        "too_many_columns",
    ),
    "our prefix in the name": (
        f"CREATE TABLE _sync_notes ({KEY})",
        TableSpec("_sync_notes"),
        "reserved_name",
    ),
}


def _fresh(path: Path, schema: str) -> list[str]:
    connection = sqlite3.connect(path)
    connection.executescript(schema)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
    connection.close()
    return names


@pytest.mark.parametrize(("schema", "spec", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_a_shape_that_cannot_be_synchronised_is_refused(
    tmp_path: Path, schema: str, spec: TableSpec, reason: str
) -> None:
    """The error has the fixed reason, says why and what to do; no trigger was put on anything."""
    path = tmp_path / "app.db"
    before = _fresh(path, schema)
    with pytest.raises(TableNotTrackable) as raised:
        FileReplica.open(str(path), tables=[spec], device=DEVICE, incarnation="one")
    assert (raised.value.table.lower(), raised.value.reason) == (spec.name, reason)
    assert raised.value.why
    assert raised.value.remedy
    connection = sqlite3.connect(path)
    after = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'trigger' AND name LIKE '\\_sync\\_%' ESCAPE '\\'"
        " OR name LIKE '\\_sync\\_capture%' ESCAPE '\\'"
    ).fetchall()
    kept = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    connection.close()
    assert after == []
    assert kept >= set(before)


def test_one_bad_table_leaves_the_good_ones_alone(tmp_path: Path) -> None:
    """Tables are tracked together or not at all."""
    path = tmp_path / "app.db"
    _fresh(path, f"CREATE TABLE good ({KEY}); CREATE TABLE notes (a)")
    with pytest.raises(TableNotTrackable):
        FileReplica.open(
            str(path), tables=[TableSpec("good"), NOTES], device=DEVICE, incarnation="one"
        )
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT count(*) FROM _sync_tables").fetchone() == (0,)
    connection.execute("INSERT INTO good VALUES ('1')")
    connection.close()


SHAPES = {
    "composite": (
        "CREATE TABLE notes (a TEXT NOT NULL, b INTEGER NOT NULL, c, PRIMARY KEY (b, a))",
        "INSERT INTO notes VALUES ('x', 7, 'c')",
        (7, "x"),
        {"c": "c"},
    ),
    "without rowid": (
        "CREATE TABLE notes (id TEXT PRIMARY KEY, c) WITHOUT ROWID",
        "INSERT INTO notes VALUES ('x', 'c')",
        ("x",),
        {"c": "c"},
    ),
    "strict": (
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, c ANY, n INT) STRICT",
        "INSERT INTO notes VALUES ('x', '007', 7)",
        ("x",),
        {"c": "007", "n": 7},
    ),
    "strict and without rowid": (
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, c TEXT) STRICT, WITHOUT ROWID",
        "INSERT INTO notes VALUES (7, 'c')",
        (7,),
        {"c": "c"},
    ),
    "generated": (
        (
            "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, c TEXT, v AS (upper(c)),"
            " s AS (lower(c)) STORED UNIQUE, d TEXT)"
        ),
        "INSERT INTO notes (id, c, d) VALUES ('x', 'Ab', 'd')",
        ("x",),
        {"c": "Ab", "d": "d"},
    ),
    "only a key": (
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY)",
        "INSERT INTO notes VALUES ('x')",
        ("x",),
        {},
    ),
    "odd names": (
        (
            'CREATE TABLE notes ("ke""y" TEXT NOT NULL PRIMARY KEY, "select" TEXT, [a b] TEXT,'
            ' `new` TEXT, "ünï\'code" TEXT, rowid TEXT, entry TEXT, k0 TEXT, hlc TEXT, batch TEXT)'
        ),
        "INSERT INTO notes VALUES ('x', '1', '2', '3', '4', '5', '6', '7', '8', '9')",
        ("x",),
        dict(
            zip(
                ("select", "a b", "new", "ünï'code", "rowid", "entry", "k0", "hlc", "batch"),
                "123456789",
                strict=True,
            )
        ),
    ),
    "blob key": (
        "CREATE TABLE notes (id BLOB NOT NULL PRIMARY KEY, c)",
        "INSERT INTO notes VALUES ('x', 'c')",
        ("x",),
        {"c": "c"},
    ),
    "all rowid names taken": (
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, rowid, _rowid_, oid)",
        "INSERT INTO notes VALUES ('x', '1', '2', '3')",
        ("x",),
        {"rowid": "1", "_rowid_": "2", "oid": "3"},
    ),
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_a_shape_that_works(
    tmp_path: Path, shape: tuple[str, str, tuple[object, ...], dict[str, object]]
) -> None:
    """Its rows are sent, and come back as a remote row and a remote deletion; none is captured."""
    schema, insert, key, values = shape
    bench = ReplicaBench(tmp_path, schema)
    bench.run(insert)
    (sent,) = bench.cut()
    assert (sent.kind, sent.key, sent.values) == ("insert", key, values)
    bench.acknowledge()
    rows = bench.table()

    made = tmp_path / "other"
    made.mkdir()
    other = ReplicaBench(made, schema)
    row = remote([*key, *values.values()], columns=list(values))
    row.rows[0][:] = [*key, *row.rows[0][1:4], *values.values()]
    other.apply(row)
    assert other.table() == rows
    life = row.rows[0][len(key)]
    tombstone = gone("", life)
    tombstone.rows[0][:1] = key
    other.apply(tombstone)
    assert other.table() == []
    assert other.cut() == []
    bench.run("DELETE FROM notes")
    assert [(each.kind, each.key) for each in bench.cut()] == [("delete", key)]
    bench.close()
    other.close()


@pytest.mark.parametrize("name", ['no"tes', "no'tes", "order", "notes; --", "ñotes", "a b"])
def test_a_table_of_any_name_works(tmp_path: Path, name: str) -> None:
    """Names are quoted everywhere, and matched as SQLite does, without regard to case."""
    quoted = '"' + name.replace('"', '""') + '"'
    bench = ReplicaBench(
        tmp_path, f"CREATE TABLE {quoted} ({KEY}, a TEXT)", TableSpec(name.replace("o", "O"))
    )
    bench.run(f"INSERT INTO {quoted} VALUES ('1', 'x')", f"UPDATE {quoted} SET a = 'y'")
    (sent,) = bench.cut()
    assert (sent.table, sent.kind, sent.values) == (name, "insert", {"a": "y"})
    bench.acknowledge()
    bench.apply(remote(["2", "z"], columns=["a"], table=name))
    assert bench.table(quoted) == [("1", "y"), ("2", "z")]
    bench.close()


def test_a_declared_integer_key_and_local_triggers_work(tmp_path: Path) -> None:
    """What is refused for its dangers works where the app declares that they do not exist."""
    bench = ReplicaBench(
        tmp_path,
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, a TEXT);"
        "CREATE VIRTUAL TABLE search USING fts5(a);"
        "CREATE TRIGGER found AFTER INSERT ON notes BEGIN INSERT INTO search VALUES (NEW.a); END;",
        TableSpec("notes", key_by_app=True, local_triggers=True),
    )
    bench.run("INSERT INTO notes VALUES (1, 'here')")
    assert [(each.key, each.values) for each in bench.cut()] == [((1,), {"a": "here"})]
    bench.apply(remote([2, "there"], columns=["a"]))
    assert bench.table("search") == [("here",), ("there",)]
    bench.close()


def test_a_key_that_changes_shape_is_refused_later_too(bench: ReplicaBench) -> None:
    """A rebuild under another key cannot go on as the same table; nothing is sent meanwhile."""
    bench.run(
        "INSERT INTO notes VALUES ('1', 'a', 'b', 3)",
        "CREATE TABLE moved (title TEXT NOT NULL PRIMARY KEY, body TEXT)",
        "INSERT INTO moved SELECT title, body FROM notes",
        "DROP TABLE notes",
        "ALTER TABLE moved RENAME TO notes",
    )
    with pytest.raises(TableNotTrackable) as raised:
        bench.replica.cut(rows=10, size=1000)
    assert raised.value.reason == "shape_changed"
