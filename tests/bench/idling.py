"""
Measures what open sockets cost that have nothing to do: memory and processor time of the server's process.

The devices are another process, one socket each, of users of their own; each has said hello and has its checkpoint.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

from tests.bench.prepared import prepare
from tests.support.processes import JsonProcess, Server, cpu_seconds, resident_bytes

SPARE_FILES = 200
SECONDS_TO_OPEN = 300.0
SECONDS_IDLE = 10.0


def idle_sockets(directory: Path, count: int) -> dict[str, float]:
    """Open `count` sockets; returns what each of them costs."""
    _allow_files(count + SPARE_FILES)
    home = directory / "idling"
    tokens = home / "tokens"
    texts = [each.access.reveal() for each in prepare(home, count)]
    tokens.write_text("\n".join(texts) + "\n")
    with Server(home) as server:
        before = resident_bytes(server.pid)
        with JsonProcess("tests.support.idle_sockets", server.url, str(tokens)) as devices:
            opened = devices.hear(SECONDS_TO_OPEN)["open"]
            taken = resident_bytes(server.pid) - before
            began, spent = time.monotonic(), cpu_seconds(server.pid)
            time.sleep(SECONDS_IDLE)
            spent = (cpu_seconds(server.pid) - spent) / (time.monotonic() - began)
            if opened != count or devices.close_input():
                message = f"of {count} sockets {opened} were opened, or the server closed some"
                raise SystemExit(message)
        server.stop()
    return {
        "idle_sockets": opened,
        "idle_socket_kb": taken / opened / 1000,
        "idle_sockets_cpu_percent": spent * 100,
    }


def _allow_files(count: int) -> None:
    """Let this process and those that it starts have so many files open."""
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(count, most), most))
