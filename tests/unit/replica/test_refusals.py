"""Changes that the server refused: kept as dead letters, put back where nothing newer was written."""

from __future__ import annotations

from syncauth.sansio.messages import Refused, Section
from tests.support.replica_bench import OWN, ReplicaBench, life_of, remote


def _refused(entry: int, code: str = "constraint") -> Refused:
    return Refused(entry, code, "the server says so")


def test_a_refused_edit_is_put_back(bench: ReplicaBench) -> None:
    """The row is the server's again; the values sent are in the dead letters, with code and reason."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'bad', likes = 4")
    entries = [each.entry for each in bench.cut()]
    done = bench.acknowledge(*map(_refused, entries), rows=[remote(["1", "a", "b", 3])])
    assert bench.table() == [("1", "a", "b", 3)]
    assert bench.cut() == []
    kept = {name: value for letter in done.refused for name, value in letter.values.items()}
    assert kept == {"title": "bad", "likes": 4}
    assert {(each.code, each.reason) for each in done.refused} == {
        ("constraint", "the server says so")
    }
    assert tuple(bench.replica.dead_letters()) == done.refused


def test_a_newer_local_edit_stays(bench: ReplicaBench) -> None:
    """Only columns without a newer local entry are put back."""
    bench.apply(remote(["1", "a", "b", 3]))
    bench.run("UPDATE notes SET title = 'bad'", "UPDATE notes SET body = 'bad'")
    entries = [each.entry for each in bench.cut()]
    bench.run("UPDATE notes SET title = 'newer'")
    bench.acknowledge(*map(_refused, entries), rows=[remote(["1", "a", "b", 3])])
    assert bench.table() == [("1", "newer", "b", 3)]
    assert bench.sent() == [("update", ("1",), {"title": "newer"}, {})]


def test_a_refused_insert_takes_later_edits_of_its_row_along(bench: ReplicaBench) -> None:
    """There is no row to edit: all of it goes to the dead letters, and nothing of it is sent."""
    bench.run(
        "INSERT INTO notes VALUES ('1', 'a', 'b', 3)", "INSERT INTO notes VALUES ('2', '', '', 0)"
    )
    first, _ = bench.cut()
    bench.run("UPDATE notes SET title = 'later' WHERE id = '1'")
    gone = Section("notes", "exit", [["1"]], partition=OWN)
    done = bench.acknowledge(_refused(first.entry), rows=[gone])
    assert bench.table() == [("2", "", "", 0)]
    assert bench.cut() == []
    assert [each.values.get("title") for each in done.refused] == ["a", "later"]


def test_a_refused_deletion_brings_the_row_back(bench: ReplicaBench) -> None:
    """The server's row is put back under its life, and can be edited again."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    (first,) = bench.cut()
    bench.acknowledge()
    bench.run("DELETE FROM notes")
    (deleted,) = bench.cut()
    row = remote(["1", "a", "b", 3], life=life_of(first))
    bench.acknowledge(_refused(deleted.entry, "foreign_key"), rows=[row])
    assert bench.table() == [("1", "a", "b", 3)]
    bench.run("UPDATE notes SET title = 'again'")
    (edit,) = bench.cut()
    assert (edit.kind, edit.life) == ("update", life_of(first))


def test_dead_letters_outlive_the_process(bench: ReplicaBench) -> None:
    """They are in the file, the oldest first."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', x'00ff', 3)")
    (sent,) = bench.cut()
    bench.acknowledge(_refused(sent.entry), rows=[Section("notes", "exit", [["1"]], partition=OWN)])
    bench.replica.close()
    bench.replica = bench.open()
    (letter,) = bench.replica.dead_letters()
    assert (letter.key, letter.values["body"]) == (("1",), b"\x00\xff")
    assert bench.replica.state().dead_letters == 1
