"""Functions in processes under `syncauth serve`: they end with the server, however that ends."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.processes import JsonProcess

BASE = "/api/client/v2.0/app/field-notes"
SECONDS = 40.0
CONFIG = """
[server]
app_id = "field-notes"
schema = "schema.sql"
test_mode = true
[functions]
wait = { call = "tests.support.process_functions:wait", process = true, seconds = 600 }
hang = { call = "tests.support.process_functions:hang", process = true, seconds = 8 }
who = { call = "tests.support.process_functions:who", process = true }
beside = { call = "beside:add", process = true }
"""


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[JsonProcess, httpx.Client]]:
    """A server with functions, and a client that is logged in."""
    (tmp_path / "schema.sql").write_text("")
    (tmp_path / "syncauth.toml").write_text(CONFIG)
    (tmp_path / "beside.py").write_text("def add(context, left, right): return left + right\n")
    place = ["--config", str(tmp_path / "syncauth.toml"), "--data", str(tmp_path / "data")]
    process = JsonProcess("syncauth.cli", "serve", "--port", "0", *place)
    with process, httpx.Client(base_url=process.hear()["url"], timeout=60) as client:
        token = client.post(f"{BASE}/auth/providers/anon-user/login").json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield process, client


def call(client: httpx.Client, name: str, *arguments: object) -> httpx.Response:
    """Call a function."""
    body = {"name": name, "arguments": arguments}
    return client.post(f"{BASE}/functions/call", json=body)


def runs(number: int) -> bool:
    """Whether a thread of the process runs."""
    try:
        threads = list(Path(f"/proc/{number}/task").glob("*/stat"))
        return any(each.read_text().rpartition(")")[2].split()[0] != "Z" for each in threads)
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_module_beside_the_settings_is_found_there_too(
    served: tuple[JsonProcess, httpx.Client],
) -> None:
    """A process imports from where the server imports."""
    assert call(served[1], "beside", 20, 22).json() == {"$numberInt": "42"}


@pytest.mark.parametrize(
    ("number", "name"),
    [(signal.SIGKILL, "wait"), (signal.SIGTERM, "wait"), (signal.SIGKILL, "hang")],
)
def test_no_worker_outlives_the_server(
    served: tuple[JsonProcess, httpx.Client], tmp_path: Path, number: int, name: str
) -> None:
    """I14: the idle and the busy process end after SIGTERM and after SIGKILL of the server."""
    process, client = served
    place = tmp_path / "numbers"

    def ask() -> None:
        with contextlib.suppress(httpx.HTTPError):
            call(client, name, str(place))

    caller = threading.Thread(target=ask)
    caller.start()
    end = time.monotonic() + SECONDS
    while not place.exists():
        assert time.monotonic() < end
        time.sleep(0.01)
    busy, child = map(int, place.read_text().split())
    with httpx.Client(base_url=client.base_url, headers=client.headers) as other:
        idle = int(call(other, "who").json()["pid"]["$numberInt"])
    assert runs(busy)
    assert runs(idle)
    process.send_signal(number)

    while runs(busy) or runs(idle):
        assert time.monotonic() < end, "a worker has outlived its server"
        time.sleep(0.01)
    if name == "hang":
        os.kill(child, signal.SIGKILL)  # nobody else does: its parent could run nothing
    while runs(child):
        assert time.monotonic() < end, "what a function has started has outlived the server"
        time.sleep(0.01)
    caller.join(SECONDS)
