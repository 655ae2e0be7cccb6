"""Another device id: what was in flight under the old one was applied by nobody, and is unsent again."""

from __future__ import annotations

from tests.support.replica_bench import ReplicaBench, life_of

NEW = "c" * 16
INSERT = "INSERT INTO notes VALUES ('1', 'a', 'b', 3)"


def test_an_insert_that_is_deleted_afterwards_is_never_sent(bench: ReplicaBench) -> None:
    """The life that it was to begin has not begun: there is nothing to delete."""
    bench.run(INSERT)
    bench.cut()
    bench.replica.adopt_device(NEW)
    bench.run("DELETE FROM notes")
    assert bench.cut() == []


def test_an_insert_and_its_deletion_in_flight_leave_nothing(bench: ReplicaBench) -> None:
    """They cancel each other out; of a row that the server knows the deletion stays."""
    bench.run(INSERT)
    (first,) = bench.cut()
    bench.acknowledge()
    bench.run("DELETE FROM notes", INSERT)
    bench.cut()
    bench.run("DELETE FROM notes")
    bench.cut()
    bench.replica.adopt_device(NEW)
    assert [(each.kind, each.life) for each in bench.cut()] == [("delete", life_of(first))]


def test_an_edit_names_the_life_that_the_server_knows(bench: ReplicaBench) -> None:
    """It was begun under the old id, which does not matter to a life."""
    bench.run(INSERT)
    (first,) = bench.cut()
    bench.acknowledge()
    bench.run("UPDATE notes SET title = 'one'")
    bench.cut()
    bench.replica.adopt_device(NEW)
    bench.run("UPDATE notes SET title = 'two', body = 'two'")
    assert [(each.life, each.values) for each in bench.cut()] == [
        (life_of(first), {"title": "two", "body": "two"})
    ]


def test_the_same_id_changes_nothing(bench: ReplicaBench) -> None:
    """The answer of every welcome that keeps the id."""
    bench.run(INSERT)
    bench.cut()
    before = bench.replica.state()
    assert bench.replica.adopt_device(before.device) == before
