"""The engine's waits and endings: what a verb of the app waits for, and what may no longer happen."""

from __future__ import annotations

from syncauth.models import ConnectionState
from syncauth.sansio import inputs
from syncauth.sansio.effects import CutBatch, OpenSocket, Settle
from tests.support.engine_story import ANN, Story


def test_waiting_for_sync_is_settled_by_the_answer_asked_for() -> None:
    """A checkpoint that was on its way before the question does not count."""
    story = Story().logged_in().replica_opened().socket_opened().welcomed()
    story.happen(inputs.SyncWanted(77, ANN))
    story.checkpoint()
    assert Settle(77) not in story.effects
    story.checkpoint()

    assert Settle(77) in story.effects


def test_a_late_answer_of_the_replica_does_not_start_sync_again() -> None:
    """While a replica closes, an effect that was under way ends; the connection stays stopped."""
    story = Story().live()
    story.happen(inputs.ReplicaWritten(ANN))
    assert story.count(CutBatch) == 2
    story.happen(inputs.ReplicaClosing(7, ANN))
    story.cut(1)
    assert story.connection is ConnectionState.STOPPED
    assert Settle(7) not in story.effects
    story.lose(code=1000)
    assert story.connection is ConnectionState.STOPPED
    assert story.effects[-1] == Settle(7)
    assert story.count(OpenSocket) == 1
