"""A refusal for want of another row is no last word while more of this device is to be judged."""

from __future__ import annotations

import pytest

from syncauth.replica.retrying import TIMES
from syncauth.sansio.messages import Refused
from tests.support.replica_bench import ReplicaBench, Sent, leave, life_of, remote


def _missing(sent: Sent, code: str = "foreign_key") -> Refused:
    return Refused(sent.entry, code, "a row that it refers to is not there")


def _cut_one(bench: ReplicaBench) -> Sent:
    (sent,) = bench.cut(rows=1)
    return sent


@pytest.fixture
def two(bench: ReplicaBench) -> ReplicaBench:
    """Two inserts wait, each for a batch of its own."""
    bench.run(
        "INSERT INTO notes VALUES ('1', 'a', 'b', 3)", "INSERT INTO notes VALUES ('2', '', '', 0)"
    )
    return bench


def test_what_was_refused_in_several_batches_goes_again_in_one(two: ReplicaBench) -> None:
    """A change goes again after all that is in flight: so those that need each other meet; nothing overtakes."""
    first, second = _cut_one(two), _cut_one(two)
    two.acknowledge(_missing(first), rows=[leave("1")])
    two.run("INSERT INTO notes VALUES ('3', '', '', 0)")
    assert two.cut() == []
    two.acknowledge(_missing(second), rows=[leave("2")])
    assert [each.key for each in two.cut()] == [("1",), ("3",), ("2",)]


@pytest.mark.parametrize("code", ["foreign_key", "unique_conflict"])
def test_a_change_that_needs_a_later_one_is_sent_again_behind_it(
    two: ReplicaBench, code: str
) -> None:
    """Nothing is handed to the app, the row stays, and the change goes again under a new number (I1)."""
    first, second = _cut_one(two), _cut_one(two)
    done = two.acknowledge(_missing(first, code), rows=[leave("1")])
    assert done.refused == ()
    assert [row[0] for row in two.table()] == ["1", "2"]
    two.acknowledge()
    again = _cut_one(two)
    assert again.entry > second.entry
    assert (again.kind, again.key, again.values) == (first.kind, first.key, first.values)
    assert life_of(again) == life_of(first)
    two.acknowledge()
    assert (two.cut(), two.replica.state().dead_letters) == ([], 0)


def test_what_nothing_can_lift_is_refused_at_once(two: ReplicaBench) -> None:
    """With everything judged, or for another reason than a missing row, the first refusal stands."""
    first = _cut_one(two)
    (letter,) = two.acknowledge(_missing(first, "constraint"), rows=[leave("1")]).refused
    assert letter.code == "constraint"
    (letter,) = two.acknowledge(_missing(_cut_one(two)), rows=[leave("2")]).refused
    assert letter.code == "foreign_key"
    assert two.table() == []


def test_a_change_is_sent_again_a_few_times_only(bench: ReplicaBench) -> None:
    """However much more the app writes, an end comes; restarts do not begin the count anew."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    for turn in range(TIMES):
        bench.run(f"INSERT INTO notes VALUES ('more {turn}', '', '', 0)")
        first = next(each for each in bench.cut() if each.key == ("1",))
        bench.run(f"INSERT INTO notes VALUES ('yet more {turn}', '', '', 0)")
        assert bench.acknowledge(_missing(first), rows=[leave("1")]).refused == ()
        bench.replica.close()
        bench.replica = bench.open()
    bench.run("INSERT INTO notes VALUES ('last', '', '', 0)")
    first = next(each for each in bench.cut() if each.key == ("1",))
    bench.run("INSERT INTO notes VALUES ('after the last', '', '', 0)")
    (letter,) = bench.acknowledge(_missing(first), rows=[leave("1")]).refused
    assert letter.key == ("1",)
    bench.settle()
    assert bench.app.execute("SELECT * FROM _sync_retries").fetchall() == []


def test_what_was_written_meanwhile_goes_along(two: ReplicaBench) -> None:
    """An insert takes in later edits; one whose row was deleted is not sent again (I2)."""
    first, second = two.cut(rows=2)
    two.run(
        "UPDATE notes SET title = 'later', likes = likes + 1 WHERE id = '1'",
        "DELETE FROM notes WHERE id = '2'",
    )
    done = two.acknowledge(_missing(first), _missing(second), rows=[leave("1"), leave("2")])
    assert done.refused == ()
    assert two.sent() == [("insert", ("1",), {"title": "later", "body": "b", "likes": 4}, {})]
    two.acknowledge()
    assert two.table() == [("1", "later", "b", 4)]


def test_a_refused_edit_is_laid_over_the_row_that_the_server_shows(bench: ReplicaBench) -> None:
    """The value that waits to be sent again stays; a deletion, too (I3)."""
    bench.apply(remote(["1", "a", "b", 3], ["2", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'mine' WHERE id = '1'", "DELETE FROM notes WHERE id = '2'")
    edit, deletion = sorted(bench.cut(), key=lambda sent: sent.key)
    bench.run("INSERT INTO notes VALUES ('3', '', '', 0)")
    shown = remote(["1", "a", "theirs", 3], ["2", "a", "theirs", 3])
    bench.acknowledge(_missing(edit, "unique_conflict"), _missing(deletion), rows=[shown])
    assert bench.table() == [("1", "mine", "theirs", 3), ("3", "", "", 0)]
    assert {(each.kind, each.key, each.life) for each in bench.cut()} == {
        ("update", ("1",), edit.life),
        ("delete", ("2",), deletion.life),
        ("insert", ("3",), None),
    }


def test_a_row_with_another_change_in_flight_is_refused_at_once(two: ReplicaBench) -> None:
    """A batch in flight is immutable, so that nothing could be folded into it (I2)."""
    first, _ = two.cut(rows=2)
    two.run("UPDATE notes SET title = 'later' WHERE id = '1'")
    later = _cut_one(two)
    (letter,) = two.acknowledge(_missing(first), rows=[leave("1")]).refused
    assert (letter.kind, letter.key) == ("insert", later.key)
