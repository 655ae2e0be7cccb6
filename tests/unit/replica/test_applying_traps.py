"""Traps of applying: unique values, foreign keys, partitions, lives, and an order that may not matter."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncauth.errors import InvalidMessage, SyncStopped
from syncauth.models import TableSpec
from syncauth.sansio.messages import Checkpoint, Refused, Superseded
from tests.support.replica_bench import (
    NOTES,
    OTHER,
    OWN,
    ReplicaBench,
    gone,
    leave,
    life_of,
    remote,
)

Make = Callable[..., ReplicaBench]
LIFE = f"{1 << 40:016x}{OTHER}"
UNIQUE = "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT UNIQUE, body TEXT)"


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[ReplicaBench] = []

    def make(schema: str, *specs: TableSpec, **options: Any) -> ReplicaBench:
        made.append(ReplicaBench(tmp_path, schema, *specs, **options))
        return made[-1]

    yield make
    for bench in made:
        bench.close()


def _clock(bench: ReplicaBench) -> int:
    (hlc,) = bench.app.execute("SELECT hlc FROM _sync_clock").fetchone()
    return int(hlc)


# --- merging -----------------------------------------------------------------------------------------


def test_columns_merge_by_their_own_stamps(bench: ReplicaBench) -> None:
    """Of two unsent edits the one that is older than the remote column gives way, the other stays."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'ours', body = 'ours'")
    later = f"{_clock(bench) + 1:016x}{OTHER}"
    stamps = json.dumps({"title": later})
    bench.apply(remote(["1", "theirs", "theirs", 4], life=LIFE, stamps=stamps))
    assert bench.table() == [("1", "theirs", "ours", 4)]
    assert bench.sent() == [("update", ("1",), {"body": "ours"}, {})]


def test_an_edit_that_lost_everything_is_not_sent(bench: ReplicaBench) -> None:
    """Every column was written later elsewhere: nothing is left of it."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'ours'")
    bench.apply(remote(["1", "theirs", "b", 3], life=LIFE, hlc=_clock(bench) + 1))
    assert bench.table() == [("1", "theirs", "b", 3)]
    assert bench.cut() == []
    assert bench.replica.state().pending == 0


def test_a_stamp_too_far_ahead_wins_nothing_for_us(bench: ReplicaBench) -> None:
    """A clock two months ahead: our edit counts as what the server will make of it (its time + 60 s)."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE _sync_clock SET fixed_ms = 1700000000000 + 5184000000")
    bench.run("UPDATE notes SET title = 'ours'")
    bench.run("UPDATE _sync_clock SET fixed_ms = 1700000000000")
    theirs = (1_700_000_000_000 + 61_000) << 16
    bench.apply(remote(["1", "theirs", "b", 3], life=LIFE, hlc=theirs))
    assert bench.table() == [("1", "theirs", "b", 3)]


def test_a_remote_stamp_too_far_ahead_does_not_set_our_clock(bench: ReplicaBench) -> None:
    """One device with a wrong clock spoils no other one's."""
    bench.run("UPDATE _sync_clock SET fixed_ms = 1700000000000")
    bench.apply(remote(["1", "a", "b", 3], hlc=1 << 62))
    assert _clock(bench) < (1_700_000_000_000 + 60_000) << 16
    near = (1_700_000_000_000 + 30_000) << 16
    bench.apply(remote(["2", "a", "b", 3], hlc=near))
    assert _clock(bench) == near


def test_two_devices_inserted_the_same_key(bench: ReplicaBench) -> None:
    """An unsent insert of a key that the server has becomes an edit of the columns that win."""
    bench.run("INSERT INTO notes VALUES ('1', 'ours', 'ours', 3)")
    later = f"{_clock(bench) + 1:016x}{OTHER}"
    bench.apply(remote(["1", "theirs", "theirs", 9], stamps=json.dumps({"body": later})))
    assert bench.table() == [("1", "ours", "theirs", 3)]
    (sent,) = bench.cut()
    assert (sent.kind, sent.life) == ("update", LIFE)
    assert sent.values == {"title": "ours", "likes": 3}


def test_an_insert_in_flight_becomes_an_alias(bench: ReplicaBench) -> None:
    """Two lives of one key become one: later edits may name either."""
    bench.run("INSERT INTO notes VALUES ('1', 'ours', 'ours', 3)")
    (first,) = bench.cut()
    bench.apply(remote(["1", "theirs", "theirs", 9]))
    assert bench.table() == [("1", "ours", "ours", 3)]
    bench.run("UPDATE notes SET title = 'edit'")
    (edit,) = bench.cut()
    assert edit.life in (LIFE, life_of(first))
    bench.apply(
        remote(["1", "joined", "ours", 3], life=f"{LIFE} {life_of(first)}", hlc=2 << 40), through=1
    )
    assert bench.table() == [("1", "edit", "ours", 3)]


def test_an_edit_of_a_life_that_was_replaced_is_dropped(bench: ReplicaBench) -> None:
    """The row was deleted and made anew elsewhere: our edit meant the old one."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'ours'")
    bench.apply(remote(["1", "new", "new", 0], hlc=2 << 40))
    assert bench.table() == [("1", "new", "new", 0)]
    assert bench.cut() == []


def test_an_edit_in_flight_means_the_life_that_it_was_sent_for(bench: ReplicaBench) -> None:
    """Not the one that took its place meanwhile: the server will supersede it, and tell nobody."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'ours'")
    (sent,) = bench.cut()
    assert sent.life == LIFE
    second = f"{2 << 40:016x}{OTHER}"
    bench.apply(remote(["1", "new", "new", 0], life=second, hlc=2 << 40))
    assert bench.table() == [("1", "new", "new", 0)]
    bench.apply(remote(["1", "newer", "newer", 0], life=second, hlc=3 << 40))
    assert bench.table() == [("1", "newer", "newer", 0)]
    bench.acknowledge(superseded=[Superseded(sent.entry)])
    assert bench.table() == [("1", "newer", "newer", 0)]


def test_a_deletion_here_is_not_undone_by_an_edit_there(bench: ReplicaBench) -> None:
    """Within a life the deletion wins, however much later the edit came."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("DELETE FROM notes")
    bench.apply(remote(["1", "edited", "b", 3], life=LIFE, hlc=_clock(bench) + 5))
    assert bench.table() == []
    assert [(each.kind, each.life) for each in bench.cut()] == [("delete", LIFE)]


# --- unique values -----------------------------------------------------------------------------------


def test_a_ring_of_unique_values_turns_in_one_page(make: Make) -> None:
    """Three rows pass their values on; with a row of ours edited in another column."""
    bench = make(UNIQUE)
    columns = ["title", "body"]
    bench.apply(remote(["1", "x", ""], ["2", "y", ""], ["3", "z", ""], columns=columns))
    bench.run("UPDATE notes SET body = 'ours' WHERE id = '2'")
    bench.apply(remote(["1", "y", ""], ["2", "z", ""], ["3", "x", ""], columns=columns, life=LIFE))
    assert bench.table() == [("1", "y", ""), ("2", "z", "ours"), ("3", "x", "")]
    assert bench.sent() == [("update", ("2",), {"body": "ours"}, {})]


def test_a_value_is_freed_by_a_deletion_in_the_same_page(make: Make) -> None:
    """Removals come first, wherever they stand in the page."""
    bench = make(UNIQUE)
    bench.apply(remote(["1", "x", ""], columns=["title", "body"]))
    bench.apply(remote(["2", "x", ""], columns=["title", "body"]), gone("1", LIFE))
    assert bench.table() == [("2", "x", "")]


def test_an_unsent_edit_that_holds_a_remote_value_lets_the_row_wait(make: Make) -> None:
    """The server will judge the edit: nobody's row is lost meanwhile, and the waiting one comes in."""
    bench = make(UNIQUE)
    columns = ["title", "body"]
    bench.apply(remote(["1", "x", ""], ["2", "y", "old"], columns=columns))
    bench.run("UPDATE notes SET title = 'taken' WHERE id = '1'")
    (edit,) = bench.cut()
    bench.apply(remote(["2", "taken", ""], columns=columns, hlc=2 << 40, life=LIFE))
    assert bench.table() == [("1", "taken", ""), ("2", "y", "old")]
    bench.replica.close()
    bench.replica = bench.open()
    bench.acknowledge(
        Refused(edit.entry, "unique_conflict", "taken"),
        rows=[remote(["1", "x", ""], columns=columns, life=LIFE)],
    )
    assert bench.table() == [("1", "x", ""), ("2", "taken", "")]
    assert bench.cut() == []


def test_rows_that_can_never_be_placed_stop_sync(make: Make) -> None:
    """A unique index that the server has not: said, once everything is there, and not passed over."""
    bench = make(UNIQUE)
    page = remote(["1", "same", ""], ["2", "same", ""], columns=["title", "body"])
    with pytest.raises(SyncStopped) as raised:
        bench.apply(page)
    assert raised.value.code == "schema_mismatch"
    assert bench.table() == []
    assert bench.replica.state().checkpoints == {}


def test_a_row_that_the_table_does_not_take_stops_sync(make: Make) -> None:
    """A CHECK or NOT NULL that the server has not: nothing of the page is applied."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT NOT NULL ON CONFLICT IGNORE,"
        " body TEXT CHECK (body <> 'bad'))"
    )
    for row in (["2", None, "b"], ["2", "a", "bad"]):
        page = remote(["1", "a", "b"], row, columns=["title", "body"])
        with pytest.raises(SyncStopped) as raised:
            bench.apply(page)
        assert raised.value.code == "schema_mismatch"
    assert bench.table() == []


def test_a_local_row_that_gives_way_frees_all_that_it_holds(make: Make) -> None:
    """Two unsent rows hold the two unique values of one remote row: both become dead letters."""
    bench = make(
        "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, a UNIQUE, b COLLATE NOCASE);"
        "CREATE UNIQUE INDEX u ON notes (b) WHERE b IS NOT NULL"
    )
    bench.run("INSERT INTO notes VALUES ('m', 'A', 'x'), ('n', 'y', 'B'), ('o', 'z', NULL)")
    refused = bench.apply(remote(["1", "A", "b"], columns=["a", "b"])).refused
    assert sorted((each.key, each.code) for each in refused) == [
        (("m",), "unique_conflict"),
        (("n",), "unique_conflict"),
    ]
    assert bench.table() == [("1", "A", "b"), ("o", "z", None)]
    assert [each.key for each in bench.cut()] == [("o",)]


# --- partitions and cursors -----------------------------------------------------------------------------


def test_a_row_that_moves_to_another_partition_stays(bench: ReplicaBench) -> None:
    """Exit and row in one page, or the exit a page later: the row is where it is now."""
    bench.apply(remote(["1", "a", "b", 3], partition="red"))
    bench.apply(
        leave("1", partition="red"), remote(["1", "a", "b", 4], partition="blue", life=LIFE)
    )
    assert bench.table() == [("1", "a", "b", 4)]
    bench.apply(leave("1", partition="red"))
    assert bench.table() == [("1", "a", "b", 4)]


def test_an_unsent_edit_moves_with_its_row(bench: ReplicaBench) -> None:
    """Leaving one partition for another is no refusal of what was written here (I1)."""
    bench.apply(remote(["1", "a", "b", 3], partition="red"))
    bench.run("UPDATE notes SET title = 'ours'")
    moved = remote(["1", "a", "b", 4], partition="blue", life=LIFE)
    assert bench.apply(leave("1", partition="red"), moved).refused == ()
    assert bench.table() == [("1", "ours", "b", 4)]
    assert bench.sent() == [("update", ("1",), {"title": "ours"}, {})]


def test_an_edit_of_a_row_that_has_left_is_kept_as_a_dead_letter(bench: ReplicaBench) -> None:
    """The permission is gone, not the words: the app gets them back (I1)."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'ours'")
    refused = bench.apply(leave("1")).refused
    assert [(each.key, each.code, each.values) for each in refused] == [
        (("1",), "permission_denied", {"title": "ours"})
    ]
    assert bench.table() == []
    assert bench.cut() == []


def test_the_same_page_twice_changes_nothing(bench: ReplicaBench) -> None:
    """Applying is idempotent: a page that comes again after a lost connection does no harm."""
    page = (remote(["1", "a", "b", 3], ["2", "c", "d", 4]), gone("3", LIFE), leave("4"))
    bench.apply(*page)
    before = bench.table()
    bench.version -= 1
    bench.apply(*page)
    assert bench.table() == before
    bench.replica.reach(Checkpoint({OWN: 1}, 1))
    assert bench.replica.state().checkpoints == {OWN: 1}


def test_one_cursor_that_goes_back_refuses_all(bench: ReplicaBench) -> None:
    """A checkpoint of several partitions is taken whole or not at all."""
    bench.replica.reach(Checkpoint({OWN: 5, "red": 5}, 1))
    with pytest.raises(InvalidMessage):
        bench.replica.reach(Checkpoint({OWN: 6, "red": 4}, 1))
    assert bench.replica.state().checkpoints == {OWN: 5, "red": 5}


def test_what_the_app_writes_between_two_pages_is_captured(bench: ReplicaBench) -> None:
    """The triggers are silent only inside the transaction that applies, also after one that failed."""
    bench.apply(remote(["1", "a", "b", 3]))
    with pytest.raises(InvalidMessage):
        bench.apply(remote(["2", "a"], columns=["nothing"]))
    bench.run("UPDATE notes SET title = 'ours'")
    assert bench.sent() == [("update", ("1",), {"title": "ours"}, {})]


def test_an_edit_of_a_joined_row_outlives_the_end_of_the_other_life(tmp_path: Path) -> None:
    """The other life was deleted before the own insert was judged: the edit means the own life then (I1)."""
    bench = ReplicaBench(tmp_path, NOTES, TableSpec("notes", counters=("likes",)))
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    (insert,) = bench.cut()
    bench.apply(remote(["1", "x", "y", 3]))
    bench.run("UPDATE notes SET likes = likes + 1")
    bench.apply(gone("1", LIFE))
    assert [row[3] for row in bench.table()] == [4]
    bench.acknowledge()
    (edit,) = bench.cut()
    assert (edit.deltas, edit.life) == ({"likes": 1}, life_of(insert))
    bench.close()
