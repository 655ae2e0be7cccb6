"""Two sockets of one device, as stories: a copy is refused while the older one lives, and only then."""

from __future__ import annotations

import pytest

from syncauth.sansio.messages import Changes, Error, Goodbye, Received, Welcome, decode_sections
from syncauth.server.hub import inputs
from syncauth.server.hub.effects import Greet
from syncauth.server.hub.peer import SIGN_OF_LIFE_SECONDS
from syncauth.server.stores.interface import SessionStatus
from syncauth.server.stores.rows_interface import Greeting
from tests.support.hub_story import DEVICE, HubStory, codes_in, hello, page, push, sent_in

OWN = "user:ann"


@pytest.fixture
def story() -> HubStory:
    """A hub without sockets."""
    return HubStory()


def greeted_again(story: HubStory, socket: int) -> None:
    """Let the store take in a device whose hello was put off."""
    assert story.calls(Greet)[-1].socket == socket
    story.happen(inputs.Greeted(socket, Greeting(DEVICE, {OWN: "write"}, 0, ())))


@pytest.mark.parametrize("pair", [(1, 9), (1, 8), (0, 10)])
def test_copy_of_a_file_is_refused(story: HubStory, pair: tuple[int, int]) -> None:
    """An equal or lower pair while the older socket shows life comes from a copy, which must reset."""
    first = story.live(hello(fencing=1, connection=9))

    copy = story.welcomed(hello(fencing=pair[0], connection=pair[1]))
    assert story.sent(copy) == []
    asked = story.sent(first)[-1]
    effects = story.confirm(first, {})

    assert isinstance(asked, Changes)
    assert (asked.cursors, decode_sections(asked.sections)) == ({}, [])
    assert codes_in(effects, copy) == ["copied_file"]
    assert story.closed(copy) == 4409
    assert story.closed(first) is None
    assert codes_in(story.wait(SIGN_OF_LIFE_SECONDS), first) == []


def test_dead_socket_does_not_lock_its_device_out(story: HubStory) -> None:
    """A restored file has a lower pair than its own socket that nobody has closed: it is taken in."""
    dead = story.live(hello(connection=9))
    restored = story.welcomed(hello(connection=8))

    story.wait(SIGN_OF_LIFE_SECONDS - 0.1)
    assert (story.closed(dead), story.sent(restored)) == (None, [])
    story.wait(0.2)
    goodbye = story.sent(dead)[-1]
    greeted_again(story, restored)

    assert isinstance(goodbye, Goodbye)
    assert goodbye.code == "superseded_connection"
    assert story.closed(dead) == 1000
    assert isinstance(story.sent(restored)[0], Welcome)
    assert story.closed(restored) is None


def test_newcomer_is_taken_in_as_soon_as_the_older_socket_ends(story: HubStory) -> None:
    """There is nothing left to wait for; the store tells what it has judged until then."""
    older = story.live(hello(connection=9))
    newcomer = story.welcomed(hello(connection=9))

    story.happen(inputs.SocketClosed(older))
    greeted_again(story, newcomer)

    assert isinstance(story.sent(newcomer)[0], Welcome)


@pytest.mark.parametrize("said", [push(1), Received({}, 0)], ids=type)
def test_whatever_the_older_socket_says_is_a_sign_of_life(story: HubStory, said: object) -> None:
    """It need not be the answer to the page."""
    older = story.live(hello(connection=9))
    copies = [story.welcomed(hello(connection=number)) for number in (9, 8)]

    effects = story.say(older, said)  # type: ignore[arg-type]

    assert [codes_in(effects, copy) for copy in copies] == [["copied_file"]] * 2


def test_page_on_its_way_is_answer_enough(story: HubStory) -> None:
    """Where the older socket has something to confirm anyway, nothing more is sent."""
    older = story.welcomed(hello(connection=9))
    story.read(older, page({OWN: 4}))
    before = len(story.sent(older))

    copy = story.welcomed(hello(connection=9))
    assert len(story.sent(older)) == before
    effects = story.confirm(older, {OWN: 4})

    assert codes_in(effects, copy) == ["copied_file"]


def test_empty_page_says_what_the_last_one_said(story: HubStory) -> None:
    """It neither ends nor begins a catching up, and contains no batch that the last one did not."""
    older = story.live(hello(connection=9, checkpoints={OWN: 1}))
    story.judge(older, 1, OWN)
    story.read(older, page({OWN: 2}, complete=False, commit=5))
    story.read(older, page({OWN: 3}, complete=False, commit=5))
    story.confirm(older, {OWN: 3})

    story.welcomed(hello(connection=9))

    asked = story.sent(older)[-1]
    assert isinstance(asked, Changes)
    assert (asked.cursors, asked.commit, asked.complete) == ({}, 5, False)


def test_third_socket_with_a_higher_pair_takes_over_at_once(story: HubStory) -> None:
    """The device itself came back: neither its dead socket nor a copy that waits is in its way."""
    dead = story.live(hello(connection=9))
    copy = story.welcomed(hello(connection=9))

    back = story.welcomed(hello(connection=10))
    story.wait(SIGN_OF_LIFE_SECONDS)
    story.happen(inputs.Greeted(copy, Greeting(DEVICE, {OWN: "write"}, 0, ())))
    effects = story.confirm(back, {})

    assert story.closed(dead) == 1000
    assert story.closed(back) is None
    assert codes_in(effects, copy) == ["copied_file"]


def test_newcomer_that_speaks_or_loses_its_session_while_it_waits_is_ended(story: HubStory) -> None:
    """Nothing comes between hello and welcome, and no session outlives its end (I3)."""
    story.live(hello(connection=9))
    hasty, revoked, gone = (
        story.welcomed(hello(connection=9), session=session) for session in ("1", "2", "3")
    )

    effects = story.say(hasty, push(1))
    story.happen(inputs.SessionsRevoked(["2"]))
    story.happen(inputs.SessionsChecked({"2": SessionStatus.REVOKED}))
    story.happen(inputs.SocketClosed(gone))
    greets = len(story.calls(Greet))
    story.wait(SIGN_OF_LIFE_SECONDS)

    assert codes_in(effects, hasty) == ["bad_message"]
    assert [type(each) for each in sent_in(story.effects, revoked)] == [Error]
    assert len(story.calls(Greet)) == greets
