"""A change that no frame can carry: it becomes a dead letter and blocks nothing behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncauth.models import TableSpec
from tests.support.replica_bench import NOTES, ReplicaBench, remote

TAGS = "CREATE TABLE tags (id TEXT NOT NULL PRIMARY KEY, note TEXT REFERENCES notes (id));"
HUGE = bytes(1_000_000)
SIZE = 100_000


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ReplicaBench]:
    bench = ReplicaBench(tmp_path, NOTES + ";" + TAGS, TableSpec("notes"), TableSpec("tags"))
    yield bench
    bench.close()


def write(bench: ReplicaBench, sql: str, *given: object) -> None:
    bench.app.execute(sql, given)


def test_an_insert_that_no_frame_carries_blocks_nothing(bench: ReplicaBench) -> None:
    """It goes to the dead letters with its values, and with it what refers to it; the rest is sent (I1)."""
    write(bench, "INSERT INTO notes VALUES ('huge', 't', ?, 1)", HUGE)
    bench.run("INSERT INTO tags VALUES ('of huge', 'huge')")
    bench.run("INSERT INTO notes VALUES ('small', 't', 'b', 1)")
    cut = bench.replica.cut(rows=10, size=SIZE)
    assert cut.batch is not None
    assert [each.key for each in bench.read(cut.batch.sections)] == [("small",)]
    assert [(letter.key, letter.code) for letter in cut.refused] == [
        (("huge",), "value_not_supported"),
        (("of huge",), "foreign_key"),
    ]
    assert cut.refused[0].values["body"] == HUGE
    assert [row[0] for row in bench.table()] == ["small"]
    assert (cut.state.dead_letters, cut.state.pending) == (2, 0)


def test_an_edit_that_no_frame_carries_is_put_back_by_a_download(bench: ReplicaBench) -> None:
    """Only the server knows what stood there; other changes wait until it has come, then go (I1, I6)."""
    bench.apply(remote(("1", "a", "theirs", 3)))
    write(bench, "UPDATE notes SET body = ?", HUGE)
    bench.run("INSERT INTO notes VALUES ('small', 't', 'b', 1)")
    cut = bench.replica.cut(rows=10, size=SIZE)
    assert cut.batch is None
    assert [(letter.kind, letter.values) for letter in cut.refused] == [("update", {"body": HUGE})]
    assert cut.state.again
    bench.replica.begin_connection()
    bench.apply(remote(("1", "a", "theirs", 3)))
    assert [each.key for each in bench.cut(size=SIZE)] == [("small",)]
    assert bench.table()[0] == ("1", "a", "theirs", 3)


def test_a_change_larger_than_a_batch_is_sent_alone(bench: ReplicaBench) -> None:
    """As long as a frame carries it."""
    write(bench, "INSERT INTO notes VALUES ('large', 't', ?, 1)", bytes(3 * SIZE))
    bench.run("INSERT INTO notes VALUES ('small', 't', 'b', 1)")
    assert [each.key for each in bench.cut(size=SIZE)] == [("large",)]
    assert [each.key for each in bench.cut(size=SIZE)] == [("small",)]
