"""Notices of a watched directory come, and come only while it is watched."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Self

import pytest

from syncauth.adapters import watching
from syncauth.adapters.watching import Watcher

LIMIT = 10.0


@pytest.fixture
def only_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """No notice without an event."""
    monkeypatch.setattr(watching, "REST_MILLISECONDS", 3_600_000)


@pytest.mark.usefixtures("only_events")
def test_a_write_to_a_file_of_the_prefix_is_noticed(tmp_path: Path) -> None:
    """Files that come, grow and go are noticed, those made after the watching began as well."""
    noticed = threading.Event()
    watcher = Watcher(str(tmp_path), "a.db", noticed.set)
    log = tmp_path / "a.db-wal"
    for change in (log.touch, lambda: log.write_bytes(b"1"), log.unlink):
        change()
        assert noticed.wait(LIMIT)
        noticed.clear()
    watcher.close()

    assert watcher.kind == "events"


@pytest.mark.usefixtures("only_events")
def test_other_files_are_not_noticed(tmp_path: Path) -> None:
    """A neighbour's events pass without a notice; the next own one comes alone."""
    notices: list[bool] = []
    noticed = threading.Event()

    def notice() -> None:
        notices.append((tmp_path / "a.db").exists())
        noticed.set()

    watcher = Watcher(str(tmp_path), "a.db", notice)
    for number in range(20):
        (tmp_path / f"b.db-{number}").write_bytes(b"1")
    (tmp_path / "a.db").touch()
    assert noticed.wait(LIMIT)
    watcher.close()

    assert all(notices)


def test_a_directory_whose_name_others_ignore_is_watched(tmp_path: Path, only_events: None) -> None:
    """The usual filters of file watchers (`.git`, `node_modules`) hide nothing here."""
    directory = tmp_path / "node_modules" / ".git"
    directory.mkdir(parents=True)
    noticed = threading.Event()
    watcher = Watcher(str(directory), "a.db", noticed.set)
    (directory / "a.db").touch()

    assert noticed.wait(LIMIT)
    watcher.close()


def test_where_nothing_can_be_watched_notices_come_all_the_time(tmp_path: Path) -> None:
    """A directory that the system does not watch is polled, and `kind` says so."""
    notices: list[None] = []
    enough = threading.Event()

    def notice() -> None:
        notices.append(None)
        if len(notices) == 3:
            enough.set()

    watcher = Watcher(str(tmp_path / "missing"), "a.db", notice)
    assert enough.wait(LIMIT)
    watcher.close()

    assert watcher.kind == "polling"


def test_watching_that_breaks_off_becomes_polling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An error of the system's watching costs speed, never a notice."""

    class Broken:
        def __init__(self, *_: object) -> None:
            pass

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def watch(self, *_: object) -> str:
            message = "the watching broke"
            raise OSError(message)

    monkeypatch.setattr(watching, "RustNotify", Broken)
    noticed = threading.Event()
    watcher = Watcher(str(tmp_path), "a.db", noticed.set)
    assert noticed.wait(LIMIT)
    watcher.close()

    assert watcher.kind == "polling"


@pytest.mark.usefixtures("only_events")
def test_an_event_is_followed_by_further_notices(tmp_path: Path) -> None:
    """SQLite's commit becomes visible some time after the last event of it: one look is too few."""
    moments: list[float] = []
    enough = threading.Event()

    def notice() -> None:
        moments.append(time.perf_counter())
        if len(moments) == 6:
            enough.set()

    watcher = Watcher(str(tmp_path), "a.db", notice)
    (tmp_path / "a.db-wal").touch()
    assert enough.wait(LIMIT)
    watcher.close()

    assert moments[5] - moments[4] > moments[1] - moments[0]


def test_a_lost_event_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any event a notice comes after the rest time."""
    monkeypatch.setattr(watching, "REST_MILLISECONDS", 20)
    noticed = threading.Event()
    watcher = Watcher(str(tmp_path), "a.db", noticed.set)
    assert noticed.wait(LIMIT)
    watcher.close()

    assert watcher.kind == "events"


def test_closing_ends_the_thread_and_the_notices(tmp_path: Path) -> None:
    """After `close` no notice comes and no thread is left; a second close does nothing."""
    before = threading.active_count()
    notices: list[None] = []
    watcher = Watcher(str(tmp_path), "a.db", lambda: notices.append(None))
    watcher.close()
    watcher.close()
    count = len(notices)
    (tmp_path / "a.db").touch()

    assert threading.active_count() == before
    assert len(notices) == count
