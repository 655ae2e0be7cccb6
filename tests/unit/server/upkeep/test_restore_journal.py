"""A restore beside the rollback journal of a file that is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from syncauth.server.stores.sqlite import open_server_file
from syncauth.server.upkeep.backup import backup
from syncauth.server.upkeep.restore import restore
from tests.support.row_store import NOTES
from tests.unit.server.upkeep.conftest import NOW

Read = Callable[..., list[tuple[object, ...]]]


def leave_journal(database: Path) -> bytes:
    """Leave a journal beside the file as a process does that is killed in a transaction without a log; return it."""
    journal = Path(f"{database}-journal")
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA cache_spill = 1")
        connection.execute("PRAGMA cache_size = 1")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE _sync_histories SET began_at = 0")
        connection.execute("CREATE TABLE large (value)")
        connection.execute(
            "INSERT INTO large WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 500) SELECT randomblob(2000) FROM n"
        )
        content = journal.read_bytes()
        connection.execute("ROLLBACK")
    journal.write_bytes(content)
    return content


def test_no_journal_is_applied_to_the_restored_file(data: Path, tmp_path: Path, read: Read) -> None:
    """I14: a journal belongs to the file that was there before, even if that one is gone; it goes aside with it."""
    backup(data, tmp_path / "b.db", now=NOW)
    content = leave_journal(data / "server.db")
    (data / "server.db").unlink()

    done = restore(data, tmp_path / "b.db", history="2" * 16, now=NOW + 10)

    assert read(data / "server.db", "SELECT number, id FROM _sync_histories ORDER BY 1") == [
        (1, "1" * 16),
        (2, "2" * 16),
    ]
    open_server_file(data / "server.db", NOTES).close()
    assert done.replaced is None
    (aside,) = data.glob("server.db.replaced-*-journal")
    assert aside.read_bytes() == content
