"""
Measures refreshes: each of a rotating session, with a token that was never used, loaded by Debian's `wrk`.

The sessions are written into the file of a server that does not run yet, and their tokens signed with its key. When
all are answered, the rotations that the file holds must be exactly those that were answered with 201.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

from syncauth.server.accounts.issuer import Issuer, open_key, token_hash
from syncauth.server.stores.interface import SessionRecord
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.stores.sqlite_accounts import SqliteAccounts
from tests.bench.shapes import NARROW
from tests.support.processes import JsonProcess, Server, configure

THREADS, CONNECTIONS = 2, 64
LIMIT_SECONDS = 120
DAY = 86_400
SCRIPT = Path(__file__).with_name("refresh.lua")


def refreshes(directory: Path, count: int) -> dict[str, float]:
    """Refresh `count` sessions once each, as fast as it goes; returns the figures."""
    home = directory / "refreshing"
    configure(home, NARROW.server_schema, "[tables.narrow]")
    tokens = home / "tokens"
    _prepare(home, tokens, count)
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
        "refresh_p50_ms": loaded["p50_ms"],
        "refresh_p99_ms": loaded["p99_ms"],
        "empty_answer_per_second": count / empty["seconds"],
        "empty_answer_cpu_us": empty_spent / count * 1e6,
        "refresh_per_empty_answer": rate / (count / empty["seconds"]),
    }


def _prepare(home: Path, tokens: Path, count: int) -> None:
    """Write users and sessions, and a file of tokens for each thread of the load."""
    data = home / "data"
    data.mkdir(mode=0o700)
    issuer = Issuer(open_key(data), "test")
    now = time.time()
    sessions = [
        SessionRecord(
            session_id=f"{number:024x}",
            user_id=f"{number:023x}f",
            device_id=f"{number:023x}d",
            identity_id=f"{number:023x}e",
            provider_type="local-userpass",
            rotates=True,
            expires_at=now + 60 * DAY,
            end_reason=None,
            custom_data=None,
        )
        for number in range(count)
    ]
    texts = [
        issuer.refresh_token(session, now=now, unique=os.urandom(16)).text for session in sessions
    ]
    with closing(open_server_file(data / "server.db", NARROW.server_schema)) as connection:
        SqliteAccounts(connection)
        connection.execute("BEGIN")
        connection.executemany(
            "INSERT INTO _sync_users (id, state, created_at, data) VALUES (?, 'enabled', ?, '{}')",
            [(session.user_id, now) for session in sessions],
        )
        connection.executemany(
            "INSERT INTO _sync_sessions (id, user_id, device_id, identity_id, provider_type,"
            " rotates, created_at, expires_at, token) VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?)",
            [
                (
                    session.session_id,
                    session.user_id,
                    session.device_id,
                    session.identity_id,
                    session.provider_type,
                    now,
                    session.expires_at,
                    token_hash(text),
                )
                for session, text in zip(sessions, texts, strict=True)
            ],
        )
        connection.execute("COMMIT")
    for thread in range(THREADS):
        lines = [text.reveal() for text in texts[thread::THREADS]]
        tokens.with_name(f"{tokens.name}.{thread + 1}").write_text("\n".join(lines) + "\n")


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


def _rotated(file: Path) -> int:
    """Count the sessions whose first token was replaced."""
    with closing(sqlite3.connect(file)) as connection:
        sql = "SELECT count(*) FROM _sync_sessions WHERE spent IS NOT NULL AND ended_at IS NULL"
        (count,) = connection.execute(sql).fetchone()
    return int(count)


def cpu_seconds(process: int) -> float:
    """Return the processor time that a process has had so far."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
