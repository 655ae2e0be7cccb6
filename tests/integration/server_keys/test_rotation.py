"""`syncauth server rotate-key` beside running servers: nobody is logged out, unless that is asked for."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from syncauth.server.accounts.key_file import KEY_FILE
from tests.integration.server_keys.conftest import (
    BASE,
    Start,
    is_access,
    key_of,
    published,
    rotate,
    wait_for,
)
from tests.support.commands import run
from tests.support.processes import Server
from tests.support.socket_device import Account, device


def log_in_fixed(server: Server) -> Account:
    """Log in as clients do that never replace their refresh token."""
    login = httpx.post(f"{server.url}{BASE}/app/test/auth/providers/anon-user/login").json()
    return Account(server.url, login["user_id"], login["access_token"], login["refresh_token"])


def refresh(server: Server, token: str) -> httpx.Response:
    """Refresh a session."""
    header = {"Authorization": f"Bearer {token}"}
    return httpx.post(f"{server.url}{BASE}/auth/session", headers=header)


@pytest.mark.timeout(180)
def test_a_rotation_logs_nobody_out(start: Start, tmp_path: Path) -> None:
    """Both servers sign with the new key, without a restart; all tokens of before count, also after one."""
    one, two = start(), start()
    ann, old = Account.log_in(one.url, "ann"), log_in_fixed(one)
    before, following = [key["kid"] for key in published(one)["keys"]]
    for _ in range(2):
        done = rotate(tmp_path).document
    for server in (one, two):
        wait_for(lambda server=server: key_of(log_in_fixed(server).access) == done["key"])

    assert key_of(ann.access) == before
    assert done["key"] not in (before, following)
    assert (done["old_keys"], done["forgotten_keys"]) == (2, 0)
    for server in (one, two):
        assert is_access(server, ann.access)
        assert key_of(refresh(server, old.refresh).json()["access_token"]) == done["key"]
    assert key_of(ann.renew().refresh) == done["key"]
    one.stop()
    assert is_access(start(), old.access)
    assert refresh(two, old.refresh).status_code == 201


async def test_revoking_old_keys_ends_everything_at_once(start: Start, tmp_path: Path) -> None:
    """I3: no token of before counts a moment later, open sockets are cut, and a new login works."""
    one, two = start(), start()
    ann, old = Account.log_in(one.url, "ann"), log_in_fixed(two)
    async with device(ann) as phone:
        await phone.greet()
        done = rotate(tmp_path, "--revoke-old").document
        _, code = await phone.hear_end()

    assert (done["old_keys"], done["forgotten_keys"], done["ended_sessions"]) == (0, 1, 2)
    assert code == 4401
    for server in (one, two):
        wait_for(lambda server=server: not is_access(server, ann.access))
        assert not is_access(server, old.access)
        for token in (ann.refresh, old.refresh):
            answer = refresh(server, token)
            assert answer.status_code == 401
            assert answer.json()["error_code"] == "InvalidSession"
    again = Account.log_in(one.url, "ann")
    assert again.user == ann.user
    assert key_of(again.access) == done["key"]
    assert is_access(two, again.access)


def test_a_server_of_before_keeps_its_users(start: Start, tmp_path: Path) -> None:
    """A data directory with a single key goes on with it: no user has to log in."""
    server = start()
    old = log_in_fixed(server)
    server.stop()
    path = tmp_path / "data" / KEY_FILE
    path.write_text(json.dumps(json.loads(path.read_text())["signing"]))
    server = start()

    assert is_access(server, old.access)
    assert refresh(server, old.refresh).status_code == 201
    assert key_of(log_in_fixed(server).access) == key_of(old.access)
    assert json.loads(path.read_text())["format"] == 2


def test_what_cannot_be_rotated_is_told(tmp_path: Path) -> None:
    """Where no server has run the command ends with 4, as text and as JSON, and makes nothing."""
    text = run("server", "rotate-key", "--data", tmp_path)
    document = run("server", "rotate-key", "--data", tmp_path / "none", "--json").document

    assert text.code == 4
    assert str(tmp_path / KEY_FILE) in text.err
    assert document["exit_code"] == 4
    assert document["error"]["type"] == "StorageError"
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_stays_busy_is_told(start: Start, tmp_path: Path) -> None:
    """In an emergency the keys are changed at once; the sessions that could not be ended are, the next time."""
    server = start()
    old = log_in_fixed(server)
    with closing(sqlite3.connect(server.file, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        busy = run("server", "rotate-key", "--data", tmp_path / "data", "--revoke-old")
        other.execute("ROLLBACK")

    assert busy.code == 4
    assert "the keys are new" in busy.err
    assert "Run the command again" in busy.err
    wait_for(lambda: not is_access(server, old.access))
    assert rotate(tmp_path, "--revoke-old").document["ended_sessions"] == 1


@pytest.mark.parametrize("more", [(), ("--revoke-old",)])
def test_the_output_shows_no_key(start: Start, tmp_path: Path, more: tuple[str, ...]) -> None:
    """I10: the id of a key is told, which is public, and no part of the key."""
    start()
    ended = run("server", "rotate-key", "--data", tmp_path / "data", *more)
    content = json.loads((tmp_path / "data" / KEY_FILE).read_text())

    assert ended.out.startswith("key ")
    for jwk in (content["signing"], content["following"]):
        assert jwk["d"] not in ended.out + ended.err
