"""When tables or versions no longer are what hello has named, the engine connects anew, once and at once."""

from __future__ import annotations

from dataclasses import replace

from syncauth.events import CaptureRestored
from syncauth.models import ConnectionState
from syncauth.sansio import inputs
from syncauth.sansio.effects import CloseSocket, CutBatch, OpenSocket
from syncauth.sansio.messages import Checkpoint, Hello
from tests.support.engine_story import ANN, Story, replica_state


def again(story: Story) -> None:
    """Let the replica notice, when a batch is to be cut, that a table was altered."""
    story.happen(inputs.ReplicaWritten(ANN))
    state = replace(replica_state(pending=1), again=True)
    story.happen(inputs.BatchCut(story.socket, None, state))


def test_a_table_that_was_altered_is_named_anew() -> None:
    """The old socket closes, and the next one opens without a back-off."""
    story = Story().live()
    old = story.socket
    again(story)
    assert story.last(CloseSocket).ticket == old
    story.lose()
    story.wait(0)
    assert story.count(OpenSocket) == 2
    assert story.connection is ConnectionState.CONNECTING
    compared = replace(replica_state(), compare={"user:ann": 7}, checkpoints={"user:ann": 0})
    story.socket_opened(compared)
    hello = story.sent(Hello)[-1]
    assert (hello.checkpoints, hello.compare) == ({"user:ann": 0}, {"user:ann": 7})


def test_nothing_is_cut_in_a_circle_while_nothing_may_be() -> None:
    """A cut that brings nothing, though changes wait, is not asked for again until something happens."""
    story = Story().live()
    story.happen(inputs.ReplicaWritten(ANN))
    before = story.count(CutBatch)
    story.happen(inputs.BatchCut(story.socket, None, replica_state(pending=3)))
    assert story.count(CutBatch) == before


def test_the_app_is_told_of_a_comparison_and_what_it_found_is_sent() -> None:
    """The event names the tables; the cut follows by itself (I6)."""
    story = Story().live()
    story.happen(inputs.ReplicaWritten(ANN))
    story.happen(inputs.BatchCut(story.socket, None, replica_state(pending=3)))
    cuts = story.count(CutBatch)
    point = Checkpoint({"user:ann": 9}, 2)
    story.receive(point)
    done = inputs.ChangesApplied(story.socket, point, replica_state(pending=3), (), ("notes",))
    story.happen(done)
    assert story.last(CaptureRestored).tables == ("notes",)
    assert story.count(CutBatch) == cuts + 1
