"""After an interrupted capture every row is compared: edits made here are sent, and no remote edit is undone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from syncauth.interfaces import Acknowledged
from syncauth.models import TableSpec
from syncauth.sansio.messages import Changes, Checkpoint, Section, encode_sections
from tests.support.replica_bench import DEVICE, NOTES, OTHER, OWN, ReplicaBench, remote

LIFE = f"{7:016x}{OTHER}"
OLD = 1 << 30


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ReplicaBench]:
    """A replica that has received rows 1 and 2 with version 5, and counts likes."""
    bench = ReplicaBench(tmp_path, NOTES, TableSpec("notes", counters=("likes",)))
    page(bench, 5, row("1", "a", "b", 3), row("2", "c", "d", 4))
    yield bench
    bench.close()


def row(
    key: str, *values: Any, hlc: int = OLD, by: str = OTHER, newer: dict[str, str] | None = None
) -> Section:
    stamps = None if newer is None else msgspec.json.encode(newer).decode()
    (section,) = [remote([key, *values], life=LIFE)]
    (head,) = section.rows
    head[2:4] = [f"{hlc:016x}{by}", stamps]
    return section


def page(bench: ReplicaBench, version: int, *sections: Section, last: bool = True) -> Acknowledged:
    raw = msgspec.Raw(encode_sections(list(sections)))
    return bench.replica.apply(Changes({OWN: version}, 0, version, last, raw))


def interrupt(bench: ReplicaBench, *statements: str) -> None:
    """Let statements go by unseen, and connect anew as the engine does."""
    names = bench.app.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    bench.run(*(f"DROP TRIGGER {name}" for (name,) in names), *statements)
    assert bench.replica.state().again
    bench.replica.begin_connection()
    state = bench.replica.state()
    assert (state.again, state.compare, state.checkpoints) == (False, {OWN: 5}, {OWN: 0})


def test_an_edit_that_went_by_is_sent_and_shown(bench: ReplicaBench) -> None:
    """The server's row is no newer than what was here: the difference was made here (I1)."""
    interrupt(bench, "UPDATE notes SET title = 'unseen' WHERE id = '1'")
    done = page(bench, 5, row("1", "a", "b", 3), row("2", "c", "d", 4))
    assert (done.restored, done.refused) == (("notes",), ())
    assert bench.table()[0] == ("1", "unseen", "b", 3)
    assert bench.sent() == [("update", ("1",), {"title": "unseen"}, {})]
    assert bench.replica.state().compare == {}


def test_a_rebuild_without_an_edit_sends_nothing(bench: ReplicaBench) -> None:
    """What differs was changed by others meanwhile, and is not undone by the rebuild."""
    interrupt(bench)
    page(bench, 5, row("2", "c", "d", 4), last=False)
    done = page(bench, 9, row("1", "theirs", "b", 3, newer={"title": f"{OLD + 9:016x}{OTHER}"}))
    assert bench.table() == [("1", "theirs", "b", 3), ("2", "c", "d", 4)]
    assert bench.replica.state().pending == 0
    # Nobody can tell that "a" was no edit: the app is shown it.
    assert [(letter.code, letter.values) for letter in done.refused] == [
        ("capture_interrupted", {"title": "a"})
    ]


def test_of_a_row_that_others_changed_the_columns_written_here_last_are_certain(
    bench: ReplicaBench,
) -> None:
    """Their stamp is of this device, so that nobody wrote them since."""
    interrupt(bench, "UPDATE notes SET title = 'unseen', body = 'too' WHERE id = '1'")
    newer = {"body": f"{OLD + 9:016x}{OTHER}"}
    done = page(bench, 9, row("1", "a", "theirs", 3, by=DEVICE, newer=newer))
    assert bench.table()[0] == ("1", "unseen", "theirs", 3)
    assert [letter.values for letter in done.refused] == [{"body": "too"}]
    assert bench.sent() == [("update", ("1",), {"title": "unseen"}, {})]


def test_what_a_counter_counted_unseen_is_sent_as_a_delta(bench: ReplicaBench) -> None:
    """Deltas that wait anyway are not counted twice."""
    bench.run("UPDATE notes SET likes = likes + 10 WHERE id = '1'")
    interrupt(bench, "UPDATE notes SET likes = likes + 4 WHERE id IN ('1', '2')")
    page(bench, 5, row("1", "a", "b", 3), row("2", "c", "d", 4))
    assert bench.table() == [("1", "a", "b", 17), ("2", "c", "d", 8)]
    counted: dict[Any, int] = {}
    for _, key, values, deltas in bench.sent():
        assert values == {}
        counted[key] = counted.get(key, 0) + deltas["likes"]
    assert counted == {("1",): 14, ("2",): 4}


def test_columns_that_wait_anyway_are_no_new_edits(bench: ReplicaBench) -> None:
    """Neither unsent ones nor those in flight; a row that is new here is not compared at all."""
    bench.run("UPDATE notes SET title = 'sent' WHERE id = '1'")
    assert len(bench.cut()) == 1
    bench.run("UPDATE notes SET body = 'unsent' WHERE id = '1'")
    interrupt(bench, "INSERT INTO notes VALUES ('3', 'new', '', 0)")
    page(bench, 5, row("1", "a", "b", 3), row("2", "c", "d", 4), row("3", "theirs", "", 0))
    bench.acknowledge()
    of_the_first = [each for each in bench.sent() if each[1] == ("1",)]
    assert of_the_first == [("update", ("1",), {"body": "unsent"}, {})]
    assert bench.table()[0] == ("1", "sent", "unsent", 3)


@pytest.mark.parametrize(
    ("here", "there"), [("1", 1.0), ("1", "1"), ("x'61'", "a"), ("NULL", "a"), ("'A'", "a")]
)
def test_values_are_compared_bit_for_bit(bench: ReplicaBench, here: str, there: Any) -> None:
    """By type, too; `body` has a type, so a table without types shows it."""
    bench.run("CREATE TABLE loose (id TEXT NOT NULL PRIMARY KEY, v)")
    bench.replica.close()
    bench.specs = (*bench.specs, TableSpec("loose"))
    bench.replica = bench.open()
    bench.replica.begin_connection()
    first = remote(["1", there], table="loose", columns=["v"], life=LIFE)
    page(bench, 5, first)
    interrupt(bench, f"UPDATE loose SET v = {here}")
    page(bench, 5, first)
    kept = bench.app.execute(f"SELECT v IS {here} AND typeof(v) = typeof({here}) FROM loose")
    assert kept.fetchone() == (1,)
    assert [kind for kind, *_ in bench.sent()] == ["update"]


def test_texts_that_are_no_unicode_are_keys_and_values_like_others(tmp_path: Path) -> None:
    """They are compared and recorded as the bytes they are."""
    bench = ReplicaBench(tmp_path, NOTES)
    bench.run("INSERT INTO notes (id, title) VALUES (CAST(x'ff' AS TEXT), CAST(x'fe' AS TEXT))")
    (sent,) = bench.cut()
    bench.acknowledge()
    names = bench.app.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
    bench.run(*(f"DROP TRIGGER {name}" for (name,) in names), "UPDATE notes SET body = 'unseen'")
    bench.replica.begin_connection()
    life = f"{sent.hlc:016x}{DEVICE}"
    section = Section(
        "notes",
        "row",
        [[{"t": "/w=="}, life, life, None, {"t": "/g=="}, None, None]],
        ["title", "body", "likes"],
        partition=OWN,
    )
    page(bench, 5, section)
    (entry,) = bench.app.execute("SELECT kind, hex(k0), m0 FROM _sync_capture_1").fetchall()
    assert entry == ("update", "FF", 2)
    bench.close()


def test_a_comparison_goes_on_after_a_cut_and_a_restart(bench: ReplicaBench) -> None:
    """Rows compared already have their edits in the outbox; the rest comes with the next connection."""
    interrupt(bench, "UPDATE notes SET title = 'unseen'")
    page(bench, 2, row("1", "a", "b", 3), last=False)
    bench.replica.close()
    bench.replica = bench.open()
    bench.replica.begin_connection()
    state = bench.replica.state()
    assert (state.checkpoints, state.compare) == ({OWN: 2}, {OWN: 5})
    assert bench.cut() == []
    page(bench, 5, row("2", "c", "d", 4), last=False)
    assert bench.replica.reach(Checkpoint({OWN: 5}, 5)).restored == ("notes",)
    assert [key for _, key, _, _ in bench.sent()] == [("1",), ("2",)]


def test_a_second_interruption_begins_the_comparison_anew(bench: ReplicaBench) -> None:
    """What was known before is known still; an edit found already is not found twice."""
    interrupt(bench, "UPDATE notes SET title = 'unseen' WHERE id = '1'")
    page(bench, 2, row("1", "a", "b", 3), last=False)
    interrupt(bench, "UPDATE notes SET title = 'later' WHERE id = '2'")
    page(bench, 5, row("1", "a", "b", 3), row("2", "c", "d", 4))
    assert bench.sent() == [
        ("update", ("1",), {"title": "unseen"}, {}),
        ("update", ("2",), {"title": "later"}, {}),
    ]
