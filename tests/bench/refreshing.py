"""
Measures refreshes: each of a rotating session, with a token that was never used, loaded by Debian's `wrk`.

The sessions are written into the file of a server that does not run yet, and their tokens signed with its key. When
all are answered, the rotations that the file holds must be exactly those that were answered with 201.
"""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import statistics
import subprocess
from contextlib import closing
from pathlib import Path

from tests.bench.baseline import fsync_times
from tests.bench.prepared import prepare
from tests.support.processes import JsonProcess, Server, cpu_seconds

THREADS, CONNECTIONS = 2, 64
LIMIT_SECONDS = 120
FSYNCS = 200
SCRIPT = Path(__file__).with_name("refresh.lua")


def refreshes(directory: Path, count: int) -> dict[str, float]:
    """Refresh `count` sessions once each, as fast as it goes; returns the figures."""
    home = directory / "refreshing"
    tokens = home / "tokens"
    texts = [each.refresh for each in prepare(home, count)]
    for thread in range(THREADS):
        lines = [text.reveal() for text in texts[thread::THREADS]]
        tokens.with_name(f"{tokens.name}.{thread + 1}").write_text("\n".join(lines) + "\n")
    with Server(home) as server:
        began = cpu_seconds(server.pid)
        loaded = load(server.url, tokens)
        spent = cpu_seconds(server.pid) - began
        server.stop()
    rotated = _rotated(home / "data" / "server.db")
    if loaded["created"] != count or rotated != count:
        message = (
            f"of {count} refreshes {loaded['created']} were answered with 201, {rotated} are stored"
        )
        raise SystemExit(message)
    with JsonProcess("tests.support.empty_route") as bare:
        url = bare.hear()["url"]
        began = cpu_seconds(bare.pid)
        empty = load(url, tokens)
        empty_spent = cpu_seconds(bare.pid) - began
        bare.stop()
    rate = count / loaded["seconds"]
    return {
        "refresh_per_second": rate,
        "refresh_cpu_us": spent / count * 1e6,
        "refresh_per_fsync": rate * _fsync_seconds(directory),
        "refresh_p50_ms": loaded["p50_ms"],
        "refresh_p99_ms": loaded["p99_ms"],
        "empty_answer_per_second": count / empty["seconds"],
        "empty_answer_cpu_us": empty_spent / count * 1e6,
        "refresh_per_empty_answer": rate / (count / empty["seconds"]),
    }


def load(url: str, tokens: Path) -> dict[str, float]:
    """Send every token once; returns what the script of `wrk` tells."""
    program = shutil.which("wrk")
    if program is None:
        message = "wrk is missing: run `make services-wrk`"
        raise SystemExit(message)
    options = [f"-t{THREADS}", f"-c{CONNECTIONS}", f"-d{LIMIT_SECONDS}s", "--timeout", "30s"]
    with subprocess.Popen(
        [program, *options, "-s", str(SCRIPT), url, "--", str(tokens)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        for _ in range(THREADS):
            (process.stderr or ()).readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate()
    told: dict[str, float] = json.loads(out.splitlines()[-1])
    return told


def _fsync_seconds(directory: Path) -> float:
    """Return what one fsync takes here: without shared commits there cannot be more refreshes than those."""
    return statistics.median(fsync_times(directory, FSYNCS))


def _rotated(file: Path) -> int:
    """Count the sessions whose first token was replaced."""
    with closing(sqlite3.connect(file)) as connection:
        sql = "SELECT count(*) FROM _sync_sessions WHERE spent IS NOT NULL AND ended_at IS NULL"
        (count,) = connection.execute(sql).fetchone()
    return int(count)
