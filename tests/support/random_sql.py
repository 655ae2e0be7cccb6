"""Random SQL of an app on a table `notes (id, b, u, v, n)`: few keys and values, so that rows meet."""

from __future__ import annotations

import sqlite3

from hypothesis import strategies as st

from tests.support.replica_bench import ReplicaBench

COLUMNS = "b, u COLLATE NOCASE, v NOT NULL DEFAULT 'dv', n INTEGER"
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
_several = st.builds(
    "INSERT{} INTO notes (id, b, u, v, n) SELECT {}, b, u, v || 'x', n FROM notes".format,
    _clause,
    st.sampled_from(("id", "'k' || (1 + rowid % 4)", "'k4'")),
)
WRITES = _inserts | _updates | _rekeys | _deletes | _several
"""Statements that write, with every conflict clause and upsert."""


def run(bench: ReplicaBench, statement: str) -> None:
    """Run a statement; what the app may not do fails, and anything else is a fault of the triggers."""
    try:
        bench.app.execute(statement)
    except (sqlite3.IntegrityError, sqlite3.OperationalError) as error:
        if not any(each in str(error) for each in REFUSALS):
            raise
