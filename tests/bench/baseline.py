"""Plain SQLite doing the same work: one executemany in one transaction, best of three; a bare fsync; a bare echo."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import websockets

from tests.bench.shapes import Shape, connect, run

RUNS = 3


def plain(directory: Path, shape: Shape, count: int) -> dict[str, float]:
    """Return the seconds of inserting, updating and deleting all rows with the server's schema."""
    rows = shape.rows(count)
    keys = [(row[0],) for row in rows]
    insert = shape.insert.replace("VALUES (", "VALUES ('user:someone', ")
    best = {"insert": float("inf"), "update": float("inf"), "delete": float("inf")}
    for turn in range(RUNS):
        path = directory / f"plain-{shape.name}-{turn}.db"
        connection = connect(path)
        connection.execute(shape.server_schema)
        where = "WHERE _partition = 'user:someone' AND"
        for name, sql, given in (
            ("insert", insert, rows),
            ("update", shape.update.replace("WHERE", where), keys),
            ("delete", shape.delete.replace("WHERE", where), keys),
        ):
            begun = time.perf_counter()
            run(connection, sql, given)
            best[name] = min(best[name], time.perf_counter() - begun)
        connection.close()
    return best


def fsync_times(directory: Path, count: int) -> list[float]:
    """Return the seconds of writing 4 kB to the end of a file and fsync."""
    times = []
    with (directory / "fsync").open("wb", buffering=0) as file:
        for _ in range(count):
            begun = time.perf_counter()
            file.write(b"x" * 4096)
            os.fsync(file.fileno())
            times.append(time.perf_counter() - begun)
    return times


def echo_times(count: int) -> list[float]:
    """Return the seconds of a message to a bare WebSocket server on loopback and back."""

    async def measure() -> list[float]:
        async def echo(socket: websockets.ServerConnection) -> None:
            async for message in socket:
                await socket.send(message)

        times = []
        async with websockets.serve(echo, "127.0.0.1", 0, compression=None) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            async with websockets.connect(
                f"ws://127.0.0.1:{port}", compression=None, proxy=None
            ) as socket:
                for _ in range(count):
                    begun = time.perf_counter()
                    await socket.send("x" * 200)
                    await socket.recv()
                    times.append(time.perf_counter() - begun)
        return times

    return asyncio.run(measure())
