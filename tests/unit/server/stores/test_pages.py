"""Pages over many partitions: whatever their number, a page is cut where it should be."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from syncauth.server.settings.config import Rules, ServedTable
from syncauth.server.stores.rows_interface import PageLimits
from tests.support.row_store import StoreBench

COUNT = 600
"""More than SQLite takes in one compound SELECT."""

ALL = (
    "WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n"
    f" WHERE i < {COUNT - 1}) SELECT 'p' || i FROM n"
)
SCHEMA = (
    "CREATE TABLE notes (part TEXT NOT NULL, id TEXT NOT NULL, title TEXT, PRIMARY KEY (part, id))"
)


@pytest.fixture
def bench(tmp_path: Path) -> StoreBench:
    tables = [ServedTable("notes", "part", "column")]
    bench = StoreBench(tmp_path / "server.db", SCHEMA, tables, Rules(ALL, ALL))
    bench.welcome("A")
    bench.welcome("B")
    return bench


@pytest.mark.parametrize("atomic", [False, True])
def test_many_partitions_come_page_by_page(bench: StoreBench, atomic: bool) -> None:
    """Each row comes once, in the order of commits; with `atomic` a page ends where one ends (I9)."""
    for commit in range(3):
        rows = [[f"{commit}", f"p{place}", "x"] for place in range(COUNT)]
        bench.judged("A", bench.insert(*rows, columns=("part", "title")))
    cursors = {f"p{place}": 0 for place in range(COUNT)}

    pages = []
    while not pages or not pages[-1][0].changes.complete:
        pages.append(bench.page("B", cursors, PageLimits(rows=1000, atomic=atomic)))
        cursors = pages[-1][0].changes.cursors

    commits = [[row[0] for part in sections for row in part.rows] for _, sections in pages]
    assert [len(page) for page in commits] == ([600, 600, 600] if atomic else [1000, 800])
    keys = [(p.partition, row[0]) for _, parts in pages for p in parts for row in p.rows]
    assert len(set(keys)) == len(keys) == 3 * COUNT
    assert all(max(a) <= min(b) for a, b in pairwise(commits))
    bench.connection.close()
