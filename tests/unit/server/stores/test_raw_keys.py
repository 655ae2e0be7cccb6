"""Keys that are texts but no valid UTF-8, and keys that are blobs: rows are found, judged and shown by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from syncauth.rows.values import RawText, read_all
from syncauth.sansio.messages import Section
from syncauth.server.settings.config import ServedTable
from tests.support.row_store import HLC, StoreBench, life

RAW = {"t": "//8="}
BLOB = {"b": "//8="}
FAMILY = """
CREATE TABLE notes (_partition TEXT NOT NULL, id NOT NULL, title TEXT CHECK (title <> 'bad'),
    body TEXT, likes INTEGER, PRIMARY KEY (_partition, id));
CREATE TABLE kids (_partition TEXT NOT NULL, id TEXT NOT NULL, parent,
    PRIMARY KEY (_partition, id), FOREIGN KEY (_partition, parent) REFERENCES notes (_partition, id));
"""


class RawBench(StoreBench):
    """A store with notes that kids refer to; sections are made with keys as on the wire."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, FAMILY, [ServedTable("notes"), ServedTable("kids")])
        self.welcome("A")

    def change(self, kind: Any, key: Any, hlc: int = HLC + 1, **values: Any) -> Section:
        """Make a section of one update or deletion of a note."""
        row = [key, self.next_entry(), hlc, life("A"), *values.values()]
        return Section("notes", kind, [row], [*values])

    def all(self, sql: str) -> list[Any]:
        return read_all(self.connection, sql)


@pytest.fixture
def bench(tmp_path: Path) -> Any:
    bench = RawBench(tmp_path / "server.db")
    bench.judged("A", bench.insert([RAW, "t", "b", 1], [BLOB, "t", "b", 1], ["x", "t", "b", 1]))
    yield bench
    bench.connection.close()


def test_rows_that_others_may_refer_to_are_judged_whatever_their_keys(bench: RawBench) -> None:
    """The server answers a change of such a row: it would get the same batch for ever otherwise."""
    for key in (RAW, BLOB, "x"):
        answer = bench.judged("A", bench.change("update", key, title="new")).result
        assert (answer.refused, answer.superseded) == ([], [])
    assert bench.all("SELECT title FROM notes") == [("new",)] * 3


def test_the_row_of_a_refused_change_is_shown_as_it_stands(bench: RawBench) -> None:
    """The device that is told `exit` for a row that is there would lose it (I1)."""
    sections = [bench.change("update", key, title="bad") for key in (RAW, BLOB, "x", {"t": "/w=="})]
    answer = bench.judged("A", *sections).result
    assert [each.code for each in answer.refused] == ["constraint"] * 3
    assert len(answer.superseded) == 1
    (shown,) = answer.rows
    assert shown.kind == "row"
    assert [[row[0], *row[4:]] for row in shown.rows] == [
        [key, "t", "b", 1] for key in (RAW, BLOB, "x")
    ]
    answer = bench.judged("A", bench.insert([{"t": "/w=="}, "bad", "b", 1])).result
    assert [(each.kind, each.rows) for each in answer.rows] == [("exit", [[{"t": "/w=="}]])]


@pytest.mark.parametrize("key", [RAW, BLOB, "x"])
def test_references_by_such_keys_are_kept(bench: RawBench, key: Any) -> None:
    """A child needs its parent, and a parent does not leave its child behind, whatever its key."""
    kids = {"table": "kids", "columns": ["parent"]}
    answer = bench.judged("A", bench.insert(["1", key], ["2", {"t": "/w=="}], **kids)).result
    assert [each.code for each in answer.refused] == ["foreign_key"]
    answer = bench.judged("A", bench.change("delete", key)).result
    assert [each.code for each in answer.refused] == ["foreign_key"]
    (shown,) = answer.rows
    assert (shown.kind, shown.rows[0][0]) == ("row", key)
    both = bench.delete("1", life=life("A"), hlc=HLC + 2, table="kids")
    answer = bench.judged("A", bench.change("delete", key, HLC + 2), both).result
    assert answer.refused == []
    assert bench.all("SELECT count(*) FROM notes") == [(2,)]


def test_a_broken_reference_of_a_row_with_such_a_key_is_found(tmp_path: Path) -> None:
    """A child is found by its own key, too, be it no valid UTF-8."""
    schema = (
        "CREATE TABLE notes (_partition TEXT NOT NULL, id TEXT NOT NULL, up TEXT, PRIMARY KEY"
        " (_partition, id), FOREIGN KEY (_partition, up) REFERENCES notes (_partition, id))"
    )
    bench = StoreBench(tmp_path / "server.db", schema, [ServedTable("notes")])
    bench.welcome("A")
    rows = [[RAW, "nowhere"], ["y", RAW], ["z", None]]
    answer = bench.judged("A", bench.insert(*rows, columns=["up"])).result
    assert [(each.entry, each.code) for each in answer.refused] == [
        (1, "foreign_key"),
        (2, "foreign_key"),
    ]
    assert read_all(bench.connection, "SELECT id FROM notes") == [("z",)]
    rows = [["y", RAW], [RAW, None]]
    assert bench.judged("A", bench.insert(*rows, columns=["up"])).result.refused == []
    found = read_all(bench.connection, "SELECT id, up FROM notes WHERE id <> 'z'")
    assert sorted(found, key=repr) == [("y", RawText(b"\xff\xff")), (RawText(b"\xff\xff"), None)]
    bench.connection.close()
