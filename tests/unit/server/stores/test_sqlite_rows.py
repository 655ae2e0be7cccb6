"""The row store: batches are judged once, in order and durably, and every device gets what is new for it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.sansio.messages import TableShape
from syncauth.server.settings.config import ServedTable
from syncauth.server.stores.interface import SessionStatus
from syncauth.server.stores.rows_interface import (
    Greeting,
    Judged,
    OutOfOrder,
    PageLimits,
    Problem,
    SessionOver,
)
from tests.support.row_store import DEVICES, HLC, NOW, StoreBench, life


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[StoreBench]:
    bench = StoreBench(tmp_path / "server.db")
    yield bench
    bench.connection.close()


def test_a_batch_of_new_rows_is_applied_and_reaches_another_device(bench: StoreBench) -> None:
    """What A inserts stands in the table and in B's first page, and is not sent back to A."""
    bench.welcome("A")
    bench.welcome("B")
    answer = bench.judged("A", bench.insert(["1", "one", None, 0], ["2", "two", "b", 5]))
    assert answer.result.superseded == answer.result.refused == []
    assert answer.touched == {"user:ann"}
    assert bench.rows() == [
        ("user:ann", "1", "one", None, 0),
        ("user:ann", "2", "two", "b", 5),
    ]
    page, (section,) = bench.page("B")
    assert page.changes.complete and page.changes.cursors == {"user:ann": 2}
    assert section.rows == [
        ["1", life("A"), life("A"), None, "one", None, 0],
        ["2", life("A"), life("A"), None, "two", "b", 5],
    ]
    own, nothing = bench.page("A")
    assert nothing == [] and own.changes.cursors == {"user:ann": 2}


def test_batches_are_counted_without_gaps_and_judged_once(bench: StoreBench) -> None:
    """A batch beyond the next is refused, an earlier one gets its stored result and applies nothing (I2)."""
    bench.welcome("A")
    section = bench.insert(["1", "one", None, 0])
    assert bench.push("A", section, batch=2) == OutOfOrder(0)
    first = bench.judged("A", section, batch=1)
    bench.judged("A", bench.update("1", {"title": "x"}, life=life("A"), hlc=HLC + 1), batch=2)
    again = bench.push("A", section, batch=1)
    assert again == Judged(first.result)
    assert bench.rows() == [("user:ann", "1", "x", None, 0)]
    other = bench.push("A", bench.insert(["9", "other", None, 0]), batch=1)
    assert isinstance(other, Problem) and other.code == "digest_mismatch"


@pytest.mark.parametrize(
    "status", [status for status in SessionStatus if status is not SessionStatus.ACTIVE]
)
def test_nothing_is_applied_for_a_session_that_is_over(
    bench: StoreBench, status: SessionStatus
) -> None:
    """A push and a hello of an ended session do nothing at all (I3)."""
    bench.welcome("A")
    bench.sessions.status = status
    assert bench.push("A", bench.insert(["1", "one", None, 0])) == SessionOver(status)
    assert bench.greet("B") == SessionOver(status)
    assert bench.rows() == []


def test_edits_of_different_columns_both_stand(bench: StoreBench) -> None:
    """Two devices edit two columns of one row; whichever comes last, both edits are kept (I9)."""
    bench.welcome("A")
    bench.welcome("B")
    bench.judged("A", bench.insert(["1", "one", "body", 0]))
    bench.judged("B", bench.update("1", {"body": "by B"}, life=life("A"), hlc=HLC + 9))
    late = bench.judged("A", bench.update("1", {"title": "by A"}, life=life("A"), hlc=HLC + 5))
    assert late.result.superseded == []
    assert bench.rows() == [("user:ann", "1", "by A", "by B", 0)]


def test_the_later_write_of_one_column_wins_in_either_order(bench: StoreBench) -> None:
    """An older edit that arrives later is superseded, and its device is sent the row (I9)."""
    bench.welcome("A")
    bench.welcome("B")
    bench.judged("A", bench.insert(["1", "one", None, 0]))
    bench.judged("B", bench.update("1", {"title": "newer"}, life=life("A"), hlc=HLC + 9))
    update = bench.update("1", {"title": "older"}, life=life("A"), hlc=HLC + 5)
    answer = bench.judged("A", update)
    assert [each.columns for each in answer.result.superseded] == [["title"]]
    assert bench.rows()[0][2] == "newer"
    _, (section,) = bench.page("A", {"user:ann": 1})
    assert section.rows[0][4] == "newer"


def test_deltas_of_two_devices_add_up(bench: StoreBench) -> None:
    """A counter is the sum of what was added, in whatever order."""
    bench.welcome("A")
    bench.welcome("B")
    bench.judged("A", bench.insert(["1", "one", None, 10]))
    bench.judged("B", bench.update("1", {}, life=life("A"), hlc=HLC + 9, deltas={"likes": 5}))
    bench.judged("A", bench.update("1", {}, life=life("A"), hlc=HLC + 5, deltas={"likes": -2}))
    assert bench.rows()[0][4] == 13


def test_a_deletion_beats_updates_of_the_same_life_and_no_other(bench: StoreBench) -> None:
    """An update of a deleted life is superseded; a new life on the key is not touched by the old one."""
    bench.welcome("A")
    bench.welcome("B")
    bench.judged("A", bench.insert(["1", "one", None, 0]))
    bench.judged("A", bench.delete("1", life=life("A"), hlc=HLC + 1))
    answer = bench.judged("B", bench.update("1", {"title": "x"}, life=life("A"), hlc=HLC + 9))
    assert [each.columns for each in answer.result.superseded] == [[]]
    assert bench.rows() == []
    bench.judged("A", bench.insert(["1", "again", None, 0], hlc=HLC + 20))
    answer = bench.judged("B", bench.delete("1", life=life("A"), hlc=HLC + 30))
    assert len(answer.result.superseded) == 1
    assert bench.rows() == [("user:ann", "1", "again", None, 0)]


def test_a_tombstone_is_sent_as_gone(bench: StoreBench) -> None:
    """A device that has the row is told that it is deleted, with the life that ended."""
    bench.welcome("A")
    bench.welcome("B")
    bench.judged("A", bench.insert(["1", "one", None, 0]))
    bench.judged("A", bench.delete("1", life=life("A"), hlc=HLC + 1))
    _, (section,) = bench.page("B", {"user:ann": 1})
    assert (section.kind, section.rows) == ("gone", [["1", life("A"), life("A", HLC + 1)]])


def test_two_lives_of_one_key_become_one(bench: StoreBench) -> None:
    """Two devices insert the same key offline: the smaller life stays, both names work afterwards."""
    bench.welcome("A")
    bench.welcome("B")
    bench.judged("B", bench.insert(["1", "by B", "b", 0], hlc=HLC + 5))
    bench.judged("A", bench.insert(["1", "by A", "a", 0], hlc=HLC + 3))
    _, (section,) = bench.page("A")
    assert section.rows[0][1] == f"{life('A', HLC + 3)} {life('B', HLC + 5)}"
    assert section.rows[0][4] == "by B"
    bench.judged("A", bench.update("1", {"title": "x"}, life=life("A", HLC + 3), hlc=HLC + 7))
    bench.judged("B", bench.update("1", {"body": "y"}, life=life("B", HLC + 5), hlc=HLC + 7))
    assert bench.rows() == [("user:ann", "1", "x", "y", 0)]


def test_an_insert_in_place_of_a_life_ends_it(bench: StoreBench) -> None:
    """Delete and insert before sending is one change that replaces the row, whatever its stamps were."""
    bench.welcome("A")
    bench.judged("A", bench.insert(["1", "one", "body", 3]))
    bench.judged("A", bench.insert(["1", "new", None, 0], hlc=HLC + 2, ends=life("A")))
    assert bench.rows() == [("user:ann", "1", "new", None, 0)]
    answer = bench.judged("A", bench.update("1", {"body": "x"}, life=life("A"), hlc=HLC + 9))
    assert len(answer.result.superseded) == 1


def test_a_stamp_far_ahead_is_cut_and_the_life_is_not(bench: StoreBench) -> None:
    """A device two months ahead inserts, edits twice and syncs: both edits apply."""
    bench.welcome("A")
    ahead = HLC + ((60 * 24 * 3600 * 1000) << 16)
    first = bench.judged("A", bench.insert(["1", "one", None, 0], hlc=ahead))
    assert first.result.cut is not None and first.result.cut.first < ahead
    begun = life("A", ahead)
    bench.judged("A", bench.update("1", {"title": "two"}, life=begun, hlc=ahead + 1))
    last = bench.judged("A", bench.update("1", {"title": "three"}, life=begun, hlc=ahead + 2))
    assert last.result.superseded == []
    assert bench.rows()[0][2] == "three"
    bench.welcome("B")
    later = bench.update("1", {"title": "B"}, life=begun, hlc=HLC + (70_000 << 16))
    assert bench.judged("B", later, now=NOW + 1).result.cut is not None
    assert bench.rows()[0][2] == "B"


def test_refused_rows_are_shown_in_the_tables_that_the_push_names(tmp_path: Path) -> None:
    """A device that knows fewer columns gets those; the store remembers nothing of it between calls."""
    schema = (
        "CREATE TABLE notes (_partition TEXT NOT NULL, id TEXT NOT NULL, title TEXT, body TEXT,"
        " likes INTEGER CHECK (likes < 100), PRIMARY KEY (_partition, id))"
    )
    bench = StoreBench(tmp_path / "server.db", schema)
    bench.welcome("A")
    bench.judged("A", bench.insert(["1", "one", "body", 0]))
    few = [TableShape("notes", ["id"], ["title", "likes"], ["likes"])]
    update = bench.update("1", {"likes": 100}, life=life("A"), hlc=HLC + 1)
    answer = bench.judged("A", update, tables=few)
    (shown,) = answer.result.rows
    assert shown.columns == ["title", "likes"]
    assert shown.rows[0][-2:] == ["one", 0]
    bench.connection.close()


def test_refusals_name_the_change_and_show_the_row(tmp_path: Path) -> None:
    """What the table refuses is refused alone, with the server's row; the rest of the batch stands."""
    schema = (
        "CREATE TABLE notes (_partition TEXT NOT NULL, id TEXT NOT NULL, title TEXT UNIQUE,"
        " body TEXT NOT NULL, likes INTEGER CHECK (likes < 100), PRIMARY KEY (_partition, id))"
    )
    bench = StoreBench(tmp_path / "server.db", schema)
    bench.welcome("A")
    answer = bench.judged(
        "A",
        bench.insert(
            ["1", "same", "x", 0],
            ["2", "same", "x", 0],
            ["3", "other", None, 0],
            ["4", "more", "x", 100],
            ["5", "fine", "x", "007"],
            ["6", "last", "x", 6],
        ),
    )
    assert [(each.entry, each.code) for each in answer.result.refused] == [
        (2, "unique_conflict"),
        (3, "constraint"),
        (4, "constraint"),
        (5, "value_not_supported"),
    ]
    assert [row[1] for row in bench.rows()] == ["1", "6"]
    assert [(s.kind, s.rows) for s in answer.result.rows] == [
        ("exit", [["2"], ["3"], ["4"], ["5"]])
    ]
    refused = bench.judged("A", bench.update("1", {"title": "last"}, life=life("A"), hlc=HLC + 1))
    (shown,) = refused.result.rows
    assert (shown.kind, shown.rows[0][4:]) == ("row", ["same", "x", 0])
    bench.connection.close()


CHILDREN = """
CREATE TABLE parents (_partition TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (_partition, id));
CREATE TABLE notes (_partition TEXT NOT NULL, id TEXT NOT NULL, title TEXT, body TEXT, likes INTEGER,
    PRIMARY KEY (_partition, id),
    FOREIGN KEY (_partition, title) REFERENCES parents (_partition, id));
"""


def test_a_refusal_takes_along_only_what_needs_the_row(tmp_path: Path) -> None:
    """A child without a parent is refused; one whose parent comes later in the batch is not."""
    tables = [ServedTable("notes", counters=("likes",)), ServedTable("parents")]
    bench = StoreBench(tmp_path / "server.db", CHILDREN, tables)
    bench.welcome("A")
    answer = bench.judged(
        "A",
        bench.insert(["1", "p1", None, 0], ["2", "nobody", None, 0], ["3", None, None, 0]),
        bench.insert(["p1"], table="parents", columns=[]),
    )
    assert [(each.entry, each.code) for each in answer.result.refused] == [(2, "foreign_key")]
    assert [row[1] for row in bench.rows()] == ["1", "3"]
    alone = bench.judged("A", bench.delete("p1", life=life("A"), hlc=HLC + 1, table="parents"))
    assert [each.code for each in alone.result.refused] == ["foreign_key"]
    both = bench.judged(
        "A",
        bench.delete("p1", life=life("A"), hlc=HLC + 2, table="parents"),
        bench.delete("1", life=life("A"), hlc=HLC + 3),
    )
    assert both.result.refused == []
    assert bench.rows("parents") == []
    bench.connection.close()


# --- devices and lost answers ----------------------------------------------------------------------


def test_lost_answers_are_told_and_confirmed_ones_forgotten(bench: StoreBench) -> None:
    """Hello gets the results above the confirmed batch, also after several batches (I2)."""
    bench.welcome("A")
    results = [
        bench.judged("A", bench.insert([str(place), "x", None, 0])).result for place in range(3)
    ]
    greeting = bench.welcome("A", highest=bench.mark("A", 3))
    assert (greeting.last, greeting.results) == (3, results)
    greeting = bench.welcome("A", acked=bench.mark("A", 2), highest=bench.mark("A", 3))
    assert greeting.results == results[2:]
    assert bench.connection.execute("SELECT batch FROM _sync_results").fetchall() == [(3,)]


@pytest.mark.parametrize(
    ("acked", "highest", "code"),
    [(None, None, "file_behind"), (1, None, "file_behind"), (1, 1, "file_behind")],
)
def test_a_file_that_knows_less_than_the_server_is_behind(
    bench: StoreBench, acked: int | None, highest: int | None, code: str
) -> None:
    """A restored or copied file is told from a lost answer and refused (I2)."""
    bench.welcome("A")
    bench.judged("A", bench.insert(["1", "x", None, 0]))
    bench.judged("A", bench.insert(["2", "x", None, 0]), acked=1)
    answer = bench.greet(
        "A",
        acked=None if acked is None else bench.mark("A", acked),
        highest=None if highest is None else bench.mark("A", highest),
    )
    assert isinstance(answer, Problem) and answer.code == code


def test_a_number_used_twice_is_found_by_its_digest(bench: StoreBench) -> None:
    """A copy that went its own way has another digest for the same number."""
    bench.welcome("A")
    bench.judged("A", bench.insert(["1", "x", None, 0]))
    mark = bench.mark("A", 1)
    answer = bench.greet("A", highest=type(mark)(1, "0" * 64))
    assert isinstance(answer, Problem) and answer.code == "digest_mismatch"


def test_a_device_of_another_user_gets_a_new_id(bench: StoreBench) -> None:
    """Naming A's device, B gets one of its own, and A's batches are not advanced (I15)."""
    bench.welcome("A", "ann")
    greeting = bench.welcome("A", "bob")
    assert greeting.device == "f" * 16
    assert (greeting.last, dict(greeting.partitions)) == (0, {"user:bob": "write"})
    answer = bench.push("A", bench.insert(["1", "x", None, 0]), user="bob")
    assert isinstance(answer, Problem)
    assert bench.welcome("A", "ann").last == 0


# --- pages -----------------------------------------------------------------------------------------


def test_pages_end_where_a_commit_ends(bench: StoreBench) -> None:
    """A page never shows half a commit, unless it is of a first download."""
    bench.welcome("A")
    bench.welcome("B")
    for start in range(3):
        bench.judged("A", bench.insert(*([f"{start}{n}", "x", None, 0] for n in range(4))))
    page, _ = bench.page("B", limits=PageLimits(rows=6))
    assert (page.rows, page.changes.complete) == (4, False)
    page, _ = bench.page("B", page.changes.cursors, PageLimits(rows=3))
    assert (page.rows, page.changes.cursors) == (4, {"user:ann": 8})
    page, _ = bench.page("B", {"user:ann": 0}, PageLimits(rows=6, atomic=False))
    assert (page.rows, page.changes.cursors) == (6, {"user:ann": 6})
    page, _ = bench.page("B", {"user:ann": 0}, PageLimits(size=700))
    assert page.rows == 4
    page, _ = bench.page("B", {"user:ann": 8}, PageLimits())
    assert (page.rows, page.changes.complete) == (4, True)


def test_a_row_that_others_wrote_in_between_comes_back(bench: StoreBench) -> None:
    """A's own last write does not hide what B wrote to the row before it."""
    bench.welcome("A")
    bench.welcome("B")
    bench.judged("A", bench.insert(["1", "one", None, 0]))
    bench.judged("B", bench.update("1", {"body": "B"}, life=life("A"), hlc=HLC + 1))
    bench.judged("A", bench.update("1", {"title": "A"}, life=life("A"), hlc=HLC + 2))
    page, (section,) = bench.page("A", {"user:ann": 1})
    assert section.rows[0][4:] == ["A", "B", 0]
    _, nothing = bench.page("A", page.changes.cursors)
    assert nothing == []


def test_a_device_that_compares_gets_its_own_rows_and_no_page_across_what_it_knew(
    bench: StoreBench,
) -> None:
    """Of a page's rows it must be certain whether they were there before."""
    bench.welcome("A")
    bench.judged("A", bench.insert(["1", "one", None, 0], ["2", "two", None, 0]))
    bench.judged("A", bench.insert(["3", "three", None, 0]))
    _, nothing = bench.page("A")
    assert nothing == []
    page, (section,) = bench.page("A", compared={"user:ann": 2})
    assert [row[0] for row in section.rows] == ["1", "2"]
    assert (page.changes.cursors, page.changes.complete) == ({"user:ann": 2}, False)
    page, (section,) = bench.page("A", page.changes.cursors, compared={"user:ann": 2})
    assert [row[0] for row in section.rows] == ["3"]
    assert page.changes.complete


def test_a_cursor_beyond_the_server_is_a_problem(bench: StoreBench) -> None:
    """A device that is further than the server is told so, and not left waiting."""
    bench.welcome("B")
    answer = bench.store.page(
        DEVICES["B"], bench.store.shapes, {"user:ann": 7}, PageLimits(), compared={}
    )
    assert isinstance(answer, Problem) and answer.code == "file_behind"


def test_the_answer_outlives_the_process(tmp_path: Path) -> None:
    """Batch, result and rows are there when the file is opened again."""
    bench = StoreBench(tmp_path / "server.db")
    bench.welcome("A")
    result = bench.judged("A", bench.insert(["1", "one", None, 0])).result
    mark = bench.mark("A", 1)
    bench.connection.close()
    again = StoreBench(tmp_path / "server.db")
    greeting = again.welcome("A", highest=mark)
    assert isinstance(greeting, Greeting)
    assert greeting.results == [result]
    assert len(again.rows()) == 1 and NOW > 0
    again.connection.close()
