"""Whatever two devices write to the same rows, both files and the server's end up the same (I9)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

from hypothesis import given, settings, strategies as st

from syncauth.models import TableSpec
from syncauth.sansio.messages import BatchResult, Limits
from syncauth.sansio.records import Batch
from syncauth.server.settings.config import ServedTable
from syncauth.server.stores.rows_interface import PageLimits
from syncauth.server.stores.shown import SHOWN_BYTES
from tests.support.random_sql import COLUMNS, WRITES, run
from tests.support.replica_bench import OWN, ReplicaBench
from tests.support.row_store import DEVICES, NOW, StoreBench

LIMITS = Limits(batch_rows=3, batch_bytes=100_000, window=3)
RULES = {
    "none": ("", ""),
    "references": (
        ", FOREIGN KEY (b) REFERENCES notes",
        ", FOREIGN KEY (_partition, b) REFERENCES notes",
    ),
    "one": (", UNIQUE (u)", ", UNIQUE (_partition, u)"),
    "two": (", UNIQUE (u), UNIQUE (v)", ", UNIQUE (_partition, u), UNIQUE (_partition, v)"),
    "of device only replacing": (
        ", UNIQUE (u) ON CONFLICT REPLACE",
        ", UNIQUE (_partition, u)",
    ),
}


class Device:
    """A replica, its place in the conversation with the store, and a clock that may be wrong."""

    def __init__(
        self, name: str, store: StoreBench, directory: Path, rules: str, counters: tuple[str, ...]
    ) -> None:
        directory.mkdir()
        schema = f"CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, {COLUMNS}{rules})"
        self.name, self._store = name, store
        self.bench = ReplicaBench(directory, schema, TableSpec("notes", counters=counters))
        self.bench.run("PRAGMA foreign_keys = ON")
        self.bench.replica.adopt_device(DEVICES[name])
        self.waiting: list[Batch] = []
        self.results: list[BatchResult] = []
        self.ahead = 0
        store.welcome(name)

    def set_clock(self, time: float) -> None:
        """Show the time, less or more what this clock is wrong by."""
        self.bench.app.execute(
            "UPDATE _sync_clock SET fixed_ms = ?, offset_ms = 0", (round(time * 1000) + self.ahead,)
        )

    def cut(self) -> None:
        """Cut one batch, if the window is open."""
        if len(self.waiting) + len(self.results) < LIMITS.window:
            batch = self.bench.replica.cut(rows=LIMITS.batch_rows, size=LIMITS.batch_bytes).batch
            self.waiting += [] if batch is None else [batch]

    def push(self, time: float) -> None:
        """Have the oldest batch judged; its result is on its way."""
        if self.waiting:
            batch = self.waiting.pop(0)
            judged = self._store.judged(
                self.name, now=time, batch=batch.number, sections=batch.sections
            )
            self.results.append(judged.result)

    def restart(self) -> None:
        """End the process and start it again."""
        self.bench.replica.close()
        self.bench.replica = self.bench.open()

    def hear(self) -> None:
        """Take the results."""
        if self.results:
            self.bench.replica.acknowledge(self.results)
            self.results = []

    def read(self, rows: int) -> bool:
        """Apply one page; results came before it. Returns whether there was anything."""
        self.hear()
        cursors = self.bench.replica.state().checkpoints or {OWN: 0}
        limits = PageLimits(rows=rows, atomic=rows > 1)
        page, _ = self._store.page(self.name, cursors, limits)
        self.bench.replica.apply(page.changes)
        return page.rows > 0 or not page.changes.complete

    @property
    def idle(self) -> bool:
        state = self.bench.replica.state()
        return not (self.waiting or self.results or state.pending or state.in_flight)


class World:
    """Two devices and the store."""

    def __init__(self, directory: Path, rules: str, counters: tuple[str, ...]) -> None:
        here, there = RULES[rules]
        schema = (
            f"CREATE TABLE IF NOT EXISTS notes (_partition TEXT NOT NULL, id TEXT NOT NULL, {COLUMNS},"
            f" PRIMARY KEY (_partition, id){there})"
        )
        tables = [ServedTable("notes", counters=counters)]
        self.store = StoreBench(directory / "server.db", schema, tables)
        self.devices = [Device(name, self.store, directory / name, here, counters) for name in "AB"]
        self.time = NOW

    def act(self, device: Device, deed: str, rows: int) -> None:
        """Let a device do something a second later."""
        self.time += 1
        device.set_clock(self.time)
        match deed:
            case "cut":
                device.cut()
            case "push":
                device.push(self.time)
            case "hear":
                device.hear()
            case "restart":
                device.restart()
            case "read":
                device.read(rows)
            case "sync":
                self.sync(device, rows)
            case _:
                run(device.bench, deed)

    def sync(self, device: Device, rows: int) -> bool:
        """Send all and receive all; returns whether anything moved."""
        moved = not device.idle
        while not device.idle:
            device.cut()
            device.push(self.time)
            device.hear()
        for _ in range(100):
            if not device.read(rows):
                return moved
            moved = True
        message = "the pages do not end"
        raise AssertionError(message)

    def settle(self, rows: int) -> None:
        """Let both devices sync until nothing moves any more."""
        for _ in range(10):
            self.time += 1
            moved = [self.sync(device, rows) for device in self.devices]
            if not any(moved):
                return
        message = "the devices do not come to rest"
        raise AssertionError(message)

    def tables(self) -> list[list[Any]]:
        """Read the table of the server and of each device, with the types of all values."""
        terms = ", ".join(f"typeof({name}), {name}" for name in "buvn")
        connections = [self.store.connection, *(each.bench.app for each in self.devices)]
        select = f"SELECT id, {terms} FROM notes ORDER BY id"
        return [connection.execute(select).fetchall() for connection in connections]

    def close(self) -> None:
        for device in self.devices:
            device.bench.close()
        self.store.connection.close()


_deeds = WRITES | WRITES | st.sampled_from(("cut", "push", "hear", "read", "sync", "restart"))


@settings(max_examples=120, deadline=None)
@given(
    rules=st.sampled_from(sorted(RULES)),
    counts=st.booleans(),
    ahead=st.sampled_from((0, 0, 30_000, 5_184_000_000)),
    rows=st.sampled_from((1, 2, 100)),
    shown=st.sampled_from((0, 20, SHOWN_BYTES)),
    deeds=st.lists(st.tuples(st.integers(0, 1), _deeds), min_size=2, max_size=30),
)
def test_two_devices_and_the_server_agree(
    rules: str, counts: bool, ahead: int, rows: int, shown: int, deeds: list[tuple[int, str]]
) -> None:
    """In whatever order batches, results and pages meet, and with a clock two months ahead.

    Also where a result has no room for the rows of its refusals: they come in pages.
    """
    with (
        tempfile.TemporaryDirectory() as directory,
        mock.patch("syncauth.server.stores.shown.SHOWN_BYTES", shown),
    ):
        world = World(Path(directory), rules, ("n",) if counts else ())
        world.devices[1].ahead = ahead
        for number, deed in deeds:
            world.act(world.devices[number], deed, rows)
        world.settle(rows)
        server, *here = world.tables()
        assert here == [server, server]
        letters = [each for one in world.devices for each in one.bench.replica.dead_letters()]
        allowed = {"none": "", "references": "foreign_key"}.get(rules, "unique_conflict")
        assert {each.code for each in letters} <= {allowed}
        world.close()
