"""Traps of refusals and results: what stays, what goes along, and what may never be taken back twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncauth.errors import InvalidMessage, SyncStopped
from syncauth.models import TableSpec
from syncauth.sansio.messages import BatchResult, CutStamps, Refused, Section, Superseded
from tests.support.replica_bench import DEVICE, OTHER, OWN, ReplicaBench, leave, life_of, remote

Make = Callable[..., ReplicaBench]
LIFE = f"{1 << 40:016x}{OTHER}"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[ReplicaBench] = []

    def make(schema: str, *specs: TableSpec, **options: Any) -> ReplicaBench:
        made.append(ReplicaBench(tmp_path, schema, *specs, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


def _no(entry: int) -> Refused:
    return Refused(entry, "constraint", "no")


def test_a_refused_delta_is_taken_back_and_a_newer_one_stays(make: Make) -> None:
    """The counter is the server's again, plus what was counted since (I2)."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, likes INTEGER)",
        TableSpec("notes", counters=("likes",)),
    )
    bench.apply(remote(["1", 10], columns=["likes"]))
    bench.run("UPDATE notes SET likes = likes + 5")
    (sent,) = bench.cut()
    bench.run("UPDATE notes SET likes = likes + 2")
    row = remote(["1", 10], columns=["likes"], life=LIFE)
    done = bench.acknowledge(_no(sent.entry), rows=[row])
    assert bench.table() == [("1", 12)]
    assert [each.values for each in done.refused] == [{"likes": 5}]
    assert bench.sent() == [("update", ("1",), {}, {"likes": 2})]


def test_an_edit_in_a_later_batch_is_laid_over_what_is_put_back(bench: ReplicaBench) -> None:
    """A refusal of the first batch does not touch what the second one, still in flight, wrote."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'bad', body = 'bad'")
    first = bench.cut()
    bench.run("UPDATE notes SET title = 'second'")
    bench.cut()
    row = remote(["1", "a", "b", 3], life=LIFE)
    bench.acknowledge(*(_no(each.entry) for each in first), rows=[row])
    assert bench.table() == [("1", "second", "b", 3)]
    bench.acknowledge()
    assert bench.replica.state().in_flight == ()


def test_values_of_a_refusal_are_those_that_were_sent(bench: ReplicaBench) -> None:
    """Not those that the row has by then: they are in the bytes kept in flight."""
    bench.run("INSERT INTO notes VALUES ('1', 'sent', x'00ff', 3)")
    (sent,) = bench.cut()
    bench.run("DELETE FROM notes")
    done = bench.acknowledge(_no(sent.entry), rows=[leave("1")])
    assert [each.values for each in done.refused] == [
        {"title": "sent", "body": b"\x00\xff", "likes": 3}
    ]
    assert bench.cut() == []
    assert bench.table() == []


def test_a_later_life_of_a_refused_insert_is_sent_as_new(bench: ReplicaBench) -> None:
    """Deleted and inserted again meanwhile: that insert was not refused, and ends nothing."""
    bench.run("INSERT INTO notes VALUES ('1', 'bad', 'b', 3)")
    (first,) = bench.cut()
    bench.run("DELETE FROM notes", "INSERT INTO notes VALUES ('1', 'good', 'b', 3)")
    bench.acknowledge(_no(first.entry), rows=[leave("1")])
    assert bench.table() == [("1", "good", "b", 3)]
    (second,) = bench.cut()
    assert (second.kind, second.life, second.values["title"]) == ("insert", None, "good")


def test_one_refusal_among_many_touches_nothing_else(bench: ReplicaBench) -> None:
    """A poisoned change never blocks those beside and behind it."""
    bench.run(*(f"INSERT INTO notes VALUES ('{place}', 'a', 'b', {place})" for place in range(9)))
    sent = bench.cut()
    bench.run("UPDATE notes SET title = 'later'")
    bench.acknowledge(_no(sent[4].entry), rows=[leave("4")])
    assert [row[0] for row in bench.table()] == [str(place) for place in range(9) if place != 4]
    assert len(bench.replica.dead_letters()) == 2
    assert {each.key[0] for each in bench.cut()} == set("01235678")


def test_a_superseded_change_needs_nothing(bench: ReplicaBench) -> None:
    """It is no refusal: the server's row comes in a page, and no dead letter is written."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'late'")
    (sent,) = bench.cut()
    done = bench.acknowledge(superseded=[Superseded(sent.entry, ["title"])])
    assert done.refused == ()
    bench.apply(remote(["1", "theirs", "b", 3], life=LIFE, hlc=2 << 40), through=1)
    assert bench.table() == [("1", "theirs", "b", 3)]


def test_a_superseded_deletion_leaves_the_row_known(bench: ReplicaBench) -> None:
    """Another life had taken its place: that row comes with a page and can be edited under its life."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("DELETE FROM notes")
    (sent,) = bench.cut()
    bench.acknowledge(superseded=[Superseded(sent.entry)])
    other = f"{2 << 40:016x}{OTHER}"
    bench.apply(remote(["1", "new", "b", 3], hlc=2 << 40), through=1)
    bench.run("UPDATE notes SET title = 'edit'")
    assert [(each.kind, each.life) for each in bench.cut()] == [("update", other)]


def test_cut_stamps_let_the_clock_come_back(bench: ReplicaBench) -> None:
    """A device two months ahead inserts, edits twice, syncs: both edits apply, and its clock returns."""
    now = 1_700_000_000_000
    bench.run(f"UPDATE _sync_clock SET fixed_ms = {now + 5_184_000_000}")
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    (first,) = bench.cut()
    bench.run(f"UPDATE _sync_clock SET fixed_ms = {now}", "UPDATE notes SET title = 'one'")
    bench.acknowledge(cut=CutStamps((now + 60_000) << 16, [first.entry]))
    bench.run("UPDATE notes SET body = 'two'")
    sent = bench.cut()
    assert [(each.values, each.life) for each in sent] == [
        ({"title": "one"}, life_of(first)),
        ({"body": "two"}, life_of(first)),
    ]
    last = max(each.hlc for each in sent)
    bench.acknowledge(cut=CutStamps((now + 60_000) << 16, [each.entry for each in sent]))
    bench.run("UPDATE notes SET likes = 4")
    (edit,) = bench.cut()
    assert ((now + 60_000) << 16) + 1 < edit.hlc < last


def test_several_results_are_taken_in_the_order_of_their_batches(bench: ReplicaBench) -> None:
    """As a welcome brings them after lost answers; one that does not fit undoes all (I2)."""
    for place in range(3):
        bench.run(f"INSERT INTO notes VALUES ('{place}', 'a', 'b', 3)")
        bench.cut()
    marks = bench.replica.state().in_flight
    good = [BatchResult(mark.batch, mark.digest) for mark in marks]
    with pytest.raises(SyncStopped):
        bench.replica.acknowledge([*good[:2], BatchResult(3, "0" * 64)])
    assert bench.replica.state().in_flight == marks
    bench.replica.acknowledge(good[::-1])
    state = bench.replica.state()
    assert (state.in_flight, state.acked) == ((), marks[-1])
    with pytest.raises(InvalidMessage):
        bench.replica.acknowledge(good[-1:])


def test_a_result_that_names_what_is_not_here_changes_nothing(bench: ReplicaBench) -> None:
    """Rows that cannot be applied undo the whole acknowledgement, dead letters included."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    (sent,) = bench.cut()
    with pytest.raises(InvalidMessage):
        bench.acknowledge(_no(sent.entry), rows=[Section("other", "exit", [["1"]], partition=OWN)])
    assert len(bench.replica.state().in_flight) == 1
    assert bench.replica.dead_letters() == ()
    assert bench.table() == [("1", "a", "b", 3)]
    bench.acknowledge()
    bench.run("UPDATE notes SET title = 'edit'")
    assert [each.life for each in bench.cut()] == [f"{sent.hlc:016x}{DEVICE}"]


def test_a_refused_edit_of_a_row_that_has_gone(bench: ReplicaBench) -> None:
    """The server has the row no more: it goes here too, and later edits of it become letters as well."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'bad'")
    (sent,) = bench.cut()
    bench.run("UPDATE notes SET body = 'later'")
    bench.acknowledge(_no(sent.entry), rows=[leave("1")])
    assert bench.table() == []
    assert bench.cut() == []
    assert [each.values for each in bench.replica.dead_letters()] == [
        {"title": "bad"},
        {"body": "later"},
    ]


def test_an_edit_of_a_row_that_was_inserted_once_more_is_not_taken_along(
    bench: ReplicaBench,
) -> None:
    """The first insert is refused, the second is in flight: what was written after it belongs to it (I1, I2)."""
    bench.run("INSERT INTO notes VALUES ('1', 'bad', 'b', 3)")
    (first,) = bench.cut()
    bench.run("DELETE FROM notes", "INSERT INTO notes VALUES ('1', 'good', 'b', 3)")
    (second,) = bench.cut()
    bench.run("UPDATE notes SET title = 'edited'")
    refused = Refused(first.entry, "constraint", "the server says so")
    done = bench.acknowledge(refused, rows=[leave("1")])
    assert [letter.values.get("title") for letter in done.refused] == ["bad"]
    bench.acknowledge()
    (edit,) = bench.cut()
    assert (edit.kind, edit.values, edit.life) == ("update", {"title": "edited"}, life_of(second))
    assert bench.table() == [("1", "edited", "b", 3)]
