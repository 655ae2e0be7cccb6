"""A week of two devices in virtual time: expiries, ends of the login, cuts, lost answers, ten thousand writes."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from syncauth.models import SessionState, TableSpec
from syncauth.server.settings.config import ServedTable
from tests.conftest import FIGURES
from tests.simulation.clockwork import Clockwork
from tests.simulation.device import SimulatedDevice
from tests.simulation.model import Model
from tests.simulation.server import SimulatedServer

DAY = 24 * 3600.0
WRITES, CUTS, LOST_ANSWERS, RESTARTS = 10_000, 200, 50, 40
DEVICE_SCHEMA = """CREATE TABLE notes (
    id TEXT NOT NULL PRIMARY KEY, title TEXT, body TEXT, likes INTEGER NOT NULL)"""
SERVER_SCHEMA = """CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, title TEXT, body TEXT, likes INTEGER NOT NULL,
    PRIMARY KEY (_partition, id))"""


class Week:
    """The world, its two devices, and the model that is told of every committed write."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.world = Clockwork(seed)
        served = ServedTable("notes", counters=("likes",))
        self.server = SimulatedServer(self.world, directory / "server.db", SERVER_SCHEMA, served)
        spec = TableSpec("notes", counters=("likes",))
        self.devices = [
            SimulatedDevice(self.world, self.server, directory / f"{name}.db", DEVICE_SCHEMA, spec)
            for name in ("one", "other")
        ]
        self.model = Model()
        self.counts: Counter[str] = Counter()

    def plan(self) -> None:
        """Draw when what happens; half of the writes come in bursts."""
        random = self.world.random
        for _ in range(WRITES // 20):
            begin = 10 + random.random() * 7 * DAY
            device = random.choice(self.devices)
            for number in range(20):
                pace = 0.05 if random.random() < 0.5 else 30.0
                self.world.at(begin + number * pace, lambda device=device: self.write(device))  # type: ignore[misc]
        for _ in range(CUTS * 3):
            self.world.at(random.random() * 7 * DAY, random.choice(self.devices).cut)
        for _ in range(RESTARTS):
            self.world.at(random.random() * 7 * DAY, random.choice(self.devices).restart)
        for _ in range(LOST_ANSWERS):
            device = random.choice(self.devices)
            self.world.at(random.random() * 6 * DAY, lambda device=device: _lose(device))  # type: ignore[misc]

    def write(self, device: SimulatedDevice) -> None:
        """Commit one write and tell the model."""
        random = self.world.random
        self.counts["writes"] += 1
        keys = [key for (key,) in device.app.execute("SELECT id FROM notes ORDER BY id")]
        choice = random.random() if keys else 0.0
        if choice < 0.3:
            key, text = f"{random.getrandbits(64):016x}", str(random.random())
            insert = ("INSERT INTO notes VALUES (?, ?, ?, ?)", (key, text, "body", 1))
            self.model.insert(key, device.write(insert), text, "body", 1)
            return
        key = random.choice(keys)
        if choice < 0.6:
            column, value = random.choice(("title", "body")), str(random.random())
            update = (f"UPDATE notes SET {column} = ? WHERE id = ?", (value, key))
            self.model.update(key, device.write(update), column, value)
        elif choice < 0.85:
            delta = random.randint(-5, 5) or 7
            device.write(("UPDATE notes SET likes = likes + ? WHERE id = ?", (delta, key)))
            self.model.add(key, delta)
        else:
            device.write(("DELETE FROM notes WHERE id = ?", (key,)))
            self.model.delete(key)

    def heal(self) -> None:
        """Let everything come to rest: no more faults, and whoever is asked to log in does."""
        for _ in range(10):
            self.world.run(self.world.now + DAY / 4)
            if all(each.idle and each.session is SessionState.ACTIVE for each in self.devices):
                return
        message = "the outboxes do not drain"
        raise AssertionError(message)

    def total(self) -> Counter[str]:
        """Return what has happened."""
        return sum((each.counts for each in self.devices), self.counts)


def _lose(device: SimulatedDevice) -> None:
    device.answers_to_lose += 1


@pytest.mark.timeout(300)
def test_a_week_loses_nothing_and_ends_in_step(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """After healing nothing waits (I1, I6), and both files and the server's hold what the model says (I9)."""
    seed = int(os.environ.get("SYNCAUTH_SEED", "1"))
    week = Week(tmp_path, seed)
    week.plan()
    week.world.run(7 * DAY)
    week.heal()
    total = week.total()
    record_property(FIGURES, f"seed {seed}, {dict(total)}")
    expected = week.model.rows()
    for device in week.devices:
        assert device.app.execute("SELECT * FROM notes ORDER BY id").fetchall() == expected
        assert not device.replica.dead_letters()
        device.close()
    rows = week.server.connection.execute("SELECT id, title, body, likes FROM notes ORDER BY id")
    assert rows.fetchall() == expected
    week.server.connection.close()
    assert total["access tokens renewed"] >= 300
    assert total["relogins"] >= 3
    assert total["cuts"] >= CUTS
    assert total["lost answers"] >= LOST_ANSWERS
    assert total["writes"] == WRITES
