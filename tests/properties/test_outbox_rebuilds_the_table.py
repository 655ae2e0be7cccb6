"""Whatever SQL an app runs, whoever applies the batches in their order has the app's table (I1)."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given, settings, strategies as st

from syncauth.models import TableSpec
from tests.support.replica_bench import DEVICE, ReplicaBench, Sent

KEYS = ("'k1'", "'k2'", "'k3'", "'k4'")
VALUES = ("NULL", "'a'", "'A'", "'b'", "1", "1.0", "2", "x'61'", "'k1'", "'k2'")
COUNTS = ("NULL", "0", "1", "5", "'many'", "2.5", "n + 1", "n - 3", "n", "9223372036854775807")
CLAUSES = ("", " OR REPLACE", " OR IGNORE", " OR FAIL", " OR ABORT", " OR ROLLBACK")
ACTIONS = (
    "DO NOTHING",
    "DO UPDATE SET b = excluded.b, n = n + 1",
    "DO UPDATE SET u = excluded.u",
    "DO UPDATE SET id = 'k4'",
)
REFUSALS = ("constraint failed", "transaction", "no such column: rowid", "ON CONFLICT clause")
COLUMNS = "b, u COLLATE NOCASE, v NOT NULL DEFAULT 'dv', n INTEGER"
SCHEMAS = {
    "plain": f"CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, {COLUMNS})",
    "unique": f"CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, {COLUMNS}, UNIQUE (u), UNIQUE (v))",
    "no rowid": (
        f"CREATE TABLE notes (id TEXT PRIMARY KEY, {COLUMNS}, UNIQUE (u), UNIQUE (v)) WITHOUT ROWID"
    ),
    "replacing": (
        f"CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY ON CONFLICT REPLACE, {COLUMNS},"
        " UNIQUE (u) ON CONFLICT REPLACE, UNIQUE (v) ON CONFLICT IGNORE)"
    ),
    "partial": (
        f"CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, {COLUMNS}, g AS (lower(u)));"
        "CREATE UNIQUE INDEX one ON notes (u, b) WHERE n > 0;"
        "CREATE UNIQUE INDEX two ON notes (g) WHERE typeof(b) = 'integer'"
    ),
    "cascading": (
        f"CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, {COLUMNS}, UNIQUE (u),"
        " FOREIGN KEY (b) REFERENCES notes ON DELETE CASCADE ON UPDATE CASCADE)"
    ),
    "setting null": (
        f"CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, {COLUMNS}, UNIQUE (v),"
        " FOREIGN KEY (b) REFERENCES notes ON DELETE SET NULL ON UPDATE SET NULL)"
    ),
}


class Row(NamedTuple):
    """A row as the mirror has it."""

    life: str
    values: dict[str, Any]


class Mirror:
    """Applies batches as a server with no other device does; every change must name the life it meets."""

    def __init__(self) -> None:
        self.rows: dict[tuple[Any, ...], Row] = {}
        self.ended: dict[tuple[Any, ...], str] = {}

    def apply(self, changes: list[Sent]) -> None:
        for each in changes:
            row = self.rows.get(each.key)
            if each.kind == "insert":
                # A life whose deletion is in flight may be named once more: it has ended already.
                assert each.life in ([row.life] if row else [None, self.ended.get(each.key)])
                self.rows[each.key] = Row(f"{each.hlc:016x}{DEVICE}", dict(each.values))
                continue
            if each.kind == "delete" and row is None:
                assert each.life == self.ended[each.key], "a life that nobody has heard of"
                continue
            assert row is not None, "a change of a row that is not there"
            assert each.life == row.life
            if each.kind == "delete":
                self.ended[each.key] = self.rows.pop(each.key).life
                continue
            assert each.values or each.deltas, "an update that changes nothing"
            row.values.update(each.values)
            for name, delta in each.deltas.items():
                row.values[name] += delta

    def table(self) -> dict[str, dict[str, Any]]:
        return {key[0]: row.values for key, row in self.rows.items()}


def _insert(clause: str, key: str, values: tuple[str, str, str], n: str, action: str) -> str:
    n = n if "n " not in n and n != "n" else "7"
    upsert = f" ON CONFLICT {action}" if action else ""
    return f"INSERT{clause} INTO notes (id, b, u, v, n) VALUES ({key}, {', '.join(values)}, {n}){upsert}"


def _update(clause: str, sets: list[tuple[str, str]], n: str, where: str) -> str:
    terms = [*(f"{name} = {value}" for name, value in dict(sets).items()), f"n = {n}"]
    return f"UPDATE{clause} notes SET {', '.join(terms)}{where}"


_key, _value, _clause = (st.sampled_from(each) for each in (KEYS, VALUES, CLAUSES))
_where = st.builds(" WHERE id = {}".format, _key) | st.sampled_from(("", " WHERE n > 0"))
_inserts = st.builds(
    _insert,
    _clause,
    _key,
    st.tuples(_value, _value, _value),
    st.sampled_from(COUNTS),
    st.sampled_from(("", "", *ACTIONS)),
)
_sets = st.lists(st.tuples(st.sampled_from("buv"), _value), max_size=3)
_updates = st.builds(_update, _clause, _sets, st.sampled_from(COUNTS), _where)
_rekeys = st.builds("UPDATE{} notes SET id = {}, b = {}{}".format, _clause, _key, _value, _where)
_deletes = st.builds("DELETE FROM notes{}".format, _where)
_frames = st.sampled_from(("BEGIN", "COMMIT", "ROLLBACK"))
_several = st.builds(
    "INSERT{} INTO notes (id, b, u, v, n) SELECT {}, b, u, v || 'x', n FROM notes".format,
    _clause,
    st.sampled_from(("id", "'k' || (1 + rowid % 4)", "'k4'")),
)
_statements = _inserts | _updates | _rekeys | _deletes | _frames | _several
_steps = st.lists(_statements | st.sampled_from(("cut", "acknowledge")), min_size=1, max_size=25)


def _run(bench: ReplicaBench, statement: str) -> None:
    """Run a statement; what the app may not do fails, and anything else is a fault of the triggers."""
    try:
        bench.app.execute(statement)
    except (sqlite3.IntegrityError, sqlite3.OperationalError) as error:
        if not any(each in str(error) for each in REFUSALS):
            raise


def _cut(bench: ReplicaBench, mirror: Mirror, rows: int) -> bool:
    batch = bench.cut(rows=rows)
    mirror.apply(batch)
    return bool(batch)


def _check(bench: ReplicaBench, mirror: Mirror) -> None:
    names = [row[1] for row in bench.app.execute("PRAGMA table_info(notes)")][1:]
    terms = ", ".join(f"typeof({name}), {name}" for name in names)
    found = bench.app.execute(f"SELECT id, {terms} FROM notes").fetchall()
    table = {row[0]: list(row[1:]) for row in found}
    mirrored = {
        key: [part for name in names for part in _typed(values[name])]
        for key, values in mirror.table().items()
    }
    assert mirrored == table


def _typed(value: Any) -> tuple[str, Any]:
    if isinstance(value, dict):  # a blob on the wire
        value = b"a"
    kinds = {int: "integer", float: "real", str: "text", bytes: "blob", type(None): "null"}
    return kinds[type(value)], value


@settings(max_examples=250, deadline=None)
@given(
    schema=st.sampled_from(sorted(SCHEMAS)),
    counts=st.booleans(),
    recursive=st.booleans(),
    rows=st.integers(1, 5),
    steps=_steps,
)
def test_the_batches_make_the_table(
    schema: str, counts: bool, recursive: bool, rows: int, steps: list[str]
) -> None:
    """REPLACE, upserts, changes of keys, rollbacks and cascades: no change is lost and none invented."""
    with tempfile.TemporaryDirectory() as directory:
        bench = ReplicaBench(
            Path(directory),
            SCHEMAS[schema],
            TableSpec("notes", counters=("n",) if counts else ()),
            pragmas=[f"recursive_triggers = {recursive:d}", "foreign_keys = ON"],
        )
        mirror = Mirror()
        for step in steps:
            if step == "cut" and not bench.app.in_transaction:
                _cut(bench, mirror, rows)
            elif step == "acknowledge" and not bench.app.in_transaction:
                if bench.replica.state().in_flight:
                    bench.acknowledge()
            elif step not in ("cut", "acknowledge"):
                _run(bench, step)
        if bench.app.in_transaction:
            bench.run("COMMIT")
        while _cut(bench, mirror, rows):
            pass
        _check(bench, mirror)
        bench.close()
