"""Batches: what one cut takes, what a resend sends, and what an acknowledgement removes."""

from __future__ import annotations

import pytest

from syncauth.errors import InvalidMessage, SyncStopped
from syncauth.sansio.messages import BatchResult
from tests.support.replica_bench import ReplicaBench


def _insert(bench: ReplicaBench, count: int, text: str = "a") -> None:
    bench.run("BEGIN")
    for place in range(count):
        bench.app.execute("INSERT INTO notes VALUES (?, ?, NULL, 0)", (f"{place:04}", text))
    bench.run("COMMIT")


def test_a_cut_takes_the_oldest_changes_up_to_the_limit(bench: ReplicaBench) -> None:
    """Above the limit the cut goes by entry number."""
    _insert(bench, 25)
    sizes = [len(bench.cut(rows=10)) for _ in range(4)]
    assert sizes == [10, 10, 5, 0]
    assert [mark.batch for mark in bench.replica.state().in_flight] == [1, 2, 3]


def test_a_cut_keeps_to_the_bytes(bench: ReplicaBench) -> None:
    """No batch is larger than the limit, unless a single change is."""
    _insert(bench, 20, "x" * 1000)
    batches = []
    while (batch := bench.replica.cut(rows=1000, size=5000).batch) is not None:
        batches.append(batch)
    assert sum(batch.changes for batch in batches) == 20
    assert all(len(batch.sections) <= 5000 for batch in batches)
    bench.app.execute("UPDATE notes SET title = ? WHERE id = '0007'", ("y" * 20_000,))
    large = bench.replica.cut(rows=1000, size=5000).batch
    assert large is not None
    assert large.changes == 1


def test_a_resend_sends_the_very_bytes(bench: ReplicaBench) -> None:
    """Whatever the rows are by then, also after a restart; later edits are entries of their own."""
    _insert(bench, 3)
    batch = bench.replica.cut(rows=10, size=10_000).batch
    bench.run("UPDATE notes SET title = 'later'", "DELETE FROM notes WHERE id = '0000'")
    assert tuple(bench.replica.batches_in_flight(0)) == (batch,)
    bench.replica.close()
    bench.replica = bench.open()
    assert tuple(bench.replica.batches_in_flight(0)) == (batch,)
    later = bench.cut()
    assert [(each.kind, each.key) for each in later] == [
        ("delete", ("0000",)),
        ("update", ("0001",)),
        ("update", ("0002",)),
    ]


def test_an_acknowledgement_removes_the_batch_it_names_and_nothing_else(
    bench: ReplicaBench,
) -> None:
    """An edit made while its row was in flight is still there to be sent (I1)."""
    _insert(bench, 1)
    bench.cut()
    bench.run("UPDATE notes SET title = 'meanwhile'")
    bench.acknowledge()
    assert bench.sent() == [("update", ("0000",), {"title": "meanwhile"}, {})]


def test_a_result_with_another_digest_changes_nothing(bench: ReplicaBench) -> None:
    """It answers what a copy of the file sent: sync stops with all kept (I1); a wrong number is no answer."""
    _insert(bench, 1)
    bench.cut()
    (mark,) = bench.replica.state().in_flight
    with pytest.raises(SyncStopped) as stopped:
        bench.replica.acknowledge([BatchResult(mark.batch, "0" * 64)])
    assert stopped.value.code == "digest_mismatch"
    with pytest.raises(InvalidMessage):
        bench.replica.acknowledge([BatchResult(mark.batch + 1, mark.digest)])
    assert bench.replica.state().in_flight == (mark,)
    bench.acknowledge()
    assert bench.replica.state().in_flight == ()


def test_numbers_have_no_gaps_over_restarts(bench: ReplicaBench) -> None:
    """Batch numbers are given at the cut and go on where they were."""
    for expected in range(1, 4):
        bench.run(f"INSERT INTO notes VALUES ('{expected}', '', '', 0)")
        bench.cut()
        assert bench.replica.state().in_flight[-1].batch == expected
        bench.replica.close()
        bench.replica = bench.open()


def test_another_device_id_puts_batches_in_flight_back(bench: ReplicaBench) -> None:
    """Given a new id, what was in flight is sent again under it, with what was written since."""
    bench.run("INSERT INTO notes VALUES ('1', 'a', 'b', 3)")
    bench.cut()
    bench.run("UPDATE notes SET title = 'later'")
    state = bench.replica.adopt_device("c" * 16)
    assert (state.device, state.in_flight, state.pending) == ("c" * 16, (), 1)
    assert bench.sent() == [("insert", ("1",), {"title": "later", "body": "b", "likes": 3}, {})]
