"""A server is restored to the past: devices that are ahead are told once and lose nothing, the others go on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncauth.events import SyncErrorRaised
from syncauth.models import PauseReason, SessionState, TableSpec
from syncauth.server.settings.config import ServedTable
from syncauth.server.upkeep.backup import backup
from tests.conftest import FIGURES
from tests.simulation.clockwork import Clockwork
from tests.simulation.device import HOUR, SimulatedDevice
from tests.simulation.server import ANN, SimulatedServer

DEVICE_SCHEMA = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT, likes INTEGER)"
SERVER_SCHEMA = """CREATE TABLE IF NOT EXISTS notes (_partition TEXT NOT NULL, id TEXT NOT NULL,
    title TEXT, likes INTEGER, PRIMARY KEY (_partition, id));"""
SELECT = "SELECT id, title, likes FROM notes ORDER BY id"
SEEDS = range(1, 7)

Rows = list[tuple[str, str, int]]


class Story:
    """Three devices and a server whose file goes back to an earlier time."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.world = Clockwork(seed)
        self.random = self.world.random
        self.directory = directory
        served = ServedTable("notes", counters=("likes",))
        self.server = SimulatedServer(self.world, directory / "server.db", SERVER_SCHEMA, served)
        spec = TableSpec("notes", counters=("likes",))
        self.devices = [
            SimulatedDevice(self.world, self.server, directory / f"{name}.db", DEVICE_SCHEMA, spec)
            for name in ("one", "other", "third")
        ]
        self.pass_time(60)

    def pass_time(self, seconds: float) -> None:
        """Let time pass."""
        self.world.run(self.world.now + seconds)

    def live(self, writes: int, devices: list[SimulatedDevice]) -> None:
        """Write here and there, with lost networks and answers in between."""
        for _ in range(writes):
            device = self.random.choice(devices)
            self.write(device)
            if self.random.random() < 0.1:
                device.cut()
            if self.random.random() < 0.1:
                device.answers_to_lose = 1
            self.pass_time(self.random.choice((0.01, 0.3, 20.0)))

    def write(self, device: SimulatedDevice) -> None:
        """Insert, or edit a row that is there."""
        keys = [key for (key,) in device.app.execute("SELECT id FROM notes ORDER BY id")]
        text = f"{self.random.getrandbits(32):08x}"
        if not keys or self.random.random() < 0.5:
            device.write(("INSERT INTO notes VALUES (?, ?, 0)", (text, text)))
        else:
            key = self.random.choice(keys)
            sql = "UPDATE notes SET title = ?, likes = likes + 1 WHERE id = ?"
            device.write((sql, (text, key)))

    def heal(self) -> None:
        """Let everybody log in again, and all that can be sent be sent."""
        for device in self.devices:
            device.answers_to_lose, device.offline = 0, False
        self.pass_time(24 * HOUR)


def rows_of(device: SimulatedDevice) -> Rows:
    """Return the rows in a device's file."""
    return device.app.execute(SELECT).fetchall()


def waiting(device: SimulatedDevice) -> int:
    """Count the changes that the server has not confirmed."""
    state = device.replica.state()
    return state.pending + state.in_flight_changes


def is_paused(device: SimulatedDevice) -> bool:
    """Whether the device waits for a reset."""
    return PauseReason.CLIENT_RESET in device.engine.status(ANN).paused


def told(device: SimulatedDevice) -> list[str]:
    """Return the codes of the errors that the app was shown."""
    return [each.code for each in device.events if isinstance(each, SyncErrorRaised)]


@pytest.fixture
def open_story(tmp_path: Path) -> Iterator[Callable[[int], Story]]:
    stories: list[Story] = []

    def open_one(seed: int) -> Story:
        directory = tmp_path / str(seed)
        directory.mkdir()
        stories.append(Story(directory, seed))
        return stories[-1]

    yield open_one
    for story in stories:
        for device in story.devices:
            device.close()
        story.server.connection.close()


@pytest.mark.timeout(300)
def test_no_device_loses_anything_to_a_restore(
    open_story: Callable[[int], Story], record_property: Callable[[str, object], None]
) -> None:
    """Whoever is ahead keeps every row and waiting change and is told once (I1, I11); others converge (I9)."""
    counts: Counter[str] = Counter()
    for seed in SEEDS:
        _lives_through_a_restore(open_story(seed), counts)
    record_property(FIGURES, f"{len(SEEDS)} seeds, {dict(counts)}")
    assert counts["told"] >= 6
    assert counts["went on"] >= 4
    assert counts["waiting changes of those told"] > 0


def _lives_through_a_restore(story: Story, counts: Counter[str]) -> None:
    one, other, third = story.devices
    story.live(25, story.devices)
    third.offline = True
    third.cut()
    story.live(story.random.choice((0, 5)), [one, other, third])
    story.pass_time(story.random.choice((0.0, 60.0)))
    backup(story.directory, story.directory / "backup", now=story.world.wall)
    story.live(story.random.choice((0, 20, 20)), [one, other])
    before = {id(each): rows_of(each) for each in story.devices}
    waited = {id(each): waiting(each) for each in story.devices}
    heads = _head(story)

    story.server.restore(story.directory / "backup")
    counts["versions lost"] += heads - _head(story)
    story.heal()

    for device in story.devices:
        kept = {key for key, _, _ in before[id(device)]}
        assert kept <= {key for key, _, _ in rows_of(device)}
        assert told(device) == (["server_restored"] if is_paused(device) else [])
        if is_paused(device):
            assert rows_of(device) == before[id(device)]
            assert waiting(device) == waited[id(device)]
            counts["told"] += 1
            counts["waiting changes of those told"] += waiting(device)
            _stays_as_it_is(story, device)
        else:
            counts["went on"] += 1
    # Those that went on use the numbers of the lost time up and go beyond them: nobody is misled.
    going = [each for each in story.devices if not is_paused(each)]
    if going:
        story.live(30, going)
        story.heal()
    at_server = story.server.connection.execute(SELECT).fetchall()
    for device in going:
        assert device.idle
        assert rows_of(device) == at_server
    assert all(is_paused(each) for each in story.devices if each not in going)


def _stays_as_it_is(story: Story, device: SimulatedDevice) -> None:
    """Local work goes on, nobody connects again and again, and a new process is told once more."""
    connects, waited = device.counts["connects"], waiting(device)
    device.write(("INSERT INTO notes VALUES (?, 'local', 0)", (f"later {story.world.now}",)))
    story.pass_time(HOUR)
    assert device.counts["connects"] == connects
    assert waiting(device) == waited + 1
    assert device.session is SessionState.ACTIVE
    rows = rows_of(device)
    device.restart()
    story.pass_time(HOUR)
    assert device.counts["connects"] == connects + 1
    assert told(device) == ["server_restored"] * 2
    assert (rows_of(device), waiting(device)) == (rows, waited + 1)


def _head(story: Story) -> int:
    row = story.server.connection.execute("SELECT sum(head) FROM _sync_partitions").fetchone()
    return int(row[0] or 0)
