"""Changes of one batch that need each other get through together, in whatever order they came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from syncauth.sansio.messages import Section
from tests.support.row_store import HLC, StoreBench, life

PLACES = """
CREATE TABLE notes (_partition TEXT NOT NULL, id TEXT NOT NULL, title TEXT, body TEXT, likes INTEGER,
    PRIMARY KEY (_partition, id), UNIQUE (_partition, title));
CREATE TABLE log (id TEXT, title TEXT);
CREATE TRIGGER logged AFTER UPDATE ON notes BEGIN INSERT INTO log VALUES (NEW.id, NEW.title); END;
"""
REFERRED = PLACES.replace(
    "PRIMARY KEY",
    "FOREIGN KEY (_partition, body) REFERENCES notes (_partition, title), PRIMARY KEY",
)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[StoreBench]:
    """Rows 1 to 4 with the unique titles a to d."""
    bench = _filled(tmp_path, PLACES)
    yield bench
    bench.connection.close()


def _filled(directory: Path, schema: str) -> StoreBench:
    bench = StoreBench(directory / "server.db", schema)
    bench.welcome("A")
    rows = [[str(number), title, None, number] for number, title in enumerate("abcd", 1)]
    bench.judged("A", bench.insert(*rows))
    return bench


def _titles(bench: StoreBench, *given: tuple[str, str]) -> Sequence[Section]:
    return [
        bench.update(key, {"title": title}, life=life("A"), hlc=HLC + 1) for key, title in given
    ]


def _table(bench: StoreBench) -> dict[str, str]:
    return {row[1]: row[2] for row in bench.rows()}


@pytest.mark.parametrize(
    "given",
    [
        (("1", "b"), ("2", "a")),
        (("1", "b"), ("2", "c"), ("3", "a")),
        (("1", "b"), ("2", "a"), ("3", "d"), ("4", "c")),
    ],
)
def test_rows_exchange_unique_values(bench: StoreBench, given: Sequence[tuple[str, str]]) -> None:
    """A swap or a ring that the device committed is no conflict; other columns stay (I1)."""
    answer = bench.judged("A", *_titles(bench, *given)).result
    assert (answer.refused, answer.superseded) == ([], [])
    assert _table(bench) == {"1": "a", "2": "b", "3": "c", "4": "d", **dict(given)}
    assert [row[4] for row in bench.rows()] == [1, 2, 3, 4]


@pytest.mark.parametrize("step", [1, -1])
def test_rows_that_move_up_or_down_by_one_need_no_exchange(bench: StoreBench, step: int) -> None:
    """One row frees the value for the next, whichever of them comes first; each is updated once."""
    titles = dict(zip("1234", "bcde" if step > 0 else "Zabc", strict=True))
    answer = bench.judged("A", *_titles(bench, *titles.items())).result
    assert answer.refused == []
    assert _table(bench) == titles
    assert len(bench.connection.execute("SELECT * FROM log").fetchall()) == len(titles)


def test_who_has_no_part_in_the_exchange_is_refused_alone(bench: StoreBench) -> None:
    """Two rows swap; a third wants a value that stays taken, and keeps its own (I1)."""
    given = (("1", "b"), ("2", "a"), ("3", "d"))
    answer = bench.judged("A", *_titles(bench, *given)).result
    assert [each.code for each in answer.refused] == ["unique_conflict"]
    assert _table(bench) == {"1": "b", "2": "a", "3": "c", "4": "d"}


def test_a_value_that_a_refused_row_keeps_is_not_given_away(bench: StoreBench) -> None:
    """Who wants the value of a row that cannot change is refused with it; the swap beside them holds."""
    given = (("1", "b"), ("2", "a"), ("3", "d"))
    newcomer = bench.insert(["5", "c", None, 5])
    answer = bench.judged("A", *_titles(bench, *given), newcomer).result
    assert [each.code for each in answer.refused] == ["unique_conflict"] * 2
    assert {each.entry for each in answer.refused} == {newcomer.rows[0][1], bench.entry}
    assert _table(bench) == {"1": "b", "2": "a", "3": "c", "4": "d"}


def test_two_changes_of_a_row_that_exchanges_count_both(bench: StoreBench) -> None:
    """A row that was taken out is inserted once, and its second change is applied to that."""
    given = _titles(bench, ("1", "b"), ("2", "a"))
    added = bench.update("1", {}, life=life("A"), hlc=HLC + 1, deltas={"likes": 5})
    answer = bench.judged("A", *given, added).result
    assert answer.refused == []
    assert bench.rows()[0][1:] == ("1", "b", None, 6)


def test_a_swap_of_values_that_others_refer_to_is_checked(tmp_path: Path) -> None:
    """A row that refers to a title holds on to it, whichever row has it; one that lost it is refused (I1)."""
    bench = _filled(tmp_path, REFERRED)
    bench.judged("A", bench.insert(["9", "child", "a", 0]))
    answer = bench.judged("A", *_titles(bench, ("1", "b"), ("2", "a"))).result
    assert answer.refused == []
    assert _table(bench) == {"1": "b", "2": "a", "3": "c", "4": "d", "9": "child"}
    answer = bench.judged("A", *_titles(bench, ("2", "x"))).result
    assert [each.code for each in answer.refused] == ["foreign_key"]
    bench.connection.close()
