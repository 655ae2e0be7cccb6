"""A restore gives the old file or the new one, never a mix, deletes nothing, and begins a new history."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from syncauth.errors import FileCorrupt, FileInUse, FileNotOurs, FileTooNew, StorageError
from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.upkeep import copies, holding
from syncauth.server.upkeep.backup import backup
from syncauth.server.upkeep.restore import enter, is_unfinished, restore
from tests.support.row_store import NOTES
from tests.unit.server.upkeep.conftest import NOW

Read = Callable[..., list[tuple[object, ...]]]
Write = Callable[..., None]
HISTORY = "2" * 16
STARTS = 8
TITLES = "SELECT title FROM notes ORDER BY id"
SESSIONS = "SELECT id, end_reason FROM _sync_sessions ORDER BY id"


@pytest.fixture
def saved(data: Path, tmp_path: Path, write: Write) -> Path:
    """A backup, after which another row came."""
    backup(data, tmp_path / "b.db", now=NOW)
    write("INSERT INTO notes VALUES ('user:ann', '2', 'after', NULL, 0)")
    return tmp_path / "b.db"


def put_back(data: Path, source: Path, *, keep: bool = False) -> Path | None:
    """Restore, ten seconds after the backup; returns where the old file is."""
    done = restore(data, source, history=HISTORY, now=NOW + 10, keep_fixed_sessions=keep)
    return done.replaced


def test_the_file_is_as_it_was_and_the_other_is_kept(data: Path, saved: Path, read: Read) -> None:
    """What came after the backup is in the replaced file alone; the backup itself stays as it is."""
    before = saved.read_bytes()

    done = restore(data, saved, history=HISTORY, now=NOW + 10)

    assert read(data / "server.db", TITLES) == [("before",)]
    assert done.replaced == data / "server.db.replaced-20231114T221330Z"
    assert read(done.replaced, TITLES) == [("before",), ("after",)]
    assert saved.read_bytes() == before
    assert done.backed_up_at == NOW
    assert not (data / "server.db-wal").exists()
    open_server_file(data / "server.db", NOTES).close()


def test_a_new_history_begins(data: Path, saved: Path, read: Read) -> None:
    """Under the id that was given; the fork of the one before is kept."""
    put_back(data, saved)

    histories = read(data / "server.db", "SELECT number, id FROM _sync_histories")
    assert histories == [(1, "1" * 16), (2, HISTORY)]


def test_sessions_end_as_revoked(data: Path, saved: Path, read: Read) -> None:
    """None looks as if its token had been stolen, and what was sent by mail is good for nothing."""
    done = restore(data, saved, history=HISTORY, now=NOW + 10)

    ended = [("fixed", "revoked"), ("rotating", "revoked")]
    assert read(data / "server.db", SESSIONS) == ended
    assert read(data / "server.db", "SELECT * FROM _sync_email_tokens") == []
    assert done.sessions_ended == 2


def test_fixed_sessions_may_be_kept(data: Path, saved: Path, read: Read) -> None:
    """Their token never changes, so that the one in use is the one in the backup."""
    put_back(data, saved, keep=True)

    assert read(data / "server.db", SESSIONS) == [("fixed", None), ("rotating", "revoked")]


def test_what_was_replaced_can_be_put_back(data: Path, saved: Path, read: Read) -> None:
    """A restore is undone by a restore; two within one second keep both files."""
    first = put_back(data, saved)
    assert first is not None

    second = put_back(data, first)

    assert read(data / "server.db", TITLES) == [("before",), ("after",)]
    assert second is not None and second != first
    assert read(second, TITLES) == [("before",)]


def test_an_empty_place_gets_the_file(tmp_path: Path, saved: Path, read: Read) -> None:
    """On a new machine there is nothing to replace, and no directory."""
    done = restore(tmp_path / "new" / "data", saved, history=HISTORY, now=NOW)

    assert done.replaced is None
    assert read(tmp_path / "new" / "data" / "server.db", TITLES) == [("before",)]


def test_a_running_server_is_left_alone(data: Path, saved: Path, read: Read) -> None:
    """Its directory is in use: nothing is made, nothing changed."""
    with holding.share(data), pytest.raises(FileInUse):
        put_back(data, saved)

    assert read(data / "server.db", TITLES) == [("before",), ("after",)]
    assert not list(data.glob("server.db.*"))


def test_a_program_that_reads_the_file_is_in_the_way(data: Path, saved: Path) -> None:
    """What it still writes would go to the replaced file: it ends first."""
    with closing(open_server_file(data / "server.db", NOTES)), pytest.raises(FileInUse):
        put_back(data, saved)

    assert not is_unfinished(data)


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        ("UPDATE _sync_meta SET value = 99 WHERE key = 'format'", FileTooNew),
        ("DROP TABLE _sync_users", FileNotOurs),
        (None, FileCorrupt),
    ],
)
def test_what_is_no_good_backup_changes_nothing(
    data: Path, saved: Path, read: Read, spoil: str | None, error: type[StorageError]
) -> None:
    """It is looked at before anything is done."""
    if spoil is None:
        saved.write_bytes(b"no database" * 1000)
    else:
        with closing(sqlite3.connect(saved, isolation_level=None)) as file:
            file.execute(spoil)

    with pytest.raises(error):
        put_back(data, saved)

    assert read(data / "server.db", TITLES) == [("before",), ("after",)]
    assert not is_unfinished(data)


def test_a_backup_that_is_not_there_is_told(data: Path, tmp_path: Path) -> None:
    """Nothing is made in its place."""
    with pytest.raises(StorageError):
        put_back(data, tmp_path / "nothing")

    assert not (tmp_path / "nothing").exists()


def test_a_damaged_file_is_replaced_with_its_log(data: Path, saved: Path, read: Read) -> None:
    """That it is damaged is why one restores; both go aside, and the log is not applied to the new file."""
    server = open_server_file(data / "server.db", NOTES)
    server.execute("INSERT INTO notes VALUES ('user:ann', '3', 'in the log', NULL, 0)")
    log = (data / "server.db-wal").read_bytes()
    server.close()
    (data / "server.db").write_bytes(b"broken" * 4000)
    (data / "server.db-wal").write_bytes(log)

    replaced = put_back(data, saved)

    assert read(data / "server.db", TITLES) == [("before",)]
    assert replaced is not None
    assert replaced.read_bytes() == b"broken" * 4000


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(5))
@pytest.mark.parametrize("log", [True, False])
def test_a_restore_that_ends_anywhere_gives_old_or_new(
    data: Path, saved: Path, read: Read, monkeypatch: pytest.MonkeyPatch, step: int, log: bool
) -> None:
    """The next start of a server finishes what was decided; a log is never applied to the wrong file (I14)."""
    stray = b""
    if log:
        _leave_a_log(data)
        stray = (data / "server.db-wal").read_bytes()
        monkeypatch.setattr("syncauth.server.upkeep.restore._settle", lambda _: None)
    steps = iter(range(100))
    whole = copies.sync

    def sync(path: Path) -> None:
        if next(steps) == step:
            raise Killed
        whole(path)

    with monkeypatch.context() as interrupted:
        interrupted.setattr(copies, "sync", sync)
        with pytest.raises(Killed):
            put_back(data, saved)
    decided = is_unfinished(data) or step == 4
    assert decided == (step >= 1)

    enter(data).release()

    assert not is_unfinished(data)
    old = [("before",), ("after",), *([("in the log",)] if log else [])]
    assert read(data / "server.db", TITLES) == ([("before",)] if decided else old)
    replaced = [each for each in data.glob("server.db.replaced-*") if "-wal" not in each.name]
    assert len(replaced) == decided
    for each in replaced:
        assert not log or Path(f"{each}-wal").read_bytes() == stray
        assert read(each, TITLES) == old


def _leave_a_log(data: Path) -> None:
    """Leave the file as a server does that was killed: a committed row stands in the log alone."""
    server = open_server_file(data / "server.db", NOTES)
    server.execute("INSERT INTO notes VALUES ('user:ann', '3', 'in the log', NULL, 0)")
    kept = [(each, each.read_bytes()) for each in (data / "server.db", data / "server.db-wal")]
    server.close()
    for path, content in kept:
        path.write_bytes(content)


def test_a_disk_that_fails_leaves_nothing_behind(
    data: Path, saved: Path, read: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An unfinished copy would keep the room that is missing; and without hard links nothing is decided."""

    def no_links(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("os.link", no_links)
    before = sorted(each.name for each in data.iterdir())

    with pytest.raises(StorageError):
        put_back(data, saved)

    assert sorted({*before, "server.lock"}) == sorted(each.name for each in data.iterdir())
    assert read(data / "server.db", TITLES) == [("before",), ("after",)]


@pytest.mark.parametrize("_time", range(5))
def test_all_who_start_after_an_interrupted_restore_come_in(
    data: Path, saved: Path, read: Read, monkeypatch: pytest.MonkeyPatch, _time: int
) -> None:
    """Whoever comes while another one carries it to its end waits for that, and opens the new file."""
    with monkeypatch.context() as interrupted:
        interrupted.setattr("syncauth.server.upkeep.restore.finish", _interrupt_second())
        with pytest.raises(OSError, match="interrupted"):
            put_back(data, saved)
    assert is_unfinished(data)
    together = threading.Barrier(STARTS)

    def start() -> None:
        together.wait()
        enter(data).release()

    with ThreadPoolExecutor(STARTS) as threads:
        for started in [threads.submit(start) for _ in range(STARTS)]:
            started.result()

    assert not is_unfinished(data)
    assert read(data / "server.db", TITLES) == [("before",)]


def _interrupt_second() -> Callable[[Path], None]:
    calls = iter(range(2))

    def finish(_data: Path) -> None:
        if next(calls):
            what = "interrupted"
            raise OSError(what)

    return finish
