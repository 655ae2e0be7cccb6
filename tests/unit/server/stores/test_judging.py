"""How batches are judged: the fast way and the exact way say the same, in whatever order changes come."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from syncauth.server.config import Rules, ServedTable
from tests.support.row_store import HLC, StoreBench, life

TASKS = (
    "CREATE TABLE tasks (team TEXT NOT NULL, id TEXT NOT NULL, title TEXT, PRIMARY KEY (team, id));"
)
BOTH = Rules(read="SELECT 'p' UNION SELECT 'q'", write="SELECT 'p' UNION SELECT 'q'")


def tasks(path: Path) -> StoreBench:
    """Make a store with a table whose partition is a column, and two devices that may write p and q."""
    bench = StoreBench(
        path, TASKS, [ServedTable("tasks", partition_column="team", partition="column")], BOTH
    )
    bench.welcome("A")
    bench.welcome("B")
    return bench


@pytest.mark.parametrize("order", list(itertools.permutations(("edit", "move", "back"))))
def test_an_edit_and_moves_of_a_row_end_alike_in_every_order(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    """An edit of all columns but the partition is no write of the partition (I9)."""
    bench = tasks(tmp_path / "server.db")
    columns = ["team", "title"]
    bench.judged("A", bench.insert(["1", "p", "old"], columns=columns, table="tasks"))
    writes = {
        "edit": ({"title": "new"}, HLC + 30),
        "move": ({"team": "q"}, HLC + 20),
        "back": ({"team": "p"}, HLC + 10),
    }
    for name in order:
        values, hlc = writes[name]
        ((place, *_),) = bench.rows("tasks")
        update = bench.update("1", values, life=life("A"), hlc=hlc, partition=place, table="tasks")
        bench.judged("B", update)
    assert bench.rows("tasks") == [("q", "1", "new")]
    bench.connection.close()


@pytest.mark.parametrize("order", [("A", "B"), ("B", "A")])
def test_a_joined_row_was_put_into_its_partition_by_the_later_insert(
    tmp_path: Path, order: tuple[str, ...]
) -> None:
    """A move older than the later of two inserts loses, in whichever order these came (I9)."""
    bench = tasks(tmp_path / "server.db")
    stamps = {"A": HLC + 10, "B": HLC + 30}
    for name in order:
        section = bench.insert(
            ["1", "p", name], columns=["team", "title"], hlc=stamps[name], table="tasks"
        )
        bench.judged(name, section)
    begun = life("A", stamps["A"])
    for hlc, lost in ((HLC + 20, [["team"]]), (HLC + 40, [])):
        move = bench.update("1", {"team": "q"}, life=begun, hlc=hlc, partition="p", table="tasks")
        answer = bench.judged("A", move).result
        assert [each.columns for each in answer.superseded] == lost
    assert bench.rows("tasks") == [("q", "1", "B")]
    bench.connection.close()


def test_a_whole_row_by_user_keeps_one_stamp(tmp_path: Path) -> None:
    """Where the partition is no column, an update of all columns leaves no stamp of a single one."""
    bench = StoreBench(tmp_path / "server.db")
    bench.welcome("A")
    bench.judged("A", bench.insert(["1", "one", None, 0]))
    for place, values in enumerate(({"title": "x"}, {"title": "y", "body": "b", "likes": 3}), 1):
        bench.judged("A", bench.update("1", values, life=life("A"), hlc=HLC + place))
    found = bench.connection.execute("SELECT stamp, stamps, newest FROM _sync_rows_1").fetchall()
    assert found == [(life("A", HLC + 2), None, None)]
    bench.connection.close()
