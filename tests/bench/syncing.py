"""
Measures replay, download, latency and capture between real processes, and prints ratios.

The server and both devices are processes of their own. Replay is measured from the first connection after the rows
were written offline until this process reads the last row from the server's file and finds the device's outbox and
in flight empty; a download until it reads the last row from the device's file. Exits with 1 if a file does not hold
the rows that it must, or was written with other pragmas.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from statistics import quantiles
from typing import Any

from tests.bench.baseline import echo_times, fsync_times, plain
from tests.bench.shapes import NARROW, WIDE, Shape, connect, run
from tests.support.processes import EMAIL, PASSWORD, Device, Server, configure

LIMIT_SECONDS = 300.0
POLL_SECONDS = 0.002


class Bench:
    """One server and two devices, as processes, in one directory."""

    def __init__(self, directory: Path, count: int) -> None:
        self.directory = directory
        self.count = count
        self.figures: dict[str, float] = {"rows": count}
        shapes = (NARROW, WIDE)
        configure(
            directory / "server",
            "\n".join(shape.server_schema for shape in shapes),
            "\n".join(f"[tables.{shape.name}]" for shape in shapes),
            "[lifetimes]\naccess_seconds = 3600\nrefresh_seconds = 86400\n",
        )

    def run(self, latencies: int) -> None:
        """Measure everything."""
        with Server(self.directory / "server") as server:
            with Device(server.url, self.directory / "a") as device:
                device.do("register", email=EMAIL, password=PASSWORD)
                device.log_in()
            for shape, count in ((NARROW, self.count), (WIDE, self.count // 4)):
                self.measure(server, shape, count)
            self.latency(server, latencies)
            server.stop()

    def measure(self, server: Server, shape: Shape, count: int) -> None:
        """Insert, then update, then delete all rows of one shape, each followed by a replay."""
        base = plain(self.directory, shape, count)
        path = self.open_once(server, shape)
        rows = shape.rows(count)
        keys = [(row[0],) for row in rows]
        last = rows[-1][0]
        name = "" if shape is NARROW else f"{shape.name}_"
        states: dict[str, Callable[[sqlite3.Connection], bool]] = {
            "insert": lambda file: bool(
                _one(file, f"SELECT 1 FROM {shape.name} WHERE id = ?", last)
            ),
            "update": lambda file: bool(
                _one(file, f"SELECT c0 LIKE '% edited' FROM {shape.name} WHERE id = ?", last)
            ),
            "delete": lambda file: (
                not _one(
                    file,
                    f"SELECT 1 FROM {shape.name} WHERE id = ?",
                    last,
                )
            ),
        }
        work: dict[str, tuple[str, list[Any]]] = {
            "insert": (shape.insert, rows),
            "update": (shape.update, keys),
            "delete": (shape.delete, keys),
        }
        prefix = {"insert": "", "update": "update_", "delete": "delete_"}
        for kind, (sql, given) in work.items():
            label = f"{name}{prefix[kind]}"
            capture = self.write_offline(path, sql, given)
            self.figures[f"{label}capture_ratio"] = capture / base[kind]
            replay = self.replay(server, shape, path, states[kind])
            self.figures[f"{label}replay_ratio"] = replay / base[kind]
            self.figures[f"{label}replay_rows_per_second"] = count / replay
            download, wait = self.download(server, shape, states[kind])
            self.figures[f"{label}download_ratio"] = download / base[kind]
            if kind == "insert":
                self.figures[f"{label}download_foreign_writer_max_wait_ms"] = wait * 1000
            self.check(server, shape, path, 0 if kind == "delete" else count)

    def open_once(self, server: Server, shape: Shape) -> Path:
        """Have the device make and track its table."""
        with Device(server.url, self.directory / "a") as device:
            opened = device.do("open", tables=[NARROW.name, WIDE.name], create=self.schema)
            device.do("synced")
            device.close_input()
        if not (self.directory / "b").exists():
            with Device(server.url, self.directory / "b") as device:
                device.log_in()
                device.do("open", tables=[NARROW.name, WIDE.name], create=self.schema)
                device.do("synced")
                device.close_input()
        return Path(opened["path"])

    @property
    def schema(self) -> str:
        """What both devices create."""
        return NARROW.device_schema + WIDE.device_schema

    @staticmethod
    def write_offline(path: Path, sql: str, rows: list[Any]) -> float:
        """Write to the device's file while no device runs; returns the seconds."""
        connection = connect(path)
        begun = time.perf_counter()
        run(connection, sql, rows)
        took = time.perf_counter() - begun
        connection.close()
        return took

    def replay(
        self, server: Server, shape: Shape, path: Path, there: Callable[[sqlite3.Connection], bool]
    ) -> float:
        """Start the device and wait until everything is durable at the server and acknowledged."""
        with Device(server.url, self.directory / "a") as device:
            device.start("open", tables=[NARROW.name, WIDE.name])
            begun = device.hear_until(machine="connection", state="connecting")["at"]
            _wait(server.file, there)
            _wait(path, lambda file: _pending(file) == 0)
            took = time.monotonic() - begun
            device.close_input()
        return took

    def download(
        self, server: Server, shape: Shape, there: Callable[[sqlite3.Connection], bool]
    ) -> tuple[float, float]:
        """Start the other device and wait until its file has the last row; beside it another program writes."""
        with Device(server.url, self.directory / "b") as device:
            device.start("open", tables=[NARROW.name, WIDE.name])
            begun = device.hear_until(machine="connection", state="connecting")["at"]
            path = next((self.directory / "b").rglob("replicas/*.db"))
            waits: list[float] = []
            done = threading.Event()
            writer = threading.Thread(target=_write_beside, args=(path, done, waits))
            writer.start()
            try:
                _wait(path, there)
                took = time.monotonic() - begun
            finally:
                done.set()
                writer.join()
            device.do("synced")
            device.close_input()
        return took, max(waits, default=0.0)

    def check(self, server: Server, shape: Shape, path: Path, count: int) -> None:
        """Compare the row counts of all three files."""
        files = [server.file, path, *(self.directory / "b").rglob("replicas/*.db")]
        for file in files:
            found = _one(_read(file), f"SELECT count(*) FROM {shape.name}")
            if found != count:
                message = f"{file} holds {found} rows of {shape.name}, not {count}"
                raise SystemExit(message)

    def latency(self, server: Server, count: int) -> None:
        """Measure from the commit on one device to the row in the other's file."""
        with (
            Device(server.url, self.directory / "a") as one,
            Device(server.url, self.directory / "b") as other,
        ):
            here = Path(one.do("open", tables=[NARROW.name, WIDE.name])["path"])
            there = Path(other.do("open", tables=[NARROW.name, WIDE.name])["path"])
            one.do("synced")
            other.do("synced")
            times = _latencies(one, there, count)
            foreign = _foreign_latencies(here, there, count)
            one.close_input()
            other.close_input()
        self._percentiles("latency", times)
        self._percentiles("foreign_latency", foreign)
        self._percentiles("echo", echo_times(count))
        self._percentiles("fsync", fsync_times(self.directory, count))

    def _percentiles(self, name: str, times: list[float]) -> None:
        points = quantiles(times, n=100)
        self.figures[f"{name}_p50_ms"] = points[49] * 1000
        self.figures[f"{name}_p99_ms"] = points[98] * 1000


def _latencies(one: Device, there: Path, count: int) -> list[float]:
    """Commit through `replica.db`; from there on until the row is in the other device's file."""
    reader = _read(there)
    row = NARROW.rows(1)[0][1:]
    times = []
    for number in range(count):
        key = f"latency {number}"
        one.start("commit", sql=NARROW.insert, row=[key, *row])
        seen = _seen(reader, key)
        times.append(seen - one.finish("commit")["committed"])
    reader.close()
    return times


def _foreign_latencies(here: Path, there: Path, count: int) -> list[float]:
    """Commit from a program that knows nothing of syncauth; until the row is in the other's file."""
    writer, reader = connect(here), _read(there)
    row = NARROW.rows(1)[0][1:]
    times = []
    for number in range(count):
        key = f"foreign {number}"
        writer.execute(NARROW.insert, (key, *row))
        begun = time.monotonic()
        times.append(_seen(reader, key) - begun)
    writer.close()
    reader.close()
    return times


def _seen(reader: sqlite3.Connection, key: str) -> float:
    """Look for a row until it is there; returns when."""
    end = time.monotonic() + LIMIT_SECONDS
    while not _one(reader, "SELECT 1 FROM narrow WHERE id = ?", key):
        if time.monotonic() > end:
            message = f"the row {key!r} never arrived"
            raise SystemExit(message)
        time.sleep(0.0001)  # a reader that spins would take the processor from those it measures
    return time.monotonic()


def _write_beside(path: Path, done: threading.Event, waits: list[float]) -> None:
    """Write small transactions to the file while it is being filled, as another program would."""
    connection = connect(path)
    connection.execute("CREATE TABLE IF NOT EXISTS beside (n INTEGER)")
    while not done.wait(0.005):
        begun = time.perf_counter()
        connection.execute("INSERT INTO beside VALUES (1)")
        waits.append(time.perf_counter() - begun)
    connection.close()


def _pending(file: sqlite3.Connection) -> int:
    """Count what is unsent or in flight."""
    tables = file.execute("SELECT id FROM _sync_tables").fetchall()
    counts = [_one(file, f"SELECT count(*) FROM _sync_capture_{number}") for (number,) in tables]
    return sum(counts) + int(_one(file, "SELECT count(*) FROM _sync_inflight"))


def _wait(path: Path, there: Callable[[sqlite3.Connection], bool]) -> None:
    """Look into a file until it is as it should be."""
    connection = _read(path)
    end = time.monotonic() + LIMIT_SECONDS
    while not there(connection):
        if time.monotonic() > end:
            message = f"{path} never came to what it should be"
            raise SystemExit(message)
        time.sleep(POLL_SECONDS)
    connection.close()


def _read(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=30)


def _one(file: sqlite3.Connection, sql: str, *given: Any) -> Any:
    row = file.execute(sql, given).fetchone()
    return None if row is None else row[0]
