"""Whatever SQL an app runs, whoever applies the batches in their order has the app's table (I1)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from hypothesis import given, settings, strategies as st

from syncauth.models import TableSpec
from tests.support.random_sql import COLUMNS, WRITES, run
from tests.support.replica_bench import DEVICE, ReplicaBench, Sent

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

    def apply(self, changes: list[Sent], device: str) -> None:
        for each in changes:
            row = self.rows.get(each.key)
            if each.kind == "insert":
                # A life whose deletion is in flight may be named once more: it has ended already.
                assert each.life in ([row.life] if row else [None, self.ended.get(each.key)])
                self.rows[each.key] = Row(f"{each.hlc:016x}{device}", dict(each.values))
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


_frames = st.sampled_from(("BEGIN", "COMMIT", "ROLLBACK"))
_deeds = st.sampled_from(("cut", "acknowledge", "adopt"))
_steps = st.lists(WRITES | _frames | _deeds | _deeds | _deeds, min_size=1, max_size=25)


class Story:
    """The app, the batches on their way, and the mirror, which has what was acknowledged."""

    def __init__(self, bench: ReplicaBench, rows: int) -> None:
        self.bench, self._rows = bench, rows
        self.mirror = Mirror()
        self._device = DEVICE
        self._sent: list[list[Sent]] = []

    def take(self, step: str) -> None:
        """Do one step of the app or of the replica; none of the latter inside the app's transaction."""
        work = {"cut": self.cut, "acknowledge": self.acknowledge, "adopt": self._adopt}.get(step)
        if work is None:
            run(self.bench, step)
        elif not self.bench.app.in_transaction:
            work()

    def cut(self) -> bool:
        """Cut a batch; returns whether there was anything to send."""
        batch = self.bench.cut(rows=self._rows)
        self._sent += [batch] if batch else []
        return bool(batch)

    def acknowledge(self) -> None:
        """Let the mirror apply the oldest batch, and the replica hear of it."""
        if self._sent:
            self.mirror.apply(self._sent.pop(0), self._device)
            self.bench.acknowledge()

    def _adopt(self) -> None:
        """Take another device id: what is in flight was applied by nobody and is sent again."""
        self._device = f"{int(self._device, 16) + 1:016x}"
        self._sent = []
        self.bench.replica.adopt_device(self._device)

    def finish(self) -> None:
        """Send all that is left."""
        if self.bench.app.in_transaction:
            self.bench.run("COMMIT")
        while self.cut():
            pass
        while self._sent:
            self.acknowledge()


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
        story = Story(bench, rows)
        for step in steps:
            story.take(step)
        story.finish()
        _check(bench, story.mirror)
        bench.close()
