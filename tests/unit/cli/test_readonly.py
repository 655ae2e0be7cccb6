"""A file is read without a trace where nobody has it open, and truly where somebody writes to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from syncauth.cli.readonly import read


@pytest.fixture
def path(tmp_path: Path) -> str:
    file = tmp_path / "file.db"
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
    return str(file)


def values(connection: sqlite3.Connection, _path: str) -> list[int]:
    return [value for (value,) in connection.execute("SELECT a FROM t ORDER BY a")]


def test_file_at_rest_is_left_without_a_trace(path: str) -> None:
    """SQLite's log and index are not made beside a file that nobody has open."""
    assert read(path, values) == [1]
    assert [each.name for each in Path(path).parent.iterdir()] == ["file.db"]


def test_log_of_a_writer_is_read(path: str) -> None:
    """What is committed to the log and not yet in the file is read too."""
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("INSERT INTO t VALUES (2)")

        assert read(path, values) == [1, 2]


def test_reader_waits_for_no_writer(path: str) -> None:
    """An open write transaction of another one is neither waited for nor seen."""
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO t VALUES (2)")

        assert read(path, values) == [1]


def test_file_that_changes_meanwhile_is_read_again(path: str) -> None:
    """What is written, and even closed, while a file is read as one at rest is not missed."""
    runs = 0

    def work(connection: sqlite3.Connection, name: str) -> list[int]:
        nonlocal runs
        runs += 1
        found = values(connection, name)
        if runs == 1:
            with closing(sqlite3.connect(name, isolation_level=None)) as writer:
                writer.execute("INSERT INTO t VALUES (2)")
        return found

    assert read(path, work) == [1, 2]
    assert runs == 2


def test_nothing_can_be_written(path: str) -> None:
    """The connection refuses to write, at rest and beside a writer."""

    def work(connection: sqlite3.Connection, _path: str) -> None:
        connection.execute("INSERT INTO t VALUES (3)")

    with pytest.raises(sqlite3.OperationalError):
        read(path, work)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("INSERT INTO t VALUES (2)")
        with pytest.raises(sqlite3.OperationalError):
            read(path, work)
    assert read(path, values) == [1, 2]
