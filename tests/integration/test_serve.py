"""`syncauth serve` as its own process: one ready line, a clean end, and clear refusals."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

CONFIG = """
[server]
app_id = "field-notes"
schema = "schema.sql"
test_mode = true
[login]
password_cost = "low"
[tables.notes]
"""
SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL,
    id TEXT NOT NULL,
    text TEXT,
    PRIMARY KEY (_partition, id)
);
"""
BASE = "/api/client/v2.0"
Serve = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start the command; what still runs at the end of the test is killed."""
    (tmp_path / "schema.sql").write_text(SCHEMA)
    (tmp_path / "syncauth.toml").write_text(CONFIG)
    processes: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "syncauth.cli", "serve"]
        command += ["--config", str(tmp_path / "syncauth.toml"), "--data", str(tmp_path / "data")]
        process = subprocess.Popen(
            [*command, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[2],
            env=os.environ | environment,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate(timeout=10)


def ready_url(process: subprocess.Popen[str]) -> str:
    """Wait for the ready line and return the address in it."""
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, process.communicate(timeout=10)[1]
    ready = json.loads(line)
    assert set(ready) == {"ready", "url"}
    assert ready["ready"] is True
    return str(ready["url"])


def end(process: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[str, str]:
    """Ask the process to end; returns the rest of stdout and all of stderr."""
    process.send_signal(number)
    return process.communicate(timeout=15)


def test_server_is_ready_when_it_says_so_and_ends_cleanly(serve: Serve, tmp_path: Path) -> None:
    """After the ready line a connection succeeds; SIGTERM ends with 0; stdout has no more."""
    process = serve("--port", "0")
    url = ready_url(process)

    with httpx.Client(base_url=url) as client:
        assert client.get("/healthz").status_code == 200
        location = client.get(f"{BASE}/app/field-notes/location").json()
    out, _ = end(process)

    assert location["hostname"] == url
    assert out == ""
    assert process.returncode == 0
    assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_ctrl_c_ends_cleanly_too(serve: Serve) -> None:
    """SIGINT is an orderly end, without a traceback."""
    process = serve("--port", "0")
    ready_url(process)

    _, log = end(process, signal.SIGINT)

    assert process.returncode == 0
    assert "Traceback" not in log


def test_log_shows_paths_and_no_secret(serve: Serve) -> None:
    """The log on stderr has a line per call, without queries, tokens and passwords (I10)."""
    process = serve("--port", "0")
    account = {"email": "ann@example.com", "password": "correct horse"}
    with httpx.Client(base_url=ready_url(process)) as client:
        provider = f"{BASE}/app/field-notes/auth/providers/local-userpass"
        client.post(f"{provider}/register?baas_at=query-secret", json=account)
        body = {"username": "ann@example.com", "password": "correct horse"}
        login = client.post(f"{provider}/login", json=body).json()
        header = {"Authorization": f"Bearer {login['refresh_token']}"}
        client.post(f"{BASE}/auth/session?baas_at=query-secret", headers=header)
    _, log = end(process)

    assert f"POST '{BASE}/auth/session' 201" in log
    for secret in ("query-secret", "correct horse", login["refresh_token"], login["access_token"]):
        assert secret not in log


def test_accounts_survive_a_restart(serve: Serve) -> None:
    """What was registered before the end is there after the next start on the same data."""
    first = serve("--port", "0")
    provider = f"{BASE}/app/field-notes/auth/providers/local-userpass"
    account = {"email": "ann@example.com", "password": "correct horse"}
    registered = httpx.post(f"{ready_url(first)}{provider}/register", json=account)
    end(first)

    body = {"username": "ann@example.com", "password": "correct horse"}
    login = httpx.post(f"{ready_url(serve('--port', '0'))}{provider}/login", json=body)

    assert registered.status_code == 201
    assert login.status_code == 200


def test_bad_configuration_is_named(serve: Serve, tmp_path: Path) -> None:
    """A setting that cannot be used ends the command with 2 and is named, without a traceback."""
    with (tmp_path / "syncauth.toml").open("a") as file:
        file.write("[lifetimes]\naccess_seconds = 1\n")

    process = serve("--port", "0")
    out, log = process.communicate(timeout=15)

    assert process.returncode == 2
    assert out == ""
    assert "lifetimes.access_seconds" in log
    assert "Traceback" not in log


def test_open_address_needs_tls(serve: Serve) -> None:
    """Without TLS only loopback is served, unless a proxy that speaks TLS is declared."""
    open_host = ("--host", "192.0.2.1")  # RFC 5737: an address that is nobody's

    refused = serve("--port", "0", *open_host)
    _, log = refused.communicate(timeout=15)
    declared = serve("--port", "0", *open_host, "--behind-tls-proxy")
    _, later = declared.communicate(timeout=15)

    assert refused.returncode == 2
    assert "--host 192.0.2.1" in log
    assert "--behind-tls-proxy" in log
    # Declared, it goes on to listen, which fails: the address is not of this machine.
    assert declared.returncode == 1
    assert "requested address" in later


@pytest.mark.parametrize(("believed", "warned"), [("127.0.0.1", False), ("127.0.0.1, *", True)])
def test_forged_addresses_are_warned_of(
    serve: Serve, tmp_path: Path, believed: str, warned: bool
) -> None:
    """An admin API that believes every caller's address says so at the start."""
    with (tmp_path / "syncauth.toml").open("a") as config:
        config.write("\n[admin]\nenabled = true\n")
    process = serve("--port", "0", "--behind-tls-proxy", FORWARDED_ALLOW_IPS=believed)
    ready_url(process)
    _, log = end(process)

    assert ("FORWARDED_ALLOW_IPS is *" in log) == warned


def test_taken_port_is_told(serve: Serve) -> None:
    """A port in use ends the command with 1 and a message, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = serve("--port", str(port))
        out, log = process.communicate(timeout=15)

    assert process.returncode == 1
    assert out == ""
    assert "in use" in log
    assert "Traceback" not in log


def test_damaged_key_is_told(serve: Serve, tmp_path: Path) -> None:
    """Data that cannot be used ends the command with 1 and is named, not replaced."""
    (tmp_path / "data").mkdir()
    key = tmp_path / "data" / "token-key.json"
    key.write_text("{}")

    process = serve("--port", "0")
    _, log = process.communicate(timeout=15)

    assert process.returncode == 1
    assert str(key) in log
    assert key.read_text() == "{}"


ADDED = """
[functions]
greet = "of_the_field_notes:greet"
[hooks]
custom_login = "of_the_field_notes:log_in"
[custom_data]
query = "SELECT count(*) AS notes FROM notes WHERE _partition = 'user:' || :user_id"
"""
MODULE = """
async def greet(context, name):
    return {"hello": name, "notes": context.custom_data["notes"]}

def log_in(payload):
    return payload["ticket"] if payload["ticket"].startswith("ok-") else None
"""


def test_the_team_s_code_and_sql_are_served(serve: Serve, tmp_path: Path) -> None:
    """I10: what the settings name beside them is called, and the log shows no token of a URL."""
    (tmp_path / "syncauth.toml").write_text(CONFIG + ADDED)
    (tmp_path / "of_the_field_notes.py").write_text(MODULE)
    process = serve("--port", "0")
    with httpx.Client(base_url=ready_url(process)) as client:
        place = f"{BASE}/app/field-notes"
        login = f"{place}/auth/providers/custom-function/login"
        assert client.post(login, json={"ticket": "forged"}).status_code == 401
        token = client.post(login, json={"ticket": "ok-1"}).json()["access_token"]
        body = {"name": "greet", "arguments": ["Ann"]}
        headers = {"Authorization": f"Bearer {token}"}
        answer = client.post(f"{place}/functions/call", json=body, headers=headers)
        request = base64.b64encode(json.dumps(body).encode()).decode()
        parameters = {"baas_request": request, "baas_at": token}
        stream = client.get(f"{place}/functions/call", params=parameters)
    out, log = end(process)

    assert answer.json() == {"hello": "Ann", "notes": {"$numberInt": "0"}}
    assert json.loads(stream.text.removeprefix("data: ")) == answer.json()
    assert "functions/call" in log
    assert token not in out + log
    assert process.returncode == 0


def test_a_name_that_leads_nowhere_ends_the_start(serve: Serve, tmp_path: Path) -> None:
    """It is told by its setting, with exit code 2, before anything is served."""
    (tmp_path / "syncauth.toml").write_text(CONFIG + '[functions]\nsum = "of_nobody:sum"\n')
    process = serve("--port", "0")
    out, log = process.communicate(timeout=20)

    assert process.returncode == 2
    assert out == ""
    assert "functions.sum" in log
