"""One process, and one App in it, holds a file or a data directory at a time."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from syncauth.adapters.locks import DIRECTORY_LOCK, hold_directory, hold_file
from syncauth.errors import FileInUse, StorageError

HOLDER = """
import sys
from syncauth.adapters.locks import hold_file
lock = hold_file(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process_holds(path: str) -> Iterator[subprocess.Popen[str]]:
    """Run a process that has the lock of this file and keeps it until it is killed."""
    command = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_second_holder_in_the_process_is_refused(tmp_path: Path) -> None:
    """Two Apps of one process exclude each other, whichever thread they are in."""
    path = str(tmp_path / "a.db")
    found: list[FileInUse] = []

    def try_it() -> None:
        with pytest.raises(FileInUse) as refused:
            hold_file(path)
        found.append(refused.value)

    lock = hold_file(path)
    try_it()
    thread = Thread(target=try_it)
    thread.start()
    thread.join()
    lock.release()

    assert [error.path for error in found] == [path, path]
    hold_file(path).release()


def test_another_process_excludes_us_until_it_is_killed(tmp_path: Path) -> None:
    """The kernel frees the lock of a killed process, at once and not by time."""
    path = str(tmp_path / "a.db")
    with another_process_holds(path) as process:
        with pytest.raises(FileInUse):
            hold_file(path)
        process.kill()
        process.wait()
        hold_file(path).release()


def test_a_lock_may_be_given_back_in_another_thread_and_twice(tmp_path: Path) -> None:
    """`release` works from every thread, and a second call cannot take a later holder's lock."""
    path = str(tmp_path / "a.db")
    first = hold_file(path)
    thread = Thread(target=first.release)
    thread.start()
    thread.join()

    second = hold_file(path)
    first.release()
    with pytest.raises(FileInUse):
        hold_file(path)
    second.release()


def test_the_guarded_file_is_neither_made_nor_opened(tmp_path: Path) -> None:
    """Only the lock file appears, readable by its owner alone; it stays after the release."""
    hold_file(str(tmp_path / "a.db")).release()

    assert [each.name for each in tmp_path.iterdir()] == ["a.db.lock"]
    assert stat.S_IMODE((tmp_path / "a.db.lock").stat().st_mode) == 0o600


def test_a_directory_has_a_lock_of_its_own(tmp_path: Path) -> None:
    """A data directory is held as a whole, and independently of the files inside."""
    lock = hold_directory(str(tmp_path))
    hold_file(str(tmp_path / "a.db")).release()
    with pytest.raises(FileInUse) as refused:
        hold_directory(str(tmp_path), seconds=0)
    lock.release()

    assert refused.value.path == str(tmp_path)
    assert (tmp_path / DIRECTORY_LOCK).exists()


def test_a_lock_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    """Where no lock can be made it is no `FileInUse`: waiting would not help. Nothing is made."""
    (tmp_path / "directory.lock").mkdir()
    for path in (tmp_path / "missing" / "a.db", tmp_path / "directory"):
        with pytest.raises(StorageError, match=r"directory") as refused:
            hold_file(str(path))
        assert not isinstance(refused.value, FileInUse)

    assert [each.name for each in tmp_path.iterdir()] == ["directory.lock"]


def test_a_forked_child_cannot_give_the_lock_of_its_parent_back(tmp_path: Path) -> None:
    """`fork` copies the object; releasing the copy, or its end, leaves the parent's lock held."""
    path = str(tmp_path / "a.db")
    lock = hold_file(path)
    child = os.fork()
    if child == 0:  # pragma: no cover - the child
        lock.release()
        os._exit(0)
    _, status = os.waitpid(child, 0)

    assert os.waitstatus_to_exitcode(status) == 0
    with pytest.raises(FileInUse):
        hold_file(path)
    lock.release()
    hold_file(path).release()
