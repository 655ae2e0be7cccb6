"""The welcome tells the store's history to a device that knows of histories, and to no other."""

from __future__ import annotations

import pytest
from msgspec import structs

from syncauth.sansio.messages import Welcome
from syncauth.server.hub import inputs
from syncauth.server.stores.rows_interface import Greeting, Problem
from tests.support.hub_story import DEVICE, HubStory, codes_in, hello, sent_in

HISTORY = "6b0d2f4e9a17c358"


@pytest.mark.parametrize(("named", "told"), [(None, ""), ("", HISTORY), ("other", HISTORY)])
def test_welcome_tells_it_to_who_asks(named: str | None, told: str) -> None:
    """An older device refuses a field that it does not know, so that it is told none."""
    story = HubStory()
    socket = story.opened()
    story.say(socket, structs.replace(hello(), history=named))

    effects = story.happen(inputs.Greeted(socket, Greeting(DEVICE, {}, 0, (), HISTORY)))

    (welcome,) = sent_in(effects, socket)
    assert isinstance(welcome, Welcome)
    assert welcome.history == told


def test_a_file_that_is_ahead_is_refused() -> None:
    """The socket ends with the code of the catalogue that asks for a reset."""
    story = HubStory()
    socket = story.opened()
    story.say(socket, hello())

    problem = Problem("server_restored", "restored")
    effects = story.happen(inputs.Greeted(socket, problem))

    assert "server_restored" in codes_in(effects, socket)
