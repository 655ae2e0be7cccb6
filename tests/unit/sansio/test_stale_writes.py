"""Writes of ours that another process was faster than: dropped, and asked again only where that is needed."""

from __future__ import annotations

from syncauth.models import (
    Renewed,
)
from syncauth.sansio import inputs
from syncauth.sansio.effects import (
    EndRefresh,
    HoldRefresh,
    RequestRefresh,
    Settle,
)
from tests.support.engine_story import ANN, Story, pair
from tests.support.token_story import TokenStory


def active() -> TokenStory:
    """Return a story of a user who has just logged in."""
    story = TokenStory()
    story.logged_in()
    return story


def test_a_stale_write_of_one_user_leaves_the_refresh_of_another() -> None:
    """I4: only the request whose write came too late is asked for again."""
    story = active()
    story.logged_in("b", "bob")
    story.want(1, renew=True)
    story.want(2, renew=True, user="bob")
    ann, bob = (each.ticket for each in story.effects if isinstance(each, RequestRefresh))
    story.elsewhere(story.row(), story.row("bob"), stale=ANN)
    story.happen(inputs.RefreshAnswered(bob, Renewed(pair("b2"))))

    assert story.settled(2).result == pair("b2").access
    assert story.account().refresh.ticket is None
    story.wait(1)
    assert story.last(HoldRefresh).ticket.user_id == ANN
    assert story.last(HoldRefresh).ticket != ann


def test_a_logout_that_another_process_was_faster_with_has_nothing_to_do() -> None:
    """The user was removed meanwhile: the call returns, and nothing has to be written for it."""
    story = active()
    wanted = inputs.LogOutRequested(50, ANN, forget=False)
    assert story.decide(wanted).writes
    story.elsewhere(stale=ANN)
    story.without_store(wanted)

    assert story.settled(50) == Settle(50)


def test_a_logout_of_one_whose_sync_is_stopping_after_a_removal_elsewhere_waits_for_it() -> None:
    """It returns when sync has stopped, as every logout, and writes nothing."""
    story = Story().live()
    story.happen(inputs.SessionsReread((), stale=ANN))
    decision = story.happen(inputs.LogOutRequested(50, ANN, forget=False, remove=True))
    assert decision.writes == ()
    assert Settle(50) not in story.effects
    story.lose(code=1000)

    assert Settle(50) in story.effects


def test_a_pair_that_came_too_late_gives_way_to_the_stored_one() -> None:
    """I4, I7: the fence of another process is higher; its pair is adopted, ours is dropped."""
    story = active().due()
    ticket = story.last(RequestRefresh).ticket
    answer = inputs.RefreshAnswered(ticket, Renewed(pair("ours")))
    story.decide(answer)
    story.elsewhere(story.newer(pair("theirs")), stale=ANN)
    decision = story.without_store(answer)

    assert decision.effects == (EndRefresh(ticket),)
    assert story.account().tokens == pair("theirs")
