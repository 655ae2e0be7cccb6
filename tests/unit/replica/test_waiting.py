"""Rows that wait for a unique value: they end by being placed, replaced by news, or removed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.replica_bench import OTHER, ReplicaBench, gone, leave, remote

LIFE = f"{1 << 40:016x}{OTHER}"
SECOND = f"{2 << 40:016x}{OTHER}"


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[ReplicaBench]:
    """Hand out a replica where remote row 2 waits for the title that our edit of row 1 holds."""
    (tmp_path / "waiting").mkdir()
    bench = ReplicaBench(
        tmp_path / "waiting", "CREATE TABLE notes (id TEXT NOT NULL PRIMARY KEY, title TEXT UNIQUE)"
    )
    bench.apply(remote(["1", "x"], columns=["title"]))
    bench.run("UPDATE notes SET title = 'taken'")
    bench.apply(remote(["2", "taken"], columns=["title"], hlc=2 << 40))
    assert bench.table() == [("1", "taken")]
    yield bench
    bench.close()


def test_news_of_a_waiting_row_takes_its_place(waiting: ReplicaBench) -> None:
    """The older state is never placed after the newer one."""
    waiting.apply(remote(["2", "free"], columns=["title"], hlc=3 << 40, life=SECOND))
    assert waiting.table() == [("1", "taken"), ("2", "free")]
    waiting.settle()
    assert waiting.table() == [("1", "taken"), ("2", "free")]


@pytest.mark.parametrize("end", [gone("2", SECOND), leave("2")], ids=["gone", "exit"])
def test_a_waiting_row_that_is_removed_never_comes(waiting: ReplicaBench, end: object) -> None:
    """A tombstone or an exit ends its waiting."""
    waiting.apply(end)  # type: ignore[arg-type]
    waiting.run("UPDATE notes SET title = 'other'")
    waiting.settle()
    assert waiting.table() == [("1", "other")]


def test_an_exit_of_another_partition_is_none_of_its_business(waiting: ReplicaBench) -> None:
    """It waits on, and comes in when the value is free and a page brings the next chance."""
    waiting.apply(leave("2", partition="red"))
    waiting.run("UPDATE notes SET title = 'other'")
    waiting.apply()
    assert waiting.table() == [("1", "other"), ("2", "taken")]


def test_a_local_row_with_the_key_of_a_waiting_one_joins_it(waiting: ReplicaBench) -> None:
    """What the app inserts under that key meanwhile is merged with it, not lost (I1)."""
    waiting.run("INSERT INTO notes VALUES ('2', 'ours')")
    waiting.apply()
    assert waiting.table() == [("1", "taken"), ("2", "ours")]
    assert [(each.kind, each.key, each.life) for each in waiting.cut()] == [
        ("update", ("1",), LIFE),
        ("update", ("2",), SECOND),
    ]
