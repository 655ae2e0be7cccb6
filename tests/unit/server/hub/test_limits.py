"""The hub's limits: how many sockets, and what a device is told that asks for too much."""

from __future__ import annotations

import pytest

from syncauth.sansio.messages import Error
from syncauth.server.hub import inputs
from syncauth.server.hub.hub import Hub
from syncauth.server.hub.turn import PAUSE_MS
from tests.support.hub_story import BOB, LIMITS, NOTES, HubStory, push, sent_in


@pytest.fixture
def story() -> HubStory:
    """A hub without sockets."""
    return HubStory()


def test_no_user_has_more_sockets_than_the_limit(story: HubStory) -> None:
    """One who has them all is refused one more until one has ended; others are not concerned."""
    story.hub = Hub(LIMITS, [NOTES], sockets=5, sockets_per_user=2)
    first, _ = story.opened(), story.opened()

    assert not story.hub.has_room("ann")
    assert story.hub.has_room(BOB)
    story.happen(inputs.SocketClosed(first))
    assert story.hub.has_room("ann")


def test_no_process_has_more_sockets_than_the_limit(story: HubStory) -> None:
    """When all places are taken nobody gets one more."""
    story.hub = Hub(LIMITS, [NOTES], sockets=2, sockets_per_user=2)
    story.opened()
    assert story.hub.has_room(BOB)

    story.opened(BOB)

    assert not story.hub.has_room("ann")
    assert not story.hub.has_room("eve")


def test_too_much_is_told_with_when_to_come_back(story: HubStory) -> None:
    """A device beyond its window is told how long to wait, in ms."""
    socket = story.welcomed()
    for batch in range(1, LIMITS.window + 1):
        story.say(socket, push(batch))

    effects = story.say(socket, push(LIMITS.window + 1))

    (error,) = [each for each in sent_in(effects, socket) if isinstance(each, Error)]
    assert (error.code, error.retry_after) == ("too_many_requests", PAUSE_MS)
