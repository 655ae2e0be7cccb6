"""Who holds a lock is found without taking it from anybody."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from syncauth.adapters.locks import FileRefreshLocks, file_lock_of, hold_file, refresh_lock_of
from syncauth.adapters.locks_holders import Holder, holder_of, read_pid
from tests.unit.adapters.test_locks import another_process_holds

LINE = "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF"


def test_process_that_holds_a_lock_is_named(tmp_path: Path) -> None:
    """The holder is another process, until it is gone."""
    path = str(tmp_path / "file.db")
    with another_process_holds(path) as process:
        assert holder_of(file_lock_of(path)) == Holder(process.pid)
    assert holder_of(file_lock_of(path)) is None


def test_looking_makes_no_file_and_takes_no_lock(tmp_path: Path) -> None:
    """A lock that was never taken has no file afterwards, and one that is free can be taken."""
    path = str(tmp_path / "file.db")
    assert holder_of(file_lock_of(path)) is None
    assert list(tmp_path.iterdir()) == []

    hold_file(path).release()
    assert holder_of(file_lock_of(path)) is None
    hold_file(path).release()


def test_lock_of_this_process_is_held_too(tmp_path: Path) -> None:
    """The lock of a user's refreshes is found under the name that the App takes."""
    held = FileRefreshLocks(str(tmp_path)).try_hold("ann")
    assert held is not None
    lock_file = refresh_lock_of(str(tmp_path), "ann")

    assert holder_of(lock_file) == Holder(os.getpid())
    assert stat.S_IMODE(Path(lock_file).stat().st_mode) == 0o600
    held.release()
    assert holder_of(lock_file) is None


@pytest.mark.parametrize(
    ("lines", "pid"),
    [
        ([LINE], 1234),
        ([LINE.replace("1234", "0")], None),
        ([LINE.replace("FLOCK", "POSIX")], None),
        ([LINE.replace("5678", "567")], None),
        ([LINE.replace("08:01", "08:02")], None),
        (["1: -> FLOCK  ADVISORY  WRITE 99 08:01:5678 0 EOF", LINE], 1234),
        (["", "1:", "nonsense"], None),
        ([], None),
    ],
)
def test_lines_of_the_kernel(lines: list[str], pid: int | None) -> None:
    """The holder of this very file is read, not those who wait, nor a process that cannot be seen."""
    assert read_pid(lines, 8, 1, 5678) == pid
