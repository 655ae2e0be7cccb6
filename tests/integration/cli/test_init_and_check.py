"""From nothing to a running server in two commands, and a check that finds what would keep one from starting."""

from __future__ import annotations

import json
import os
from pathlib import Path

import httpx
import pytest

from tests.support.commands import contents, run
from tests.support.processes import JsonProcess
from tests.support.socket_device import BASE

FAULTY = """\
[server]
app_id = "a"
schema = "schema.sql"
[tables.notes]
[tables.none]
[functions]
sum = "of_no_team:add"
[login]
password_cost = "low"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder that `syncauth init` has filled."""
    ended = run("init", "--directory", tmp_path / "server", "--app-id", "field-notes")
    assert ended.code == 0, ended
    return tmp_path / "server"


def test_a_newcomer_has_a_server(place: Path) -> None:
    """What init has written is served as it is, and people can register and log in."""
    command = ["serve", "--config", str(place / "syncauth.toml"), "--data", str(place / "data")]
    with JsonProcess("syncauth.cli", *command, "--port", "0") as server:
        url = server.hear()["url"]
        app = f"{url}{BASE}/app/field-notes/auth/providers/local-userpass"
        account = {"email": "ann@example.com", "password": "correct horse"}
        assert httpx.post(f"{app}/register", json=account).status_code == 201
        login = {"username": account["email"], "password": account["password"]}
        assert httpx.post(f"{app}/login", json=login, timeout=20).status_code == 200
        assert server.stop() == 0


def test_init_tells_what_to_do_next(tmp_path: Path, place: Path) -> None:
    """It names the files and the next command; the second time it refuses with 2 and changes nothing."""
    ended = run("init", "--directory", tmp_path / "other", "--json")
    before = contents(place)
    again = run("init", "--directory", place)

    written = [str(tmp_path / "other" / name) for name in ("syncauth.toml", "schema.sql")]
    assert ended.document == {"written": written}
    assert again.code == 2
    assert f"{place / 'syncauth.toml'} is there already" in again.err
    assert "because of" not in again.err  # no option was wrong
    assert contents(place) == before
    for command in ("init", "server"):
        assert run(command, "--help").code == 0


def test_what_init_writes_passes_the_check(place: Path) -> None:
    """As text and as JSON, with and without a data directory, which is not made."""
    config = place / "syncauth.toml"
    text = run("serve", "--check", "--config", config, "--data", place / "data")
    document = run("serve", "--check", "--config", config, "--json").document

    assert (text.code, text.out) == (0, f"{config}: no fault\n")
    assert document == {"config": str(config), "ok": True, "faults": [], "warnings": []}
    assert not (place / "data").exists()


def test_a_check_tells_every_fault_with_its_line(place: Path) -> None:
    """Faults of the file come first, since nothing else can be tried before; then those of what it names."""
    config = place / "syncauth.toml"
    config.write_text(FAULTY)
    first = run("serve", "--check", "--config", config)
    config.write_text(FAULTY.replace('"low"', '"owasp"'))
    second = run("serve", "--check", "--config", config)
    document = run("serve", "--check", "--config", config, "--json").document

    assert first.code == second.code == 2
    assert first.out == second.out == ""
    assert [line.split(" ")[:2] for line in first.err.splitlines()] == [
        [f"{config}:9:", "login.password_cost:"]
    ]
    assert [line.split(" ")[:2] for line in second.err.splitlines()] == [
        [f"{config}:5:", "tables.none:"],
        [f"{config}:7:", "functions.sum:"],
    ]
    assert not document["ok"]
    assert [(fault["line"], fault["setting"]) for fault in document["faults"]] == [
        (5, "tables.none"),
        (7, "functions.sum"),
    ]


def test_serving_tells_the_same_lines(place: Path) -> None:
    """A server that cannot start names the line as well, be the fault in the file or in what it names."""
    config = place / "syncauth.toml"
    for text, lines in (
        (FAULTY, ["9: login.password_cost: "]),
        (FAULTY.replace('"low"', '"owasp"'), ["5: tables.none: ", "7: functions.sum: "]),
        ("[server", ["1: it is no TOML: "]),
    ):
        config.write_text(text)
        ended = run("serve", "--config", config, "--data", place / "data", "--port", "0")
        assert ended.code == 2
        for line in lines:
            assert f"{config}:{line}" in ended.err


def test_a_check_touches_no_data(place: Path) -> None:
    """The data directory, in use or not, stays bit for bit what it was, even if it could not be used."""
    config, data = place / "syncauth.toml", place / "data"
    data.mkdir()
    (data / "server.db").write_bytes(b"no database")
    (data / "token-key.json").write_text("no key")
    (place / "my_app.py").write_text("print('imported')\ndef add(context): ...\n")
    config.write_text(config.read_text().replace('#sum = "my_app:add"', 'sum = "my_app:add"'))
    os.utime(data, (1, 1))
    before = contents(data)
    ended = run("serve", "--check", "--config", config, "--data", data, "--json")

    assert ended.code == 0
    assert json.loads(ended.out)["ok"]
    assert "imported" in ended.err
    assert contents(data) == before
    assert data.stat().st_mtime == 1


def test_serving_needs_a_data_directory(place: Path) -> None:
    """It is an option that only a check can do without."""
    ended = run("serve", "--config", place / "syncauth.toml")

    assert ended.code == 2
    assert "--data" in ended.err


def test_a_configuration_that_is_missing_is_told(tmp_path: Path) -> None:
    """The remedy is the command that makes one."""
    ended = run("serve", "--check", "--config", tmp_path / "syncauth.toml")

    assert ended.code == 2
    assert "syncauth init" in ended.err
