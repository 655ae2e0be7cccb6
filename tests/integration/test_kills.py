"""
Kill -9 in the middle: of a device that replays, and of the server that applies (I1, I2, I9, I14).

The instants are drawn by progress: after k of n batches, 0 < k < n, by what the server's file says; a kill that missed
is drawn again. The server's table has a counter column and a trigger that logs every effective write, and another
one logs every batch that is counted.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.conftest import FIGURES
from tests.support.processes import EMAIL, PASSWORD, Device, Server, configure

KILLS = 30
ROWS_PER_BATCH = 20
BATCHES = 12
COUNTERS = 5
LIMIT_SECONDS = 60.0

DEVICE_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS marks (id TEXT NOT NULL PRIMARY KEY, mark TEXT, hits INTEGER)"
)
SERVER_SCHEMA = """
CREATE TABLE IF NOT EXISTS marks (_partition TEXT NOT NULL, id TEXT NOT NULL, mark TEXT, hits INTEGER,
    PRIMARY KEY (_partition, id));
CREATE TABLE IF NOT EXISTS log (id TEXT, mark TEXT, added INTEGER);
CREATE TRIGGER IF NOT EXISTS logged_insert AFTER INSERT ON marks
    BEGIN INSERT INTO log VALUES (NEW.id, NEW.mark, NEW.hits); END;
CREATE TRIGGER IF NOT EXISTS logged_update AFTER UPDATE ON marks
    BEGIN INSERT INTO log VALUES (NEW.id, NEW.mark, NEW.hits - OLD.hits); END;
"""
BATCH_LOG = """
CREATE TABLE IF NOT EXISTS batch_log (device INTEGER, batch INTEGER);
CREATE TRIGGER IF NOT EXISTS logged_batch AFTER INSERT ON _sync_results
    BEGIN INSERT INTO batch_log VALUES (NEW.device, NEW.batch); END;
"""


class Scene:
    """A server, a device, and what the app has written so far."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seed = int(os.environ.get("SYNCAUTH_SEED") or time.time_ns() % 100_000)
        self.random = Random(self.seed)
        configure(
            directory / "server",
            SERVER_SCHEMA,
            '[tables.marks]\ncounters = ["hits"]',
            f"[lifetimes]\nrefresh_seconds = 86400\n[limits]\nbatch_rows = {ROWS_PER_BATCH}",
        )
        self.server = self.start_server()
        with self.start_device() as device:
            device.do("register", email=EMAIL, password=PASSWORD)
            device.log_in()
            self.file = Path(self.open(device))
            device.do("synced")
            device.close_input()
        self.connection = sqlite3.connect(self.server.file, isolation_level=None)
        self.connection.executescript(BATCH_LOG)
        self.app = sqlite3.connect(self.file, isolation_level=None, timeout=30)
        self.written = 0
        self.added = 0
        self.write(rows=COUNTERS)

    def start_server(self, port: int = 0) -> Server:
        """Start the server."""
        return Server(self.directory / "server", port)

    def start_device(self) -> Device:
        """Start the device."""
        return Device(self.server.url, self.directory / "device")

    @staticmethod
    def open(device: Device) -> str:
        """Open the replica; returns the path of its file."""
        opened = device.do(
            "open", tables=["marks"], counters={"marks": ["hits"]}, create=DEVICE_SCHEMA
        )
        return str(opened["path"])

    def write(self, rows: int = BATCHES * ROWS_PER_BATCH) -> None:
        """Commit rows that nobody has written before, and add to counters, as any program may."""
        self.app.execute("BEGIN IMMEDIATE")
        for _ in range(rows):
            key = f"{self.written:08}"
            self.app.execute("INSERT INTO marks VALUES (?, ?, 0)", (key, f"mark {key}"))
            self.written += 1
        for place in range(COUNTERS):
            delta = self.random.randint(1, 9)
            key = f"{place:08}"
            self.app.execute("UPDATE marks SET hits = hits + ? WHERE id = ?", (delta, key))
            self.added += delta
        self.app.execute("COMMIT")

    @property
    def last(self) -> int:
        """The device's last batch at the server."""
        (last,) = self.connection.execute(
            "SELECT ifnull(max(last), 0) FROM _sync_devices"
        ).fetchone()
        return int(last)

    @property
    def waiting(self) -> int:
        """How many changes wait on the device."""
        (number,) = self.app.execute("SELECT id FROM _sync_tables").fetchone()
        (count,) = self.app.execute(f"SELECT count(*) FROM _sync_capture_{number}").fetchone()
        return int(count)

    def kill_after(self, kill: Callable[[], None]) -> bool:
        """Kill after k of n batches; False if it came too late."""
        first = self.last
        after = first + self.random.randrange(1, BATCHES)
        wait_until(lambda: self.last >= after)
        kill()
        return self.last < first + BATCHES and self.waiting > 0

    def figures(self, kills: int, drawn: int) -> str:
        """Say what was done, and from which seed it can be done again."""
        return f"{kills} kills of {drawn} drawn, seed {self.seed}, {self.written} rows, {self.last} batches"

    def check(self, kills: int) -> None:
        """Every change took effect once: rows, log, counters and batch numbers."""
        assert kills == KILLS
        here = self.app.execute("SELECT id, mark, hits FROM marks ORDER BY id").fetchall()
        there = self.connection.execute("SELECT id, mark, hits FROM marks ORDER BY id").fetchall()
        assert here == there
        assert len(there) == self.written
        marks = (
            "SELECT mark, count(*) FROM log WHERE id NOT IN (SELECT id FROM marks WHERE hits > 0)"
        )
        repeated = self.connection.execute(f"{marks} GROUP BY mark HAVING count(*) > 1").fetchall()
        assert repeated == []
        (added,) = self.connection.execute("SELECT sum(added) FROM log").fetchone()
        (hits,) = self.connection.execute("SELECT sum(hits) FROM marks").fetchone()
        assert added == hits == self.added
        batches = self.connection.execute("SELECT batch FROM batch_log ORDER BY rowid").fetchall()
        first = self.last - len(batches) + 1
        assert [batch for (batch,) in batches] == list(range(first, self.last + 1))

    def close(self) -> None:
        """End everything."""
        self.app.close()
        self.connection.close()
        self.server.stop()


def wait_until(condition: Callable[[], bool]) -> None:
    """Look again and again until a condition holds."""
    end = time.monotonic() + LIMIT_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never happens"
        time.sleep(0.0005)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path)
    yield scene
    scene.close()


@pytest.mark.timeout(600)
def test_a_device_killed_in_the_middle_of_the_replay(
    scene: Scene, record_property: Callable[[str, object], None]
) -> None:
    """Thirty times a device is killed while it replays; each change takes effect once (I1, I2, I14)."""
    kills = drawn = 0
    while kills < KILLS and drawn < 3 * KILLS:
        drawn += 1
        scene.write()
        with scene.start_device() as device:
            device.start("open", tables=["marks"], counters={"marks": ["hits"]})
            kills += scene.kill_after(device.kill)
    with scene.start_device() as device:
        scene.open(device)
        device.do("uploaded")
        device.do("synced")
        device.close_input()
    record_property(FIGURES, scene.figures(kills, drawn))
    scene.check(kills)


@pytest.mark.timeout(600)
def test_the_server_killed_in_the_middle_of_applying(
    scene: Scene, record_property: Callable[[str, object], None]
) -> None:
    """Thirty times the server is killed while it applies; each change takes effect once (I1, I2, I14)."""
    kills = drawn = 0
    port = scene.server.port
    with scene.start_device() as device:
        scene.open(device)
        while kills < KILLS and drawn < 3 * KILLS:
            drawn += 1
            device.do("uploaded")
            scene.write()
            kills += scene.kill_after(scene.server.kill)
            scene.server.stop()
            scene.server = scene.start_server(port)
            device.do("network_changed")
        device.do("uploaded")
        device.do("synced")
        device.close_input()
    record_property(FIGURES, scene.figures(kills, drawn))
    scene.check(kills)
