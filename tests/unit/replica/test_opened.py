"""An open file: its lock, its modes, its connections."""

from __future__ import annotations

import asyncio
import gc
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlite_utils

from syncauth.errors import Closed, FileInUse, FileNotOurs, InvalidConfig, TableNotTrackable
from syncauth.models import TableSpec
from syncauth.replica.connections import AppConnection
from syncauth.replica.opened import OpenedFile, Owner
from tests.support.opened_file import ALICE, LIMIT, open_notes


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[OpenedFile]:
    found = open_notes(tmp_path)
    yield found
    found.close()


# --- opening -------------------------------------------------------------------------------------


def test_a_new_file_is_tracked_and_ready(opened: OpenedFile) -> None:
    """What is written into a new file waits in its outbox at once (I1)."""
    opened.db["notes"].insert({"id": "a", "text": "x"})
    state = opened.worker.submit(opened.replica.state).result(LIMIT)

    assert (state.pending, state.device, state.incarnation, state.fencing) == (
        1,
        "00000000000000aa",
        "one",
        1,
    )
    assert opened.dead_letters().result(LIMIT) == ()
    assert opened.watching == "events"


def test_modes_of_an_open_file(opened: OpenedFile) -> None:
    """Directory 0700, and database, log, shared memory and lock 0600."""
    opened.db["notes"].insert({"id": "a", "text": "x"})
    directory = Path(opened.path).parent
    modes = {each.name[32:]: stat.S_IMODE(each.stat().st_mode) for each in directory.iterdir()}

    assert modes == dict.fromkeys((".db", ".db-wal", ".db-shm", ".db.lock"), 0o600)
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


def test_a_second_open_is_refused_until_the_first_ends(tmp_path: Path) -> None:
    """One App at a time has a user's file, also inside one process."""
    first = open_notes(tmp_path)
    with pytest.raises(FileInUse) as raised:
        open_notes(tmp_path)
    assert raised.value.path == first.path
    first.close()

    second = open_notes(tmp_path)
    assert second.replica.state().fencing == 2
    second.close()


def test_a_file_held_by_another_process_is_refused_until_it_is_killed(tmp_path: Path) -> None:
    """The lock ends with the process that has it, and with nothing else (I14)."""
    path = open_notes(tmp_path)
    path.close()
    holder = (
        "import sys; from syncauth.adapters.locks import hold_file; lock = hold_file(sys.argv[1]);"
        " print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holder, path.path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(FileInUse):
            open_notes(tmp_path)
        process.kill()
    open_notes(tmp_path).close()


def test_two_users_have_two_files(tmp_path: Path) -> None:
    """Both may be open at a time, and neither sees the other's rows (I12)."""
    alice = open_notes(tmp_path)
    bob = open_notes(tmp_path, Owner(ALICE.server, ALICE.app, "bob"))
    alice.db["notes"].insert({"id": "a", "text": "of alice"})

    assert list(bob.db["notes"].rows) == []
    alice.close()
    bob.close()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"create": "CREATE TABLE;"}, InvalidConfig),
        ({"create": "", "tables": [TableSpec("missing")]}, TableNotTrackable),
        ({"create": "CREATE TABLE notes (id TEXT);"}, TableNotTrackable),
    ],
)
def test_an_open_that_fails_leaves_nothing_held(
    tmp_path: Path, changes: dict[str, Any], error: type[Exception]
) -> None:
    """After a refusal the lock is free and no thread is left, and the mended call succeeds."""
    threads = threading.active_count()
    with pytest.raises(error):
        open_notes(tmp_path, **changes)
    assert threading.active_count() == threads

    open_notes(tmp_path).close()


def test_a_copied_file_of_another_user_is_refused(tmp_path: Path) -> None:
    """A file put into another user's place is neither used nor changed (I12)."""
    alice = open_notes(tmp_path)
    alice.close()
    bob = Owner(ALICE.server, ALICE.app, "bob")
    place = open_notes(tmp_path, bob)
    place.close()
    content = Path(alice.path).read_bytes()
    Path(place.path).write_bytes(content)

    with pytest.raises(FileNotOurs):
        open_notes(tmp_path, bob)
    assert Path(place.path).read_bytes() == content


# --- threads and connections ---------------------------------------------------------------------


def test_each_thread_has_one_connection_of_its_own(opened: OpenedFile) -> None:
    """The same database in one thread, another in each other; the rows are the same."""
    opened.db["notes"].insert({"id": "a", "text": "x"})
    found: list[sqlite_utils.Database] = []

    def use() -> None:
        found.append(opened.db)
        assert opened.db is found[-1]
        assert opened.db["notes"].count == 1

    threads = [threading.Thread(target=use) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(LIMIT)

    assert len({id(db.conn) for db in [*found, opened.db]}) == 4


def test_the_connection_of_an_ended_thread_goes(opened: OpenedFile) -> None:
    """Threads that come and go leave no open connections behind."""
    before = sum(type(each) is AppConnection for each in gc.get_objects())
    for _ in range(20):
        thread = threading.Thread(target=lambda: opened.db["notes"].count)
        thread.start()
        thread.join(LIMIT)
    gc.collect()

    assert sum(type(each) is AppConnection for each in gc.get_objects()) <= before + 1


async def test_it_serves_an_event_loop(tmp_path: Path) -> None:
    """Opened and closed in threads, used on the loop: the way of the App."""
    opened = await asyncio.to_thread(open_notes, tmp_path)
    loop = asyncio.get_running_loop()
    woken = asyncio.Event()
    opened.watch(lambda: loop.call_soon_threadsafe(woken.set))
    opened.db["notes"].insert({"id": "a", "text": "x"})
    await asyncio.wait_for(woken.wait(), LIMIT)
    count = await asyncio.wrap_future(opened.write(lambda db: db["notes"].count))
    await asyncio.to_thread(opened.close)

    assert count == 1
    with pytest.raises(Closed):
        _ = opened.db


def test_what_the_app_writes_keeps_its_journals_in_memory(opened: OpenedFile) -> None:
    """A statement that fires triggers has one, and in a file it would cost each row eight writes (seen)."""

    def temp_store(db: sqlite_utils.Database) -> int:
        return int(db.execute("PRAGMA temp_store").fetchone()[0])

    in_memory = 2
    assert temp_store(opened.db) == in_memory
    assert opened.write(temp_store).result(LIMIT) == in_memory
    assert not opened.db.conn.in_transaction
