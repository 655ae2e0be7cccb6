"""A replica keeps which history of the server it follows."""

from __future__ import annotations

from syncauth.replica_port import prepare
from syncauth.sansio.effects import PrepareReplica, Ticket
from tests.support.replica_bench import ReplicaBench


def test_a_new_file_follows_none(bench: ReplicaBench) -> None:
    """Nobody has told it of one."""
    assert bench.replica.state().history == ""


def test_the_history_told_is_kept(bench: ReplicaBench) -> None:
    """With the welcome; a server that tells none leaves it as it is."""
    device = bench.replica.state().device
    ticket = Ticket("ann", 1, 1)

    state = prepare(bench.replica, PrepareReplica(ticket, device, 0, "6b0d2f4e9a17c358"))
    assert state.history == "6b0d2f4e9a17c358"

    state = prepare(bench.replica, PrepareReplica(ticket, device, 0))
    assert state.history == "6b0d2f4e9a17c358"
