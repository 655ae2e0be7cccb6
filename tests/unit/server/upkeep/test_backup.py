"""A backup is whole, of one instant, and never in the way of a file that exists."""

from __future__ import annotations

import sqlite3
import stat
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from syncauth.errors import FileCorrupt, FileNotOurs, StorageError
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.upkeep.backup import LAST_BACKUP, backup, last_backup
from syncauth.server.upkeep.restore import DECIDED
from tests.conftest import FIGURES
from tests.support.row_store import NOTES
from tests.unit.server.upkeep.conftest import NOW

Read = Callable[..., list[tuple[object, ...]]]


def test_a_backup_is_one_file_with_all_that_was_committed(
    data: Path, tmp_path: Path, read: Read
) -> None:
    """Also what stands in the log alone; it is for its owner alone, and says when it was made."""
    with closing(open_server_file(data / "server.db", NOTES)) as server:
        server.execute("INSERT INTO notes VALUES ('user:ann', '2', 'in the log', NULL, 0)")
        done = backup(data, tmp_path / "b.db", now=NOW)

    assert (done.path, done.at, done.size) == (tmp_path / "b.db", NOW, done.path.stat().st_size)
    assert stat.S_IMODE(done.path.stat().st_mode) == 0o600
    assert read(done.path, "SELECT id FROM notes ORDER BY id") == [("1",), ("2",)]
    assert read(done.path, "PRAGMA journal_mode") == [("delete",)]
    assert [each.name for each in tmp_path.iterdir() if each.name != "data"] == ["b.db"]
    last = last_backup(data)
    assert last is not None
    assert (last.at, last.file) == (NOW, str(done.path))


def test_a_backup_is_not_served(data: Path, tmp_path: Path) -> None:
    """Put in place by hand, it would mislead every device that is ahead of it."""
    done = backup(data, tmp_path / "b.db", now=NOW)

    with pytest.raises(FileNotOurs):
        open_server_file(done.path, NOTES)


def test_a_file_that_exists_is_not_overwritten(data: Path, tmp_path: Path) -> None:
    """It may be the only good backup."""
    (tmp_path / "b.db").write_text("older")

    with pytest.raises(StorageError):
        backup(data, tmp_path / "b.db", now=NOW)

    assert (tmp_path / "b.db").read_text() == "older"
    assert last_backup(data) is None


def test_a_damaged_file_gives_no_backup(data: Path, tmp_path: Path) -> None:
    """A copy that fails its check does not appear, and nothing is left of it."""
    with (data / "server.db").open("r+b") as file:
        file.seek(3 * 4096)
        file.write(b"\xff" * 4096 * 6)

    with pytest.raises(FileCorrupt):
        backup(data, tmp_path / "b.db", now=NOW)

    assert [each.name for each in tmp_path.iterdir()] == ["data"]


@pytest.mark.parametrize("make", [None, "CREATE TABLE t (a)"])
def test_what_is_no_server_is_refused(tmp_path: Path, make: str | None) -> None:
    """A directory without a file, or with somebody else's."""
    if make is not None:
        with closing(sqlite3.connect(tmp_path / "server.db")) as other:
            other.execute(make)

    with pytest.raises(StorageError):
        backup(tmp_path, tmp_path / "b.db", now=NOW)

    assert not (tmp_path / "b.db").exists()
    assert not list(tmp_path.glob(".b.db*"))


def test_a_restore_that_was_interrupted_comes_first(data: Path, tmp_path: Path) -> None:
    """Until it is finished nobody knows which file counts."""
    (data / f"{DECIDED}x").touch()

    with pytest.raises(StorageError):
        backup(data, tmp_path / "b.db", now=NOW)


def test_a_writer_is_not_held_up(
    data: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """A backup of 50 MB is of one instant, and whoever commits meanwhile goes on."""
    with closing(open_server_file(data / "server.db", NOTES)) as server:
        server.execute("BEGIN")
        rows = ((f"{number:06}", "x" * 1000) for number in range(50_000))
        server.executemany("INSERT INTO notes VALUES ('p', ?, ?, NULL, 0)", rows)
        server.execute("COMMIT")
        done = threading.Thread(target=backup, args=(data, tmp_path / "b.db"), kwargs={"now": NOW})
        begun = time.perf_counter()
        done.start()
        waits, number = [], 0
        while done.is_alive():
            before = time.perf_counter()
            server.execute("BEGIN IMMEDIATE")
            for _ in range(2):  # one transaction: the backup has both or none
                number += 1
                server.execute("INSERT INTO notes VALUES ('q', ?, '', NULL, 0)", (str(number),))
            server.execute("COMMIT")
            waits.append(time.perf_counter() - before)
        took = time.perf_counter() - begun
    with closing(sqlite3.connect(tmp_path / "b.db")) as copy:
        (seen,) = copy.execute("SELECT count(*) FROM notes WHERE _partition = 'q'").fetchone()

    figures = (
        f"backup {took:.2f} s, {len(waits)} commits meanwhile, longest {max(waits) * 1e3:.1f} ms"
    )
    record_property(FIGURES, figures)
    assert seen % 2 == 0
    assert len(waits) > 1
    assert max(waits) < took


def test_a_note_about_the_last_backup_that_cannot_be_read_is_none(data: Path) -> None:
    """It is for the doctor alone."""
    (data / LAST_BACKUP).write_text("{")

    assert last_backup(data) is None
