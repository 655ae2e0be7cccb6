"""What a result shows of refused rows: whole rows, as many as a message carries; the next page has the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.sansio.messages import BatchResult, PushResult, Section, encode
from syncauth.server.hub.socket import largest_frame
from syncauth.server.settings.config import Rules, ServedTable, ServerLimits
from syncauth.server.stores.constraints import REASON_LENGTH
from syncauth.server.stores.shown import SHOWN_BYTES
from tests.support.row_store import COLUMNS, HLC, StoreBench, life

SCHEMA = """CREATE TABLE IF NOT EXISTS notes (
    _partition TEXT NOT NULL, id TEXT NOT NULL, title TEXT, body TEXT,
    likes INTEGER CHECK (likes < 100), PRIMARY KEY (_partition, id));"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[StoreBench]:
    bench = StoreBench(tmp_path / "server.db", SCHEMA)
    bench.welcome("A")
    bench.welcome("B")
    yield bench
    bench.connection.close()


def write(bench: StoreBench, count: int, size: int) -> None:
    """Let B write rows with a value of a size, which A receives."""
    bench.judged("B", bench.insert(*([f"{place}", "x" * size, None, 0] for place in range(count))))


def edit_badly(bench: StoreBench, count: int) -> BatchResult:
    """Let A edit all of these rows in a way that the table refuses."""
    rows = [[f"{place}", bench.next_entry(), HLC + 1, life("B"), 100] for place in range(count)]
    result = bench.judged("A", Section("notes", "update", rows, ["likes"])).result
    assert len(result.refused) == count
    return result


def keys(count: int) -> set[str]:
    """Return the keys of rows that were written."""
    return {f"{place}" for place in range(count)}


def shown_keys(sections: list[Section]) -> set[str]:
    """Return the keys of the rows of some sections, each of which is there once and whole."""
    rows = [row for section in sections for row in section.rows]
    assert all(section.kind == "row" and section.columns == COLUMNS for section in sections)
    assert len({row[0] for row in rows}) == len(rows)
    return {row[0] for row in rows}


def test_ten_thousand_refused_rows_fit_into_a_frame(bench: StoreBench) -> None:
    """With the largest batch there is, the answer stays below the limit of a frame."""
    count = ServerLimits().batch_rows
    write(bench, count, 2_000)

    result = edit_badly(bench, count)

    assert len(encode(PushResult(result))) < largest_frame(ServerLimits())


def test_rows_without_room_come_with_the_next_page(bench: StoreBench) -> None:
    """Every refused row reaches the device once, in the result or right after it (I9)."""
    write(bench, 30, 100_000)
    before, _ = bench.page("A")

    result = edit_badly(bench, 30)
    page, sections = bench.page("A", before.changes.cursors)

    here, there = shown_keys(result.rows), shown_keys(sections)
    assert here == keys(SHOWN_BYTES // 100_001)
    assert (here | there, here & there) == (keys(30), set())
    assert all(row[4] == "x" * 100_000 for section in sections for row in section.rows)
    assert page.changes.through == 1
    assert bench.page("A", page.changes.cursors)[1] == []


def test_a_row_larger_than_the_room_comes_alone(bench: StoreBench) -> None:
    """It is not shown in part: the device writes what is shown into its table."""
    write(bench, 1, SHOWN_BYTES + 1)
    before, _ = bench.page("A")

    result = edit_badly(bench, 1)

    assert result.rows == []
    assert shown_keys(bench.page("A", before.changes.cursors)[1]) == keys(1)


def test_few_rows_are_shown_at_once(bench: StoreBench) -> None:
    """Where there is room nothing gets a new version, and no page follows."""
    write(bench, 3, 10)
    before, _ = bench.page("A")

    result = edit_badly(bench, 3)

    assert shown_keys(result.rows) == keys(3)
    assert bench.page("A", before.changes.cursors)[1] == []


def test_rows_that_are_not_there_are_always_shown(
    bench: StoreBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A removal in a result holds whatever the device thought of the row; one in a page does not."""
    monkeypatch.setattr("syncauth.server.stores.shown.SHOWN_BYTES", 0)
    write(bench, 2, 10)
    bench.judged("B", bench.delete("1", life=life("B"), hlc=HLC + 1))

    made = [bench.insert([name, "x", None, 100], hlc=HLC + 2) for name in ("1", "never")]
    result = bench.judged("A", *made).result

    shown = {row[0]: section.kind for section in result.rows for row in section.rows}
    assert [each.code for each in result.refused] == ["constraint"] * 2
    assert shown == {"1": "gone", "never": "exit"}


def test_a_partition_that_may_only_be_read_keeps_its_rows(tmp_path: Path) -> None:
    """Rows without room are sent again there, too, and stay what they are (I15)."""
    rules = Rules(
        read="SELECT 'team'",
        write="SELECT 'team' WHERE :user_id = 'bob'",
    )
    tables = [ServedTable("notes", "part", "column")]
    schema = "CREATE TABLE notes (part TEXT NOT NULL, id TEXT NOT NULL, title TEXT, PRIMARY KEY (part, id))"
    bench = StoreBench(tmp_path / "server.db", schema, tables, rules)
    bench.welcome("A")
    bench.welcome("B", user="bob")
    large = "x" * (SHOWN_BYTES + 1)
    insert = bench.insert(["1", "team", large], columns=("part", "title"))
    bench.judged("B", insert, user="bob")

    update = bench.update("1", {"title": "mine"}, life=life("B"), hlc=HLC + 1, partition="team")
    answer = bench.judged("A", update)
    _, (section,) = bench.page("A", {"team": 1})

    assert [each.code for each in answer.result.refused] == ["permission_denied"]
    assert answer.result.rows == []
    assert section.rows[0][-1] == large
    assert bench.rows() == [("team", "1", large)]
    bench.connection.close()


def test_reason_of_a_refusal_has_a_bound(tmp_path: Path) -> None:
    """SQLite repeats the CHECK that is broken, however long it is."""
    check = " AND ".join(f"likes <> {number}" for number in range(100))
    bench = StoreBench(tmp_path / "server.db", SCHEMA.replace("likes < 100", check))
    bench.welcome("A")

    (refused,) = bench.judged("A", bench.insert(["1", "a", "b", 5])).result.refused

    assert len(refused.reason) == REASON_LENGTH
    bench.connection.close()
