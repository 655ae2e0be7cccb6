"""What a device has written itself is not read again for it; everything else is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncauth.server.stores.rows_interface import PageLimits
from tests.support.row_store import HLC, StoreBench, life


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[StoreBench]:
    """Two devices of one user, and the statements that read rows."""
    bench = StoreBench(tmp_path / "server.db")
    for device in "AB":
        bench.welcome(device)
    yield bench
    bench.connection.close()


def _read(bench: StoreBench, device: str, after: int) -> tuple[list[Any], bool]:
    """Return the rows of a page after a version, and whether any row was looked at."""
    looked: list[str] = []
    bench.connection.set_trace_callback(looked.append)
    _, sections = bench.page(device, {"user:ann": after})
    bench.connection.set_trace_callback(None)
    rows = [row for section in sections for row in section.rows]
    return [row[0] for row in rows], any("_sync_rows_1" in sql for sql in looked)


def test_a_device_that_wrote_all_there_is_gets_a_page_without_a_look_at_rows(
    bench: StoreBench,
) -> None:
    """Batch after batch, from wherever in them it asks."""
    bench.judged("A", bench.insert(["1", "a", "b", 0], ["2", "a", "b", 0]))
    bench.judged("A", bench.update("1", {"title": "x"}, life=life("A"), hlc=HLC + 1))
    for after in range(4):
        assert _read(bench, "A", after) == ([], False)
    assert _read(bench, "B", 0) == (["2", "1"], True)


def test_a_row_of_another_device_in_between_is_found(bench: StoreBench) -> None:
    """What was written before it need not be known to who wrote after it; from there on it is."""
    bench.judged("A", bench.insert(["1", "a", "b", 0]))
    bench.judged("B", bench.insert(["2", "a", "b", 0], hlc=HLC + 1))
    bench.judged("A", bench.insert(["3", "a", "b", 0]))
    assert _read(bench, "A", 0) == (["2"], True)
    bench.judged("A", bench.insert(["4", "a", "b", 0]))
    assert _read(bench, "A", 3) == ([], False)
    assert _read(bench, "A", 1) == (["2"], True)
    assert _read(bench, "B", 2) == (["3", "4"], True)


def test_an_edit_over_what_the_device_has_not_seen_is_sent(bench: StoreBench) -> None:
    """The row is its own now, but holds columns of another (I9)."""
    bench.judged("A", bench.insert(["1", "a", "b", 0]))
    bench.judged("B", bench.update("1", {"body": "B"}, life=life("A"), hlc=HLC + 1))
    bench.judged("A", bench.update("1", {"title": "A"}, life=life("A"), hlc=HLC + 2))
    assert _read(bench, "A", 1) == (["1"], True)


def test_a_row_that_came_out_otherwise_than_sent_is_sent_back(bench: StoreBench) -> None:
    """A column that lost makes the row news for its own writer (I9)."""
    bench.judged("A", bench.insert(["1", "a", "b", 0]))
    bench.judged("A", bench.update("1", {"title": "new"}, life=life("A"), hlc=HLC + 5))
    bench.judged("A", bench.update("1", {"title": "older"}, life=life("A"), hlc=HLC + 2))
    assert _read(bench, "A", 2) == (["1"], True)
    (head,) = bench.connection.execute("SELECT head FROM _sync_partitions").fetchone()
    bench.judged("A", bench.insert(["2", "a", "b", 0]))
    assert _read(bench, "A", head) == ([], False)


def test_a_device_that_downloads_everything_again_gets_its_own_rows(bench: StoreBench) -> None:
    """It compares them with what it has."""
    bench.judged("A", bench.insert(["1", "a", "b", 0]))
    _, sections = bench.page("A", {"user:ann": 0}, compared={"user:ann": 1})
    assert [row[0] for section in sections for row in section.rows] == ["1"]


def test_a_row_that_moved_behind_the_end_of_a_page_is_sent_with_the_next(
    bench: StoreBench,
) -> None:
    """What another device wrote to it was below the cursor by then, and had never been sent (I9)."""
    bench.judged("A", bench.insert(["1", "a", "b", 0], ["2", "a", "b", 0]))
    for key in "12":
        bench.judged("B", bench.update(key, {"body": "B"}, life=life("A"), hlc=HLC + 1))
    bench.judged("A", bench.update("1", {"title": "A"}, life=life("A"), hlc=HLC + 2))
    cursors, seen = {"user:ann": 2}, {}
    for _ in range(3):
        page, sections = bench.page("A", cursors, PageLimits(rows=1, atomic=False))
        cursors = dict(page.changes.cursors)
        seen |= {row[0]: row[-2] for section in sections for row in section.rows}
    assert seen == {"1": "B", "2": "B"}
