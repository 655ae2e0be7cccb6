"""`syncauth doctor`: what it explains and finds, and that it ends with the gravest of it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from syncauth.adapters.locks import FileRefreshLocks
from syncauth.replica import dead_letters
from tests.integration.cli.conftest import Place
from tests.support.commands import change_store, end_session
from tests.support.odd_server import OddServer, answer
from tests.support.processes import Device, Server


def findings(document: dict[str, Any]) -> dict[str, int]:
    """Return the codes of what was found, each with its exit code."""
    return {each["code"]: each["exit_code"] for each in document["findings"]}


def replica_of(place: Place) -> Path:
    """Return the one file of a user."""
    (path,) = (place.data / "replicas").glob("*.db")
    return path


@contextmanager
def server_with_clock(seconds: float) -> Iterator[str]:
    """Serve answers whose date is so many seconds from now, and tell the URL."""
    loop = asyncio.new_event_loop()
    odd = OddServer()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(odd.start(), loop).result(10)
        odd.reply("/", answer(404, Date=formatdate(time.time() + seconds, usegmt=True)))
        yield odd.url
        asyncio.run_coroutine_threadsafe(odd.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def test_healthy_directory(place: Place, device: Device) -> None:
    """Beside a running app everything is explained, its lock has its process, and nothing is found."""
    told = place.run("doctor", "--server", place.url)
    document = place.run("doctor", "--json", "--server", place.url).document

    assert told.code == 0, told
    assert "key file: there" in told.out
    assert "this clock agrees with the server's" in told.out
    assert "logged in; the access token is renewed" in told.out
    assert told.out.endswith("Nothing was found.\n")
    assert document["locks"] == [
        {"lock": "replica", "of": str(replica_of(place)), "pid": device.pid}
    ]
    assert document["clock"]["reachable"] is True
    assert abs(document["clock"]["skew_seconds"]) < 5
    assert (document["findings"], document["exit_code"]) == ([], 0)


def test_holder_of_a_refresh_is_named(place: Place) -> None:
    """Whoever holds the lock of a user's refreshes is shown, and keeps it."""
    user = place.log_in()
    held = FileRefreshLocks(str(place.data)).try_hold(user)
    assert held is not None
    try:
        document = place.run("doctor", "--json").document
        assert FileRefreshLocks(str(place.data)).try_hold(user) is None
    finally:
        held.release()

    assert document["locks"] == [{"lock": "refresh", "of": user, "pid": os.getpid()}]
    assert place.run("doctor", "--json").document["locks"] == []


def test_relogin_that_is_required_ends_with_1(place: Place, server: Server) -> None:
    """It says since when and why, that what waits is sent afterwards, and ends with 1."""
    place.log_in()
    server.stop()
    place.write_offline(2)
    user = end_session(place.data, place.url)

    told = place.run("doctor")
    document = place.run("doctor", "--json").document

    assert told.code == 1, told
    assert f"user {user} must log in again since 1970-01-01T00:16:40Z, reason revoked" in told.out
    assert "sent after the user's next login" in told.out
    assert findings(document) == {"relogin_required": 1, "changes_wait": 0}
    (stuck,) = document["stuck"]
    assert (stuck["outbox"], stuck["in_flight"], stuck["user"]) == (2, 0, user)


def test_what_is_stuck_is_a_note(place: Place, server: Server) -> None:
    """Refused changes are told by their codes, removals and erasures as still to be done; all are notes."""
    place.log_in()
    server.stop()
    place.write_offline(1)
    with closing(sqlite3.connect(replica_of(place))) as connection, connection:
        letter = {"table": "notes", "kind": "insert", "key": ("k",), "values": {"title": "t"}}
        dead_letters.add(connection, **letter, code="denied", reason="no")  # type: ignore[arg-type]
    change_store(place.data, "INSERT INTO removals (user_id) VALUES ('gone')")
    change_store(place.data, "INSERT OR REPLACE INTO meta VALUES ('erasing', '1')")

    told = place.run("doctor")
    document = place.run("doctor", "--json").document

    assert told.code == 0
    assert findings(document) == {
        "removals_wait": 0,
        "erasing_waits": 0,
        "changes_wait": 0,
        "changes_refused": 0,
    }
    assert document["removals"] == ["gone"]
    assert document["stuck"][0]["dead_letters"] == {"denied": 1}
    assert "No app has the file open" in told.out


@pytest.mark.parametrize(("seconds", "side"), [(600.0, "behind"), (-600.0, "ahead of")])
def test_clock_that_is_wrong_ends_with_1(place: Place, seconds: float, side: str) -> None:
    """A clock that is more than a minute off is found, on either side; no token is sent."""
    place.log_in()
    with server_with_clock(seconds) as url:
        told = place.run("doctor", "--server", url)
        document = place.run("doctor", "--json", "--server", url).document

    assert told.code == 1
    assert f" {side} the server's" in told.out
    assert abs(document["clock"]["skew_seconds"] - seconds) < 60
    assert findings(document) == {"clock_skew": 1}


def test_server_that_is_not_there_ends_with_3(place: Place, server: Server) -> None:
    """If the server cannot be reached, all else is still told, and it ends with 3."""
    place.log_in()
    server.stop()

    told = place.run("doctor", "--server", place.url)
    document = place.run("doctor", "--json", "--server", place.url).document

    assert told.code == 3, told
    assert "the server cannot be reached" in told.out
    assert findings(document) == {"server_unreachable": 3}
    assert document["clock"]["reachable"] is False


def test_insecure_server_ends_with_2(place: Place) -> None:
    """Plain http goes to this machine alone."""
    place.log_in()

    assert place.run("doctor", "--server", "http://192.0.2.1").code == 2


def test_missing_key_ends_with_4(place: Place) -> None:
    """Without its key the store is still read, and the key is found missing, damaged or open to others."""
    place.log_in()
    key = place.data / "sessions.key"
    secret = key.read_bytes()

    key.unlink()
    missing = place.run("doctor", "--json")
    key.write_bytes(secret[:5])
    damaged = place.run("doctor", "--json")
    key.write_bytes(secret)
    key.chmod(0o644)
    exposed = place.run("doctor", "--json")

    for ended in (missing, damaged, exposed):
        assert ended.code == 4, ended
        assert findings(ended.document) == {"keys_unavailable": 4}
        assert [each["state"] for each in ended.document["users"]] == ["active"]
    assert key.stat().st_mode & 0o777 == 0o644
    assert not key.exists() or key.read_bytes() == secret


def test_keyring_that_cannot_be_asked(place: Place) -> None:
    """With a keyring that is not to be had all commands show the sessions, and doctor says so with 4."""
    place.log_in()
    change_store(place.data, "UPDATE meta SET value = 'keyring' WHERE key = 'protection'")
    backend = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}

    codes = [place.run(each, **backend).code for each in ("users", "status", "history")]
    told = place.run("doctor", **backend)

    assert codes == [0, 0, 0]
    assert told.code == 4, told
    assert "keyring: cannot be had now" in told.out
    assert "active" in told.out


def test_misplaced_file_ends_with_4(place: Place, server: Server) -> None:
    """A file under another name than its owner's, which no app finds, is told."""
    place.log_in()
    server.stop()
    place.write_offline(1)
    path = replica_of(place)
    path.rename(path.with_name("copy.db"))

    told = place.run("doctor", "--json")

    assert told.code == 4
    assert findings(told.document) == {"file_misplaced": 4, "changes_wait": 0}


def test_gravest_finding_counts(place: Place, server: Server) -> None:
    """Of a server that is away and a relogin the relogin counts; of that and storage the storage."""
    place.log_in()
    end_session(place.data, place.url)
    server.stop()

    relogin = place.run("doctor", "--server", place.url, "--json")
    (place.data / "replicas").mkdir()
    (place.data / "replicas" / "x.db").write_text("this is no database at all, but long enough")
    storage = place.run("doctor", "--server", place.url, "--json")

    assert (relogin.code, relogin.document["exit_code"]) == (1, 1)
    assert (storage.code, storage.document["exit_code"]) == (4, 4)
