"""What the engine makes of an error of the replica: who must act, and whether sync goes on by itself."""

from __future__ import annotations

import pytest

from syncauth.errors import InvalidMessage, StorageError, SyncAuthError, SyncStopped
from syncauth.events import SyncErrorRaised
from syncauth.models import ConnectionState, PauseReason
from syncauth.sansio import inputs
from tests.support.engine_story import ANN, Story

STOPPED = SyncStopped(code="schema_mismatch", why="a CHECK that the server has not", remedy="")
UNREADABLE = InvalidMessage("a page cannot be applied", why="", remedy="")


def fail(error: SyncAuthError) -> Story:
    """Let an effect on the replica fail on a live link."""
    story = Story().live()
    story.happen(inputs.ReplicaWritten(ANN))
    story.happen(inputs.ReplicaFailed(story.socket, error))
    return story


@pytest.mark.parametrize(
    ("error", "code"), [(STOPPED, "schema_mismatch"), (UNREADABLE, "bad_message")]
)
def test_what_does_not_end_by_itself_stops_sync(error: SyncAuthError, code: str) -> None:
    """The app is told the very code, and nothing is tried again in a circle (I10)."""
    story = fail(error)
    told = story.last(SyncErrorRaised)
    assert (told.code, told.stopped) == (code, True)
    story.lose()
    assert story.connection is ConnectionState.PAUSED


def test_another_history_under_the_same_numbers_pauses_for_a_reset() -> None:
    """A result of what this file never sent acknowledges nothing: sync pauses, all is kept (I1)."""
    story = fail(SyncStopped(code="digest_mismatch", why="a copied file", remedy=""))
    told = story.last(SyncErrorRaised)
    assert (told.code, told.stopped) == ("digest_mismatch", True)
    assert story.engine.status(ANN).paused == {PauseReason.CLIENT_RESET}


def test_a_disk_that_fails_is_tried_again() -> None:
    """Sync goes on by itself when the disk has room again."""
    story = fail(StorageError("the disk is full"))
    told = story.last(SyncErrorRaised)
    assert (told.code, told.stopped) == ("storage_failed", False)
    story.lose()
    assert story.connection is ConnectionState.BACKING_OFF
